//! The course of a workload: whether it is being rolled out, or was rolled back.

use std::collections::BTreeMap;

use tally_graph::{Graph, OnFailure, Workload};

use crate::memory::Memory;
use crate::memory::revisions::{PreviousRevision, RolloutFailure};

/// How a workload stands that may go back.
pub(crate) enum Course<'a> {
    /// It is being rolled out.
    Rolling(&'a PreviousRevision),
    /// It went back, and follows what it was.
    Back(&'a RolloutFailure),
}

/// The course of a workload as it is followed; `None` when its failures are nobody's rollout.
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

/// Whether people hold a workload as it is: then nobody else decides anything about it.
pub(crate) fn is_held(memory: &Memory, address: &str) -> bool {
    memory.declared.frozen.is_some() || memory.declared.paused.contains_key(address)
}

/// The workloads that are being rolled out and go back if that fails, with what they ask for.
#[must_use]
pub fn rolling(graph: &Graph, memory: &Memory) -> BTreeMap<String, String> {
    let rolls = |workload: &Workload| matches!(course(workload, memory), Some(Course::Rolling(_)));
    fingerprints(graph, memory, rolls)
}

/// The workloads that went back, with what they follow.
#[must_use]
pub fn went_back(graph: &Graph, memory: &Memory) -> BTreeMap<String, String> {
    let back = |workload: &Workload| matches!(course(workload, memory), Some(Course::Back(_)));
    fingerprints(graph, memory, back)
}

/// What failed of the workloads that went back, as they are followed.
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

/// Whether nothing can be rolling or have gone back.
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
