//! The rollout state of a workload: whether it is being rolled out, or was rolled back.

use std::collections::BTreeMap;

use tally_graph::{Graph, OnFailure, Workload};

use crate::memory::Memory;
use crate::memory::revisions::{PreviousRevision, RolloutFailure};

/// The rollout state of a workload with a previous revision.
pub(crate) enum RolloutState<'a> {
    /// It is being rolled out.
    Rolling(&'a PreviousRevision),
    /// It was rolled back, and its previous revision is in effect.
    RolledBack(&'a RolloutFailure),
}

/// Returns the rollout state of a workload; `None` if its failures belong to no rollout.
pub(crate) fn rollout_state<'a>(
    workload: &Workload,
    memory: &'a Memory,
) -> Option<RolloutState<'a>> {
    let address = workload.address().to_string();
    let rolled_back = memory.declared.rolled_back.get(&address);
    let previous = memory.history.previous.get(&address);
    if rolled_back.is_none() && previous.is_none() {
        return None;
    }
    let now = workload.fingerprint();
    if let Some(rolled_back) =
        rolled_back.filter(|rolled_back| rolled_back.workload.fingerprint() == now)
    {
        return rolled_back.failed.as_ref().map(RolloutState::RolledBack);
    }
    let rolls = workload.update.on_failure == OnFailure::Rollback;
    previous.filter(|previous| rolls && previous.of == now).map(RolloutState::Rolling)
}

/// Checks whether people have frozen the cluster or paused the workload: then nothing is decided about it
/// automatically.
pub(crate) fn is_frozen_or_paused(memory: &Memory, address: &str) -> bool {
    memory.declared.frozen.is_some() || memory.declared.paused.contains_key(address)
}

/// Returns the workloads that are being rolled out and are rolled back on failure, with their fingerprints.
#[must_use]
pub fn rolling(graph: &Graph, memory: &Memory) -> BTreeMap<String, String> {
    let rolls = |workload: &Workload| {
        matches!(rollout_state(workload, memory), Some(RolloutState::Rolling(_)))
    };
    fingerprints(graph, memory, rolls)
}

/// Returns the workloads that were rolled back, with the fingerprints of the revisions in effect.
#[must_use]
pub fn rolled_back_fingerprints(graph: &Graph, memory: &Memory) -> BTreeMap<String, String> {
    let back = |workload: &Workload| {
        matches!(rollout_state(workload, memory), Some(RolloutState::RolledBack(_)))
    };
    fingerprints(graph, memory, back)
}

/// Returns the failures of the workloads that were rolled back.
#[must_use]
pub fn rolled_back<'m>(graph: &Graph, memory: &'m Memory) -> BTreeMap<String, &'m RolloutFailure> {
    if has_no_rollouts(memory) {
        return BTreeMap::new();
    }
    let failed = |workload: &Workload| match rollout_state(workload, memory)? {
        RolloutState::RolledBack(failed) => Some((workload.address().to_string(), failed)),
        RolloutState::Rolling(_) => None,
    };
    graph.workloads().filter_map(failed).collect()
}

/// Checks whether no workload can be in a rollout or rolled back.
pub(crate) fn has_no_rollouts(memory: &Memory) -> bool {
    memory.history.previous.is_empty() && memory.declared.rolled_back.is_empty()
}

fn fingerprints(
    graph: &Graph,
    memory: &Memory,
    wanted: impl Fn(&Workload) -> bool,
) -> BTreeMap<String, String> {
    if has_no_rollouts(memory) {
        return BTreeMap::new();
    }
    let wanted = graph.workloads().filter(|workload| wanted(workload));
    wanted.map(|workload| (workload.address().to_string(), workload.fingerprint())).collect()
}
