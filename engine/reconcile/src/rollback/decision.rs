//! The decision after a rollout has failed: roll back, or stay.

use tally_graph::Graph;

use crate::input::observed::{HostView, Observed};
use crate::inventory::collect::inventory;
use crate::inventory::containers::Inventory;
use crate::memory::Memory;
use crate::memory::revisions::{RolledBack, RolloutFailure};
use crate::rollback::previous_revision::previous_revision;
use crate::rollback::rollout_state::{RolloutState, is_frozen_or_paused, rollout_state};

/// The decision about a rollout that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The workload is rolled back to this revision.
    RollBack(Box<RolledBack>),
    /// The workload stays as it is, for this reason.
    Stay(String),
}

/// Decides about the failure of the workload at `address`; returns `None` if it was no rollout that can be
/// rolled back, or if people have paused it.
#[must_use]
pub fn decide(
    graph: &Graph,
    observed: &Observed,
    memory: &Memory,
    address: &str,
    failed: RolloutFailure,
) -> Option<Decision> {
    if is_frozen_or_paused(memory, address) {
        return None;
    }
    let workload = graph.workload_at(address)?;
    let previous = match rollout_state(workload, memory)? {
        RolloutState::Rolling(previous) => previous,
        RolloutState::RolledBack(first) => {
            let why = format!("it was rolled back to {}, and that fails too", first.goal());
            return Some(Decision::Stay(why));
        }
    };
    let name = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
    let views = observed.hosts.values().filter_map(HostView::ready);
    let inventories: Vec<Inventory<'_>> = views.map(|state| inventory(name, state)).collect();
    let inventories: Vec<&Inventory<'_>> = inventories.iter().collect();
    Some(match previous_revision(graph, &inventories, workload, previous) {
        Ok((entry, before)) => {
            let failed = Some(RolloutFailure { entry, ..failed });
            Decision::RollBack(Box::new(RolledBack { failed, ..before }))
        }
        Err(why) => Decision::Stay(why),
    })
}
