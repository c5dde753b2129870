//! The observed state of the hosts: a snapshot, already stale and never complete. A host that did not
//! answer is `Unknown`; nothing may be concluded from objects that it does not list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_graph::{Bytes, FileSpec, Protocol, Publish};

/// All hosts of one observation, by name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// The view of each host.
    pub hosts: BTreeMap<String, HostView>,
}

/// The view of one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostView {
    /// The host answered.
    Ready(Box<HostState>),
    /// The host did not answer, or not completely.
    Unknown {
        /// The reason, in one line for people.
        reason: String,
        /// Whether the host answered some calls: then it is reachable, but its view is incomplete, and an
        /// incomplete view is not used.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        answers: bool,
    },
}

impl HostView {
    /// Returns the state of the host, if it answered.
    #[must_use]
    pub fn ready(&self) -> Option<&HostState> {
        match self {
            HostView::Ready(state) => Some(state),
            HostView::Unknown { .. } => None,
        }
    }
}

/// The objects observed on one host. The lists have no defined order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HostState {
    /// Its Docker engine.
    pub engine: Engine,
    /// The offset of the host's clock from the local clock, in milliseconds; negative when the host's clock
    /// is behind.
    #[serde(default)]
    pub ahead_ms: i64,
    /// All containers, also those not managed by Tally.
    pub containers: Vec<ObservedContainer>,
    /// All volumes, also those not managed by Tally.
    pub volumes: Vec<ObservedVolume>,
    /// All networks, also those not managed by Tally.
    pub networks: Vec<ObservedNetwork>,
    /// Names (tags and digests, in the form of [`tally_graph::ImageRef`]) of the images on the host, with
    /// their IDs.
    pub images: BTreeMap<String, String>,
}

impl HostState {
    /// Returns the time of the host's clock in milliseconds, as far as its offset is known, when the local
    /// clock shows `now_ms`. Timestamps of the host are compared with this time.
    #[must_use]
    pub fn its_now_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_add(self.ahead_ms)
    }
}

/// A Docker engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Engine {
    /// ID of the engine.
    pub id: String,
    /// Version of Docker: `20.10.24`.
    pub version: String,
    /// Version of the API: `1.41`.
    pub api_version: String,
    /// Operating system: `linux`.
    pub os: String,
    /// Architecture as in image manifests: `amd64`, `arm64`.
    pub arch: String,
    /// Number of cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: Bytes,
    /// Whether the engine is simulated.
    pub simulated: bool,
}

/// The states of a container in Docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerState {
    /// Never started.
    Created,
    /// It runs.
    Running,
    /// Paused by a user.
    Paused,
    /// Between two starts by the restart policy.
    Restarting,
    /// It is being removed.
    Removing,
    /// It has ended.
    Exited,
    /// Its removal failed.
    Dead,
}

/// The result of a container's health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// The container has no health check.
    None,
    /// Not known yet.
    Starting,
    /// The check succeeds.
    Healthy,
    /// The check fails.
    Unhealthy,
}

/// A container. `details` exist only for containers of the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedContainer {
    /// 64 hex digits.
    pub id: String,
    /// Without the leading slash.
    pub name: String,
    /// All labels, also those that Tally did not set.
    pub labels: BTreeMap<String, String>,
    /// The image as the container's configuration names it.
    pub image: String,
    /// Its state.
    pub state: ContainerState,
    /// The published host ports.
    pub published: Vec<PublishedPort>,
    /// The result of inspecting it; `None` if it was not inspected.
    pub details: Option<ContainerDetails>,
}

/// A host port that a container publishes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The address and port of the host.
    pub host: Publish,
    /// The port in the container.
    pub container: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// The result of inspecting a container. Times are those of the daemon's clock, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerDetails {
    /// ID of the image that the container was created from.
    pub image_id: String,
    /// The result of its health check.
    pub health: Health,
    /// The exit code, when it has ended.
    pub exit_code: Option<i64>,
    /// Docker's error of a failed start, or that the container was killed because it ran out of memory.
    pub error: Option<String>,
    /// The time of the last start.
    pub started_at_ms: Option<i64>,
    /// The time of the last end.
    pub finished_at_ms: Option<i64>,
    /// The number of restarts by Docker's restart policy.
    pub restart_count: u32,
    /// The settings that can be changed while it runs.
    pub live: Live,
    /// The full ID of the container whose network this container joined.
    pub joined: Option<String>,
    /// The files written into it, by path, from the record in the container; `None` when the record is
    /// missing or was not read.
    pub files: Option<BTreeMap<String, FileSpec>>,
    /// The files of these that are in memory, from the record in the same memory; `None` when the record is
    /// missing, because no container of the pod runs any more, or was not read.
    #[serde(default)]
    pub secrets: Option<BTreeMap<String, FileSpec>>,
    /// Its addresses, by the name of the network.
    pub addresses: BTreeMap<String, String>,
}

/// The settings that Docker can change while a container runs, in Docker's units; 0 means "not set".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Live {
    /// Relative CPU weight; 1024 is one core.
    pub cpu_shares: u64,
    /// CPU limit in billionths of a core.
    pub nano_cpus: u64,
    /// Memory limit in bytes.
    pub memory: u64,
    /// Memory reservation in bytes.
    pub memory_reservation: u64,
    /// The restart policy: `always`, `on-failure`, `no`, `unless-stopped`.
    pub restart: String,
}

/// A volume. Docker volumes have no ID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedVolume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedNetwork {
    /// 64 hex digits.
    pub id: String,
    /// Its name; Docker allows two networks of the same name.
    pub name: String,
    /// The driver: `bridge`, `host`, …
    pub driver: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}
