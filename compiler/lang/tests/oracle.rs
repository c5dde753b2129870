//! The `kdl` crate is the oracle of our parser: where it reads a text, we read the same document.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop"
)]

use kdl::{KdlDocument, KdlValue};
use proptest::prelude::*;
use tally_lang::{Node, ValueKind, parse};
use tally_source::FileId;

/// A document without its notation.
fn ours(nodes: &[Node], out: &mut String) {
    for node in nodes {
        out.push_str(&format!("{:?}", node.name.text));
        let mut properties = std::collections::BTreeMap::new();
        for entry in &node.entries {
            let value = match &entry.value.kind {
                ValueKind::Text(text, _) => format!("{text:?}"),
                ValueKind::Number(raw) => number(raw),
                ValueKind::Bool(value) => format!("#{value}"),
                ValueKind::Null => "#null".into(),
                ValueKind::NotFinite => "#float".into(),
                ValueKind::Poison => "?".into(),
            };
            match &entry.key {
                Some(key) => {
                    properties.insert(key.text.to_string(), value);
                }
                None => out.push_str(&format!(" {value}")),
            }
        }
        for (key, value) in properties {
            out.push_str(&format!(" {key:?}={value}"));
        }
        out.push('{');
        ours(node.children(), out);
        out.push_str("}\n");
    }
}

fn theirs(document: &KdlDocument, out: &mut String) {
    for node in document.nodes() {
        out.push_str(&format!("{:?}", node.name().value()));
        let mut properties = std::collections::BTreeMap::new();
        for entry in node.entries() {
            let value = match entry.value() {
                KdlValue::String(text) => format!("{text:?}"),
                KdlValue::Integer(value) => format!("{:?}", *value as f64),
                KdlValue::Float(value) if value.is_finite() => format!("{value:?}"),
                KdlValue::Float(_) => "#float".into(),
                KdlValue::Bool(value) => format!("#{value}"),
                KdlValue::Null => "#null".into(),
            };
            match entry.name() {
                Some(key) => {
                    properties.insert(key.value().to_string(), value);
                }
                None => out.push_str(&format!(" {value}")),
            }
        }
        for (key, value) in properties {
            out.push_str(&format!(" {key:?}={value}"));
        }
        out.push('{');
        if let Some(children) = node.children() {
            theirs(children, out);
        }
        out.push_str("}\n");
    }
}

fn number(raw: &str) -> String {
    let clean = raw.replace('_', "");
    let (sign, body) = match clean.strip_prefix('-') {
        Some(body) => (-1.0, body),
        None => (1.0, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let radix = |digits: &str, radix| i128::from_str_radix(digits, radix).unwrap_or(0) as f64;
    let value: f64 = if let Some(hex) = body.strip_prefix("0x") {
        radix(hex, 16)
    } else if let Some(octal) = body.strip_prefix("0o") {
        radix(octal, 8)
    } else if let Some(binary) = body.strip_prefix("0b") {
        radix(binary, 2)
    } else {
        body.parse().unwrap_or(0.0)
    };
    let value = sign * value;
    if value.is_finite() {
        format!("{:?}", if value == 0.0 { 0.0 } else { value })
    } else {
        "#float".into()
    }
}

/// Checks that both read the text alike, and that we report an error where the oracle does.
fn compare(text: &str, allow_habits: bool) -> Result<(), String> {
    let (ast, found) = parse(FileId(0), text);
    match KdlDocument::parse_v2(text) {
        Ok(document) => {
            // Some common mistakes are valid KDL that we refuse: then there is nothing to compare.
            if !found.is_empty() && allow_habits {
                return Ok(());
            }
            if let Some(first) = found.first() {
                return Err(format!("refused: {} in {text:?}", first.headline));
            }
            // After `/-` both ignore mistakes, each in its own way.
            if text.contains("/-") && !parse(FileId(0), &text.replace("/-", " ")).1.is_empty() {
                return Ok(());
            }
            let (mut a, mut b) = (String::new(), String::new());
            ours(&ast.nodes, &mut a);
            theirs(&document, &mut b);
            let b = b.replace("-0.0", "0.0");
            if a == b { Ok(()) } else { Err(format!("{text:?}\nours:\n{a}theirs:\n{b}")) }
        }
        // The text after `/-` is not checked, so a mistake there is not reported.
        Err(_) if text.contains("/-") => Ok(()),
        Err(_) if found.is_empty() => Err(format!("accepted: {text:?}")),
        Err(_) => Ok(()),
    }
}

#[test]
fn every_spec_of_the_repository_is_parsed_like_the_oracle() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../specs");
    for folder in std::fs::read_dir(root).unwrap() {
        let Ok(files) = std::fs::read_dir(folder.unwrap().path()) else { continue };
        for file in files {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|e| e == "kdl") {
                compare(&std::fs::read_to_string(path).unwrap(), false).unwrap();
            }
        }
    }
}

#[test]
fn the_forms_of_kdl_are_parsed_like_the_oracle() {
    for text in [
        "a 1 2.5 -3 +4 1_000 0x1F 0o17 0b101 1e3 1.5E-2",
        "a #true #false #null #inf #-inf #nan",
        "a b=1 c=\"x\" \"d e\"=#true",
        "a b = 1\nc",
        "a { b; c { d } }; e",
        "a /* x /* y */ z */ b",
        "a \\\n  b \\ // comment\n c",
        "/- a b c\nd",
        "a /-b c /-d=1 /-{ e } { f }",
        "/-a { b }\nc",
        "a \"\"\"\n  x\n    y\n\n  z\n  \"\"\"",
        "a #\"C:\\x\"# ##\"a\"#b\"##",
        "a #\"\"\"\n  raw \\n\n  \"\"\"#",
        "a \"\\n\\t\\\\\\\"\\u{41}\\s|\\   |x\"",
        "a \"one \\\n   two\"",
        "\u{feff}a b\r\nc d\r\n",
        "/- kdl-version 2\na",
        "(type)a (t)1 b=(t)\"x\"",
        "- a -- --x +x .a -.b ..",
        "a \"\" #\"\"#",
        "a\u{2003}b\u{85}c\u{2028}d",
        "\"quoted name\" { }",
        "a;b;c",
        "a { }\n\n\n",
        "a 'b' \u{201c}c\u{201d}",
        "r\u{e9}sum\u{e9} \u{65e5}\u{672c}=\u{8a9e}",
        "a <b> @c %d ^e &f |g ~h ?i !j $k *l",
    ] {
        compare(text, true).unwrap();
    }
}

/// The official test suite, where the registry's copy of the crate carries it.
#[test]
fn the_official_suite_is_parsed_like_the_oracle() {
    let Some(folder) = official_suite() else { return };
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        count += 1;
        if let Err(why) = compare(&text, true) {
            wrong.push(format!("{}: {why}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn official_suite() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(std::path::PathBuf::from);
    let home =
        home.or_else(|| Some(std::path::PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let registries = std::fs::read_dir(home.join("registry/src")).ok()?;
    let suites = registries
        .filter_map(Result::ok)
        .map(|registry| registry.path().join(format!("kdl-{}/tests/test_cases/input", "6.7.1")));
    suites.into_iter().find(|path| path.is_dir())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_documents_are_parsed_like_the_oracle(words in proptest::collection::vec(word(), 0..14)) {
        let text = words.concat();
        if let Err(why) = compare(&text, true) {
            panic!("{why}");
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(
        [
            "a", "b ", "node ", "{", "}", "{ ", " }", "\n", "\r\n", ";", "\"x\"", "\"\"\"\n",
            "\n\"\"\"", "\"", "#", "#\"", "\"#", "=", " = ", " ", "\t", "\\\n", "\\", "/-", "/- ",
            "/*", "*/", "// c\n", "(t)", "1", "-1.5", "0x1F", "1e3", "1_0", "+", "-", ".", "#true",
            "#null", "#inf", "true", "\\n", "\\u{41}", "\\s", "é", "\u{a0}", "\u{2028}", "k=v ",
            "k=1 ", "\"q\"=2 ", "x:y ", "@!$ ",
        ]
        .map(str::to_owned)
        .to_vec(),
    )
}
