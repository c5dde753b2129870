//! The declarations of people about a cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::memory::revisions::RolledBack;

/// The declarations of people, which no observation can replace. They are stored apart from the learned
/// memory, because they must not be lost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Declarations {
    /// Hosts that are declared lost or fenced.
    pub hosts: BTreeMap<String, Declared>,
    /// Paused rollouts, by workload, with the person and the reason.
    pub paused: BTreeMap<String, String>,
    /// The reason why the whole cluster is frozen; `None` if it is not.
    pub frozen: Option<String>,
    /// Workloads whose last change was rolled back, by people or because the rollout failed.
    #[serde(rename = "undone")]
    pub rolled_back: BTreeMap<String, RolledBack>,
    /// Containers to restart, by workload: full IDs, each with the time of its last start before the
    /// restart. The times are only compared for equality, so clocks may differ.
    pub restarts: BTreeMap<String, BTreeMap<String, i64>>,
}

/// A declaration about a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declared {
    /// The host will not come back soon: pods without data are replaced.
    Lost,
    /// The host is certainly off: pods with data are replaced too, without their data.
    Fenced,
}
