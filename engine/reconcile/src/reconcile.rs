//! The one door: graph, observation and memory to plan.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Address, Graph};
use tally_source::Diagnostic;

use crate::balance;
use crate::builder::Builder;
use crate::found::{Inventory, inventory_beside};
use crate::memory::Memory;
use crate::needs::needs;
use crate::observed::{HostState, Observed};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::quiet::Patterns;
use crate::realise::Surroundings;
use crate::standing;

/// The host of a cluster that names none: the local Docker engine.
pub const LOCAL_HOST: &str = "local";

/// What is asked of the planner beside the spec.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// When the observation was made, in milliseconds since 1970. Who counts as ready hangs on it,
    /// and how long a host has been silent.
    pub now_ms: i64,
    /// Only this workload, and what it needs.
    pub target: Option<Address>,
    /// Nothing shall be left.
    pub destroy: bool,
    /// With `destroy`: named volumes too.
    pub remove_volumes: bool,
    /// Hosts that are supposed to be lost: what if?
    pub without: BTreeSet<String>,
    /// Whether pods are moved only to even out, what placement never does by itself.
    pub rebalance: bool,
    /// Whether nothing is waited for: what has to wait is held back, for a later plan to do.
    pub without_waits: bool,
    /// Whether removing more than a fifth of what runs is held back until a person confirms it.
    pub guard_removals: bool,
    /// Keyed hashes of what the secrets hold, by name: what is there is compared with them. A secret
    /// that is not among them was not read, and counts as unchanged.
    pub secrets: BTreeMap<String, String>,
    /// Whether every pod is compared field by field, also those that are as they shall be at a
    /// glance. The plan is the same, and takes many times as long: for tests of that.
    pub thorough: bool,
}

/// What follows from a spec and its secrets alone, whatever is seen: kept from one plan to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared(Patterns);

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

/// The plan that brings what was seen to what the graph asks for.
#[must_use]
pub fn reconcile(graph: &Graph, observed: &Observed, memory: &Memory, options: &Options) -> Plan {
    let prepared = match options.thorough {
        true => Prepared::default(),
        false => Prepared::of(graph, &options.secrets),
    };
    reconcile_prepared(graph, observed, memory, options, &prepared)
}

/// [`reconcile`] with what was prepared of the same graph and the same secrets: the same plan, sooner.
#[must_use]
pub fn reconcile_prepared(
    graph: &Graph,
    observed: &Observed,
    memory: &Memory,
    options: &Options,
    prepared: &Prepared,
) -> Plan {
    debug_assert!(options.thorough || *prepared == Prepared::of(graph, &options.secrets));
    let mut builder = Builder::default();
    if let Some(cluster) = graph.cluster() {
        builder.plan.cluster.clone_from(&cluster.name);
        let around = Surroundings::of(graph, &cluster.name, &options.secrets);
        let needs = needs(graph);
        let patterns = &prepared.0;
        let hosts = standing::hosts(graph, observed, memory, options, patterns);
        for report in hosts.reports(options.now_ms) {
            builder.report(report);
        }
        if !builder.plan.has_errors() {
            let (hosts, needs) = (&hosts, &needs);
            let awaited = needs.values().flatten().map(|(name, _)| *name).collect();
            Planner { graph, cluster, hosts, memory, options, around, patterns, needs, awaited }
                .run(&mut builder);
        }
    }
    finish(builder)
}

/// Sorts what order must not depend on, takes out what is held back, and leaves nothing to do where
/// there is an error.
fn finish(mut builder: Builder) -> Plan {
    builder.settle_holds();
    let mut plan = builder.plan;
    plan.diagnostics.sort_by_key(Diagnostic::sort_key);
    plan.diagnostics.dedup();
    plan.reachable.sort();
    plan.fallbacks.sort();
    plan.held.sort();
    plan.held.dedup();
    if plan.has_errors() {
        plan.operations.clear();
        plan.changes.clear();
        plan.reachable.clear();
        plan.powers.clear();
        plan.fallbacks.clear();
        plan.held.clear();
        plan.balance = None;
    }
    balance::settle(&mut plan);
    plan
}
