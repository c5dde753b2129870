//! The context that planning a pod reads.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::Graph;

use crate::inventory::containers::{Found, Inventory};
use crate::planner::images::Choosing;

/// What must be known to plan a pod.
pub(crate) struct Context<'a> {
    pub graph: &'a Graph,
    pub cluster: &'a str,
    pub host: &'a str,
    pub inventory: &'a Inventory<'a>,
    /// Containers whose liveness has failed, by full ID.
    pub failing: &'a BTreeSet<String>,
    /// Containers that are to be restarted, with the start that is to be their last.
    pub restarts: Option<&'a BTreeMap<String, i64>>,
    /// By the host's clock.
    pub now_ms: i64,
    /// What choosing images needs to know.
    pub choosing: Choosing<'a>,
}

impl Context<'_> {
    /// Whether a container that runs is to be restarted all the same.
    pub fn must_restart(&self, found: &Found<'_>) -> bool {
        self.failing.contains(&found.container.id) || self.was_asked_to_restart(found)
    }

    /// Whether somebody asked for its restart, and it has not been restarted since.
    pub fn was_asked_to_restart(&self, found: &Found<'_>) -> bool {
        let last = self.restarts.and_then(|restarts| restarts.get(&found.container.id));
        last.is_some() && last.copied() == found.details.started_at_ms
    }
}
