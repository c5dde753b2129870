//! KDL text to graph.
//!
//! [`compile`] reads the files of a spec through a [`Loader`], and gives the graph and all that is
//! to be said of the text. The way of a text: `syntax` (text to tree), `decode` (tree to typed
//! objects, by the schema), `resolve` (files and names), `lower` (objects to graph), `check` (what
//! no single node can know).

mod check;
mod codes;
mod compile;
mod decode;
mod loader;
mod lower;
mod reporter;
mod resolve;
mod syntax;
mod write;

pub use compile::{Compiled, compile};
pub use loader::{LoadError, Loader, MemoryLoader};
pub use syntax::{Ast, Block, Entry, Node, Quotes, Text, Value, ValueKind, parse};
