//! The syntax tree: nodes, values and their exact places.

use tally_source::Span;

/// What one file holds.
#[derive(Debug, Clone, Default)]
pub struct Ast {
    /// Its nodes in order, without those behind `/-`.
    pub nodes: Vec<Node>,
    /// Whether text had to be passed over, so that something may be missing: what is not there may
    /// then not be called missing.
    pub damaged: bool,
    /// Lines whose words cannot be told apart, since their quotes or braces do not pair up. That is
    /// reported; whatever else seems wrong in them is not.
    pub silent: Vec<Span>,
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
    /// What it says, escapes resolved.
    pub text: Box<str>,
    /// Where it stands, quotes included.
    pub span: Span,
    /// How it is written.
    pub quotes: Quotes,
}

/// How a text is written. It never changes what the text means; only help and edits look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// A bare word.
    Bare,
    /// `"…"`.
    Quoted,
    /// `#"…"#`, or a text of several lines.
    Other,
    /// Wrong, and reported: nothing is said of the text any more.
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
    /// What it is.
    pub kind: ValueKind,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// What a value is.
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
    /// A mistake that is already reported: it fits everywhere and says nothing.
    Poison,
}

impl Node {
    /// Values that are no properties.
    pub fn arguments(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.key.is_none())
    }

    /// Properties.
    pub fn properties(&self) -> impl Iterator<Item = (&Text, &Entry)> {
        self.entries.iter().filter_map(|entry| Some((entry.key.as_ref()?, entry)))
    }

    /// The nodes of its block.
    pub fn children(&self) -> &[Node] {
        self.block.as_ref().map(|block| block.nodes.as_slice()).unwrap_or_default()
    }
}

impl Value {
    /// The text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// Whether the mistake in it is already reported.
    #[must_use]
    pub fn is_poison(&self) -> bool {
        matches!(self.kind, ValueKind::Poison)
    }
}
