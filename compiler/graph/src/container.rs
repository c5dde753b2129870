//! Containers as the spec describes them. Field names are the words of the language, so a path
//! into the serialized form is the path a user would write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::ImageRef;
use crate::template::{Template, env_form};
use crate::units::{Bytes, Cpu, Millis};

/// When an image is fetched before a container is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pull {
    /// When the host does not have it.
    #[default]
    Missing,
    /// Each time a container is created.
    Always,
    /// Never: the host must have it.
    Never,
}

/// One container of a pod, or one init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Container {
    /// Its name, unique in its pod.
    pub name: String,
    /// The image it runs.
    pub image: ImageRef,
    /// When the image is fetched.
    #[serde(default)]
    pub pull: Pull,
    /// Replaces the image's entrypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Files written into it before it starts, by absolute path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub file: BTreeMap<String, FileSpec>,
    /// Settings that Docker is given as they are written.
    #[serde(flatten)]
    pub settings: Settings,
    /// Environment variables.
    #[serde(flatten, with = "env_form")]
    pub env: BTreeMap<String, Template>,
    /// Ports it serves on, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub port: BTreeMap<String, Port>,
    /// Volumes it sees, by absolute path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mount: BTreeMap<String, Mount>,
    /// Its reservations and limits.
    #[serde(default)]
    pub resources: Resources,
    /// Limits of the kernel, by name (`nofile`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimit: BTreeMap<String, Ulimit>,
    /// When it counts as ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    /// When it is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// How it is stopped.
    #[serde(default)]
    pub stop: Stop,
}

impl Container {
    /// Returns a container with nothing but a name and an image.
    #[must_use]
    pub fn new(name: &str, image: ImageRef) -> Self {
        Self {
            name: name.to_owned(),
            image,
            pull: Pull::default(),
            entrypoint: None,
            command: None,
            file: BTreeMap::new(),
            settings: Settings::default(),
            env: BTreeMap::new(),
            port: BTreeMap::new(),
            mount: BTreeMap::new(),
            resources: Resources::default(),
            ulimit: BTreeMap::new(),
            readiness: None,
            liveness: None,
            stop: Stop::default(),
        }
    }
}

/// Settings that Docker is given as they are written. The spec, the label of the applied spec and the request
/// that creates a container hold them as one value, and a rollback restores that value from the label: a field
/// that is added here is compared, requested, labelled and rolled back without further code.
///
/// New fields go to the end, are `None` by default and are left out when they are: labels and fingerprints of
/// older versions must not change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Settings {
    /// Working directory; replaces the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// `user`, `uid`, `user:group` or `uid:gid`; replaces the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl Container {
    /// Returns the names of the secrets it uses, each once, sorted.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&str> {
        let files = self.file.values().filter_map(|file| file.content.template());
        self.env.values().chain(files).flat_map(Template::secrets).collect()
    }

    /// Checks whether one of its files holds a secret, and so is kept in memory.
    #[must_use]
    pub fn has_secret_files(&self) -> bool {
        self.file.values().any(|file| file.content.template().is_some())
    }
}

/// A file written into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FileForm", into = "FileForm")]
pub struct FileSpec {
    /// Its content.
    pub content: FileText,
    /// Octal permission bits such as `0644`.
    pub mode: u32,
    /// Owner as written: `1000`, `1000:1000`, or names of the container's own user database.
    pub owner: String,
    /// The signal sent when the content changes; without one the container is restarted.
    pub on_change: Option<String>,
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileText {
    /// Bytes that the graph holds, by their SHA-256: the key in [`Graph::contents`](crate::Graph).
    Stored(String),
    /// A text with secrets, filled when the spec is applied.
    Template {
        /// The text.
        template: Template,
        /// Its keyed hash. `None` in a graph, empty if a secret was not read.
        keyed: Option<String>,
    },
    /// A text with secrets that was written before, by its keyed hash.
    Keyed(String),
}

/// The serialized form of a [`FileSpec`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FileForm {
    /// The SHA-256 of the content; [`KEYED`] and the keyed hash of a text with secrets.
    content: String,
    mode: u32,
    owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_change: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Template>,
}

/// Starts the serialized content of a file that holds secrets.
const KEYED: &str = "keyed:";

impl From<FileSpec> for FileForm {
    fn from(file: FileSpec) -> Self {
        let FileSpec { content, mode, owner, on_change } = file;
        let keyed = |hash: &str| format!("{KEYED}{hash}");
        let (content, secret) = match content {
            FileText::Stored(hash) => (hash, None),
            FileText::Template { template, keyed: hash } => {
                (hash.as_deref().map(keyed).unwrap_or_default(), Some(template))
            }
            FileText::Keyed(hash) => (keyed(&hash), None),
        };
        Self { content, mode, owner, on_change, secret }
    }
}

impl From<FileForm> for FileSpec {
    fn from(form: FileForm) -> Self {
        let FileForm { content, mode, owner, on_change, secret } = form;
        let keyed = content.strip_prefix(KEYED).map(str::to_owned);
        let content = match (secret, keyed) {
            (Some(template), keyed) => FileText::Template { template, keyed },
            (None, Some(hash)) => FileText::Keyed(hash),
            (None, None) => FileText::Stored(content),
        };
        Self { content, mode, owner, on_change }
    }
}

impl FileText {
    /// Returns the text with secrets.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        match self {
            FileText::Template { template, .. } => Some(template),
            FileText::Stored(_) | FileText::Keyed(_) => None,
        }
    }

    /// Returns the SHA-256 of bytes that the graph holds.
    #[must_use]
    pub fn stored(&self) -> Option<&str> {
        match self {
            FileText::Stored(hash) => Some(hash),
            FileText::Template { .. } | FileText::Keyed(_) => None,
        }
    }

    /// Returns the keyed hash of a text with secrets; empty if a secret was not read.
    #[must_use]
    pub fn keyed(&self) -> Option<&str> {
        match self {
            FileText::Stored(_) => None,
            FileText::Template { keyed, .. } => Some(keyed.as_deref().unwrap_or_default()),
            FileText::Keyed(hash) => Some(hash),
        }
    }
}

impl FileSpec {
    /// Checks whether it is kept in memory, since it holds secrets.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.content.stored().is_none()
    }

    /// Checks whether both give the same file in the container. The reaction to a change does not count.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.content, &other.content);
        (ours.stored(), ours.keyed()) == (theirs.stored(), theirs.keyed())
            && (self.mode, &self.owner) == (other.mode, &other.owner)
    }
}

/// The protocol of a port.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// A port that a container serves on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// Its protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// Where the host serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
}

/// A port of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Publish {
    /// The address it binds to; `None` for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<std::net::IpAddr>,
    /// 1 to 65535.
    pub port: u16,
}

impl Publish {
    /// Checks whether both publish the same port of the same address.
    #[must_use]
    pub fn clashes(&self, other: &Publish) -> bool {
        let apart = match (self.ip, other.ip) {
            (Some(a), Some(b)) => a != b && !a.is_unspecified() && !b.is_unspecified(),
            _ => false,
        };
        self.port == other.port && !apart
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => write!(f, "{}", std::net::SocketAddr::new(ip, self.port)),
            None => write!(f, "{}", self.port),
        }
    }
}

/// The owner of a mounted volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountSource {
    /// A volume of the pod.
    Pod,
    /// A named volume of the spec.
    Spec,
}

/// A volume at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mount {
    /// The volume's name.
    pub volume: String,
    /// The owner of the volume.
    pub source: MountSource,
    /// Whether it is read-only.
    #[serde(default)]
    pub read_only: bool,
}

/// The reservations and limits of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Resources {
    /// Cores reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Memory reserved, and the limit unless `max_memory` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// The maximum number of cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cpu: Option<Cpu>,
    /// The maximum amount of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<Bytes>,
}

impl Resources {
    /// Returns the memory limit: `max-memory`, else `memory`.
    #[must_use]
    pub fn memory_limit(&self) -> Option<Bytes> {
        self.max_memory.or(self.memory)
    }
}

/// A limit of the kernel; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ulimit {
    /// The soft limit.
    pub soft: Option<u64>,
    /// The hard limit.
    pub hard: Option<u64>,
}

/// The action of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeAction {
    /// Runs a command in the container; exit code 0 is success.
    Command(Vec<String>),
    /// Sends an HTTP request; compiled and checked, but not supported yet.
    Http {
        /// The path.
        path: String,
        /// The container's port.
        port: u16,
    },
    /// Opens a TCP connection; compiled and checked, but not supported yet.
    Tcp {
        /// The container's port.
        port: u16,
    },
    /// Nothing: it succeeds when the container has run for `delay` without a restart.
    Running,
}

/// A probe of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Probe {
    /// The action.
    #[serde(flatten)]
    pub action: ProbeAction,
    /// Time between two probes.
    pub every: Millis,
    /// Time after which one has failed.
    pub timeout: Millis,
    /// Time after the start in which failing does not count; for [`ProbeAction::Running`] the time
    /// it must have run.
    pub delay: Millis,
    /// The number of consecutive failures after which it fails.
    pub failures: u32,
    /// The number of consecutive successes after which it succeeds.
    pub successes: u32,
}

/// How a container is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Stop {
    /// The signal; `None` for the one of the image, or SIGTERM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The time until it is killed; `None` for Docker's default of 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Millis>,
}
