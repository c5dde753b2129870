//! Output of a bounded convergence apart from its plans: failures, rollbacks, the summary.

use std::collections::BTreeSet;
use std::time::Duration;

use tally_control::convergence::Refused;
use tally_graph::Graph;
use tally_host::{Failure, FailureKind, Outcome, Report};
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::plan::{ChangeKind, OpId, Plan};
use tally_reconcile::rollback::{RolloutFailure, images, not_rolled_back};

use crate::errors::Exit;
use crate::show::failure::failure_reports;
use crate::show::terminal::{Style, Terminal, err, out};
use crate::show::values::count;
use crate::show::{balance, plan, report};

/// Shows the summary of a convergence, which ends with the published addresses.
pub fn conclude(
    graph: &Graph,
    (first, last): (&Plan, &Plan),
    destroy: bool,
    but: &str,
    took: Duration,
    terminal: &Terminal,
) {
    let halves = balance::halves(first);
    let listed = first.changes.iter().filter(|change| !balance::is_half(change, &halves));
    let of = |kind: ChangeKind| listed.clone().filter(|c| c.kind == kind).count();
    let parts = [
        (of(ChangeKind::Create), "added"),
        (of(ChangeKind::Update), "changed"),
        (of(ChangeKind::Replace), "replaced"),
        (of(ChangeKind::Remove), "removed"),
        (halves.len() / 2, "moved"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let parts = if parts.is_empty() { "all ready".to_owned() } else { parts.join(", ") };
    let (style, verdict) = match (destroy, last.blocked.is_empty()) {
        (_, false) => (Style::Change, format!("{} is not all as the spec says", first.cluster)),
        (true, true) => (Style::Add, format!("{} is gone{but}", first.cluster)),
        (false, true) => (Style::Add, format!("{} tallies", first.cluster)),
    };
    let verdict = terminal.paint(style, &verdict);
    out(&format!("\n{verdict}: {parts} in {:.1}s.\n", took.as_secs_f64()));
    let width = last.reachable.iter().map(|r| r.pod.chars().count()).max().unwrap_or(0);
    for reachable in &last.reachable {
        out(&format!("  {:width$}  {}\n", reachable.pod, plan::address(reachable, graph)));
    }
    out(&plan::blocked(&last.blocked, graph, terminal));
}

/// Shows the operations that failed and those that were not executed.
pub fn failures(graph: &Graph, plan: &Plan, done: &Report, terminal: &Terminal) {
    let failures: Vec<(OpId, &Failure)> = done.failures().collect();
    let failed: Vec<_> = failures
        .iter()
        .filter_map(|(id, failure)| Some((plan.operation(*id)?, *failure)))
        .collect();
    let reports = failure_reports(&failed, graph);
    err("\n");
    err(&report::people(&reports, &graph.sources, terminal));
    let number = |wanted: fn(&Outcome) -> bool| done.outcomes.iter().filter(|o| wanted(o)).count();
    let finished = number(|outcome| matches!(outcome, Outcome::Done { .. }));
    let skipped = number(|outcome| matches!(outcome, Outcome::Skipped { .. }));
    let left = number(|outcome| matches!(outcome, Outcome::NotStarted));
    let mut text = format!("{} done", count(finished, "call", "calls"));
    for (number, words) in
        [(failures.len(), "failed"), (skipped, "skipped because of that"), (left, "not started")]
    {
        if number > 0 {
            text.push_str(&format!(", {number} {words}"));
        }
    }
    err(&format!("{text}.\n"));
}

/// Returns how a command ends whose plan was not executed as a whole.
#[must_use]
pub fn exit_of(report: &Report) -> Exit {
    let mut failures = report.failures().peekable();
    let stopped = report.outcomes.iter().any(|outcome| matches!(outcome, Outcome::NotStarted));
    let any = failures.peek().is_some();
    let only_unready =
        failures.all(|(_, failure)| matches!(failure.kind, FailureKind::NotReady { .. }));
    if only_unready && any && !stopped { Exit::Differs } else { Exit::Failed }
}

/// Shows the rollouts that failed and are not rolled back.
pub fn refused(graph: &Graph, refused: &[Refused], terminal: &Terminal) {
    let reports: Vec<_> =
        refused.iter().map(|it| not_rolled_back(graph, &it.address, &it.reason)).collect();
    err(&report::people(&reports, &graph.sources, terminal));
}

/// Shows that a workload is about to be rolled back.
pub fn rolling_back(address: &str, rolled_back: &RolledBack) {
    let images = images(&rolled_back.workload);
    out(&format!(
        "\n{address} rolls back to {}, {images}: its `update` says on-failure=rollback\n",
        goal(rolled_back)
    ));
}

/// Shows that a workload was rolled back by a plan.
pub fn rolled_back(
    address: &str,
    rolled_back: &RolledBack,
    plan: &Plan,
    took: Duration,
    terminal: &Terminal,
) {
    let failed = rolled_back.failed.clone().unwrap_or_default();
    let verdict = terminal.paint(Style::Change, &format!("{address} was rolled back"));
    let pods = plan.changes.iter().filter_map(|change| change.subject.pod());
    let pods = pods.collect::<BTreeSet<_>>().len();
    out(&format!(
        "\n{verdict} to {}, {}: {} put back in {:.1}s.\n  {}: {}\n  The spec \
         is followed again when it asks for something new; `tally rollout resume {address}` tries \
         it once more.\n",
        failed.goal(),
        images(&rolled_back.workload),
        count(pods, "pod", "pods"),
        took.as_secs_f64(),
        failed.name(address),
        failed.why,
    ));
}

/// Shows that a rollback failed too.
pub fn rollback_failed(
    graph: &Graph,
    address: &str,
    rolled_back: &RolledBack,
    terminal: &Terminal,
) {
    let why = format!("the rollback to {} failed too", goal(rolled_back));
    let reports = [not_rolled_back(graph, address, &why)];
    err(&report::people(&reports, &graph.sources, terminal));
}

/// Returns the revision that a workload is rolled back to.
fn goal(rolled_back: &RolledBack) -> String {
    rolled_back.failed.as_ref().map(RolloutFailure::goal).unwrap_or_default()
}
