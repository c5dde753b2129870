//! Decoded objects: nodes read as their kinds, with every value typed.

use std::borrow::Cow;

use tally_graph::schema::{FieldRow, KindRow};
use tally_graph::{Amount, Bytes, Cpu, HostAddress, ImageRef, Millis, Publish, Replicas, Template};
use tally_source::Span;

use crate::syntax::{Node, Text};

/// A selector with the spans of its parts.
#[derive(Debug, Default)]
pub(crate) struct SelectorDraft<'a> {
    pub all: Vec<Pair<'a>>,
    pub not: Vec<Pair<'a>>,
    pub any: Vec<(TextAt<'a>, Vec<TextAt<'a>>)>,
    pub has: Vec<TextAt<'a>>,
    pub lacks: Vec<TextAt<'a>>,
}

/// A text with its span.
#[derive(Debug, Clone)]
pub(crate) struct TextAt<'a> {
    /// Borrowed from the syntax tree where that holds it unchanged, else owned.
    pub text: Cow<'a, str>,
    pub span: Span,
}

/// One node, read as its kind.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    pub kind: &'a KindRow<'a>,
    pub node: &'a Node,
    /// Its name, even if it is invalid, since references to it are then not reported as unknown.
    pub name: Cow<'a, str>,
    /// The name, or the word where there is none.
    pub name_span: Span,
    /// Word and name.
    pub title_span: Span,
    pub fields: Vec<Field<'a>>,
    /// The fields that its unknown words may mean.
    pub meant: Vec<&'a str>,
    /// Whether something in it is wrong. Then no missing field is reported, since the wrong part may be that field.
    pub bad: bool,
}

/// One field of an object.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    pub row: &'a FieldRow<'a>,
    /// The span of the property, or of the child up to its last value.
    pub span: Span,
    /// The value alone.
    pub value_span: Span,
    pub data: Data<'a>,
}

/// The content of a field.
#[derive(Debug)]
pub(crate) enum Data<'a> {
    Value(Typed<'a>),
    Map(Vec<Pair<'a>>),
    List(Vec<TextAt<'a>>),
    Object(Object<'a>),
    Selector(SelectorDraft<'a>),
    /// Wrong, and reported.
    Poison,
}

/// A key and its text.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    pub key: TextAt<'a>,
    /// The key and the value.
    pub span: Span,
    pub value: PairValue<'a>,
    /// The value alone.
    pub value_span: Span,
}

/// The value of a pair.
#[derive(Debug)]
pub(crate) enum PairValue<'a> {
    /// A text without holes.
    Plain(Cow<'a, str>),
    /// A text with holes.
    Template(Template),
    /// Wrong, and reported.
    Poison,
}

impl<'a> From<Option<Cow<'a, str>>> for PairValue<'a> {
    fn from(text: Option<Cow<'a, str>>) -> Self {
        text.map_or(PairValue::Poison, PairValue::Plain)
    }
}

impl<'a> TextAt<'a> {
    /// Returns a text of the syntax tree with its span.
    pub fn new(text: &'a Text) -> Self {
        Self { text: Cow::Borrowed(&text.text), span: text.span }
    }
}

impl Pair<'_> {
    /// Returns the key.
    pub fn key(&self) -> &str {
        &self.key.text
    }

    /// Returns the text if it is right and has no holes.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            PairValue::Plain(text) => Some(text),
            PairValue::Template(_) | PairValue::Poison => None,
        }
    }
}

/// A value of the type its row says.
#[derive(Debug, Clone)]
pub(crate) enum Typed<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Int(u32),
    Port(u16),
    PortRef(PortRef<'a>),
    Publish(Publish),
    Bytes(Bytes),
    Duration(Millis),
    Cpu(Cpu),
    Amount(Amount),
    Replicas(Replicas),
    Image(ImageRef),
    Limit(Option<u64>),
    Address(HostAddress),
    Mode(u32),
    Template(Template),
}

/// A port of the same container, by name or number.
#[derive(Debug, Clone)]
pub(crate) enum PortRef<'a> {
    Name(Cow<'a, str>),
    Number(u16),
}

impl<'a> Object<'a> {
    /// Returns its name; empty if it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns all fields of that word, in written order.
    pub fn all(&self, word: &'static str) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter().filter(move |field| field.row.word == word)
    }

    /// Returns the field of that word, if it is there.
    pub fn get(&self, word: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.row.word == word)
    }

    /// Returns the fields of those words that are there, in written order.
    pub fn written(&self, words: &[&str]) -> Vec<&Field<'a>> {
        let mut written: Vec<&Field<'a>> = words.iter().filter_map(|word| self.get(word)).collect();
        written.sort_by_key(|field| field.span.start);
        written
    }

    /// Returns the objects in it of that word.
    pub fn objects(&self, word: &'static str) -> impl Iterator<Item = &Object<'a>> {
        self.all(word).filter_map(|field| match &field.data {
            Data::Object(object) => Some(object),
            _ => None,
        })
    }

    /// Returns the block of that word.
    pub fn block(&self, word: &'static str) -> Option<&Object<'a>> {
        self.objects(word).next()
    }

    /// Returns the typed value of that word; `None` when it is not written, or wrong.
    pub fn value(&self, word: &str) -> Option<&Typed<'a>> {
        match &self.get(word)?.data {
            Data::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the text of that word; `None` when it is not written, or not a valid text.
    pub fn text(&self, word: &str) -> Option<&str> {
        match self.value(word)? {
            Typed::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Checks whether a field of that word is written, right or wrong.
    pub fn has(&self, word: &str) -> bool {
        self.get(word).is_some()
    }

    /// Checks whether a field of that word is written and wrong, or may be meant by an unknown word.
    pub fn is_poisoned(&self, word: &str) -> bool {
        self.meant.contains(&word)
            || self
                .fields
                .iter()
                .any(|field| field.row.word == word && matches!(field.data, Data::Poison))
    }
}
