//! One tick: a plan is made of the latest views, and executed; and the results of executions.

use std::collections::BTreeSet;

use tally_host::{ExecuteOptions, Outcome};
use tally_reconcile::Options;
use tally_reconcile::input::observed::{HostState, HostView};
use tally_reconcile::plan::reason::Awaits;
use tally_reconcile::plan::{Cause, OpId, Plan, Target};
use tokio::time::Instant;

use super::ControlLoop;
use crate::backoff;
use crate::execution::Executed;
use crate::options::Ended;
use crate::reporting::journal::EntryKind;
use crate::rollouts::FailedRollout;

impl ControlLoop {
    /// Makes a plan and starts to execute it.
    pub(super) fn tick(&mut self) {
        if !self.may_act() {
            return self.follow_the_leader();
        }
        self.pacing.dirty = false;
        let (started, now_ms) = (Instant::now(), self.clock.now_ms());
        self.state.memory.in_flight.busy = self.execution.busy.pods();
        if self.state.learn(now_ms) {
            // The engine that takes over must know as much of hosts that it cannot observe.
            self.remember();
        }
        self.declared_moved();
        self.watch_rollouts();
        self.state.prepare();
        let plan = self.plan();
        self.reporting.plan(&plan, self.state.graph());
        self.schedule(&plan, now_ms);
        let is_all = plan.blocked.is_empty() && !plan.has_errors();
        self.pacing.last = Some(if is_all { Ended::Tallies } else { Ended::Differs });
        self.count(&plan, started, now_ms);
        self.note_settled(&plan);
        self.pacing.steady = self.is_steady(&plan);
        if plan.is_empty() {
            return self.nothing_to_do(&plan);
        }
        // A container that keeps ending is repaired each time, and that is no progress.
        if plan.changes.iter().any(|change| change.cause != Cause::Drift) {
            self.pacing.progressed();
        }
        self.reporting.differs();
        self.pacing.last = None;
        let intended = self.state.intend(&plan, self.clock.now_ms());
        self.reporting.stored(intended);
        self.declared_moved();
        self.execute_or_share(plan);
    }

    /// Reports that everything is as specified, or waits for the pods that are not.
    fn nothing_to_do(&mut self, plan: &Plan) {
        let done = self.execution.busy.is_empty() && self.pacing.last == Some(Ended::Tallies);
        if done {
            self.reporting.converged(self.state.cluster());
        }
        // Once an error is over that is reported, also where nothing had to be done for it.
        if plan.has_errors() {
            self.reporting.differs();
        }
        let waits = plan.blocked.iter().any(|it| it.reason.is_passing());
        if !done && waits && !self.has_waited(plan) {
            self.pacing.last = None;
        }
    }

    /// Checks whether a loop that is to end has waited for as long as a pod may take to get ready. If so, reports
    /// the pods that it waited for.
    fn has_waited(&mut self, plan: &Plan) -> bool {
        if !self.options.once {
            return false;
        }
        let clock_ms = self.clock.clock_ms();
        let Some(patience) = self.pacing.out_of_patience(self.state.graph(), clock_ms) else {
            return false;
        };
        for it in plan.blocked.iter().filter(|it| it.reason.is_passing()) {
            self.reporting.blocked(it, self.state.graph());
        }
        let what = format!("what is waited for did not come about within {patience:?}");
        self.tell(EntryKind::Failed, "", what);
        true
    }

    /// Makes the plan of the latest views.
    fn plan(&self) -> Plan {
        self.state.plan(Options {
            now_ms: self.clock.now_ms(),
            without_waits: true,
            guard_removals: true,
            ..Options::default()
        })
    }

    /// Counts a plan that was made.
    fn count(&self, plan: &Plan, started: Instant, now_ms: i64) {
        let converged = plan.is_empty()
            && self.execution.busy.is_empty()
            && self.pacing.last == Some(Ended::Tallies);
        let (lost_after, state) = (self.lost_after(), &self.state);
        let took = started.elapsed();
        self.reporting.board.change(|metrics| {
            metrics.planned(plan, converged, took);
            metrics.remembered(&state.memory, &state.observed, lost_after, now_ms);
        });
    }

    /// Sets when to observe or plan again although nothing happens: soon while the loop waits for a pod, later the
    /// longer it takes, and when a pause is over.
    fn schedule(&mut self, plan: &Plan, now_ms: i64) {
        let clock_ms = self.clock.clock_ms();
        let awaited = plan.blocked.iter().filter(|it| it.reason.awaits() == Awaits::Readiness);
        let awaited: BTreeSet<Option<&str>> = awaited.map(|it| it.host.as_deref()).collect();
        // A pod without a host may come to any of them.
        let all = awaited.contains(&None) || self.rollouts.awaits(&self.state, plan);
        if let Some(pause) = self.pacing.wait_pause(all || !awaited.is_empty(), clock_ms) {
            self.observation
                .observe_by(|host| all || awaited.contains(&Some(host)), clock_ms + pause);
        }
        let lost_after = self.lost_after();
        self.pacing.plan_later(plan, &self.state.memory, lost_after, (clock_ms, now_ms));
    }

    /// Adds to the history which workloads have become as specified.
    fn note_settled(&mut self, plan: &Plan) {
        let is_quiet = plan.is_empty() && self.execution.busy.is_empty();
        let Some(settled) = self.rollouts.newly_settled(&self.state, plan, is_quiet) else {
            return;
        };
        let now_ms = self.clock.wall_now_ms();
        self.reporting.stored(self.state.settled(&settled, now_ms));
        self.state.read_previous_revisions();
    }

    /// Checks whether the cluster is in steady state: the last plan was empty and nothing is pending. Then an
    /// observation that shows no change makes no plan: with a thousand hosts there are some thirty a second.
    ///
    /// Time alone changes nothing in steady state: a pod that is ready stays ready, no pause is running and no
    /// host is unreachable. Builds with assertions, as the simulation is in CI, make the plan all the same and
    /// compare.
    fn is_steady(&self, plan: &Plan) -> bool {
        self.pacing.last == Some(Ended::Tallies)
            && plan.is_empty()
            && plan.diagnostics.is_empty()
            && plan.pods.values().all(|pods| pods.ready == pods.desired)
            && self.execution.is_idle()
            && self.rollouts.failing.is_empty()
            && self.pacing.awaits_nothing()
            && self.state.memory.in_flight.failing.is_empty()
            && self.state.observed.hosts.values().all(|view| view.ready().is_some())
    }

    /// Checks whether a view of a host changes nothing.
    pub(super) fn is_nothing_new(&self, host: &str, state: &HostState) -> bool {
        let before = self.state.observed.hosts.get(host).and_then(HostView::ready);
        self.pacing.steady && !self.pacing.dirty && before == Some(state)
    }

    /// Checks that a view that makes no plan has nothing to do.
    pub(super) fn assert_steady(&self) {
        if cfg!(debug_assertions) {
            let plan = self.plan();
            let idle = plan.is_empty() && plan.blocked.is_empty() && plan.diagnostics.is_empty();
            debug_assert!(idle, "nothing is new, and yet {:?} {:?}", plan.changes, plan.blocked);
        }
    }

    /// Starts to execute a plan.
    pub(super) fn execute(&mut self, plan: Plan) {
        // Until the new containers are observed, which tell themselves which images are meant.
        if self.execution.is_idle() {
            self.state.forget_resolved_tags();
        }
        let options = ExecuteOptions {
            permit: self.permit(),
            ..self.state.execute_options(self.options.calls_per_host)
        };
        let hosts = self.observation.connections();
        self.execution.start(plan, self.state.graph(), hosts, options);
    }

    /// Takes in the result of an execution.
    pub(super) fn executed(&mut self, executed: &Executed) {
        let Executed { plan, report } = executed;
        self.reporting.board.change(|metrics| metrics.ran(plan, report));
        let now_ms = self.clock.now_ms();
        for operation in &plan.operations {
            if let Some(Target::Id(id)) = operation.action.target() {
                self.state.memory.in_flight.failing.remove(id);
            }
        }
        // An operation that did not start was not reported as ended.
        for operation in &plan.operations {
            if matches!(report.outcome(operation.id), Some(Outcome::NotStarted) | None) {
                let last = self.observation.schedule.last_number(&operation.host);
                self.execution.busy.end(&operation.lock_key(), &operation.host, last);
            }
        }
        let mut failed: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
        for (id, failure) in report.failures() {
            let Some(operation) = plan.operation(id) else { continue };
            let mut what = failure.kind.to_string();
            if let Some(line) = failure.last_lines.last() {
                what.push_str(&format!(" (last line: {line})"));
            }
            self.reporting.operation(EntryKind::Failed, (plan, id), what, self.state.graph());
            failed.insert((&operation.host, operation.subject.pod()));
        }
        for operation in &plan.operations {
            if matches!(report.outcome(operation.id), Some(Outcome::Skipped { .. })) {
                failed.insert((&operation.host, operation.subject.pod()));
            }
        }
        for (host, pod) in failed.into_iter().filter_map(|(host, pod)| Some((host, pod?))) {
            backoff::failed(&mut self.state.memory, host, pod, now_ms);
        }
        self.judge(executed);
        for change in &plan.changes {
            let done = |id: &OpId| matches!(report.outcome(*id), Some(Outcome::Done { .. }));
            if change.operations.iter().all(done) {
                self.reporting.change(plan, change, self.state.graph());
            }
        }
        for host in plan.operations.iter().map(|op| op.host.as_str()).collect::<BTreeSet<_>>() {
            self.observation.schedule.event(host, self.clock.clock_ms());
        }
        self.pacing.dirty = true;
    }

    /// Decides about the rollouts that failed according to an execution.
    fn judge(&mut self, executed: &Executed) {
        let at_ms = self.clock.wall_now_ms();
        let failed = self.state.failed_rollouts(&executed.plan, &executed.report, at_ms);
        for (workload, failed) in failed {
            if let Some(of) = self.state.fingerprint(&workload)
                && self.rollouts.failed(&workload, &of)
            {
                self.rollout_failed(FailedRollout { workload, of, failed });
            }
        }
    }

    /// Takes in which operations have ended.
    pub(super) fn operations_ended(&mut self) {
        for (plan, id) in self.execution.take_ended() {
            if let Some(operation) = plan.operation(id) {
                let last = self.observation.schedule.last_number(&operation.host);
                self.execution.busy.end(&operation.lock_key(), &operation.host, last);
                self.observation.schedule.event(&operation.host, self.clock.clock_ms());
            }
        }
    }
}
