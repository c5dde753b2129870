//! What `tally apply` does when a rollout failed whose spec says `on-failure=rollback`: what was there
//! before is followed from now on, and brought back at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tally_graph::{Address, Graph};
use tally_host::{ExecuteOptions, Host, Report, Secrets, execute, failed_versions};
use tally_reconcile::memory::revisions::Undone;
use tally_reconcile::plan::Plan;
use tally_reconcile::rollback::undo::undo;
use tally_reconcile::rollback::{Decision, Failed, decide, images, stays};
use tally_reconcile::{Options, reconcile};
use tokio::sync::watch;

use crate::commands::apply::{MOST_ROUNDS, Work, show_failures};
use crate::commands::plan::stop_on_errors;
use crate::errors::CliError;
use crate::history::History;
use crate::hosts;
use crate::memory::Remembered;
use crate::secrets;
use crate::show::progress::Shown;
use crate::show::terminal::{Style, Terminal, err, out};
use crate::show::{plan as shown, report};

/// Hosts by name.
type Hosts = BTreeMap<String, Arc<dyn Host>>;

/// Takes in that a plan was not carried out as a whole: keeps what came to be, and takes back the
/// rollouts that failed. Whether some were.
///
/// # Errors
/// What stops it; the workloads follow what they were all the same, and the next apply goes on.
pub async fn take_back(
    work: &Work<'_>,
    (plan, done): (&Plan, &Report),
    hosts: &Hosts,
    remembered: &mut Remembered,
    cancel: &watch::Receiver<bool>,
    terminal: &Terminal,
) -> Result<bool, CliError> {
    // Whoever stops an apply wants no more calls.
    if work.options.destroy || *cancel.borrow() {
        return Ok(false);
    }
    let (observed, now_ms) = remembered.look(work.graph, &hosts::reading(hosts)).await;
    let options = Options { now_ms, ..work.options.clone() };
    let left = reconcile(work.graph, &observed, &remembered.memory, &options);
    let history = History::of(work.graph, work.project);
    if work.options.target.is_none() {
        history.keep(work.graph, &left.settled(), "apply", now_ms)?;
    }
    let mut undone: BTreeMap<String, Undone> = BTreeMap::new();
    let mut reports = Vec::new();
    for (address, failed) in failed_versions(plan, done, "apply", now_ms) {
        match decide(work.graph, &observed, &remembered.memory, &address, failed) {
            Some(Decision::Back(back)) => {
                undone.insert(address, *back);
            }
            Some(Decision::Stays(why)) => reports.push(stays(work.graph, &address, &why)),
            None => {}
        }
    }
    err(&report::people(&reports, &work.graph.sources, terminal));
    if undone.is_empty() {
        return Ok(false);
    }
    // Before the first call: an apply that dies on the way back is finished by the next one.
    for (address, back) in &undone {
        remembered.set_undone(address, Some(back))?;
        history.keep_rollback(address, back)?;
    }
    let mut graph = work.graph.clone();
    undo(&mut graph, &remembered.memory.declared.undone);
    let secrets = match undone.values().all(|back| back.secrets.is_empty()) {
        true => work.secrets.clone(),
        false => secrets::read(&graph, work.project).await?,
    };
    let way = Way { work, graph: &graph, secrets, hosts, cancel, terminal };
    for (address, back) in &undone {
        let goal = back.failed.as_ref().map(Failed::goal).unwrap_or_default();
        let images = images(&back.workload);
        out(&format!(
            "\n{address} goes back to {goal}, {images}: its `update` says \
             on-failure=rollback\n"
        ));
        way.back(address, back, remembered).await?;
    }
    Ok(true)
}

struct Way<'a> {
    work: &'a Work<'a>,
    /// The spec, with what goes back as it was.
    graph: &'a Graph,
    secrets: Secrets,
    hosts: &'a Hosts,
    cancel: &'a watch::Receiver<bool>,
    terminal: &'a Terminal,
}

impl Way<'_> {
    /// Brings one workload back. What else the spec asks for waits for the next apply: it may have
    /// counted on what failed. A second failure ends it.
    async fn back(
        &self,
        address: &str,
        back: &Undone,
        remembered: &mut Remembered,
    ) -> Result<(), CliError> {
        let begun = Instant::now();
        let mut first: Option<Plan> = None;
        for _ in 0..MOST_ROUNDS {
            let readers = hosts::reading(self.hosts);
            let (observed, now_ms) = remembered.look(self.graph, &readers).await;
            let options = Options {
                now_ms,
                target: Address::parse(address),
                secrets: self.secrets.hashes().clone(),
                ..Options::default()
            };
            let plan = reconcile(self.graph, &observed, &remembered.memory, &options);
            stop_on_errors(&plan, self.graph)?;
            if plan.operations.is_empty() {
                self.say(address, back, first.as_ref().unwrap_or(&plan), begun);
                return remembered.write(hosts::now_ms());
            }
            if first.is_none() && !plan.changes.is_empty() {
                // What it follows from now on was said, and is said again by every plan.
                let changes = Plan { blocked: Vec::new(), ..plan.clone() };
                let header = hosts::header(self.graph, &observed);
                out(&shown::people(&changes, self.graph, &header, self.terminal));
            }
            remembered.memory.intend(&plan);
            remembered.write(hosts::now_ms())?;
            out("\n");
            let progress = Shown::new(&plan, self.terminal);
            let options = ExecuteOptions {
                calls_per_host: usize::from(self.work.parallel),
                secrets: self.secrets.clone(),
                ..ExecuteOptions::default()
            };
            let (graph, cancel) = (self.graph, self.cancel.clone());
            let done = execute(&plan, graph, self.hosts, &progress, cancel, &options).await;
            progress.finish();
            if !done.is_done() {
                show_failures(graph, &plan, &done, self.terminal);
                let goal = back.failed.as_ref().map(Failed::goal).unwrap_or_default();
                let why = format!("going back to {goal} failed too");
                let reports = [stays(graph, address, &why)];
                err(&report::people(&reports, &graph.sources, self.terminal));
                return Ok(());
            }
            first.get_or_insert(plan);
        }
        Ok(())
    }

    fn say(&self, address: &str, back: &Undone, plan: &Plan, begun: Instant) {
        let failed = back.failed.clone().unwrap_or_default();
        let verdict = self.terminal.paint(Style::Change, &format!("{address} was rolled back"));
        let pods = plan.changes.iter().filter_map(|change| change.subject.pod());
        let pods = pods.collect::<std::collections::BTreeSet<_>>().len();
        out(&format!(
            "\n{verdict} to {}, {}: {} put back in {:.1}s.\n  {}: {}\n  The spec \
             is followed again when it asks for something new; `tally rollout resume {address}` tries \
             it once more.\n",
            failed.goal(),
            images(&back.workload),
            crate::show::values::count(pods, "pod", "pods"),
            begun.elapsed().as_secs_f64(),
            failed.name(address),
            failed.why,
        ));
    }
}
