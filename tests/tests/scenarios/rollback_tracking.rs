//! Which rollouts the loop watches, which workloads were rolled back, and where this is recorded.

use std::collections::BTreeMap;

use tally_graph::Graph;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::memory::{History, Memory};
use tally_reconcile::rollback::{
    HistoryEntry, RolloutFailure, previous_revisions, rolled_back, rolled_back_fingerprints,
    rolling,
};

use crate::many::Many;

const WEB: &str = "controller/web";

fn web(update: &str, env: u8) -> Graph {
    Many::new(&["a"]).plain(&format!(
        "controller web replicas=2 {{ {update}; container c image=\"tally.local/hello:1\" {{ env A={env} }} }}\n\
         pod other {{ container c image=\"tally.local/hello:1\" }}"
    ))
}

/// Creates the memory of `now` after `before`.
fn after(now: &Graph, before: &Graph) -> Memory {
    let settled = before.workloads().map(|it| (it.address().to_string(), it.fingerprint()));
    let entry = HistoryEntry { number: 1, settled: settled.collect(), graph: before.clone() };
    let history = History { previous: previous_revisions(now, [entry]) };
    Memory { history, ..Memory::default() }
}

/// Creates the memory after `now` failed and was rolled back to `before`.
fn rolled_back_memory(now: &Graph, before: &Graph, failed: Option<RolloutFailure>) -> Memory {
    let of = |graph: &Graph| graph.workloads().find(|it| it.name == "web").unwrap().clone();
    let back = RolledBack {
        of: of(now).fingerprint(),
        workload: of(before),
        contents: BTreeMap::new(),
        secrets: Vec::new(),
        failed,
    };
    let mut memory = Memory::default();
    memory.declared.rolled_back.insert(WEB.to_owned(), back);
    memory
}

#[test]
fn only_rollouts_that_may_roll_back_are_watched() {
    let nobody = BTreeMap::new();
    let (asks, does_not) = ("update on-failure=rollback", "update max-unavailable=1");
    let (old, new) = (web(asks, 1), web(asks, 2));
    let watched = rolling(&new, &after(&new, &old));
    assert_eq!(watched.keys().collect::<Vec<_>>(), [WEB]);
    let (old, new) = (web(does_not, 1), web(does_not, 2));
    assert_eq!(rolling(&new, &after(&new, &old)), nobody, "it stays where it fails");
    // The memory of another version does not apply to this one.
    let (old, new, newer) = (web(asks, 1), web(asks, 2), web(asks, 3));
    assert_eq!(rolling(&newer, &after(&new, &old)), nobody);
    assert_eq!(rolling(&new, &Memory::default()), nobody, "nothing was here before");
}

#[test]
fn automatic_rollbacks_are_distinguished_from_those_by_hand() {
    let (old, new) = (web("update on-failure=rollback", 1), web("update on-failure=rollback", 2));
    let failed = RolloutFailure {
        pod: "web-1".to_owned(),
        why: "it ended".to_owned(),
        ..RolloutFailure::default()
    };
    let memory = rolled_back_memory(&new, &old, Some(failed.clone()));
    let mut followed = new.clone();
    tally_reconcile::rollback::apply::apply_rollbacks(&mut followed, &memory.declared.rolled_back);
    assert_eq!(rolled_back_fingerprints(&followed, &memory).keys().collect::<Vec<_>>(), [WEB]);
    assert_eq!(rolled_back(&followed, &memory), BTreeMap::from([(WEB.to_owned(), &failed)]));
    assert_eq!(rolling(&followed, &memory), BTreeMap::new());
    let by_hand = rolled_back_memory(&new, &old, None);
    assert_eq!(rolled_back_fingerprints(&followed, &by_hand), BTreeMap::new());
    assert_eq!(rolled_back(&followed, &by_hand), BTreeMap::new());
    assert_eq!(rolled_back(&new, &Memory::default()), BTreeMap::new());
}
