//! Nodes and blocks whose end is not reached yet.

use tally_source::Span;

use super::ast::Entry;

/// A node whose end is not reached yet.
pub(super) struct Head {
    pub entries: Vec<Entry>,
    /// Where commas stood behind values.
    pub commas: Vec<usize>,
    /// Where a `=` stood behind the name.
    pub equals: Option<usize>,
}

/// The beginning of a block.
pub(super) struct Opener {
    /// The `{`.
    pub brace: Span,
    /// The node it belongs to.
    pub word: String,
    /// The node's word and name, for sentences.
    pub title: String,
    /// How far the line is indented on which it stands.
    pub indent: usize,
    /// Where that line begins.
    pub line_start: usize,
}
