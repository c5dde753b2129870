//! A spoilt spec is never given another meaning: certain edits restore the spec, or nothing is fixed.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop, and reads the specs"
)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::rendered;
use tally_graph::schema::{self, Form, KindRow, Step};
use tally_lang::{MemoryLoader, compile, fix};
use tally_source::{Diagnostic, Severity};

/// The maximum number of ways in which one spec is spoilt.
const MOST_WAYS: usize = 1000;

/// The number of ways for a spec of the documentation or of the schema, of which there are hundreds.
const FEW_WAYS: usize = 24;

/// A spec that compiles: its name and its files.
struct Good {
    name: String,
    files: Vec<(String, Vec<u8>)>,
    /// Whether it is one of the worked specs.
    worked: bool,
}

impl Good {
    fn single(name: String, text: &str) -> Self {
        let empty = ["more.kdl", "a.kdl", "b.kdl", "a.conf", "b.conf"];
        let empty = empty.into_iter().map(|name| (name.to_owned(), Vec::new()));
        let first = ("tally.kdl".to_owned(), text.as_bytes().to_vec());
        Self { name, files: std::iter::once(first).chain(empty).collect(), worked: false }
    }

    /// The text of its first file.
    fn text(&self) -> String {
        let first = self.files.iter().find(|(name, _)| name == "tally.kdl").unwrap();
        String::from_utf8(first.1.clone()).unwrap()
    }

    fn loader(&self) -> MemoryLoader {
        MemoryLoader { files: self.files.iter().cloned().collect() }
    }

    fn fingerprint(&self) -> Option<String> {
        Some(compile("tally.kdl", &mut self.loader()).graph?.fingerprint())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files below a folder, by their paths from there.
fn files_below(folder: &Path, prefix: &str, out: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            files_below(&path, &format!("{name}/"), out);
        } else {
            out.push((name, std::fs::read(&path).unwrap()));
        }
    }
}

/// The worked specs, that of the language page, the corrected examples of the diagnostics, and one spec for each field.
fn good_specs() -> Vec<Good> {
    let mut specs = Vec::new();
    for folder in std::fs::read_dir(root().join("specs")).unwrap() {
        let folder = folder.unwrap().path();
        let mut files = Vec::new();
        files_below(&folder, "", &mut files);
        specs.push(Good { name: folder.display().to_string(), files, worked: true });
    }
    let mut shop = Good::single("shop".into(), include_str!("specs/shop.kdl"));
    shop.worked = true;
    shop.files.push(("cache.kdl".into(), Vec::new()));
    specs.push(shop);
    let mut pages: Vec<PathBuf> = std::fs::read_dir(root().join("docs/diagnostics"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    pages.sort();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        if let Some(block) = text.split("```kdl\n").nth(2) {
            let text = block.split("```").next().unwrap();
            specs.push(Good::single(page.display().to_string(), text));
        }
    }
    let examples = schema::examples();
    specs.extend(examples.map(|found| {
        Good::single(format!("{}.{}", found.kind.key, found.field.word), &found.before)
    }));
    specs.retain(|good| good.fingerprint().is_some());
    specs.sort_by(|a, b| a.name.cmp(&b.name));
    specs
}

/// The ways in which a text is spoilt: two characters swapped, one lost, one doubled.
fn ways(text: &str) -> Vec<(usize, u8)> {
    let places = text.char_indices().filter(|(_, c)| !c.is_whitespace());
    places.flat_map(|(at, _)| (0..3).map(move |way| (at, way))).collect()
}

fn spoil(text: &str, at: usize, way: u8) -> Option<String> {
    let (before, rest) = text.split_at(at);
    let mut chars = rest.chars();
    let first = chars.next()?;
    match way {
        0 => {
            let second = chars.next().filter(|second| *second != first)?;
            Some(format!("{before}{second}{first}{}", chars.as_str()))
        }
        1 => Some(format!("{before}{}", chars.as_str())),
        _ => Some(format!("{before}{first}{rest}")),
    }
}

#[test]
fn a_spoilt_spec_is_fixed_to_its_meaning_or_not_at_all() {
    let (tried, restored) = spoil_all(MOST_WAYS, FEW_WAYS);
    assert!(tried > 8000 && restored > 500, "{restored} of {tried} were restored");
}

#[test]
#[ignore = "takes minutes: run it after a change of certain edits"]
fn a_spec_spoilt_in_any_way_is_fixed_to_its_meaning_or_not_at_all() {
    spoil_all(usize::MAX, usize::MAX);
}

/// Spoils the worked specs in `most` ways and the others in `few`. Returns the number of spoilt specs, and of those that
/// edits restored.
fn spoil_all(most: usize, few: usize) -> (usize, usize) {
    let specs = good_specs();
    let (mut tried, mut restored) = (0, 0);
    let mut wrong = BTreeSet::new();
    for good in &specs {
        let meaning = good.fingerprint();
        let text = good.text();
        let ways = ways(&text);
        let most = if good.worked { most } else { few };
        // Not a multiple of the three ways.
        let stride = match ways.len().div_ceil(most).max(1) {
            stride if stride.is_multiple_of(3) => stride + 1,
            stride => stride,
        };
        for (at, way) in ways.into_iter().step_by(stride) {
            let Some(spoilt) = spoil(&text, at, way) else { continue };
            let mut loader = good.loader();
            loader.files.insert("tally.kdl".into(), spoilt.clone().into_bytes());
            let fixed = fix("tally.kdl", &mut loader);
            tried += 1;
            let Some(graph) = fixed.compiled.graph.filter(|_| fixed.kept > 0) else { continue };
            if Some(graph.fingerprint()) == meaning {
                restored += 1;
                continue;
            }
            let line = |text: &str| {
                let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
                text[start..].lines().next().unwrap_or_default().trim().to_owned()
            };
            let now = fixed.texts.values().next().map(|text| line(text)).unwrap_or_default();
            let name = &good.name;
            wrong.insert(format!("{name}: {} -> {} -> {now}", line(&text), line(&spoilt)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    (tried, restored)
}

/// Words that a typo could produce: two letters swapped, one lost, one doubled, one replaced.
fn typos(word: &str) -> BTreeSet<String> {
    let mut typos: BTreeSet<String> = word
        .char_indices()
        .flat_map(|(at, _)| (0..3).filter_map(move |way| spoil(word, at, way)))
        .collect();
    for (at, letter) in word.char_indices() {
        typos.extend(['e', 's', 'x'].map(|other| {
            let rest = &word[at + letter.len_utf8()..];
            format!("{}{other}{rest}", &word[..at])
        }));
    }
    typos.remove(word);
    typos
}

/// The start of a spec in which a field of the kind is a node, and its end.
fn around(kind: &KindRow<'_>) -> (String, String) {
    let (mut before, mut after) = (String::new(), String::new());
    let mut at = kind;
    while at.key != "spec" {
        before = format!("{} {{ {before}", at.head);
        after.push_str(" }");
        at = schema::kind(at.within).unwrap();
    }
    (before, after)
}

#[test]
fn a_typo_of_a_field_is_certainly_that_field_or_nothing() {
    let (mut certain, mut tried) = (0, 0);
    for kind in schema::kinds() {
        let (before, after) = around(kind);
        for row in kind.fields.iter().filter(|row| {
            row.step != Step::Language && row.form != Form::Argument && row.word.len() > 2
        }) {
            for typo in typos(row.word).iter().filter(|typo| kind.field(typo).is_none()) {
                let text = format!("{before}{typo} 1{after}");
                let compiled = compile("tally.kdl", &mut MemoryLoader::single("tally.kdl", &text));
                tried += 1;
                let at = u32::try_from(before.len()).unwrap();
                let found = compiled
                    .diagnostics
                    .iter()
                    .filter(|found| found.primary().is_some_and(|span| span.start == at));
                for edit in found.flat_map(|found| &found.edits).filter(|edit| edit.certain) {
                    certain += 1;
                    let meant = &edit.changes[0].text;
                    assert_eq!(meant, row.word, "{text}\n{}", rendered(&compiled));
                }
            }
        }
    }
    assert!(certain * 2 > tried, "{certain} of {tried} are certain");
}

/// The places of the words of the schema in a text, outside its strings.
fn schema_words(text: &str) -> Vec<(usize, &str)> {
    let known: BTreeSet<&str> =
        schema::kinds().flat_map(|kind| kind.fields).map(|row| row.word).collect();
    let mut words = Vec::new();
    let mut start = 0;
    for (i, part) in text.split('"').enumerate() {
        let mut at = start;
        for word in part.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
            if i % 2 == 0 && word.len() > 2 && known.contains(word) {
                words.push((at, word));
            }
            at += word.len() + 1;
        }
        start += part.len() + 1;
    }
    words
}

#[test]
fn a_misspelt_word_is_one_mistake() {
    let mut wrong = BTreeSet::new();
    let mut tried = 0;
    for good in good_specs() {
        let text = good.text();
        let words = schema_words(&text);
        let stride = if good.worked { 1 } else { 7 };
        for (at, word) in words.into_iter().step_by(stride) {
            for way in 0..3 {
                let Some(typo) = spoil(word, word.len() / 2, way) else { continue };
                let spoilt = format!("{}{typo}{}", &text[..at], &text[at + word.len()..]);
                let mut loader = good.loader();
                loader.files.insert("tally.kdl".into(), spoilt.into_bytes());
                let compiled = compile("tally.kdl", &mut loader);
                let errors = compiled.diagnostics.iter();
                let errors = errors.filter(|found| found.severity == Severity::Error).count();
                let here =
                    |found: &Diagnostic| found.primary().is_some_and(|p| p.start as usize == at);
                // A name can be the same as a word of the schema; its references are then wrong.
                if !compiled.diagnostics.iter().any(here) {
                    continue;
                }
                tried += 1;
                if errors > 1 {
                    wrong.insert(format!("{}: {typo}\n{}", good.name, rendered(&compiled)));
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), {
        wrong.into_iter().take(8).collect::<String>()
    });
}
