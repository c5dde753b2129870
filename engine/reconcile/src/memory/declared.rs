//! What people declared about a cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::memory::revisions::RolledBack;

/// What people declared, and nothing that is seen could tell. It is kept apart from what is learned:
/// it must not be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Declarations {
    /// Hosts that are lost or fenced.
    pub hosts: BTreeMap<String, Declared>,
    /// Rollouts that are paused, by workload, with who and why.
    pub paused: BTreeMap<String, String>,
    /// Why nothing may be changed at all.
    pub frozen: Option<String>,
    /// Workloads whose last change was undone, by people or because it failed.
    pub undone: BTreeMap<String, RolledBack>,
    /// Containers that are to be restarted: full IDs with the start that is to be their last, by
    /// workload. Starts are compared for equality only, so clocks may differ.
    pub restarts: BTreeMap<String, BTreeMap<String, i64>>,
}

/// What somebody declared about a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declared {
    /// It will not come back soon: pods without data are replaced.
    Lost,
    /// It is surely off: pods with data are replaced too, without the data.
    Fenced,
}
