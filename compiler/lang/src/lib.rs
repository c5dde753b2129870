//! KDL text to graph.
//!
//! [`compile`] reads the files of a spec through a [`Loader`], and returns the graph and the diagnostics.
//! The stages: `resolve` (files, then names), `syntax` (text to tree), `decode` (tree to typed objects, by
//! the schema), `lower` (objects to graph), `check` (conditions on more than one object). [`fix`] applies the edits
//! that are certain.

mod check;
mod codes;
mod compile;
mod decode;
mod fix;
mod hidden;
mod loader;
mod lower;
mod reporter;
mod resolve;
mod syntax;
mod write;

pub use compile::{Compiled, compile};
pub use fix::{FixedSpec, fix};
pub use loader::{LoadError, Loader, MemoryLoader};
pub use syntax::{Ast, Block, Entry, Node, Quotes, Text, Value, ValueKind, parse};
