//! Stable codes of diagnostics. A code is never given to another mistake; each has a page
//! `docs/diagnostics/<code>.md`, kept in step by a test.

mod compile;
mod engine;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A stable code, shown as `E0301`.
///
/// The first two digits are the group: 01 syntax, 02 form, 03 values, 04 references, 05 meaning,
/// 06 words of other tools, 07 words of a later version, 10 hosts, 11 plans, 12 applying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

/// What is known of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// The code.
    pub code: Code,
    /// The kind of mistake in a few words, the title of its page.
    pub title: &'static str,
}

/// All codes, in order.
pub fn all_codes() -> impl Iterator<Item = &'static CodeInfo> {
    compile::CODES.iter().chain(engine::CODES)
}

/// What is known of one code.
#[must_use]
pub fn code_info(code: Code) -> Option<&'static CodeInfo> {
    all_codes().find(|info| info.code == code)
}

impl Code {
    /// Reads `E0301`, `e0301` or `0301`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['E', 'e']).unwrap_or(text);
        (digits.len() == 4).then(|| digits.parse().ok().map(Code)).flatten()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:04}", self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Code::parse(&text).ok_or_else(|| serde::de::Error::custom("not a code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        let codes: Vec<Code> = all_codes().map(|info| info.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
    }
}
