//! The inputs of planning a pod.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::Graph;

use crate::inventory::containers::{Found, Inventory};
use crate::planner::images::ImageChooser;

/// The inputs of planning a pod on a host.
pub(crate) struct PodContext<'a> {
    pub graph: &'a Graph,
    pub cluster: &'a str,
    pub host: &'a str,
    pub inventory: &'a Inventory<'a>,
    /// The full IDs of containers whose liveness probe has failed.
    pub failing: &'a BTreeSet<String>,
    /// Requested restarts: for each container ID, the start time that the restart must supersede.
    pub restarts: Option<&'a BTreeMap<String, i64>>,
    /// The current time by the host's clock, in milliseconds since the epoch.
    pub now_ms: i64,
    /// The inputs of choosing images.
    pub image_chooser: ImageChooser<'a>,
}

impl PodContext<'_> {
    /// Checks whether a running container must be restarted.
    pub fn must_restart(&self, found: &Found<'_>) -> bool {
        self.failing.contains(&found.container.id) || self.was_asked_to_restart(found)
    }

    /// Checks whether a user requested the container's restart and it has not happened yet.
    pub fn was_asked_to_restart(&self, found: &Found<'_>) -> bool {
        let last = self.restarts.and_then(|restarts| restarts.get(&found.container.id));
        last.is_some() && last.copied() == found.details.started_at_ms
    }
}
