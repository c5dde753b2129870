//! The answer to a word of another tool.

use tally_source::Code;

/// What is said to a word.
#[derive(Debug, Clone, Copy)]
pub(in crate::decode) enum Answer {
    /// It is called like this here.
    Renamed(&'static str),
    /// A code, a headline and help.
    Says(Code, &'static str, &'static str),
}
