//! The entry point of planning: computes the plan from the graph, the observation and the memory.

use std::collections::BTreeSet;

use tally_graph::Graph;
use tally_source::Diagnostic;

use crate::desired::realise::RealiseContext;
use crate::input::needs::needs;
use crate::input::observed::Observed;
use crate::input::options::Options;
use crate::inventory::collect::Prepared;
use crate::inventory::host_status;
use crate::memory::Memory;
use crate::plan::balance::Move;
use crate::plan::builder::Builder;
use crate::plan::{Action, Plan};
use crate::planner::context::Planner;

/// Returns the plan that changes the observed state into the desired state of the graph.
#[must_use]
pub fn reconcile(graph: &Graph, observed: &Observed, memory: &Memory, options: &Options) -> Plan {
    let prepared =
        if options.thorough { Prepared::default() } else { Prepared::of(graph, &options.secrets) };
    reconcile_prepared(graph, observed, memory, options, &prepared)
}

/// Returns the same plan as [`reconcile`], faster. `prepared` must be of the same graph and secrets.
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
        let around = RealiseContext::new(graph, &cluster.name, &options.secrets);
        let needs = needs(graph);
        let patterns = &prepared.0;
        let hosts = host_status::hosts(graph, observed, memory, options, patterns);
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

/// Finishes a plan: removes blocked operations, sorts the lists whose order does not depend on planning, and
/// removes all operations if there is an error.
fn finish(mut builder: Builder) -> Plan {
    builder.settle_blocks();
    let mut plan = builder.plan;
    plan.diagnostics.sort_by_key(Diagnostic::sort_key);
    plan.diagnostics.dedup();
    plan.reachable.sort();
    plan.fallbacks.sort();
    plan.blocked.sort();
    plan.blocked.dedup();
    if plan.has_errors() {
        plan.operations.clear();
        plan.changes.clear();
        plan.reachable.clear();
        plan.host_access.clear();
        plan.fallbacks.clear();
        plan.blocked.clear();
        plan.balance = None;
    }
    settle_balance(&mut plan);
    plan
}

/// Removes the moves that are blocked from the balance of a plan.
fn settle_balance(plan: &mut Plan) {
    let Some(mut balance) = plan.balance.take() else { return };
    let made: BTreeSet<(&str, Option<&str>)> = plan
        .operations
        .iter()
        .filter(|operation| matches!(operation.action, Action::CreateContainer(_)))
        .map(|operation| (operation.host.as_str(), operation.subject.pod()))
        .collect();
    let is_made = |it: &Move| made.contains(&(it.to.as_str(), it.subject.pod()));
    for blocked in balance.moves.iter().filter(|it| !is_made(it)) {
        for load in &mut balance.hosts {
            if load.host == blocked.to {
                load.pods_after = load.pods_after.saturating_sub(1);
                load.cpu.after = load.cpu.after.saturating_sub(blocked.cpu);
                load.memory.after = load.memory.after.saturating_sub(blocked.memory);
            }
            if load.host == blocked.from {
                load.pods_after += 1;
                load.cpu.after += blocked.cpu;
                load.memory.after += blocked.memory;
            }
        }
    }
    balance.moves.retain(is_made);
    plan.balance = Some(balance);
}
