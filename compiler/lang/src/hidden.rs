//! Names that text which could not be read may declare.

use std::collections::BTreeSet;

/// The words of skipped text, and the kinds of declarations whose name is missing. A reference to one of them is not
/// reported as unknown; every other one is.
#[derive(Debug, Clone, Default)]
pub(crate) struct HiddenText {
    /// Whether a whole file is missing, which could declare any name.
    all: bool,
    words: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl HiddenText {
    /// Records that a file is missing.
    pub fn add_file(&mut self) {
        self.all = true;
    }

    /// Records text that was not read.
    pub fn add_text(&mut self, text: &str) {
        let words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.')));
        self.words.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
    }

    /// Records a declaration without a name.
    pub fn add_kind(&mut self, kind: &str) {
        self.kinds.insert(kind.to_owned());
    }

    /// Checks whether all text was read.
    pub fn is_empty(&self) -> bool {
        !self.all && self.words.is_empty() && self.kinds.is_empty()
    }

    /// Checks whether a name of a kind may be declared in text that was not read.
    pub fn may_declare(&self, kind: &str, name: &str) -> bool {
        self.all || self.kinds.contains(kind) || self.words.contains(name)
    }

    /// Checks whether a word occurs in text that was not read.
    pub fn may_contain(&self, word: &str) -> bool {
        self.all || self.words.contains(word)
    }
}
