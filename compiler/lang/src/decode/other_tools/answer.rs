//! The answer to a word of another tool.

use tally_source::Code;

/// The answer to a word.
#[derive(Debug, Clone, Copy)]
pub(in crate::decode) enum Answer {
    /// The word has this name here, and the same meaning.
    Renamed(&'static str),
    /// This word is similar, and its meaning or its values differ.
    Similar(&'static str),
    /// A code, a headline and help.
    Says(Code, &'static str, &'static str),
}
