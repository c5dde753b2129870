//! Syntax tree to objects, by the schema: every value is typed. No names are resolved here.

mod compose;
mod decoded;
mod fields;
mod maps;
mod names;
mod numbers;
mod object;
mod other_tools;
mod selector;
mod special_forms;
mod templates;
mod texts;
mod top;
mod unknown;
mod values;

pub(crate) use decoded::{
    Data, Field, Object, Pair, PairValue, PortRef, SelectorDraft, TextAt, Typed,
};
pub(crate) use top::{Top, top};
