//! The options of the planner.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::Address;

/// The host of a cluster that names none: the local Docker engine.
pub const LOCAL_HOST: &str = "local";

/// What is asked of the planner beside the spec.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// When the observation was made, in milliseconds since 1970. Who counts as ready hangs on it,
    /// and how long a host has been silent.
    pub now_ms: i64,
    /// Only this workload, and what it needs.
    pub target: Option<Address>,
    /// Nothing shall be left.
    pub destroy: bool,
    /// With `destroy`: named volumes too.
    pub remove_volumes: bool,
    /// Hosts that are supposed to be lost: what if?
    pub without: BTreeSet<String>,
    /// Whether pods are moved only to even out, what placement never does by itself.
    pub rebalance: bool,
    /// Whether nothing is waited for: what has to wait is held back, for a later plan to do.
    pub without_waits: bool,
    /// Whether removing more than a fifth of what runs is held back until a person confirms it.
    pub guard_removals: bool,
    /// Keyed hashes of what the secrets hold, by name: what is there is compared with them. A secret
    /// that is not among them was not read, and counts as unchanged.
    pub secrets: BTreeMap<String, String>,
    /// Whether every pod is compared field by field, also those that are as they shall be at a
    /// glance. The plan is the same, and takes many times as long: for tests of that.
    pub thorough: bool,
}
