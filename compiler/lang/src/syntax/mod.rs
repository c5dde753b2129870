//! Text to syntax tree. The only module that knows the syntax of KDL.
//!
//! The parser is our own: it recovers inside a node, so ten mistakes in a file show ten, each at
//! its own characters; it is linear in the text; and no text makes it deep or slow. The `kdl` crate
//! is its oracle in the tests. Why: `docs/design/compiler.md`.

mod ast;
mod blocks;
mod chars;
mod common_mistakes;
mod cursor;
pub(crate) mod holes;
mod limits;
mod lines;
mod nodes;
mod open;
mod strings;
mod values;

pub use ast::{Ast, Block, Entry, Node, Quotes, Text, Value, ValueKind};
use cursor::{Mode, Parser};
use tally_source::{Diagnostic, FileId};

/// Reads one file. The tree holds all nodes that could be read, for any text.
#[must_use]
pub fn parse(file: FileId, text: &str) -> (Ast, Vec<Diagnostic>) {
    let mut parser = Parser::new(file, text, Mode::Trusting);
    let mut ast = parser.document();
    if !parser.swallowed && (parser.unclosed > 0 || parser.stray > 0) {
        // Braces do not pair up, so the indentation decides which one is wrong.
        let mode = if parser.unclosed > 0 {
            Mode::Unclosed { left: parser.unclosed }
        } else {
            Mode::Stray { left: parser.stray }
        };
        parser = Parser::new(file, text, mode);
        ast = parser.document();
    }
    chars::report_bad_characters(file, text, &mut parser.out);
    ast.damaged = parser.damaged;
    ast.unpaired = parser.unpaired;
    (ast, parser.out)
}
