//! The rollout state of a workload: whether it is being rolled out, or was rolled back.

use std::collections::BTreeMap;

use tally_graph::{Graph, OnFailure, Workload};

use crate::memory::Memory;
use crate::memory::revisions::{PreviousRevision, RolloutFailure};

/// The rollout state of a workload with a previous revision.
pub(crate) enum Course<'a> {
    /// It is being rolled out.
    Rolling(&'a PreviousRevision),
    /// It was rolled back, and its previous revision is in effect.
    Back(&'a RolloutFailure),
}

/// Returns the rollout state of a workload; `None` if its failures belong to no rollout.
pub(crate) fn course<'a>(workload: &Workload, memory: &'a Memory) -> Option<Course<'a>> {
    let address = workload.address().to_string();
    let undone = memory.declared.undone.get(&address);
    let former = memory.history.previous.get(&address);
    if undone.is_none() && former.is_none() {
        return None;
    }
    let now = workload.fingerprint();
    if let Some(undone) = undone.filter(|undone| undone.workload.fingerprint() == now) {
        return undone.failed.as_ref().map(Course::Back);
    }
    let rolls = workload.update.on_failure == OnFailure::Rollback;
    former.filter(|former| rolls && former.of == now).map(Course::Rolling)
}

/// Checks whether people have frozen the cluster or paused the workload: then nothing is decided about it
/// automatically.
pub(crate) fn is_held(memory: &Memory, address: &str) -> bool {
    memory.declared.frozen.is_some() || memory.declared.paused.contains_key(address)
}

/// Returns the workloads that are being rolled out and are rolled back on failure, with their fingerprints.
#[must_use]
pub fn rolling(graph: &Graph, memory: &Memory) -> BTreeMap<String, String> {
    let rolls = |workload: &Workload| matches!(course(workload, memory), Some(Course::Rolling(_)));
    fingerprints(graph, memory, rolls)
}

/// Returns the workloads that were rolled back, with the fingerprints of the revisions in effect.
#[must_use]
pub fn went_back(graph: &Graph, memory: &Memory) -> BTreeMap<String, String> {
    let back = |workload: &Workload| matches!(course(workload, memory), Some(Course::Back(_)));
    fingerprints(graph, memory, back)
}

/// Returns the failures of the workloads that were rolled back.
#[must_use]
pub fn rolled_back<'m>(graph: &Graph, memory: &'m Memory) -> BTreeMap<String, &'m RolloutFailure> {
    if is_calm(memory) {
        return BTreeMap::new();
    }
    let failed = |workload: &Workload| match course(workload, memory)? {
        Course::Back(failed) => Some((workload.address().to_string(), failed)),
        Course::Rolling(_) => None,
    };
    graph.workloads().filter_map(failed).collect()
}

/// Checks whether no workload can be in a rollout or rolled back.
pub(crate) fn is_calm(memory: &Memory) -> bool {
    memory.history.previous.is_empty() && memory.declared.undone.is_empty()
}

fn fingerprints(
    graph: &Graph,
    memory: &Memory,
    wanted: impl Fn(&Workload) -> bool,
) -> BTreeMap<String, String> {
    if is_calm(memory) {
        return BTreeMap::new();
    }
    let wanted = graph.workloads().filter(|workload| wanted(workload));
    wanted.map(|workload| (workload.address().to_string(), workload.fingerprint())).collect()
}
