//! The report of a rebalancing: the moves with their reasons, costs and disruptions, and the load of the
//! hosts before and after.

use serde::{Deserialize, Serialize};
use tally_source::Span;

use crate::plan::subject::Subject;

/// The moves of pods that only rebalance, and their effect.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// The hosts that answer, in the order of the spec.
    pub hosts: Vec<HostLoad>,
    /// The moves, by workload and pod.
    pub moves: Vec<Move>,
    /// The workloads that are never moved, with the reasons.
    pub fixed: Vec<Fixed>,
}

/// The load of a host by the pods of this cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLoad {
    /// Its name.
    pub host: String,
    /// Reserved CPU, in thousandths of a core.
    pub cpu: Share,
    /// Reserved memory, in bytes.
    pub memory: Share,
    /// Number of pods before the plan.
    pub pods_before: usize,
    /// Number of pods after the plan.
    pub pods_after: usize,
}

/// The used part of a resource of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// Used before the plan.
    pub before: u64,
    /// Used after the plan.
    pub after: u64,
    /// The total of the host.
    pub of: u64,
}

/// The move of a pod to another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The pod.
    pub subject: Subject,
    /// The host that the pod leaves.
    pub from: String,
    /// The host that the pod moves to.
    pub to: String,
    /// The benefit, in one line.
    pub reason: String,
    /// Its CPU reservation, in thousandths of a core.
    pub cpu: u64,
    /// Its memory reservation, in bytes.
    pub memory: u64,
    /// Images that the new host must pull for it.
    pub pulls: Vec<String>,
    /// The disruption of its workload.
    pub disruption: Disruption,
    /// The workload in the spec.
    pub origin: Option<Span>,
}

/// The disruption of a workload by the moves of its pods. A pod stops on its old host before it starts on
/// the new one: two pods of the same name never run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Disruption {
    /// Maximum number of its pods that move at once.
    pub at_once: u32,
    /// Number of its replicas.
    pub replicas: u32,
    /// Minimum number of pods that stay ready, surge pods included.
    pub ready: u32,
    /// Number of surge pods that start before the moves.
    pub stand_ins: u32,
}

/// A workload whose pods are not moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Its address: `controller/web`.
    pub workload: String,
    /// The reason, in one line.
    pub reason: String,
    /// The workload in the spec.
    pub origin: Option<Span>,
}
