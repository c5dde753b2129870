//! Stable addresses of the things a spec declares: `controller/frontend`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds that have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The cluster; a spec has exactly one.
    Cluster,
    /// A host of the cluster.
    Host,
    /// A named volume.
    Volume,
    /// One pod.
    Pod,
    /// A pod with replicas.
    Controller,
    /// One stable name for the pods a selector matches.
    Service,
    /// A secret, read when a spec is applied.
    Secret,
}

impl Kind {
    /// Returns the word people write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Cluster => "cluster",
            Kind::Host => "host",
            Kind::Volume => "volume",
            Kind::Pod => "pod",
            Kind::Controller => "controller",
            Kind::Service => "service",
            Kind::Secret => "secret",
        }
    }

    /// Returns the kind of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Kind::Cluster,
            Kind::Host,
            Kind::Volume,
            Kind::Pod,
            Kind::Controller,
            Kind::Service,
            Kind::Secret,
        ]
        .into_iter()
        .find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// `KIND/NAME`: the stable address of one declared thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl Address {
    /// Returns the address of `name` of `kind`.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// Reads `kind/name`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        Some(Self::new(Kind::parse(kind)?, name))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}
