//! The walk through the graph of a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tally_graph::Graph;
use tally_reconcile::plan::{OpId, Operation, Plan, Target, Undo};
use tokio::sync::watch;

use super::context::{Ending, ExecuteContext};
use super::lanes::Lane;
use super::operation::run;
use super::options::ExecuteOptions;
use super::permit::Withheld;
use super::progress::{Event, Progress};
use super::report::{Outcome, Report};
use super::trace;
use crate::host::Host;

/// Carries `plan` out on `hosts`, which are given by name; operations of a missing host fail. The contents of files
/// come from `graph`. As soon as `cancel` turns true, or the permit does not hold, no further operation starts,
/// waits are cancelled, and running calls finish.
pub async fn execute(
    plan: &Plan,
    graph: &Graph,
    hosts: &BTreeMap<String, Arc<dyn Host>>,
    progress: &dyn Progress,
    cancel: watch::Receiver<bool>,
    options: &ExecuteOptions,
) -> Report {
    let context = ExecuteContext::new(graph, hosts, progress, &cancel, options);
    let mut walk = Walk::new(plan, progress);
    let mut running = FuturesUnordered::new();
    let mut heard = cancel.clone();
    let mut cancelled = *heard.borrow_and_update();
    // Without a sender nobody can cancel any more, and waiting for it would be a busy loop.
    let mut can_cancel = true;
    loop {
        while !cancelled
            && walk.withheld.is_none()
            && let Some(operation) = walk.next(options)
        {
            let target = walk.target_of(operation);
            trace::started(operation);
            progress.event(Event::Started(operation.id));
            let context = &context;
            running.push(async move { (operation, run(context, operation, target).await) });
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            // In this order, so that a run is reproducible.
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

/// Whether an operation that undoes another one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Yes,
    No,
    Undecided,
}

/// Returns whether an operation is needed that undoes another one, by the outcomes so far.
fn need_of(undo: &Undo, outcomes: &[Option<Outcome>]) -> Need {
    let outcome = |id: &OpId| outcomes.get(id.0 as usize).and_then(Option::as_ref);
    if undo.unless.iter().any(|id| matches!(outcome(id), None | Some(Outcome::NotStarted))) {
        return Need::Undecided;
    }
    let broken =
        |id: &OpId| matches!(outcome(id), Some(Outcome::Failed(_) | Outcome::Skipped { .. }));
    let attempted = undo
        .of
        .as_ref()
        .is_none_or(|of| matches!(outcome(of), Some(Outcome::Done { .. } | Outcome::Failed(_))));
    if undo.unless.iter().any(broken) && attempted { Need::Yes } else { Need::No }
}

/// A walk through the graph of a plan.
struct Walk<'a> {
    plan: &'a Plan,
    progress: &'a dyn Progress,
    /// Number of predecessors that are not done yet, by operation.
    missing: Vec<usize>,
    dependents: Vec<Vec<OpId>>,
    lanes: BTreeMap<&'a str, Lane>,
    outcomes: Vec<Option<Outcome>>,
    /// The operations that undo others, until it is decided whether they are needed.
    undos: Vec<OpId>,
    /// Set as soon as the permit does not hold.
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
            undos: plan.operations.iter().filter(|it| it.undo.is_some()).map(|it| it.id).collect(),
            withheld: None,
        };
        for operation in &plan.operations {
            for need in &operation.after {
                if let Some(dependents) = walk.dependents.get_mut(need.0 as usize) {
                    dependents.push(operation.id);
                }
            }
            if operation.after.is_empty() && operation.undo.is_none() {
                walk.enqueue(operation);
            }
        }
        walk
    }

    fn enqueue(&mut self, operation: &'a Operation) {
        self.lanes.entry(operation.host.as_str()).or_default().add(operation);
    }

    /// Returns the next operation that may start, lowest number first on each host.
    fn next(&mut self, options: &ExecuteOptions) -> Option<&'a Operation> {
        let plan = self.plan;
        self.lanes.values_mut().find_map(|lane| {
            let id = lane.next(options)?;
            plan.operation(id)
        })
    }

    /// Returns the full ID of the container that an operation is about. Returns `None` when it is about none, or when
    /// the operation that creates the container did not.
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
            lane.ended(operation);
        }
        trace::ended(operation, &ending);
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
            Ending::Cancelled => self.set(id, Outcome::NotStarted),
            Ending::Withheld(why) => {
                self.withheld = Some(why);
                self.set(id, Outcome::NotStarted);
            }
        }
        self.decide_undos();
    }

    /// Decides which operations that undo others are needed, as soon as it is known how those ended. One that is not
    /// needed lets those go on that wait for it.
    fn decide_undos(&mut self) {
        let plan = self.plan;
        let mut decided = Vec::new();
        self.undos.retain(|id| {
            let need = plan.operation(*id).and_then(|it| it.undo.as_ref());
            let need = need.map(|undo| need_of(undo, &self.outcomes));
            match need {
                Some(Need::Undecided) => true,
                need => {
                    decided.push((*id, need == Some(Need::Yes)));
                    false
                }
            }
        });
        // First all that are not needed: one that is needed may wait for them, and none of them may start.
        let unneeded = || decided.iter().filter(|(_, needed)| !needed).map(|(id, _)| *id);
        for id in unneeded() {
            self.set(id, Outcome::NotNeeded);
            self.progress.event(Event::NotNeeded(id));
        }
        for id in unneeded() {
            self.release(id);
        }
        for (id, _) in decided.iter().filter(|(_, needed)| *needed) {
            let waits = self.missing.get(id.0 as usize).is_none_or(|missing| *missing > 0);
            if let Some(operation) = plan.operation(*id).filter(|_| !waits) {
                self.enqueue(operation);
            }
        }
    }

    /// Checks whether it is decided that an operation is carried out.
    fn is_decided(&self, operation: &Operation) -> bool {
        operation.undo.is_none() || !self.undos.contains(&operation.id)
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
            let is_ready = *missing == 0;
            let is_open = matches!(self.outcomes.get(dependent.0 as usize), Some(None));
            if is_ready
                && is_open
                && let Some(operation) = self.plan.operation(dependent)
                && self.is_decided(operation)
            {
                self.enqueue(operation);
            }
        }
    }

    /// Skips the operations that depend on a failed one, directly or not. The others go on.
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
