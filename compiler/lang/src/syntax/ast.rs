//! The syntax tree: nodes and values with their spans.

use tally_source::Span;

/// The syntax tree of one file.
#[derive(Debug, Clone, Default)]
pub struct Ast {
    /// Its nodes in order, without those after `/-`.
    pub nodes: Vec<Node>,
    /// Text that was skipped. A name in it is not reported as unknown, since it may be declared there.
    pub damaged: Vec<Span>,
    /// Lines whose quotes or braces do not pair up. That is reported; other mistakes in them are not, since their
    /// words cannot be distinguished from their texts.
    pub unpaired: Vec<Span>,
}

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its first word.
    pub name: Text,
    /// Values and properties in written order.
    pub entries: Vec<Entry>,
    /// Its block.
    pub block: Option<Block>,
    /// From the word to the last value, without the block.
    pub head: Span,
    /// Everything, the block included.
    pub span: Span,
}

/// A node's block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Nodes in it.
    pub nodes: Vec<Node>,
    /// From `{` to `}`, both included.
    pub span: Span,
}

/// A piece of text with its place.
#[derive(Debug, Clone)]
pub struct Text {
    /// Its characters, escapes resolved.
    pub text: Box<str>,
    /// Its place, quotes included.
    pub span: Span,
    /// How it is written.
    pub quotes: Quotes,
}

/// The notation of a text. It never changes the meaning of the text; only help and edits use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// A bare word.
    Bare,
    /// `"…"`.
    Quoted,
    /// `#"…"#`, or a text of several lines.
    Other,
    /// Wrong, and reported: nothing more is reported of the text.
    Poison,
}

/// A value, or a property.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key of a property.
    pub key: Option<Text>,
    /// Its value.
    pub value: Value,
    /// Key and value.
    pub span: Span,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Value {
    /// Its kind.
    pub kind: ValueKind,
    /// Its place, quotes included.
    pub span: Span,
}

/// The type of a value.
#[derive(Debug, Clone)]
pub enum ValueKind {
    /// A string.
    Text(Box<str>, Quotes),
    /// A number, by its own characters.
    Number(Box<str>),
    /// `#true` or `#false`.
    Bool(bool),
    /// `#null`.
    Null,
    /// `#inf`, `#-inf` or `#nan`.
    NotFinite,
    /// A mistake that is already reported: it is valid in every place, so it causes no further report.
    Poison,
}

impl Node {
    /// Returns the values that are not properties.
    pub fn arguments(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.key.is_none())
    }

    /// Returns the properties.
    pub fn properties(&self) -> impl Iterator<Item = (&Text, &Entry)> {
        self.entries.iter().filter_map(|entry| Some((entry.key.as_ref()?, entry)))
    }

    /// Returns the nodes of its block.
    pub fn children(&self) -> &[Node] {
        self.block.as_ref().map(|block| block.nodes.as_slice()).unwrap_or_default()
    }
}

impl Value {
    /// Returns the text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// Checks whether the mistake in it is already reported.
    #[must_use]
    pub fn is_poison(&self) -> bool {
        matches!(self.kind, ValueKind::Poison)
    }
}
