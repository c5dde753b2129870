//! What Docker is asked for: the data of the calls that make things.

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use tally_graph::{FileSpec, Settings, Template};

use crate::input::observed::{Live, PublishedPort};

/// A container to create.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerRequest {
    /// The deterministic name: creating it is the compare-and-swap.
    pub name: String,
    /// The image, in the form of [`tally_graph::ImageRef`].
    pub image: String,
    /// Ours and the pod's.
    pub labels: BTreeMap<String, String>,
    /// Host name; `None` for one that joins another's network.
    pub hostname: Option<String>,
    /// Replaces the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's.
    pub command: Option<Vec<String>>,
    /// As they are written.
    #[serde(flatten, serialize_with = "with_nulls")]
    pub settings: Settings,
    /// Added to the image's.
    #[serde(flatten, with = "env_form")]
    pub env: BTreeMap<String, EnvValue>,
    /// By path in the container.
    pub mounts: BTreeMap<String, MountRequest>,
    /// What its volumes are to be where one is gone by the time it is made: a daemon makes it anew then,
    /// and one without labels would be nobody's, one that is not in memory would keep secrets on a disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeRequest>,
    /// Soft and hard limit by name; -1 is unlimited.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Docker's own health check; `None` switches the image's off.
    pub health: Option<HealthRequest>,
    /// Replaces the image's.
    pub stop_signal: Option<String>,
    /// Seconds Docker itself waits before it kills; `None` is its 10 s.
    pub stop_timeout_s: Option<u64>,
    /// Resources and restart policy.
    pub live: Live,
    /// The network it is on.
    pub network: NetworkRef,
    /// Whether others may join its IPC namespace.
    pub shareable_ipc: bool,
    /// Host ports.
    pub publish: Vec<PublishedPort>,
}

/// Writes settings as the plan's JSON promises: `workdir` and `user` are `null` where they are not set, and those
/// that came later are left out.
fn with_nulls<S: Serializer>(settings: &Settings, serializer: S) -> Result<S::Ok, S::Error> {
    let mut later = settings.clone();
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("workdir", &later.workdir.take())?;
    map.serialize_entry("user", &later.user.take())?;
    let later = serde_json::to_value(&later).map_err(serde::ser::Error::custom)?;
    for (key, value) in later.as_object().into_iter().flatten() {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// A text, or a text with secrets that are not filled in.
    Template(Template),
    /// A text whose secrets are filled in: for one call alone, and never serialized.
    Filled(Template, Hidden),
}

impl EnvValue {
    /// Returns the text with secrets.
    #[must_use]
    pub fn template(&self) -> &Template {
        match self {
            EnvValue::Template(template) | EnvValue::Filled(template, _) => template,
        }
    }

    /// Returns the text that the container gets; `None` if its secrets are not filled in.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            EnvValue::Template(template) => template.plain(),
            EnvValue::Filled(_, text) => Some(text.reveal()),
        }
    }
}

/// Environment variables in their serialized form: texts without secrets in one map, texts with secrets
/// in another.
mod env_form {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tally_graph::Template;

    use super::EnvValue;

    #[derive(Serialize)]
    struct Written<'t> {
        env: BTreeMap<&'t str, &'t str>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        secret_env: BTreeMap<&'t str, &'t Template>,
    }

    #[derive(Deserialize)]
    struct Read {
        env: BTreeMap<String, String>,
        #[serde(default)]
        secret_env: BTreeMap<String, Template>,
    }

    pub fn serialize<S: Serializer>(
        all: &BTreeMap<String, EnvValue>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut written = Written { env: BTreeMap::new(), secret_env: BTreeMap::new() };
        for (key, value) in all {
            let template = value.template();
            if let Some(text) = template.plain() {
                written.env.insert(key, text);
            } else {
                written.secret_env.insert(key, template);
            }
        }
        written.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, EnvValue>, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let plain = read.env.into_iter().map(|(key, text)| (key, Template::Plain(text)));
        let all = plain.chain(read.secret_env);
        Ok(all.map(|(key, template)| (key, EnvValue::Template(template))).collect())
    }
}

/// A text that is shown to nobody: it cannot be written down, and tells nothing when it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the call that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

/// The network a container is on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkRef {
    /// Docker's default bridge.
    #[default]
    Default,
    /// A network by name, with further names that resolve to the container there.
    Named {
        /// The network.
        name: String,
        /// Further names.
        aliases: Vec<String>,
    },
    /// Network and IPC of another container, by its name.
    Joins(String),
}

/// What is mounted at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// Where it comes from.
    pub source: MountFrom,
    /// Whether writing is refused.
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountFrom {
    /// A Docker volume by name.
    Volume(String),
    /// A path of the host.
    HostPath(String),
}

/// Docker's health check, times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRequest {
    /// The command, run without a shell.
    pub command: Vec<String>,
    /// Time between two.
    pub every_ms: u64,
    /// Time after which one has failed.
    pub timeout_ms: u64,
    /// Time after the start in which failing does not count.
    pub delay_ms: u64,
    /// So many failures in a row make it unhealthy.
    pub failures: u32,
}

/// A network to create: a bridge with our labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRequest {
    /// Its name.
    pub name: String,
    /// Our labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRequest {
    /// Its name.
    pub name: String,
    /// Our labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it lies in memory, and is empty once no container that runs has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_memory: bool,
}

/// Files to write into a container, with the record kept beside them, in one call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FilesRequest {
    /// What to write, by absolute path; contents are in the graph, by hash.
    pub files: BTreeMap<String, FileSpec>,
    /// Which part of it.
    #[serde(default, skip_serializing_if = "is_all")]
    pub part: Part,
}

/// What is written in one call. The record says what was applied. Where more than writing belongs to that,
/// as a signal does, it comes after it, so that whoever is interrupted in between begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The files and the record of them.
    #[default]
    All,
    /// The files; the record stays as it is.
    Contents,
    /// The record.
    Record,
}

fn is_all(part: &Part) -> bool {
    *part == Part::All
}
