//! The options of the planner.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::Address;

/// The host of a cluster that declares no host: the local Docker engine.
pub const LOCAL_HOST: &str = "local";

/// The options of a planning run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The time of the observation, in milliseconds since 1970. Readiness and the time that a host has been
    /// unreachable are calculated from it.
    pub now_ms: i64,
    /// Plans only this workload and its dependencies.
    pub target: Option<Address>,
    /// Whether everything of the cluster is removed.
    pub destroy: bool,
    /// With `destroy`: removes named volumes too.
    pub remove_volumes: bool,
    /// Hosts that the plan treats as lost, to see the consequences.
    pub without: BTreeSet<String>,
    /// Whether running pods are moved to rebalance the hosts. Placement never does this without the option.
    pub rebalance: bool,
    /// Whether the plan contains no waits: changes that would have to wait are blocked, and a later plan
    /// makes them.
    pub without_waits: bool,
    /// Whether the removal of more than a fifth of the running pods is blocked until a person confirms it.
    pub guard_removals: bool,
    /// Keyed hashes of the values of secrets, by name, which are compared with those in the labels. A
    /// secret that is missing here was not read, and counts as unchanged.
    pub secrets: BTreeMap<String, String>,
    /// Whether every pod is compared field by field, also pods that the fast path recognises as up to date.
    /// The plan is the same, but takes far longer: tests check this.
    pub thorough: bool,
}
