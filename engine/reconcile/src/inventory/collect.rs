//! Collects the inventory of a host: Tally's containers by pod, and the containers that it does not manage.

use std::collections::BTreeMap;

use tally_graph::Graph;

use crate::desired::realise::RealiseContext;
use crate::input::needs::needs;
use crate::input::observed::HostState;
use crate::inventory::classify::{Class, classify};
use crate::inventory::containers::{Found, Inventory};
use crate::inventory::fast_path::FastPathInput;
use crate::inventory::patterns::Patterns;

/// The patterns that depend only on a spec and its secrets, not on an observation: reused from one plan to
/// the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared(pub(crate) Patterns);

impl Prepared {
    /// Prepares the patterns of `graph`, with the keyed hashes of the values of its secrets by name.
    #[must_use]
    pub fn of(graph: &Graph, secrets: &BTreeMap<String, String>) -> Self {
        let Some(cluster) = graph.cluster() else { return Self::default() };
        let around = RealiseContext::new(graph, &cluster.name, secrets);
        Self(Patterns::of(graph, &needs(graph), &around))
    }

    /// Collects the inventory of a host, compared with the patterns of the spec.
    pub(crate) fn inventory<'a>(&self, cluster: &str, host: &'a HostState) -> Inventory<'a> {
        inventory_with_patterns(cluster, host, &self.0, None)
    }
}

/// Collects the inventory of a host. A container of the cluster without inspection data disappeared between
/// the list and the inspection; it is omitted, and the next observation decides.
#[must_use]
pub fn inventory<'a>(cluster: &str, host: &'a HostState) -> Inventory<'a> {
    inventory_with_patterns(cluster, host, &Patterns::default(), None)
}

/// Collects the [`inventory`], compared with the patterns of the spec; with an `input`, tries the fast path
/// for each pod.
pub(crate) fn inventory_with_patterns<'a>(
    cluster: &str,
    host: &'a HostState,
    patterns: &Patterns,
    input: Option<&FastPathInput<'_>>,
) -> Inventory<'a> {
    let mut all = Inventory::default();
    for container in &host.containers {
        match (classify(cluster, container, patterns), &container.details) {
            (Class::Ours(identity), Some(details)) => {
                let pod = all.pods.entry(identity.pod).or_default();
                pod.add(Found { identity, container, details });
            }
            (Class::Ours(_), None) => {}
            (Class::Foreign, _) => {
                all.others.insert(&container.name, (container, None));
            }
            (Class::Quarantined(why), _) => {
                all.others.insert(&container.name, (container, Some(why)));
            }
        }
    }
    for (number, (name, pod)) in all.pods.iter_mut().enumerate() {
        pod.number = number;
        pod.promote_previous();
        if let Some(input) = input {
            pod.fast_path = patterns.fast_path(name, pod, input);
        }
    }
    all
}
