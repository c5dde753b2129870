//! Nodes and blocks whose end is not reached yet.

use tally_source::Span;

use super::ast::Entry;

/// A node whose end is not reached yet.
pub(super) struct Head {
    pub entries: Vec<Entry>,
    /// Where commas follow values.
    pub commas: Vec<usize>,
    /// Where a `=` follows the name.
    pub equals: Option<usize>,
}

/// The start of a block.
pub(super) struct Opener {
    /// The `{`.
    pub brace: Span,
    /// The node it belongs to.
    pub word: String,
    /// The node's word and name, for sentences.
    pub title: String,
    /// The indentation of its line.
    pub indent: usize,
    /// Where that line starts.
    pub line_start: usize,
}
