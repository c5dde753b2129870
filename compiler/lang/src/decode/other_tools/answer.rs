//! The answer to a word of another tool.

use tally_source::Code;

/// The answer to a word.
#[derive(Debug, Clone, Copy)]
pub(in crate::decode) enum Answer {
    /// The word has this name here.
    Renamed(&'static str),
    /// A code, a headline and help.
    Says(Code, &'static str, &'static str),
}
