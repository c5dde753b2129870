//! The reports of a plan about rollouts: the revision to return to, and the failures of rollouts that
//! were rolled back.

use tally_graph::{FieldPath, Graph, Workload};
use tally_source::{Diagnostic, Span, engine_codes};

use crate::inventory::containers::Inventory;
use crate::inventory::host_status::Hosts;
use crate::memory::Memory;
use crate::memory::revisions::{FailureAttribution, RolloutFailure};
use crate::plan::Fallback;
use crate::plan::builder::Builder;
use crate::plan::pod_plan::PodPlan;
use crate::plan::reason::{BlockReason, Blocked};
use crate::plan::subject::Subject;
use crate::rollback::previous_revision::previous_revision;
use crate::rollback::rollout_state::{RolloutState, rollout_state};

/// Returns the report that a rollout failed and is not rolled back.
#[must_use]
pub fn not_rolled_back(graph: &Graph, address: &str, why: &str) -> Diagnostic {
    let workload = graph.workload_at(address);
    let headline = format!("the rollout of `{address}` failed and stays where it is: {why}");
    let found = Diagnostic::warning(engine_codes::ROLLOUT_STAYS_FAILED, headline);
    let found = match workload {
        Some(workload) => found.label(workload.span, "`on-failure=rollback` cannot help here"),
        None => found,
    };
    found.help("Pods that serve are not touched. Correct the spec and apply again.")
}

/// Reports the workloads that were rolled back, each with its failure.
pub(crate) fn report_rolled_back(
    graph: &Graph,
    memory: &Memory,
    wanted: &[&Workload],
    builder: &mut Builder,
) {
    if memory.declared.rolled_back.is_empty() {
        return;
    }
    for workload in wanted {
        let Some(RolloutState::RolledBack(failed)) = rollout_state(workload, memory) else {
            continue;
        };
        let address = workload.address().to_string();
        let name = failed.name(&address);
        let resume = format!("`tally rollout resume {address}` tries it once more.");
        let span = failure_span(graph, workload, failed);
        let mut help = format!(
            "It runs {} ({}) until the spec asks for another revision. {resume}",
            failed.goal(),
            images(workload)
        );
        if !failed.last_lines.is_empty() {
            help.push_str(&format!("\nlast lines of {name}:"));
            for line in &failed.last_lines {
                help.push_str(&format!("\n  | {line}"));
            }
        }
        let headline = format!("`{address}` was rolled back: {name}: {}", failed.why);
        builder.report(
            Diagnostic::warning(engine_codes::ROLLED_BACK, headline)
                .label(span, "this failed")
                .help(help),
        );
        builder.plan.blocked.push(Blocked {
            subject: Subject::from_workload(workload),
            host: None,
            reason: BlockReason::RolledBack {
                entry: (failed.entry > 0).then_some(failed.entry),
                failed: name,
                why: failed.why.clone(),
                workload: address,
            },
            origin: Some(span),
        });
    }
}

/// Adds the revision to the plan that a rollout returns to when it fails.
pub(crate) fn report_fallback(
    (graph, hosts, memory): (&Graph, &Hosts<'_>, &Memory),
    workload: &Workload,
    own: &[PodPlan],
    builder: &mut Builder,
) {
    if !own.iter().any(|pod| pod.rolls) {
        return;
    }
    let Some(RolloutState::Rolling(previous)) = rollout_state(workload, memory) else { return };
    let inventories: Vec<&Inventory<'_>> = hosts.ready.iter().map(|host| &host.inventory).collect();
    let (can_roll_back, entry, what) =
        match previous_revision(graph, &inventories, workload, previous) {
            Ok((entry, before)) => (true, (entry > 0).then_some(entry), images(&before.workload)),
            Err(why) => (false, None, why),
        };
    let workload = workload.address().to_string();
    builder.plan.fallbacks.push(Fallback { workload, can_roll_back, entry, what });
}

/// Returns the position of the attribute that has to change.
#[must_use]
pub fn failure_span(graph: &Graph, workload: &Workload, failed: &RolloutFailure) -> Span {
    let paths: &[&str] = match failed.failure_attribution {
        FailureAttribution::Image => &["image"],
        FailureAttribution::Command => &["command", "image"],
        FailureAttribution::Readiness => &["readiness"],
        FailureAttribution::Publish => &["port"],
    };
    let known = workload.container_provenance.get(&failed.container);
    let written = paths.iter().find_map(|path| {
        let exact = known?.exact(&FieldPath::new([*path]));
        // The fields of a block are recorded one by one.
        let below = || known?.iter().find(|(at, _)| at.first() == *path).map(|(_, origin)| origin);
        graph.written_at(exact.or_else(below)?)
    });
    let node = workload.container_spans.get(&failed.container).copied();
    written.or(node).unwrap_or(workload.span)
}

/// Returns the images of a workload's containers, by which people recognise a revision.
#[must_use]
pub fn images(workload: &Workload) -> String {
    let images = workload.containers.iter().map(|container| container.image.to_string());
    images.collect::<Vec<_>>().join(", ")
}
