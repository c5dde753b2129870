//! Secrets by name. What a secret holds is read when applying and stands nowhere in a graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use tally_source::Span;

use crate::{Container, Provenance, Workload, sha256};

/// Where a secret is read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// A file of the machine that applies: relative to the folder of the spec, or absolute.
    File(String),
    /// An environment variable of the process that applies.
    Env(String),
    /// What a command prints; it is run without a shell, in the folder of the spec.
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

/// A secret: its name, and where it is read from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Where it is read from.
    pub source: SecretSource,
    /// Its node.
    pub span: Span,
    /// Where its values came from.
    pub provenance: Provenance,
}

/// A piece of a text that holds secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Characters as they are written.
    Text(String),
    /// What the secret of that name holds, as part of a text: without the end of its last line.
    Secret(String),
    /// What the secret of that name holds, byte for byte.
    Whole(String),
}

/// A text with secrets in it, which is put together at the last moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Vec<Part>);

impl Template {
    /// A secret as it is.
    #[must_use]
    pub fn whole(name: &str) -> Self {
        Self(vec![Part::Whole(name.to_owned())])
    }

    /// The names of its secrets, each once, sorted.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&str> {
        let names = self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Secret(name) | Part::Whole(name) => Some(name.as_str()),
        });
        names.collect()
    }

    /// Tells one content from another without knowing it: a hash over the text and the keyed hashes
    /// of its secrets. `None` where one of them is not known.
    #[must_use]
    pub fn keyed(&self, hashes: &BTreeMap<String, String>) -> Option<String> {
        let mut all = Vec::new();
        for name in self.secrets() {
            all.push((name, hashes.get(name)?.as_str()));
        }
        Some(sha256(&serde_json::to_vec(&(self, all)).unwrap_or_default()))
    }
}

impl fmt::Display for Template {
    /// As people write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(&text.replace("${", "$${"))?,
                Part::Secret(name) | Part::Whole(name) => write!(f, "${{secret.{name}}}")?,
            }
        }
        Ok(())
    }
}

impl Container {
    /// The names of the secrets it uses, each once, sorted.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&str> {
        let env = self.secret_env.values();
        let files = self.file.values().filter_map(|file| file.secret.as_ref());
        env.chain(files).flat_map(Template::secrets).collect()
    }

    /// Whether one of its files holds a secret, and so lies in memory.
    #[must_use]
    pub fn has_secret_files(&self) -> bool {
        self.file.values().any(|file| file.secret.is_some())
    }
}

impl Workload {
    /// The names of the secrets its containers and inits use, each once, sorted.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&str> {
        self.inits.iter().chain(&self.containers).flat_map(Container::secrets).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_told_apart_by_its_text_and_by_what_its_secrets_hold() {
        let of = |text: &str| Template(vec![Part::Text(text.into()), Part::Secret("db".into())]);
        let hashes = |hash: &str| BTreeMap::from([("db".to_owned(), hash.to_owned())]);
        let first = of("a").keyed(&hashes("1"));
        assert!(first.is_some());
        assert_eq!(first, of("a").keyed(&hashes("1")));
        assert_ne!(first, of("b").keyed(&hashes("1")));
        assert_ne!(first, of("a").keyed(&hashes("2")));
        assert_eq!(of("a").keyed(&BTreeMap::new()), None, "what is not known is not guessed");
        assert_eq!(of("${").to_string(), "$${${secret.db}");
    }
}
