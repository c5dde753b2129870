//! `tally apply`: plan, ask, carry out, look again, until nothing differs.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tally_graph::Graph;
use tally_host::{
    ExecuteOptions, Failure, FailureKind, Fetched, Host, Outcome, Report, Secrets, execute,
};
use tally_reconcile::plan::{ChangeKind, OpId, Plan};
use tally_reconcile::rollback::undo::{ended, undo};
use tally_reconcile::{Options, reconcile};
use tally_source::{Code, Diagnostic};

use crate::args;
use crate::commands::destroy::{nothing_to_destroy, staying};
use crate::commands::going_back::take_back;
use crate::commands::plan::{stop_on_errors, target};
use crate::errors::{CliError, Exit};
use crate::history::History;
use crate::hosts;
use crate::memory::Remembered;
use crate::project::Project;
use crate::saved::Saved;
use crate::secrets;
use crate::show::failure::failure_reports;
use crate::show::progress::Shown;
use crate::show::terminal::{Style, Terminal, err, out};
use crate::show::values::count;
use crate::show::{balance, plan as shown, report};
use crate::signals;

/// One round does it unless somebody else changes the cluster meanwhile.
pub const MOST_ROUNDS: usize = 3;

/// What is to be carried out.
pub struct Work<'a> {
    /// Where the spec lies.
    pub project: &'a Project,
    /// The spec.
    pub graph: &'a Graph,
    /// What is asked of the planner.
    pub options: Options,
    /// So many calls at once.
    pub parallel: u16,
    /// The plan that was agreed to before.
    pub saved: Option<&'a Saved>,
    /// What the secrets hold that it uses.
    pub secrets: Secrets,
    /// Workloads that were undone until a newer spec comes, and it has come.
    pub ended: Vec<String>,
}

pub async fn run(args: args::Apply, terminal: &Terminal) -> Result<Exit, CliError> {
    if let Some(saved) = Saved::read(&args.spec)? {
        return run_saved(&saved, &args, terminal).await;
    }
    let project = Project::find(&args.spec)?;
    let (mut graph, warnings) = project.graph()?;
    let remembered = Remembered::read(&graph, &project)?;
    // With `--target` another workload's newer spec is not followed yet.
    let ended = match args.target {
        None => ended(&graph, &remembered.memory.declared.undone),
        Some(_) => Vec::new(),
    };
    remembered.undo(&mut graph);
    err(&report::people(&warnings, &graph.sources, terminal));
    let target = args.target.as_deref().map(|text| target(&graph, text)).transpose()?;
    let options = Options { target, rebalance: args.rebalance, ..Options::default() };
    let work = Work {
        project: &project,
        graph: &graph,
        options,
        parallel: args.parallel,
        saved: None,
        secrets: secrets::read(&graph, &project).await?,
        ended,
    };
    carry_out(work, remembered, args.yes, terminal).await
}

async fn run_saved(
    saved: &Saved,
    args: &args::Apply,
    terminal: &Terminal,
) -> Result<Exit, CliError> {
    if args.target.is_some() {
        return Err(CliError::Usage(
            "a saved plan has its target already".to_owned(),
            "Leave `--target` out, or plan again with it.".to_owned(),
        ));
    }
    if args.rebalance {
        return Err(CliError::Usage(
            "a saved plan has its moves already".to_owned(),
            "Leave `--rebalance` out, or save a plan with it: `tally plan --rebalance --out FILE`."
                .to_owned(),
        ));
    }
    let project = Project {
        folder: PathBuf::from(&saved.folder),
        entry: String::new(),
        shown: String::new(),
    };
    let graph = &saved.graph;
    let remembered = Remembered::read(graph, &project)?;
    // What failed or was undone since it was saved is not done all the same.
    if !undo(&mut graph.clone(), &remembered.memory.declared.undone).is_empty() {
        return Err(moved_on(graph));
    }
    let target = saved.target.as_deref().map(|text| target(graph, text)).transpose()?;
    let destroy = saved.destroy;
    let options = Options {
        target,
        destroy,
        remove_volumes: saved.remove_volumes,
        rebalance: saved.rebalance,
        ..Options::default()
    };
    let secrets = match destroy {
        true => Secrets::default(),
        false => secrets::read(graph, &project).await?,
    };
    let work = Work {
        project: &project,
        graph,
        options,
        parallel: args.parallel,
        saved: Some(saved),
        secrets,
        ended: Vec::new(),
    };
    // Whoever saved the plan has read it.
    carry_out(work, remembered, true, terminal).await
}

/// Plans, asks, carries out, until nothing differs.
///
/// # Errors
/// What stops it before anything was changed; what happens later is shown.
pub async fn carry_out(
    mut work: Work<'_>,
    mut remembered: Remembered,
    yes: bool,
    terminal: &Terminal,
) -> Result<Exit, CliError> {
    let hosts = hosts::writers(work.graph, work.project).await?;
    let readers = hosts::reading(&hosts);
    let (observed, now_ms) = remembered.look(work.graph, &readers).await;
    work.options.now_ms = now_ms;
    work.options.secrets.clone_from(work.secrets.hashes());
    let plan = reconcile(work.graph, &observed, &remembered.memory, &work.options);
    stop_on_errors(&plan, work.graph)?;
    err(&report::people(&plan.diagnostics, &work.graph.sources, terminal));
    if let Some(saved) = work.saved
        && !saved.still_fits(&plan)
    {
        return Err(moved_on(work.graph));
    }
    let header = hosts::header(work.graph, &observed);
    let left = staying(work.graph, &observed, &work.options, terminal);
    if work.options.destroy && plan.is_empty() && plan.blocked.is_empty() {
        out(&nothing_to_destroy(&header, &plan.cluster, &left));
        return Ok(Exit::Done);
    }
    out(&format!("{}{left}", shown::people(&plan, work.graph, &header, terminal)));
    if plan.operations.is_empty() {
        remembered.write(hosts::now_ms())?;
        return Ok(if plan.blocked.is_empty() { Exit::Done } else { Exit::Failed });
    }
    if !plan.is_empty() && !yes {
        ask(&plan, work.options.destroy)?;
    }
    rounds(&work, plan, &hosts, remembered, terminal).await
}

async fn rounds(
    work: &Work<'_>,
    first: Plan,
    hosts: &BTreeMap<String, Arc<dyn Host>>,
    mut remembered: Remembered,
    terminal: &Terminal,
) -> Result<Exit, CliError> {
    let begun = Instant::now();
    let newline = if terminal.stderr { "\n" } else { "" };
    let cancel = signals::stop(move || {
        err(&format!("{newline}stopping: calls in flight finish, no new one begins\n"));
    })?;
    remembered.end_undone(&work.ended)?;
    let mut plan = first.clone();
    let fetched = Fetched::default();
    for _ in 0..MOST_ROUNDS {
        // Before the first call: a create whose reply is lost may have been done.
        remembered.memory.intend(&plan);
        remembered.write(hosts::now_ms())?;
        out("\n");
        let progress = Shown::new(&plan, terminal);
        let options = ExecuteOptions {
            calls_per_host: usize::from(work.parallel),
            secrets: work.secrets.clone(),
            fetched: fetched.clone(),
            ..ExecuteOptions::default()
        };
        let done = execute(&plan, work.graph, hosts, &progress, cancel.clone(), &options).await;
        progress.finish();
        if !done.is_done() {
            let exit = show_failures(work.graph, &plan, &done, terminal);
            let (what, kept) = ((&plan, &done), &mut remembered);
            return Ok(match take_back(work, what, hosts, kept, &cancel, terminal).await? {
                true => Exit::Failed,
                false => {
                    err("Nothing is lost: `tally apply` goes on from here.\n");
                    exit
                }
            });
        }
        let (observed, now_ms) = remembered.look(work.graph, &hosts::reading(hosts)).await;
        // What was agreed to is moved, and no more than that.
        let options = Options { now_ms, rebalance: false, ..work.options.clone() };
        plan = reconcile(work.graph, &observed, &remembered.memory, &options);
        stop_on_errors(&plan, work.graph)?;
        if plan.is_empty() {
            remembered.write(hosts::now_ms())?;
            if !work.options.destroy && work.options.target.is_none() {
                let history = History::of(work.graph, work.project);
                history.keep(work.graph, &plan.settled(), "apply", options.now_ms)?;
            }
            let left = !staying(work.graph, &observed, &work.options, terminal).is_empty();
            conclude(work, (&first, &plan), left, begun.elapsed(), terminal);
            return Ok(if plan.blocked.is_empty() { Exit::Done } else { Exit::Failed });
        }
    }
    Err(CliError::Usage(
        format!("`{}` still differs after {MOST_ROUNDS} rounds", first.cluster),
        "Is somebody else changing it? `tally plan` shows what differs.".to_owned(),
    ))
}

/// The summary, which ends with the published addresses.
fn conclude(
    work: &Work<'_>,
    (first, last): (&Plan, &Plan),
    leaves_volumes: bool,
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
    let parts = match parts.is_empty() {
        true => "all ready".to_owned(),
        false => parts.join(", "),
    };
    let but = if leaves_volumes { ", but for its named volumes" } else { "" };
    let (style, verdict) = match (work.options.destroy, last.blocked.is_empty()) {
        (_, false) => (Style::Change, format!("{} is not all as the spec says", first.cluster)),
        (true, true) => (Style::Add, format!("{} is gone{but}", first.cluster)),
        (false, true) => (Style::Add, format!("{} tallies", first.cluster)),
    };
    let verdict = terminal.paint(style, &verdict);
    out(&format!("\n{verdict}: {parts} in {:.1}s.\n", took.as_secs_f64()));
    let width = last.reachable.iter().map(|r| r.pod.chars().count()).max().unwrap_or(0);
    for reachable in &last.reachable {
        out(&format!("  {:width$}  {}\n", reachable.pod, shown::address(reachable, work.graph)));
    }
    out(&shown::blocked(&last.blocked, work.graph, terminal));
}

/// Says what failed and what was not done.
pub fn show_failures(graph: &Graph, plan: &Plan, done: &Report, terminal: &Terminal) -> Exit {
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
        [(failures.len(), "failed"), (skipped, "not tried because of that"), (left, "not begun")]
    {
        if number > 0 {
            text.push_str(&format!(", {number} {words}"));
        }
    }
    err(&format!("{text}.\n"));
    let only_unready =
        failures.iter().all(|(_, failure)| matches!(failure.kind, FailureKind::NotReady { .. }));
    match only_unready && left == 0 && !failures.is_empty() {
        true => Exit::Differs,
        false => Exit::Failed,
    }
}

fn moved_on(graph: &Graph) -> CliError {
    let report = Diagnostic::error(
        Code(1104),
        "this plan no longer fits: the cluster has moved on",
    )
    .help(
        "What would be done now is not what was planned: something on the hosts, or a secret, has \
             changed since. Plan again: `tally plan --out FILE`.",
    );
    CliError::report(report, &graph.sources)
}

/// Asks before anything is changed; never without a terminal.
fn ask(plan: &Plan, destroy: bool) -> Result<(), CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::Usage(
            "this would change the cluster, and there is no terminal to ask at".to_owned(),
            "Say `--yes` to go ahead without being asked.".to_owned(),
        ));
    }
    let what = match destroy {
        true => format!("Remove all this of cluster `{}`", plan.cluster),
        false => format!("Apply this to cluster `{}`", plan.cluster),
    };
    err(&format!("\n{what}? [y/N] "));
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    match (read, line.trim().to_ascii_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(CliError::Usage("not applied".to_owned(), "Nothing was changed.".to_owned())),
    }
}
