//! The requests to Docker: the data of the calls that create objects.

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use tally_graph::{FileSpec, Settings, Template};

use crate::input::observed::{Live, PublishedPort};

/// A container to create.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerRequest {
    /// The deterministic name: it makes the creation a compare-and-swap.
    pub name: String,
    /// The image, in the form of [`tally_graph::ImageRef`].
    pub image: String,
    /// Tally's labels and those of the pod.
    pub labels: BTreeMap<String, String>,
    /// Host name; `None` for a container that joins another's network.
    pub hostname: Option<String>,
    /// The entrypoint that replaces the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The command that replaces the image's.
    pub command: Option<Vec<String>>,
    /// The settings as they are written in the spec.
    #[serde(flatten, serialize_with = "with_nulls")]
    pub settings: Settings,
    /// Environment variables, added to the image's.
    #[serde(flatten, with = "env_form")]
    pub env: BTreeMap<String, EnvValue>,
    /// Mounts, by path in the container.
    pub mounts: BTreeMap<String, MountRequest>,
    /// The definitions of its volumes, for volumes that no longer exist when the container is created.
    /// Docker would create them without labels, so that nobody would manage them, and on disk, where
    /// secrets must not be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeRequest>,
    /// Soft and hard limits by name; -1 is unlimited.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Docker's health check; `None` disables the image's.
    pub health: Option<HealthRequest>,
    /// The stop signal that replaces the image's.
    pub stop_signal: Option<String>,
    /// Seconds until Docker kills the container on stop; Docker's default of 10 s when `None`.
    pub stop_timeout_s: Option<u64>,
    /// Resources and restart policy.
    pub live: Live,
    /// The network it is on.
    pub network: NetworkRef,
    /// Whether others may join its IPC namespace.
    pub shareable_ipc: bool,
    /// Published host ports.
    pub publish: Vec<PublishedPort>,
}

/// Serializes settings in the form of the plan's JSON: `workdir` and `user` are `null` if they are not set;
/// settings that were added later are omitted.
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
    /// A text with its secrets filled in: only for one call, and never serialized.
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

/// A text that is never shown: it cannot be serialized, and its debug form does not reveal it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text, for the call that needs it.
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

/// The network of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkRef {
    /// Docker's default bridge.
    #[default]
    Default,
    /// A network by name, with aliases that resolve to the container there.
    Named {
        /// The network.
        name: String,
        /// The aliases.
        aliases: Vec<String>,
    },
    /// The network and IPC namespace of another container, by its name.
    Joins(String),
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// Its source.
    pub source: MountFrom,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// The source of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountFrom {
    /// A Docker volume by name.
    Volume(String),
    /// A path on the host.
    HostPath(String),
}

/// Docker's health check, with times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRequest {
    /// The command, run without a shell.
    pub command: Vec<String>,
    /// Time between two checks.
    pub every_ms: u64,
    /// Time after which a check has failed.
    pub timeout_ms: u64,
    /// Time after the start during which failures do not count.
    pub delay_ms: u64,
    /// Number of consecutive failures after which the container is unhealthy.
    pub failures: u32,
}

/// A network to create: a bridge with Tally's labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRequest {
    /// Its name.
    pub name: String,
    /// Tally's labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRequest {
    /// Its name.
    pub name: String,
    /// Tally's labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is in memory: its content is lost when no running container uses it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_memory: bool,
}

/// Files to write into a container, with the record beside them, in one call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FilesRequest {
    /// The files, by absolute path; their contents are in the graph, by hash.
    pub files: BTreeMap<String, FileSpec>,
    /// The part to write.
    #[serde(default, skip_serializing_if = "is_all")]
    pub part: FilesPart,
}

/// The part that is written in one call. The record contains the applied files. If a change needs more than
/// writing, such as a signal, the record is written last, so that an interrupted change is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilesPart {
    /// The files and their record.
    #[default]
    All,
    /// The files; the record is not changed.
    Contents,
    /// Only the record.
    Record,
}

fn is_all(part: &FilesPart) -> bool {
    *part == FilesPart::All
}
