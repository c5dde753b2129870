//! The revisions of a workload before its last change, from the history.

use std::collections::BTreeMap;

use tally_graph::{Graph, OnFailure, Workload};

use crate::memory::revisions::{PreviousRevision, RolledBack};

/// An entry of the history.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    /// Its number.
    pub number: u64,
    /// Fingerprints of the workloads that were up to date with the entry, by address.
    pub settled: BTreeMap<String, String>,
    /// The spec.
    pub graph: Graph,
}

/// Returns the previous revisions of the workloads that are rolled back when their rollout fails. A
/// workload whose current revision was already up to date is not being rolled out, and is omitted.
pub fn previous_revisions(
    spec: &Graph,
    newest_first: impl IntoIterator<Item = HistoryEntry>,
) -> BTreeMap<String, PreviousRevision> {
    let can_roll_back = |workload: &&Workload| workload.update.on_failure == OnFailure::Rollback;
    let wanted = spec.workloads().filter(can_roll_back);
    let mut open: BTreeMap<String, &Workload> =
        wanted.map(|workload| (workload.address().to_string(), workload)).collect();
    let mut found = BTreeMap::new();
    let mut entries = newest_first.into_iter();
    while !open.is_empty()
        && let Some(entry) = entries.next()
    {
        open.retain(|address, workload| {
            if !entry.settled.contains_key(address) {
                return true;
            }
            let was = entry.graph.workload_at(address);
            let Some(was) = was else { return true };
            if !was.has_pods_of(workload) {
                let before = RolledBack::between(spec, &entry.graph, address);
                let previous =
                    PreviousRevision { of: workload.fingerprint(), entry: entry.number, before };
                found.insert(address.clone(), previous);
            }
            false
        });
    }
    for (address, workload) in open {
        found.insert(
            address,
            PreviousRevision { of: workload.fingerprint(), entry: 0, before: None },
        );
    }
    found
}
