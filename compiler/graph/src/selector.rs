//! Selectors on labels.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Conditions on labels; all of them must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Selector {
    /// These labels with these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub all: BTreeMap<String, String>,
    /// None of these pairs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not: Vec<(String, String)>,
    /// For each: the label has one of the values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<(String, Vec<String>)>,
    /// These labels exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub has: Vec<String>,
    /// These labels do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
}

impl Selector {
    /// Checks whether labels satisfy it.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.all.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.not.iter().all(|(key, value)| labels.get(key) != Some(value))
            && self
                .any
                .iter()
                .all(|(key, values)| labels.get(key).is_some_and(|v| values.contains(v)))
            && self.has.iter().all(|key| labels.contains_key(key))
            && self.lacks.iter().all(|key| !labels.contains_key(key))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.all.iter().map(|(key, value)| format!("{key}={value}")));
        parts.extend(self.not.iter().map(|(key, value)| format!("not {key}={value}")));
        parts
            .extend(self.any.iter().map(|(key, values)| format!("any {key} {}", values.join(" "))));
        parts.extend(self.has.iter().map(|key| format!("has {key}")));
        parts.extend(self.lacks.iter().map(|key| format!("lacks {key}")));
        f.write_str(&parts.join(", "))
    }
}
