//! What was seen on the hosts. A snapshot: stale at once, and never complete. A host that did not
//! answer is `Unknown`; nothing may be concluded from what it does not show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_graph::{Bytes, FileSpec, Protocol, Publish};

/// All hosts of one observation, by name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// What each host showed.
    pub hosts: BTreeMap<String, HostView>,
}

/// What one host showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostView {
    /// It answered.
    Ready(Box<HostState>),
    /// It did not, and why.
    Unknown {
        /// One line for people.
        reason: String,
        /// Whether it answered something, so that it is there, and only not all that makes a view: half
        /// a view is none.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        answers: bool,
    },
}

impl HostView {
    /// Its state, if it answered.
    #[must_use]
    pub fn ready(&self) -> Option<&HostState> {
        match self {
            HostView::Ready(state) => Some(state),
            HostView::Unknown { .. } => None,
        }
    }
}

/// Everything seen on one host. Lists are in no promised order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HostState {
    /// The engine.
    pub engine: Engine,
    /// By how much its clock was seen to be ahead of ours, in milliseconds; negative when it is
    /// behind.
    #[serde(default)]
    pub ahead_ms: i64,
    /// All containers, foreign ones too.
    pub containers: Vec<ObservedContainer>,
    /// All volumes, foreign ones too.
    pub volumes: Vec<ObservedVolume>,
    /// All networks, foreign ones too.
    pub networks: Vec<ObservedNetwork>,
    /// Names (tags and digests, in the form of [`tally_graph::ImageRef`]) of the images it has,
    /// with their IDs.
    pub images: BTreeMap<String, String>,
}

impl HostState {
    /// What its clock says, as far as that was seen, when ours says `now_ms`: the time to compare its
    /// own times with.
    #[must_use]
    pub fn its_now_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_add(self.ahead_ms)
    }
}

/// A Docker engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Engine {
    /// Its own ID.
    pub id: String,
    /// `20.10.24`.
    pub version: String,
    /// `1.41`.
    pub api_version: String,
    /// `linux`.
    pub os: String,
    /// As image manifests name it: `amd64`, `arm64`.
    pub arch: String,
    /// Cores.
    pub cpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// Whether it is simulated.
    pub simulated: bool,
}

/// Docker's states of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerState {
    /// Never started.
    Created,
    /// Running.
    Running,
    /// Frozen by hand.
    Paused,
    /// Between two starts of a crash loop.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Half removed.
    Dead,
}

/// What a container's health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It has none.
    None,
    /// Not known yet.
    Starting,
    /// Good.
    Healthy,
    /// Bad.
    Unhealthy,
}

/// A container. `details` are read for our own only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedContainer {
    /// 64 hex digits.
    pub id: String,
    /// Without the leading slash.
    pub name: String,
    /// All labels, ours and others.
    pub labels: BTreeMap<String, String>,
    /// The image as the container names it.
    pub image: String,
    /// Its state.
    pub state: ContainerState,
    /// Host ports it holds.
    pub published: Vec<PublishedPort>,
    /// What inspecting showed.
    pub details: Option<ContainerDetails>,
}

/// A port of the host that a container holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host's side.
    pub host: Publish,
    /// The container's side.
    pub container: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

/// What inspecting a container shows. Times are the daemon's, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerDetails {
    /// ID of the image it was made from.
    pub image_id: String,
    /// What its health check says.
    pub health: Health,
    /// How it ended, when it has.
    pub exit_code: Option<i64>,
    /// What Docker says of a failed start, and whether it was killed for want of memory.
    pub error: Option<String>,
    /// Last start.
    pub started_at_ms: Option<i64>,
    /// Last end.
    pub finished_at_ms: Option<i64>,
    /// Restarts by Docker's own policy.
    pub restart_count: u32,
    /// What can be changed while it runs.
    pub live: Live,
    /// The full ID of the container whose network it joined.
    pub joined: Option<String>,
    /// The files written into it, by path, from the record kept beside them; `None` when the
    /// record is missing or was not asked for.
    pub files: Option<BTreeMap<String, FileSpec>>,
    /// Those of them that lie in memory, from the record kept beside them there; `None` when that
    /// is gone, as it is once no container of the pod has run, or was not asked for.
    #[serde(default)]
    pub secrets: Option<BTreeMap<String, FileSpec>>,
    /// Its addresses, by network name.
    pub addresses: BTreeMap<String, String>,
}

/// What Docker can change while a container runs, in Docker's own units; 0 is "not set".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Live {
    /// Relative weight; 1024 is one core's worth.
    pub cpu_shares: u64,
    /// Limit in billionths of a core.
    pub nano_cpus: u64,
    /// Limit in bytes.
    pub memory: u64,
    /// Reservation in bytes.
    pub memory_reservation: u64,
    /// `always`, `on-failure`, `no`, `unless-stopped`.
    pub restart: String,
}

/// A volume. Docker gives volumes no ID.
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
    /// Its name; Docker allows two of one name.
    pub name: String,
    /// `bridge`, `host`, …
    pub driver: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}
