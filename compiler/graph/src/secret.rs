//! Secrets by name. A secret is read when a spec is applied; a graph never holds its value.

use std::fmt;

use serde::{Deserialize, Serialize};
use tally_source::Span;

use crate::field_path::Provenance;

/// The source of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// A file of the machine that applies: relative to the folder of the spec, or absolute.
    File(String),
    /// An environment variable of the process that applies.
    Env(String),
    /// The output of a command, which is run without a shell in the folder of the spec.
    Command(Vec<String>),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::File(path) => write!(f, "file {path}"),
            SecretSource::Env(name) => write!(f, "environment variable {name}"),
            SecretSource::Command(words) => write!(f, "command {}", words.join(" ")),
        }
    }
}

/// A secret: its name and its source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Its source.
    pub source: SecretSource,
    /// Its node.
    pub span: Span,
    /// The origins of its values.
    pub provenance: Provenance,
}
