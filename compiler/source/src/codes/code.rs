//! The type of a code.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A stable code, shown as `E0301`.
///
/// The first two digits are the group: 01 syntax, 02 form, 03 values, 04 references, 05 meaning,
/// 06 words of other tools, 07 words of a later version, 10 hosts, 11 plans, 12 applying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

/// The entry of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// The code.
    pub code: Code,
    /// The kind of mistake in a few words, the title of its page.
    pub title: &'static str,
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
