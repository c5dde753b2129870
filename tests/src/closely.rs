//! Plans made twice: at a glance, and with every pod compared field by field.

use tally_graph::Graph;
use tally_reconcile::memory::Memory;
use tally_reconcile::observed::Observed;
use tally_reconcile::plan::Plan;
use tally_reconcile::{Options, reconcile};

/// A plan, after making sure that what is passed over at a glance has nothing to do when it is
/// looked at closely either.
///
/// # Panics
/// When the two plans differ.
#[must_use]
pub fn plan(graph: &Graph, observed: &Observed, memory: &Memory, options: &Options) -> Plan {
    let plan = reconcile(graph, observed, memory, options);
    let closely = Options { thorough: true, ..options.clone() };
    let closely = reconcile(graph, observed, memory, &closely);
    let text = |plan: &Plan| serde_json::to_string(plan).unwrap_or_default();
    assert_eq!(text(&plan), text(&closely), "at a glance, and closely");
    plan
}
