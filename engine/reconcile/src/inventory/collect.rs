//! Collects the inventory of a host: Tally's containers by pod, and the containers that it does not manage.

use std::collections::BTreeMap;

use tally_graph::Graph;

use crate::desired::realise::Surroundings;
use crate::input::needs::needs;
use crate::input::observed::HostState;
use crate::inventory::classify::{Class, classify};
use crate::inventory::containers::{Found, Inventory};
use crate::inventory::fast_path::FastPathInput;
use crate::inventory::patterns::Patterns;

/// What follows from a spec and its secrets alone, whatever is seen: kept from one plan to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared(pub(crate) Patterns);

impl Prepared {
    /// What follows from `graph`, with the keyed hashes of what its secrets hold by name.
    #[must_use]
    pub fn of(graph: &Graph, secrets: &BTreeMap<String, String>) -> Self {
        let Some(cluster) = graph.cluster() else { return Self::default() };
        let around = Surroundings::of(graph, &cluster.name, secrets);
        Self(Patterns::of(graph, &needs(graph), &around))
    }

    /// What a host shows, beside what the spec asks for.
    pub(crate) fn inventory<'a>(&self, cluster: &str, host: &'a HostState) -> Inventory<'a> {
        inventory_beside(cluster, host, &self.0, None)
    }
}

/// Sorts what a host showed. A container of ours that could not be inspected vanished between the
/// list and the inspection; it is left out, and the next observation will tell.
#[must_use]
pub fn inventory<'a>(cluster: &str, host: &'a HostState) -> Inventory<'a> {
    inventory_beside(cluster, host, &Patterns::default(), None)
}

/// [`inventory`], beside what the spec asks for, with a glance at each pod where there is who judges.
pub(crate) fn inventory_beside<'a>(
    cluster: &str,
    host: &'a HostState,
    patterns: &Patterns,
    judge: Option<&FastPathInput<'_>>,
) -> Inventory<'a> {
    let mut all = Inventory::default();
    for container in &host.containers {
        match (classify(cluster, container, patterns), &container.details) {
            (Class::Ours(identity), Some(details)) => {
                let pod = all.pods.entry(identity.pod).or_default();
                pod.insert(Found { identity, container, details });
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
        if let Some(judge) = judge {
            pod.fast_path = patterns.fast_path(name, pod, judge);
        }
    }
    all
}
