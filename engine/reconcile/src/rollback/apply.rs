//! Rolls back the change of a workload: its previous revision is in effect until a newer spec is applied.

use std::collections::BTreeMap;

use tally_graph::{Graph, GraphNode, Secret};

use crate::memory::revisions::RolledBack;

impl RolledBack {
    /// Returns the rollback of the workload at `address` from `now` to `before`; `None` when one of them
    /// does not have it, or its revisions are equal.
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

/// Replaces workloads of a graph with the revisions that they were rolled back to; returns their addresses.
pub fn apply_rollbacks(
    graph: &mut Graph,
    rolled_back: &BTreeMap<String, RolledBack>,
) -> Vec<String> {
    let mut followed = Vec::new();
    for (address, rolled_back) in rolled_back {
        let now = graph.workload_at(address);
        let Some(now) = now.filter(|now| now.fingerprint() == rolled_back.of) else { continue };
        let as_before = now.as_before(&rolled_back.workload);
        if graph.replace_workload(as_before) {
            graph.contents.extend(rolled_back.contents.clone());
            add_secrets(graph, &rolled_back.secrets);
            followed.push(address.clone());
        }
    }
    followed
}

/// Returns the addresses whose rollback ends because the spec asks for another revision. If a later spec
/// asks for the failed revision again, that is intended.
#[must_use]
pub fn ended_rollbacks(spec: &Graph, rolled_back: &BTreeMap<String, RolledBack>) -> Vec<String> {
    let asks_for_more = |(address, rolled_back): &(&String, &RolledBack)| {
        let now = spec.workload_at(address);
        now.is_some_and(|now| now.fingerprint() != rolled_back.of)
    };
    rolled_back.iter().filter(asks_for_more).map(|(address, _)| address.clone()).collect()
}

/// Adds secrets that the spec does not have any more. Those that it has keep their source in the spec: the
/// source is not part of a workload's revision.
fn add_secrets(graph: &mut Graph, secrets: &[Secret]) {
    for secret in secrets {
        if !graph.secrets().any(|known| known.name == secret.name) {
            // The text of this spec does not contain the secret.
            let span = graph.cluster().map_or(secret.span, |cluster| cluster.span);
            graph.net.add_node(GraphNode::Secret(Secret { span, ..secret.clone() }));
        }
    }
}
