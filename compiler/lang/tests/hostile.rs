//! Hostile texts give a graph or reports in bounded time, and never an abort.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop, and measures time"
)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tally_lang::{Compiled, MemoryLoader, compile};

/// Compiles in bounded time, on the stack of a test thread (2 MB), and checks the result.
fn endure(name: &str, bytes: Vec<u8>) -> Compiled {
    let mut loader = MemoryLoader::default();
    let size = bytes.len();
    loader.files.insert("tally.kdl".into(), bytes);
    let start = Instant::now();
    let compiled = compile("tally.kdl", &mut loader);
    let took = start.elapsed();
    // A debug build on a busy machine; quadratic work over megabytes would take minutes.
    assert!(took < Duration::from_secs(40), "{name}: {took:?} for {size} bytes");
    assert!(compiled.graph.is_some() || !compiled.diagnostics.is_empty(), "{name}: nothing at all");
    assert!(compiled.diagnostics.len() <= 2000, "{name}: {} reports", compiled.diagnostics.len());
    for found in &compiled.diagnostics {
        for label in &found.labels {
            let file = compiled.sources.get(label.span.file).expect("a label in a file");
            assert!(label.span.end as usize <= file.text.len(), "{name}: a label outside its file");
            assert!(
                file.text.is_char_boundary(label.span.start as usize),
                "{name}: half a character"
            );
            assert!(
                file.text.is_char_boundary(label.span.end as usize),
                "{name}: half a character"
            );
        }
    }
    compiled
}

#[test]
fn documents_that_break_other_parsers_are_harmless() {
    for (name, text) in [
        ("nested slashdash", "a /-{".repeat(20)),
        ("nested slashdash, closed", format!("{}{}", "a /-{ ".repeat(200), "}".repeat(200))),
        ("nested slashdash nodes", "/- a {".repeat(5000)),
        ("deep", "a {".repeat(100_000)),
        ("deep, closed", format!("{}{}", "a{".repeat(100_000), "}".repeat(100_000))),
        ("comments in comments", "/*".repeat(50_000)),
        (
            "comments in comments, closed",
            format!("{}{}\na", "/*".repeat(50_000), "*/".repeat(50_000)),
        ),
        ("version", "/- kdl-version 2\ncluster c".into()),
        ("parentheses", "(".repeat(10_000)),
        ("brackets", "a ".to_owned() + &"[".repeat(10_000)),
        ("raw strings", "#".repeat(10_000) + "\""),
        ("backslashes", "\\".repeat(10_000)),
        (
            "a number of many digits",
            format!("cluster c\npod p replicas={} {{}}", "9".repeat(100_000)),
        ),
        (
            "bytes of many digits",
            format!(
                "cluster c\npod p {{ container c image=\"x\" {{ resources memory=\"{}GiB\" }} }}",
                "9".repeat(100_000)
            ),
        ),
        ("only a mark", "\u{feff}".into()),
        ("two marks", "\u{feff}\u{feff}cluster c".into()),
        ("nothing", String::new()),
        ("slashdash at the end", "/-".into()),
        ("escape at the end", "a \"\\".into()),
        ("unicode escape at the end", "a \"\\u{".into()),
    ] {
        endure(name, text.into_bytes());
    }
}

#[test]
fn invalid_utf_8_is_reported_at_its_first_invalid_byte() {
    let compiled = endure("latin-1", b"cluster c\npod p { container c image=\"\xe9\" }".to_vec());
    let found = compiled.diagnostics.first().unwrap();
    assert_eq!(compiled.diagnostics.len(), 1);
    assert_eq!(compiled.sources.place(found.primary().unwrap()), "tally.kdl:2:28");
    endure("zeros", vec![0; 10_000]);
    endure("utf-16", "cluster c".encode_utf16().flat_map(u16::to_le_bytes).collect());
    endure("one half of a character", b"a \xe2\x80".to_vec());
}

#[test]
fn ten_megabytes_take_bounded_time() {
    for unit in [
        "pod p { container c image=\"x:1\" { env A=1 } }\n",
        "{",
        "}",
        ";",
        "\"",
        "'",
        "#",
        "/",
        "\\",
        "[a,",
        "a: b;",
        "'a ",
        "a=",
        "a \"x\"y;",
        "(",
        "\u{feff}",
        "a \"\"\"\n",
        "`",
        "a b=c=d ",
        "{}",
        "} {",
        "- a;",
        "a ${",
        "\u{201c}a ",
        "a{}b{}",
        "\n}",
        "\n {",
        "a,",
        "x \\\n",
        "\u{202e}",
        "#yes ",
        "a b=[",
        "$",
        "a/b ",
        "//\n#\n",
    ] {
        endure(unit, unit.repeat(400_000 / unit.len()).into_bytes());
        // One line after much white space, where the indentation is determined.
        endure(
            unit,
            format!("{}{}", " ".repeat(100_000), unit.repeat(100_000 / unit.len())).into_bytes(),
        );
    }
    let value = "x".repeat(1000);
    let pod =
        |i: usize| format!("pod p{i}x {{ container c image=\"x:1\" {{ env A=\"{value}\" }} }}\n");
    let long: String =
        std::iter::once("cluster c\n".to_owned()).chain((0..10_000).map(pod)).collect();
    assert!(endure("10 MB of pods, well formed", long.clone().into_bytes()).graph.is_some());
    let long = long.replace("env A=", "env A:");
    endure("10 MB of pods", long.into_bytes());
    let mut hashes = String::new();
    for count in 1..2000 {
        hashes.push_str("a ");
        hashes.push_str(&"#".repeat(count));
        hashes.push_str("\"\"\"\n");
    }
    endure("texts that never end", hashes.into_bytes());
    endure("more than a spec may hold", vec![b'\n'; 20 << 20]);
}

#[test]
fn a_megabyte_of_holes_in_one_text_takes_bounded_time() {
    for unit in ["${", "$${", "${secret.", "${secret.a}", "${a}", "\\u{24}{secret.a}"] {
        for field in ["env A=", "workdir ", "image ", "command "] {
            let holes = unit.repeat((1 << 20) / unit.len());
            let text = format!(
                "cluster c\npod p {{ container c image=\"x\" {{ {field}\"{holes}\" }} }}\n"
            );
            endure(&format!("{field}{unit}"), text.into_bytes());
        }
    }
}

#[test]
fn pods_that_require_none_of_many_hosts_take_bounded_time() {
    for require in ["zone=y", "host=y", "{ has y }", "zone=z0 more=y"] {
        let hosts: String =
            (0..8000).map(|i| format!("host h{i} \"sim:h{i}\" {{ label zone=z{i} }}\n")).collect();
        let pods: String = (0..8000)
            .map(|i| {
                let require = require.replace('y', &format!("y{i}"));
                format!("pod p{i}x {{ place {{ require {require} }}; container c image=\"x\" }}\n")
            })
            .collect();
        endure(require, format!("cluster c {{\n{hosts}}}\n{pods}").into_bytes());
    }
}

#[test]
fn many_mistakes_of_one_kind_take_bounded_time() {
    let wrap = |line: &dyn Fn(usize) -> String| {
        let lines: String = (0..20_000).map(line).collect();
        format!("cluster c\nlabel x\n{lines}")
    };
    for (name, text) in [
        (
            "volumes that are not there",
            wrap(&|i| {
                format!(
                    "volume v{i}\npod p{i} {{ container c image=\"x:1\" {{ mount w{i} \"/d\" }} }}\n"
                )
            }),
        ),
        (
            "services that match nothing",
            wrap(&|i| {
                format!(
                    "pod p{i} {{ label a=b; container c image=\"x:1\" }}\nservice s{i} {{ select a=c d=e; port x }}\n"
                )
            }),
        ),
        (
            "services that match all",
            wrap(&|i| {
                format!(
                    "pod p{i} {{ label a=b; container c image=\"x:1\" {{ port x 1 }} }}\nservice s{i} {{ select a=b; port x }}\n"
                )
            }),
        ),
        (
            "one circle of all",
            wrap(&|i| {
                format!(
                    "pod p{i} {{ depends-on pod p{}; container c image=\"x:1\" }}\n",
                    (i + 1) % 20_000
                )
            }),
        ),
        ("one name", wrap(&|_| "pod p { container c image=\"x:1\" }\n".into())),
        (
            "one host port",
            wrap(&|i| {
                format!("pod p{i} {{ container c image=\"x:1\" {{ port x 80 publish=80 }} }}\n")
            }),
        ),
    ] {
        endure(name, text.replace("label x\n", "").into_bytes());
    }
    let fields = |field: &str| {
        format!("cluster c\npod p {} {{ container c image=\"x:1\" }}", field.repeat(100_000))
    };
    for field in ["image=1 ", "memory=1 ", "command=a ", "restart=always ", "x ", "label=1 "] {
        endure(field, fields(field).into_bytes());
    }
    for node in ["env A=1", "resources memory=1", "command a", "readiness every=1", "mount a"] {
        let fields = " A=1 b".repeat(100_000);
        let text = format!("cluster c\npod p {{ container c image=\"x:1\" {{ {node}{fields} }} }}");
        endure(node, text.into_bytes());
    }
}

/// A spec that uses most of the language, for the tests to damage.
const SPEC: &str = include_str!("specs/shop.kdl");

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_not_crash_the_compiler(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        endure("random bytes", bytes);
    }

    #[test]
    fn random_words_do_not_crash_the_compiler(words in proptest::collection::vec(word(), 0..60)) {
        endure("random words", words.concat().into_bytes());
    }

    #[test]
    fn damaged_specs_do_not_crash_the_compiler(edits in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..12, word()), 1..6)) {
        let mut text = SPEC.to_owned();
        for (at, length, word) in edits {
            let chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len() + 1);
            let end = (at + length).min(chars.len());
            text = chars[..at].iter().collect::<String>() + &word + &chars[end..].iter().collect::<String>();
        }
        endure("a spoilt spec", text.into_bytes());
    }
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(
        [
            "pod ",
            "p ",
            "{",
            "}",
            "\n",
            ";",
            "\"",
            "\"\"\"",
            "#",
            "=",
            " ",
            "\\",
            "/-",
            "/*",
            "*/",
            "//",
            "[",
            "]",
            "(",
            ")",
            ",",
            ":",
            "'",
            "${",
            "$${",
            "container c ",
            "image=\"x:1\" ",
            "env ",
            "A=1 ",
            "é",
            "\u{2028}",
            "512MiB ",
            "true ",
            "#true ",
            "cluster c\n",
            "port ",
            "80 ",
            "-",
            "--",
            "select ",
            "controller=",
            "x",
            "",
            "mount data \"/d\"",
            "service s ",
            "volume v ",
            "depends-on pod ",
            "label ",
            "\u{feff}",
            "\u{201c}",
        ]
        .map(str::to_owned)
        .to_vec(),
    )
}
