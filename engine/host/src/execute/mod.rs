//! Carrying a plan out: its graph is walked in parallel under a bound, each call made once its
//! precondition still holds. Nothing is decided here; a plan is never resumed, only made anew.

mod create;
mod failure_attribution;
mod fetched;
mod operation;
mod permit;
mod report;
mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tally_graph::Graph;
use tally_reconcile::plan::{Action, OpId, Operation, Plan, Target};
use tokio::sync::watch;

pub use failure_attribution::failed_versions;
pub use fetched::Fetched;
pub use operation::last_lines;
pub use permit::{Permit, Steady, Withheld};
pub use report::{Failure, FailureKind, Outcome, Report};

use crate::{Host, PullProgress, Secrets};
use operation::{Context, Ending};

/// How a plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecuteOptions {
    /// So many calls at once on each host.
    pub calls_per_host: usize,
    /// So many stops and restarts at once on each host. They spend a container's grace waiting and
    /// could be many, but with 25 that ended together Docker 20.10 was seen to leave an endpoint of
    /// a removed container on its network, which then could not be removed.
    pub stops_per_host: usize,
    /// So many waits at once on each host; a wait asks now and then and is cheap.
    pub waits_per_host: usize,
    /// Time between the first two looks of a wait.
    pub first_look: Duration,
    /// The longest time between two looks of a wait, while few wait at once.
    pub slowest_look: Duration,
    /// So many lines of a failed container's output are kept.
    pub last_lines: u32,
    /// What the secrets hold that the plan speaks of.
    pub secrets: Secrets,
    /// What tags were found to stand for, shared by what is carried out at a time.
    pub fetched: Fetched,
    /// Whether calls that change something may be made; asked before each of them.
    pub permit: Permit,
}

impl Default for ExecuteOptions {
    fn default() -> Self {
        Self {
            calls_per_host: 8,
            stops_per_host: 8,
            waits_per_host: 256,
            first_look: Duration::from_millis(50),
            slowest_look: Duration::from_millis(250),
            last_lines: 10,
            secrets: Secrets::default(),
            fetched: Fetched::default(),
            permit: Permit::default(),
        }
    }
}

/// What happens while a plan is carried out.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// An operation begins.
    Started(OpId),
    /// A pull goes on.
    Pulling(OpId, PullProgress),
    /// A wait goes on, for another reason than before.
    Waiting(OpId, &'a str),
    /// An operation was done.
    Done(OpId),
    /// An operation failed.
    Failed(OpId, &'a Failure),
    /// An operation was not tried.
    Skipped {
        /// Which.
        id: OpId,
        /// What it needs and what failed.
        because: OpId,
    },
}

/// Hears what happens. It is called from within the walk, so it must not block.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// Hears nothing.
impl Progress for () {
    fn event(&self, _: Event<'_>) {}
}

/// Carries `plan` out on `hosts` (by name; one that is missing fails its operations). Contents of
/// files come from `graph`. Once `cancel` turns true, or the permit does not hold, no further operation
/// starts, waits are broken off, and calls in flight finish.
pub async fn execute(
    plan: &Plan,
    graph: &Graph,
    hosts: &BTreeMap<String, Arc<dyn Host>>,
    progress: &dyn Progress,
    cancel: watch::Receiver<bool>,
    options: &ExecuteOptions,
) -> Report {
    let context = Context::new(graph, hosts, progress, &cancel, options);
    let mut walk = Walk::new(plan, progress);
    let mut running = FuturesUnordered::new();
    let mut heard = cancel.clone();
    let mut cancelled = *heard.borrow_and_update();
    // Without a sender nobody can cancel any more, and waiting for it would spin.
    let mut can_cancel = true;
    loop {
        while !cancelled
            && walk.withheld.is_none()
            && let Some(operation) = walk.next(options)
        {
            let target = walk.target_of(operation);
            progress.event(Event::Started(operation.id));
            let context = &context;
            running.push(async move { (operation, context.run(operation, target).await) });
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            // In this order, so that a run comes out the same again.
            biased;
            Some((operation, ending)) = running.next() => walk.settle(operation, ending),
            changed = heard.changed(), if can_cancel && !cancelled => {
                can_cancel = changed.is_ok();
                cancelled = *heard.borrow_and_update();
            }
        }
    }
    drop(running);
    walk.report()
}

/// What is ready to begin on a host, and how much of it is under way.
#[derive(Default)]
struct Lane {
    calls: Queue,
    stops: Queue,
    waits: Queue,
}

#[derive(Default)]
struct Queue {
    ready: BTreeSet<OpId>,
    running: usize,
}

impl Queue {
    fn next(&mut self, bound: usize) -> Option<OpId> {
        if self.running >= bound.max(1) {
            return None;
        }
        let id = self.ready.pop_first()?;
        self.running += 1;
        Some(id)
    }
}

impl Lane {
    fn queue(&mut self, action: &Action) -> &mut Queue {
        match action {
            Action::AwaitReady { .. } | Action::AwaitExit { .. } => &mut self.waits,
            Action::Stop { .. } | Action::Restart { .. } => &mut self.stops,
            _ => &mut self.calls,
        }
    }
}

/// The walk through the plan's graph.
struct Walk<'a> {
    plan: &'a Plan,
    progress: &'a dyn Progress,
    /// How many of an operation's needs are not done yet.
    missing: Vec<usize>,
    dependents: Vec<Vec<OpId>>,
    lanes: BTreeMap<&'a str, Lane>,
    outcomes: Vec<Option<Outcome>>,
    /// Set once the permit was found not to hold.
    withheld: Option<Withheld>,
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan, progress: &'a dyn Progress) -> Self {
        let count = plan.operations.len();
        let mut walk = Self {
            plan,
            progress,
            missing: plan.operations.iter().map(|operation| operation.after.len()).collect(),
            dependents: vec![Vec::new(); count],
            lanes: BTreeMap::new(),
            outcomes: vec![None; count],
            withheld: None,
        };
        for operation in &plan.operations {
            for need in &operation.after {
                if let Some(dependents) = walk.dependents.get_mut(need.0 as usize) {
                    dependents.push(operation.id);
                }
            }
            if operation.after.is_empty() {
                walk.enqueue(operation);
            }
        }
        walk
    }

    fn enqueue(&mut self, operation: &'a Operation) {
        let lane = self.lanes.entry(operation.host.as_str()).or_default();
        lane.queue(&operation.action).ready.insert(operation.id);
    }

    /// The next operation that may begin, lowest number first on each host.
    fn next(&mut self, options: &ExecuteOptions) -> Option<&'a Operation> {
        let plan = self.plan;
        self.lanes.values_mut().find_map(|lane| {
            let id = lane
                .calls
                .next(options.calls_per_host)
                .or_else(|| lane.stops.next(options.stops_per_host))
                .or_else(|| lane.waits.next(options.waits_per_host))?;
            plan.operation(id)
        })
    }

    /// The full ID of the container an operation is about; `None` when it is about none, or the
    /// operation that should have made it did not.
    fn target_of(&self, operation: &Operation) -> Option<String> {
        match operation.action.target()? {
            Target::Id(id) => Some(id.clone()),
            Target::Created(by) => match self.outcomes.get(by.0 as usize)? {
                Some(Outcome::Done { made }) => made.clone(),
                _ => None,
            },
        }
    }

    fn settle(&mut self, operation: &'a Operation, ending: Ending) {
        if let Some(lane) = self.lanes.get_mut(operation.host.as_str()) {
            let queue = lane.queue(&operation.action);
            queue.running = queue.running.saturating_sub(1);
        }
        let id = operation.id;
        match ending {
            Ending::Done(made) => {
                self.set(id, Outcome::Done { made });
                self.progress.event(Event::Done(id));
                self.release(id);
            }
            Ending::Failed(failure) => {
                self.progress.event(Event::Failed(id, &failure));
                self.set(id, Outcome::Failed(failure));
                self.skip_dependents(id);
            }
            Ending::BrokenOff => self.set(id, Outcome::NotStarted),
            Ending::Withheld(why) => {
                self.withheld = Some(why);
                self.set(id, Outcome::NotStarted);
            }
        }
    }

    fn set(&mut self, id: OpId, outcome: Outcome) {
        if let Some(slot) = self.outcomes.get_mut(id.0 as usize) {
            *slot = Some(outcome);
        }
    }

    fn release(&mut self, id: OpId) {
        let dependents = self.dependents.get(id.0 as usize).cloned().unwrap_or_default();
        for dependent in dependents {
            let Some(missing) = self.missing.get_mut(dependent.0 as usize) else {
                continue;
            };
            *missing = missing.saturating_sub(1);
            let is_free = *missing == 0;
            let is_open = matches!(self.outcomes.get(dependent.0 as usize), Some(None));
            if is_free
                && is_open
                && let Some(operation) = self.plan.operation(dependent)
            {
                self.enqueue(operation);
            }
        }
    }

    /// Skips what needs a failed operation, directly or not; the rest goes on.
    fn skip_dependents(&mut self, failed: OpId) {
        let mut open = vec![failed];
        while let Some(id) = open.pop() {
            for dependent in self.dependents.get(id.0 as usize).cloned().unwrap_or_default() {
                if matches!(self.outcomes.get(dependent.0 as usize), Some(None)) {
                    self.set(dependent, Outcome::Skipped { because: failed });
                    self.progress.event(Event::Skipped { id: dependent, because: failed });
                    open.push(dependent);
                }
            }
        }
    }

    fn report(self) -> Report {
        let outcomes = self.outcomes.into_iter();
        let outcomes = outcomes.map(|o| o.unwrap_or(Outcome::NotStarted)).collect();
        Report { outcomes, withheld: self.withheld }
    }
}
