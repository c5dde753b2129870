//! Nodes and blocks that are being read.

use tally_source::Span;

use super::ast::Entry;

/// A node that is being read.
pub(super) struct Head {
    pub entries: Vec<Entry>,
    /// The offsets of commas after values.
    pub commas: Vec<usize>,
    /// The offset of a `=` after the name.
    pub equals: Option<usize>,
}

/// The start of a block.
pub(super) struct Opener {
    /// The `{`.
    pub brace: Span,
    /// The node it belongs to.
    pub word: String,
    /// The node's word and name, for messages.
    pub title: String,
    /// The indentation of its line.
    pub indent: usize,
    /// The offset of the start of that line.
    pub line_start: usize,
}
