//! Reports of a session while it runs, and its questions.

use std::time::Duration;

use tally_graph::Graph;
use tally_host::{Progress, Report};
use tally_reconcile::Options;
use tally_reconcile::input::observed::Observed;
use tally_reconcile::memory::Memory;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::plan::Plan;
use tokio::sync::watch;

/// A plan and everything it was made of.
#[derive(Debug, Clone, Copy)]
pub struct PlanningResult<'a> {
    /// The graph that is followed.
    pub graph: &'a Graph,
    /// The latest observation.
    pub observed: &'a Observed,
    /// The learned values and the declarations of people.
    pub memory: &'a Memory,
    /// The options of the planner.
    pub options: &'a Options,
    /// The plan.
    pub plan: &'a Plan,
}

/// A workload whose rollout failed and that is not rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The address of the workload.
    pub address: String,
    /// Why it is not rolled back.
    pub reason: String,
}

/// Is called as a session goes on. Only [`Observer::confirm`] decides anything.
pub trait Observer: Send + Sync {
    /// A plan was made, whichever.
    fn planned(&self, _planned: &PlanningResult<'_>) {}

    /// The first plan was made, has no errors, and fits the one that was agreed to.
    fn reviewed(&self, _planned: &PlanningResult<'_>) {}

    /// Decides whether the first plan is executed. The receiver turns true when the session is to stop: calls
    /// in flight finish, no other starts. `None` declines the plan.
    fn confirm(&self, plan: &Plan) -> Option<watch::Receiver<bool>>;

    /// A plan is about to be executed; the returned value hears its events, and is dropped at the end of the
    /// execution.
    fn executing<'p>(&'p self, plan: &'p Plan) -> Box<dyn Progress + 'p>;

    /// A plan was not executed as a whole.
    fn failed(&self, _graph: &Graph, _plan: &Plan, _report: &Report) {}

    /// These rollouts failed and are not rolled back.
    fn refused(&self, _graph: &Graph, _refused: &[Refused]) {}

    /// A workload is about to be rolled back.
    fn rolling_back(&self, _address: &str, _rolled_back: &RolledBack) {}

    /// The first plan of a rollback that changes anything was made.
    fn rollback_planned(&self, _planned: &PlanningResult<'_>) {}

    /// A workload was rolled back in the time `took`, by `plan` and the plans that followed for the remaining
    /// operations.
    fn rolled_back(
        &self,
        _address: &str,
        _rolled_back: &RolledBack,
        _plan: &Plan,
        _took: Duration,
    ) {
    }

    /// The rollback of a workload failed too.
    fn rollback_failed(&self, _graph: &Graph, _address: &str, _rolled_back: &RolledBack) {}
}
