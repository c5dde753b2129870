//! Runs a bounded convergence for `apply`, `destroy` and saved plans, and shows it.

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tally_control::convergence::{
    Actor, Convergence, Observer, PlanningResult, Refused, Request, Session, SessionOutcome,
};
use tally_graph::Graph;
use tally_host::{Progress, Report, Secrets};
use tally_reconcile::Options;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::plan::{Operation, Plan};
use tally_source::{Diagnostic, engine_codes};
use tokio::sync::watch;

use crate::errors::{CliError, Exit};
use crate::hosts;
use crate::memory::Remembered;
use crate::project::Project;
use crate::show::destroy::{nothing_to_destroy, staying};
use crate::show::progress::ProgressView;
use crate::show::terminal::{Terminal, err, out};
use crate::show::{converge as shown, plan as shown_plan, report};
use crate::signals;
use crate::storage::Folder;

/// Maximum number of passes. One is enough unless somebody else changes the cluster meanwhile.
const PASSES: usize = 3;

/// The input of a command that applies a spec.
pub struct Work<'a> {
    /// Where the spec is.
    pub project: &'a Project,
    /// The spec that is followed.
    pub graph: &'a Graph,
    /// The options of the planner.
    pub options: Options,
    /// Maximum concurrent Docker API calls per host.
    pub parallel: u16,
    /// The operations of the plan that was agreed to before.
    pub agreed: Option<Vec<Operation>>,
    /// The values of the secrets that it uses.
    pub secrets: Secrets,
    /// Workloads whose rollback ends, since a newer spec came for them.
    pub ended_rollbacks: Vec<String>,
}

/// Converges a cluster, and shows how.
///
/// # Errors
/// The failure that stops it.
pub async fn converge(
    work: Work<'_>,
    remembered: Remembered,
    yes: bool,
    terminal: &Terminal,
) -> Result<Exit, CliError> {
    let hosts = hosts::writers(work.graph, work.project).await?;
    let (memory, clocks) = (remembered.memory.clone(), remembered.clocks().cloned());
    let storage = Folder::new(work.project, work.graph, Actor::Apply, remembered);
    let graph = work.graph.clone();
    let convergence =
        Convergence::new(Actor::Apply, graph, memory, work.secrets, Arc::new(storage));
    let destroy = work.options.destroy;
    let request = Request {
        options: work.options,
        calls_per_host: usize::from(work.parallel),
        passes: PASSES,
        agreed: work.agreed,
        ended_rollbacks: work.ended_rollbacks,
        now_ms: hosts::now_ms,
    };
    let screen = Screen { terminal: *terminal, yes, destroy, declined: Mutex::default() };
    let options = request.options.clone();
    let mut session = Session::new(convergence, hosts, request, &screen, clocks);
    let outcome = session.converge().await?;
    let state = session.state();
    let left = || !staying(state.graph(), &state.observed, &options, terminal).is_empty();
    screen.conclude(outcome, state, left)
}

/// Shows a convergence, and asks before anything is changed.
struct Screen {
    terminal: Terminal,
    /// Whether nobody is asked.
    yes: bool,
    destroy: bool,
    /// Why the plan was declined.
    declined: Mutex<Option<CliError>>,
}

impl Screen {
    /// Shows how a convergence ended.
    fn conclude(
        &self,
        outcome: SessionOutcome,
        state: &Convergence,
        leaves_volumes: impl Fn() -> bool,
    ) -> Result<Exit, CliError> {
        let (graph, terminal) = (state.graph(), &self.terminal);
        match outcome {
            SessionOutcome::MovedOn(plan) => {
                err(&report::people(&plan.diagnostics, &graph.sources, terminal));
                Err(moved_on(graph))
            }
            SessionOutcome::NothingToDestroy => Ok(Exit::Done),
            SessionOutcome::Unchanged(plan) => Ok(done_unless_blocked(&plan)),
            SessionOutcome::Declined => {
                let declined = self.declined.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(declined.unwrap_or_else(not_applied))
            }
            SessionOutcome::Converged { first, last, took } => {
                let but = if leaves_volumes() { ", except its named volumes" } else { "" };
                shown::conclude(graph, (&first, &last), self.destroy, but, took, terminal);
                Ok(done_unless_blocked(&last))
            }
            SessionOutcome::Failed(report) => {
                err("No work is lost: the next `tally apply` continues.\n");
                Ok(shown::exit_of(&report))
            }
            SessionOutcome::RolledBack => Ok(Exit::Failed),
            SessionOutcome::StillDiffers(plan) => Err(CliError::Usage(
                format!("`{}` still differs after {PASSES} rounds", plan.cluster),
                "Is somebody else changing it? `tally plan` shows what differs.".to_owned(),
            )),
        }
    }

    /// Asks, and listens for signals from then on.
    fn start(&self, plan: &Plan) -> Result<watch::Receiver<bool>, CliError> {
        if !plan.is_empty() && !self.yes {
            ask(plan, self.destroy)?;
        }
        let newline = if self.terminal.stderr { "\n" } else { "" };
        signals::stop(move || {
            err(&format!("{newline}stopping: calls in flight finish, no new one begins\n"));
        })
    }
}

fn done_unless_blocked(plan: &Plan) -> Exit {
    if plan.blocked.is_empty() { Exit::Done } else { Exit::Failed }
}

impl Observer for Screen {
    fn reviewed(&self, planned: &PlanningResult<'_>) {
        let PlanningResult { graph, observed, options, plan, .. } = planned;
        err(&report::people(&plan.diagnostics, &graph.sources, &self.terminal));
        let header = hosts::header(graph, observed);
        let left = staying(graph, observed, options, &self.terminal);
        if options.destroy && plan.is_empty() && plan.blocked.is_empty() {
            out(&nothing_to_destroy(&header, &plan.cluster, &left));
        } else {
            let text = shown_plan::people(plan, graph, &header, &self.terminal);
            out(&format!("{text}{left}"));
        }
    }

    fn confirm(&self, plan: &Plan) -> Option<watch::Receiver<bool>> {
        match self.start(plan) {
            Ok(cancel) => Some(cancel),
            Err(error) => {
                *self.declined.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                None
            }
        }
    }

    fn executing<'p>(&'p self, plan: &'p Plan) -> Box<dyn Progress + 'p> {
        out("\n");
        Box::new(ProgressView::new(plan, &self.terminal))
    }

    fn failed(&self, graph: &Graph, plan: &Plan, report: &Report) {
        shown::failures(graph, plan, report, &self.terminal);
    }

    fn refused(&self, graph: &Graph, refused: &[Refused]) {
        shown::refused(graph, refused, &self.terminal);
    }

    fn rolling_back(&self, address: &str, rolled_back: &RolledBack) {
        shown::rolling_back(address, rolled_back);
    }

    fn rollback_planned(&self, planned: &PlanningResult<'_>) {
        // Every plan says which revision the workload follows; this one need not.
        let changes = Plan { blocked: Vec::new(), ..planned.plan.clone() };
        let header = hosts::header(planned.graph, planned.observed);
        out(&shown_plan::people(&changes, planned.graph, &header, &self.terminal));
    }

    fn rolled_back(&self, address: &str, rolled_back: &RolledBack, plan: &Plan, took: Duration) {
        shown::rolled_back(address, rolled_back, plan, took, &self.terminal);
    }

    fn rollback_failed(&self, graph: &Graph, address: &str, rolled_back: &RolledBack) {
        shown::rollback_failed(graph, address, rolled_back, &self.terminal);
    }
}

/// Returns the report of a saved plan that no longer fits.
pub fn moved_on(graph: &Graph) -> CliError {
    let report = Diagnostic::error(
        engine_codes::SAVED_PLAN_OUTDATED,
        "this saved plan is outdated: the cluster has changed since",
    )
    .help(
        "A new plan differs from the saved one: something on the hosts, or a secret, has changed. \
             Plan again: `tally plan --out FILE`.",
    );
    CliError::report(report, &graph.sources)
}

/// Asks before anything is changed; refuses without a terminal.
fn ask(plan: &Plan, destroy: bool) -> Result<(), CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::Usage(
            "this would change the cluster, and there is no terminal for the confirmation"
                .to_owned(),
            "Use `--yes` to skip the confirmation.".to_owned(),
        ));
    }
    let what = if destroy {
        format!("Remove all this of cluster `{}`", plan.cluster)
    } else {
        format!("Apply this to cluster `{}`", plan.cluster)
    };
    err(&format!("\n{what}? [y/N] "));
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    match (read, line.trim().to_ascii_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(not_applied()),
    }
}

fn not_applied() -> CliError {
    CliError::Usage("not applied".to_owned(), "Nothing was changed.".to_owned())
}
