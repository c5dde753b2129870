//! A page of `docs/api`, and the fields of a program's output that it does not contain.
//!
//! A heading in backticks names the part of the output that its section is about: `pods[]`, or `files.files` if
//! the last word alone is ambiguous. A field is in the first column of its section's table. The fields of a part
//! without its own section are in the row of the part that contains it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

/// The placeholder in paths for a name that people choose.
const ANY: &str = "*";

/// A page.
pub struct Page {
    name: &'static str,
    sections: Vec<Section>,
    users: &'static [&'static str],
    opaque: &'static [&'static str],
    /// The fields that occurred in an output: the number of the section, and the word.
    seen: BTreeSet<(usize, String)>,
    /// The fields of an output that are not in the page.
    pub missing: BTreeSet<String>,
}

/// A part of a page. The first one is about the whole document, and has no name.
#[derive(Default)]
struct Section {
    names: Vec<Vec<String>>,
    rows: Vec<Row>,
}

/// A row of a table.
struct Row {
    /// The first word of its table's head: `field`, `call`, `edge`, `kind`.
    head: String,
    first: Vec<String>,
    all: Vec<String>,
}

impl Page {
    /// Reads a page.
    pub fn read(
        name: &'static str,
        users: &'static [&'static str],
        opaque: &'static [&'static str],
    ) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/api");
        let text = std::fs::read_to_string(folder.join(format!("{name}.md"))).unwrap();
        Self::parse(name, &text, users, opaque)
    }

    /// Creates a page from that text. Below `users` (ends of paths) names are chosen by people; parts that are
    /// `opaque` are not checked.
    pub fn parse(
        name: &'static str,
        text: &str,
        users: &'static [&'static str],
        opaque: &'static [&'static str],
    ) -> Self {
        let mut sections = vec![Section::default()];
        let (mut at, mut head, mut is_code) = (0, None, false);
        for line in text.lines() {
            is_code ^= line.starts_with("```");
            if let Some(title) = line.strip_prefix('#').filter(|_| !is_code) {
                let names: Vec<Vec<String>> = code(title).map(path).collect();
                at = if names.is_empty() { 0 } else { sections.len() };
                if at > 0 {
                    sections.push(Section { names, rows: Vec::new() });
                }
            }
            let Some(row) = line.strip_prefix('|').filter(|_| !is_code) else {
                head = None;
                continue;
            };
            let first = row.split('|').next().unwrap_or_default();
            match &head {
                None => head = Some(first.trim().to_owned()),
                Some(head) => sections[at].rows.push(Row {
                    head: head.clone(),
                    first: words(first),
                    all: words(row),
                }),
            }
        }
        let (seen, missing) = (BTreeSet::new(), BTreeSet::new());
        Self { name, sections, users, opaque, seen, missing }
    }

    /// Compares an output with the page.
    pub fn hold(&mut self, output: &Value) {
        self.walk(output, &mut Vec::new());
    }

    /// Returns the fields of the page that occurred in none of the outputs.
    pub fn unseen(&self) -> BTreeSet<String> {
        let mut unseen = BTreeSet::new();
        for (at, section) in self.sections.iter().enumerate() {
            let is_field = |row: &&Row| matches!(row.head.as_str(), "field" | "call" | "edge");
            let fields = section.rows.iter().filter(is_field);
            for word in fields.flat_map(|row| &row.first) {
                if !self.seen.contains(&(at, word.clone())) {
                    let of = section.names.first().map(|name| name.join("."));
                    unseen.insert(format!("{}: {word}", of.unwrap_or_default()));
                }
            }
        }
        unseen
    }

    /// Returns the first column of the tables with that head, sorted.
    pub fn listed(&self, head: &str) -> Vec<String> {
        let rows = self.sections.iter().flat_map(|section| &section.rows);
        let mut all: Vec<String> =
            rows.filter(|row| row.head == head).flat_map(|row| row.first.clone()).collect();
        all.sort();
        all
    }

    fn walk(&mut self, value: &Value, at: &mut Vec<String>) {
        match value {
            _ if ends(at, self.opaque) => {}
            Value::Array(all) => all.iter().for_each(|value| self.walk(value, at)),
            Value::Object(fields) => {
                let is_users = ends(at, self.users);
                for (key, value) in fields {
                    if !is_users {
                        self.key(at, key);
                    }
                    at.push(if is_users { ANY } else { key }.to_owned());
                    self.walk(value, at);
                    at.pop();
                }
            }
            // A word of a list in the page, such as a kind.
            Value::String(word) => {
                let (section, left) = self.section(at);
                if section > 0 && left.is_empty() {
                    self.key(at, word);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Searches for one key.
    fn key(&mut self, at: &[String], key: &str) {
        let (section, left) = self.section(at);
        let has = |words: &[String], word: &str| words.iter().any(|found| found == word);
        let rows = &self.sections[section].rows;
        let stands = match (left.first(), left.last()) {
            (Some(first), Some(parent)) => rows
                .iter()
                .any(|row| has(&row.first, first) && has(&row.all, parent) && has(&row.all, key)),
            _ => rows.iter().any(|row| has(&row.first, key)),
        };
        if left.is_empty() {
            self.seen.insert((section, key.to_owned()));
        }
        if !stands {
            self.missing.insert(format!("{}.md: `{key}` of `{}`", self.name, at.join(".")));
        }
    }

    /// Returns the section that is nearest to a path, and the rest of the path below it.
    fn section<'a>(&self, at: &'a [String]) -> (usize, Vec<&'a String>) {
        let mut found = (0, 0, 0);
        for (number, section) in self.sections.iter().enumerate() {
            for name in &section.names {
                for end in 1..=at.len() {
                    if at[..end].ends_with(name) {
                        found = found.max((end, name.len(), number));
                    }
                }
            }
        }
        let (end, _, number) = found;
        let left: Vec<&String> = at[end..].iter().filter(|word| *word != ANY).collect();
        (number, left)
    }
}

/// Checks whether a path ends in one of those.
fn ends(at: &[String], all: &[&str]) -> bool {
    all.iter().any(|end| at.ends_with(&path(end)))
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(|word| word.trim_end_matches("[]").to_owned()).collect()
}

/// Returns the text in backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the words in backticks.
fn words(text: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let all = code(text).flat_map(|code| code.split(move |c| !is_word(c)));
    all.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
