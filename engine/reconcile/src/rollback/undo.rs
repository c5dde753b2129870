//! Undoing the change of a workload: what it was before is followed until a newer spec comes.

use std::collections::BTreeMap;

use tally_graph::{Graph, Node, Secret};

use crate::memory::revisions::RolledBack;

impl RolledBack {
    /// What undoes the change of the workload at `address` from `before` to `now`; `None` when one
    /// of them does not have it, or nothing has changed.
    #[must_use]
    pub fn between(now: &Graph, before: &Graph, address: &str) -> Option<Self> {
        let (now, old) = (now.workload_at(address)?, before.workload_at(address)?.clone());
        let of = now.fingerprint();
        if old.fingerprint() == of {
            return None;
        }
        let files = old.inits.iter().chain(&old.containers).flat_map(|c| c.file.values());
        let contents = files
            .filter_map(|file| {
                let hash = file.content.stored()?;
                Some((hash.to_owned(), before.contents.get(hash)?.clone()))
            })
            .collect();
        let used = old.secrets();
        let secrets =
            before.secrets().filter(|s| used.contains(s.name.as_str())).cloned().collect();
        Some(Self { of, workload: old, contents, secrets, failed: None })
    }
}

/// Puts what was undone into a graph, and gives the addresses for which that was so.
pub fn undo(graph: &mut Graph, undone: &BTreeMap<String, RolledBack>) -> Vec<String> {
    let mut followed = Vec::new();
    for (address, undone) in undone {
        let now = graph.workload_at(address);
        let Some(now) = now.filter(|now| now.fingerprint() == undone.of) else { continue };
        let as_before = now.as_before(&undone.workload);
        if graph.replace_workload(as_before) {
            graph.contents.extend(undone.contents.clone());
            add_secrets(graph, &undone.secrets);
            followed.push(address.clone());
        }
    }
    followed
}

/// The addresses for which a newer spec has come: what was undone is asked for no more, and whoever
/// asks for it again means it.
#[must_use]
pub fn ended(spec: &Graph, undone: &BTreeMap<String, RolledBack>) -> Vec<String> {
    let asks_for_more = |(address, undone): &(&String, &RolledBack)| {
        let now = spec.workload_at(address);
        now.is_some_and(|now| now.fingerprint() != undone.of)
    };
    undone.iter().filter(asks_for_more).map(|(address, _)| address.clone()).collect()
}

/// Adds secrets that the spec no longer has. Those that it has are read as it says now: how one is read
/// is no part of what a workload was.
fn add_secrets(graph: &mut Graph, secrets: &[Secret]) {
    for secret in secrets {
        if !graph.secrets().any(|known| known.name == secret.name) {
            // Where it stood is not in this text.
            let span = graph.cluster().map_or(secret.span, |cluster| cluster.span);
            graph.net.add_node(Node::Secret(Secret { span, ..secret.clone() }));
        }
    }
}
