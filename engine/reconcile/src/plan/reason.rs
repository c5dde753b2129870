//! The reasons why changes that the spec asks for are blocked.

use std::fmt;

use serde::{Deserialize, Serialize};
use tally_graph::{Bytes, Cpu, Selector, Workload};
use tally_source::Span;

use super::subject::Subject;

/// A change that the spec asks for and this plan does not make, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blocked {
    /// The object.
    pub subject: Subject,
    /// The host, if it is known.
    pub host: Option<String>,
    /// The reason.
    pub reason: BlockReason,
    /// The position of the node in the spec.
    pub origin: Option<Span>,
}

impl Blocked {
    /// Returns an entry about a workload as a whole.
    #[must_use]
    pub fn from_workload(workload: &Workload, reason: BlockReason) -> Self {
        let (subject, origin) = (Subject::from_workload(workload), Some(workload.span));
        Self { subject, host: None, reason, origin }
    }
}

/// The reason why a change is blocked. As text it is one line that refers to its subject as "it"; the
/// command that helps is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockReason {
    /// An earlier plan is still being carried out on it.
    UnderWay,
    /// A container of it is not ready yet.
    NotReady,
    /// A container of it has not ended yet.
    NotEnded,
    /// It fails repeatedly, or could not be created: its backoff is not over.
    Backoff {
        /// The pod.
        pod: String,
    },
    /// No host can take it.
    NoHost {
        /// The reasons of the first few hosts; empty if no host answers.
        lacks: Vec<HostLack>,
        /// Number of further hosts that cannot take it.
        more: usize,
        /// The smallest change of the spec that helps.
        way_out: Option<WayOut>,
    },
    /// The only host that its pod can be on cannot take it.
    HostFull(HostLack),
    /// No host has capacity for a surge pod during its move.
    NoRoomForSurge,
    /// It moves to capacity that another pod frees, which waits for it in turn.
    CircularRoom,
    /// A host that does not answer may run it.
    PodUnreachable {
        /// The host.
        host: String,
        /// The state of knowledge about the pod.
        presence: Presence,
    },
    /// The host that used its data last does not answer, so the data on other hosts may be older.
    OlderData {
        /// The host that does not answer.
        unreachable: String,
        /// The host that has the data now, if exactly one has it.
        older: Option<String>,
    },
    /// A named volume of it may be on a host that does not answer.
    VolumeUnreachable {
        /// The volume.
        volume: String,
        /// The host.
        host: String,
    },
    /// A named volume of it is on several hosts.
    VolumeOnSeveralHosts {
        /// The volume.
        volume: String,
        /// The first two of them.
        hosts: [String; 2],
    },
    /// Its named volumes are on different hosts.
    VolumesApart,
    /// A workload that it depends on cannot be observed or placed.
    Dependency {
        /// The workload's name.
        on: String,
    },
    /// The maximum number of pods of its workload is unavailable already.
    Budget {
        /// Number of these that cannot be observed or placed.
        absent: usize,
    },
    /// More would be removed at once than the loop removes without confirmation.
    Removals {
        /// Number of containers that would be removed.
        removed: usize,
        /// Number of containers in total.
        total: usize,
    },
    /// The host that is cleared does not answer.
    HostUnreachable,
    /// Its rollout is paused.
    Paused {
        /// The workload's address.
        workload: String,
        /// The person who paused it and the reason, as they wrote it.
        note: String,
    },
    /// Its rollout failed, and it was rolled back.
    RolledBack {
        /// The workload's address.
        workload: String,
        /// The entry of the history that it was rolled back to; `None` if that is the revision of its older
        /// pods.
        entry: Option<u64>,
        /// The container, pod or workload that failed.
        failed: String,
        /// The failure, in one line.
        why: String,
    },
    /// The cluster is frozen.
    Frozen {
        /// The person who froze it and the reason, as they wrote it.
        note: String,
    },
    /// A pod that must change first is blocked itself.
    WaitsFor {
        /// That pod.
        pod: String,
        /// The reason why that pod is blocked.
        because: Box<BlockReason>,
    },
}

/// The state of knowledge about a pod on a host that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// It was there when the host last answered.
    Seen,
    /// It may be there.
    Possible,
    /// It is on another host, and may also be there.
    Second,
}

/// The reason why a host cannot take a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostLack {
    /// The host.
    pub host: String,
    /// The unmet requirement.
    pub lack: Shortage,
}

/// The requirement of a pod that a host does not meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shortage {
    /// The host takes no pods.
    Closed(Closed),
    /// Its labels do not match this part of the pod's requirements.
    Labels(Selector),
    /// A volume of the pod is on another host.
    VolumeElsewhere,
    /// A container may use more cores than the host has.
    Cores {
        /// The number of its cores.
        cores: u32,
        /// The container's `max-cpu`, in thousandths of a core.
        max_cpu: u64,
    },
    /// Missing CPU, in thousandths of a core.
    Cpu(u64),
    /// Missing memory, in bytes.
    Memory(u64),
    /// This host port is taken.
    Port(u16),
}

/// The reason why a host takes no pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closed {
    /// It was declared fenced.
    Fenced,
    /// The spec drains it.
    Drained,
}

/// A change of the spec with which a host takes the pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WayOut {
    /// The host.
    pub host: String,
    /// The part of the pod's requirements that must be dropped.
    pub dropped: Selector,
}

/// The event that a blocked change waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Awaits {
    /// The spec, the hosts or people must change something, or a pause must end.
    #[default]
    Change,
    /// The operations that are under way must end.
    Work,
    /// A container must become ready, or end with exit code 0.
    Readiness,
}

/// The kind of a reason, for metrics and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockedBy {
    /// An earlier plan is still being carried out on it.
    Busy,
    /// It, or a pod that it waits for, is not ready yet.
    NotReady,
    /// It fails repeatedly, or could not be created.
    Backoff,
    /// No host can take it.
    NoRoom,
    /// A host that does not answer may have it.
    #[serde(rename = "silent")]
    Unreachable,
    /// Its data is on several hosts.
    Volume,
    /// A workload that it depends on cannot be observed or placed.
    Dependency,
    /// The maximum number of pods is unavailable already.
    Budget,
    /// A person must confirm the removals.
    Removals,
    /// Its rollout is paused.
    Paused,
    /// Its rollout failed, and it was rolled back.
    RolledBack,
    /// The cluster is frozen.
    Frozen,
    /// Reserved: no reason is of this kind.
    Other,
}

impl BlockedBy {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::Busy,
        Self::NotReady,
        Self::Backoff,
        Self::NoRoom,
        Self::Unreachable,
        Self::Volume,
        Self::Dependency,
        Self::Budget,
        Self::Removals,
        Self::Paused,
        Self::RolledBack,
        Self::Frozen,
        Self::Other,
    ];

    /// Returns the word for people and machines.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NotReady => "not-ready",
            Self::Backoff => "backoff",
            Self::NoRoom => "no-room",
            Self::Unreachable => "silent",
            Self::Volume => "volume",
            Self::Dependency => "dependency",
            Self::Budget => "budget",
            Self::Removals => "removals",
            Self::Paused => "paused",
            Self::RolledBack => "rolled-back",
            Self::Frozen => "frozen",
            Self::Other => "other",
        }
    }
}

impl BlockReason {
    /// Returns what must happen before it goes on.
    #[must_use]
    pub fn awaits(&self) -> Awaits {
        match self {
            Self::UnderWay => Awaits::Work,
            Self::NotReady | Self::NotEnded => Awaits::Readiness,
            Self::WaitsFor { because, .. } => because.awaits(),
            _ => Awaits::Change,
        }
    }

    /// Returns the kind of the reason.
    #[must_use]
    pub fn by(&self) -> BlockedBy {
        match self {
            Self::UnderWay => BlockedBy::Busy,
            Self::NotReady | Self::NotEnded => BlockedBy::NotReady,
            Self::Backoff { .. } => BlockedBy::Backoff,
            Self::NoHost { .. } | Self::HostFull(_) | Self::NoRoomForSurge | Self::CircularRoom => {
                BlockedBy::NoRoom
            }
            Self::PodUnreachable { .. }
            | Self::OlderData { .. }
            | Self::VolumeUnreachable { .. }
            | Self::HostUnreachable => BlockedBy::Unreachable,
            Self::VolumeOnSeveralHosts { .. } | Self::VolumesApart => BlockedBy::Volume,
            Self::Dependency { .. } => BlockedBy::Dependency,
            Self::Budget { .. } => BlockedBy::Budget,
            Self::Removals { .. } => BlockedBy::Removals,
            Self::Paused { .. } => BlockedBy::Paused,
            Self::RolledBack { .. } => BlockedBy::RolledBack,
            Self::Frozen { .. } => BlockedBy::Frozen,
            Self::WaitsFor { because, .. } => because.by(),
        }
    }

    /// Checks whether it goes on by itself when all is well, so that nobody needs to be notified.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.awaits() != Awaits::Change
    }
}

impl fmt::Display for BlockReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay => f.write_str("an operation on it is under way"),
            Self::NotReady => f.write_str("it is not ready yet"),
            Self::NotEnded => f.write_str("it has not ended yet"),
            Self::Backoff { .. } => {
                f.write_str("it fails repeatedly, or cannot be created: its backoff is not over")
            }
            Self::NoHost { lacks, more, .. } => no_host(lacks, *more, f),
            Self::HostFull(lack) => write!(f, "its host cannot take it: {lack}"),
            Self::NoRoomForSurge => f.write_str("no host has capacity for a surge pod now"),
            Self::CircularRoom => f.write_str("it would wait for capacity that waits for it"),
            Self::PodUnreachable { host, presence } => {
                write!(f, "{presence} on `{host}`, which does not answer")
            }
            Self::OlderData { unreachable, older } => {
                let older = older
                    .as_deref()
                    .map_or("another host".to_owned(), |older| format!("`{older}`"));
                write!(
                    f,
                    "its data may be on `{unreachable}`, which does not answer: the data on \
                     {older} may be older"
                )
            }
            Self::VolumeUnreachable { volume, host } => {
                write!(f, "its volume `{volume}` may be on `{host}`, which does not answer")
            }
            Self::VolumeOnSeveralHosts { volume, hosts: [first, second] } => {
                write!(f, "its volume `{volume}` is on `{first}` and on `{second}`")
            }
            Self::VolumesApart => f.write_str("its volumes are on different hosts"),
            Self::Dependency { on } => {
                write!(f, "it waits for `{on}`, which cannot be observed or placed")
            }
            Self::Budget { absent } => {
                write!(
                    f,
                    "no more of its pods may be unavailable: {absent} cannot be observed or placed"
                )
            }
            Self::Removals { removed, total } => write!(
                f,
                "{removed} of {total} containers would be removed at once, which a person must \
                 confirm"
            ),
            Self::HostUnreachable => {
                f.write_str("it does not answer: its containers are not changed")
            }
            Self::Paused { note, .. } => write!(f, "its rollout is paused: {note}"),
            Self::RolledBack { entry, failed, why, .. } => {
                write!(f, "it was rolled back to {}: {failed}: {why}", goal(*entry))
            }
            Self::Frozen { note } => write!(f, "the cluster is frozen: {note}"),
            Self::WaitsFor { pod, because } => write!(f, "it waits for {pod}: {because}"),
        }
    }
}

fn no_host(lacks: &[HostLack], more: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut parts: Vec<String> = lacks.iter().map(HostLack::to_string).collect();
    if parts.is_empty() {
        parts.push("no host answers".to_owned());
    }
    if more > 0 {
        parts.push(format!("{more} more cannot either"));
    }
    write!(f, "no host can take it: {}", parts.join("; "))
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seen => "it was",
            Self::Possible => "it may be",
            Self::Second => "it may also be",
        })
    }
}

impl fmt::Display for HostLack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.lack {
            Shortage::Closed(Closed::Fenced) => write!(f, "{host} is fenced"),
            Shortage::Closed(Closed::Drained) => write!(f, "{host} is drained"),
            Shortage::Labels(part) => write!(f, "{host} does not match `{part}`"),
            Shortage::VolumeElsewhere => write!(f, "{host} does not have its volume"),
            Shortage::Cores { cores, max_cpu } => {
                let max_cpu = Cpu(u32::try_from(*max_cpu).unwrap_or(u32::MAX));
                write!(f, "{host} has {cores} cores, fewer than `max-cpu` {max_cpu}")
            }
            Shortage::Cpu(missing) => {
                let missing = Cpu(u32::try_from(*missing).unwrap_or(u32::MAX));
                write!(f, "{host} lacks {missing} cores")
            }
            Shortage::Memory(missing) => write!(f, "{host} lacks {}", rounded(*missing)),
            Shortage::Port(port) => write!(f, "port {port} of {host} is taken"),
        }
    }
}

/// Returns bytes for people: whole MiB, rounded up, where there is at least one.
fn rounded(bytes: u64) -> Bytes {
    match bytes {
        0..=1_048_576 => Bytes(bytes),
        more => Bytes(more.div_ceil(1 << 20) << 20),
    }
}

/// Returns the goal of a rollback in words: `entry 7 of the history`.
#[must_use]
pub fn goal(entry: Option<u64>) -> String {
    match entry {
        None => "the revision of its older pods".to_owned(),
        Some(entry) => format!("entry {entry} of the history"),
    }
}
