//! A bounded convergence: passes of plan and execution until a plan changes nothing, up to a maximum number.

use std::collections::BTreeMap;
use std::sync::Arc;

use tally_graph::Address;
use tally_host::{Host, HostRead, Report, execute, observe};
use tally_reconcile::Options;
use tally_reconcile::memory::Clocks;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::plan::{Operation, Plan};
use tally_reconcile::rollback::Decision;
use tokio::sync::watch;
use tokio::time::Instant;

use super::core::Convergence;
use super::observer::{Observer, PlanningResult, Refused};
use super::outcome::{ConvergenceError, SessionOutcome};
use super::saved_plan::still_fits;

/// The request that a session carries out.
#[derive(Debug, Clone)]
pub struct Request {
    /// The options of the planner; the time and the secrets are filled in.
    pub options: Options,
    /// Maximum concurrent Docker API calls per host.
    pub calls_per_host: usize,
    /// Maximum number of passes. One is enough unless somebody else changes the cluster meanwhile.
    pub passes: usize,
    /// The operations of the plan that was agreed to before; a plan with others is refused.
    pub agreed: Option<Vec<Operation>>,
    /// The workloads whose rollback ends with this session, since a newer spec came for them.
    pub ended_rollbacks: Vec<String>,
    /// The wall clock, in milliseconds since 1970.
    pub now_ms: fn() -> i64,
}

/// A bounded convergence of one cluster.
pub struct Session<'a> {
    convergence: Convergence,
    hosts: BTreeMap<String, Arc<dyn Host>>,
    request: Request,
    observer: &'a dyn Observer,
    /// The clocks that the times of the memory are of.
    clocks: Option<Clocks>,
    /// When the latest observation ended, in milliseconds since 1970.
    observed_at_ms: i64,
}

impl<'a> Session<'a> {
    /// Creates a session over these hosts, by name. The times of the memory are of `clocks`.
    #[must_use]
    pub fn new(
        convergence: Convergence,
        hosts: BTreeMap<String, Arc<dyn Host>>,
        request: Request,
        observer: &'a dyn Observer,
        clocks: Option<Clocks>,
    ) -> Self {
        Self { convergence, hosts, request, observer, clocks, observed_at_ms: 0 }
    }

    /// Returns the state: the graph that is followed, the latest observation, the memory.
    #[must_use]
    pub fn state(&self) -> &Convergence {
        &self.convergence
    }

    /// Plans, asks, executes and observes until a plan changes nothing.
    ///
    /// # Errors
    /// When a plan has errors, or something cannot be kept.
    pub async fn converge(&mut self) -> Result<SessionOutcome, ConvergenceError> {
        self.observe().await;
        let first = self.plan();
        self.stop_on_errors(&first)?;
        if self.request.agreed.as_ref().is_some_and(|agreed| !still_fits(agreed, &first)) {
            return Ok(SessionOutcome::MovedOn(first));
        }
        self.observer.reviewed(&self.planned(&first, &self.options()));
        if self.request.options.destroy && first.is_empty() && first.blocked.is_empty() {
            return Ok(SessionOutcome::NothingToDestroy);
        }
        if first.operations.is_empty() {
            self.remember()?;
            return Ok(SessionOutcome::Unchanged(first));
        }
        let Some(cancel) = self.observer.confirm(&first) else {
            return Ok(SessionOutcome::Declined);
        };
        self.passes(first, &cancel).await
    }

    /// Executes the first plan, and those that follow from it.
    async fn passes(
        &mut self,
        first: Plan,
        cancel: &watch::Receiver<bool>,
    ) -> Result<SessionOutcome, ConvergenceError> {
        let started = Instant::now();
        let ended = std::mem::take(&mut self.request.ended_rollbacks);
        self.convergence.end_rollbacks(&ended)?;
        let mut plan = first.clone();
        for _ in 0..self.request.passes {
            self.intend(&plan)?;
            let report = self.execute(&plan, cancel).await;
            if !report.is_done() {
                self.observer.failed(self.convergence.graph(), &plan, &report);
                // A session that is stopped makes no more calls.
                let may_roll_back = !self.request.options.destroy && !*cancel.borrow();
                if may_roll_back && self.roll_back_failed(&plan, &report, cancel).await? {
                    return Ok(SessionOutcome::RolledBack);
                }
                return Ok(SessionOutcome::Failed(report));
            }
            self.observe().await;
            // Pods are moved as agreed to, and no further.
            plan = self.plan_with(Options { rebalance: false, ..self.options() });
            self.stop_on_errors(&plan)?;
            if plan.is_empty() {
                self.remember()?;
                if !self.request.options.destroy && self.request.options.target.is_none() {
                    self.convergence.settled(&plan.settled(), self.observed_at_ms)?;
                }
                return Ok(SessionOutcome::Converged {
                    first,
                    last: plan,
                    took: started.elapsed(),
                });
            }
        }
        Ok(SessionOutcome::StillDiffers(plan))
    }

    /// Observes all hosts, and takes the result into the memory.
    pub async fn observe(&mut self) {
        let readers: Vec<Arc<dyn HostRead>> =
            self.hosts.values().map(|host| Arc::clone(host) as Arc<dyn HostRead>).collect();
        let started = Instant::now();
        let observed = observe(&readers, self.convergence.cluster()).await;
        let (took, now_ms) = (started.elapsed(), (self.request.now_ms)());
        let state = &mut self.convergence;
        // Somebody may have set the wall clock meanwhile.
        let clocks = state.storage().clocks(now_ms);
        state.memory.learned.set_clock(self.clocks.as_ref(), clocks.as_ref());
        self.clocks = clocks;
        let current = state.storage().current();
        if let Some(declared) = current.declared {
            state.memory.declared = declared;
        }
        if let Some(secrets) = current.secrets {
            state.secrets = secrets;
        }
        let cluster = state.cluster().to_owned();
        state.memory.learn_observation(&cluster, &observed, took, now_ms);
        state.observed = observed;
        self.observed_at_ms = now_ms;
    }

    /// Makes the plan of the latest observation.
    pub fn plan(&mut self) -> Plan {
        let options = self.options();
        self.plan_with(options)
    }

    fn plan_with(&mut self, options: Options) -> Plan {
        self.convergence.prepare();
        let options = self.convergence.with_secrets(options);
        let plan = self.convergence.plan(options.clone());
        self.observer.planned(&self.planned(&plan, &options));
        plan
    }

    fn options(&self) -> Options {
        Options { now_ms: self.observed_at_ms, ..self.request.options.clone() }
    }

    fn planned<'p>(&'p self, plan: &'p Plan, options: &'p Options) -> PlanningResult<'p> {
        let state = &self.convergence;
        PlanningResult {
            graph: state.graph(),
            observed: &state.observed,
            memory: &state.memory,
            options,
            plan,
        }
    }

    /// Executes a plan.
    pub async fn execute(&self, plan: &Plan, cancel: &watch::Receiver<bool>) -> Report {
        let progress = self.observer.executing(plan);
        let options = self.convergence.execute_options(self.request.calls_per_host);
        let graph = self.convergence.graph();
        execute(plan, graph, &self.hosts, progress.as_ref(), cancel.clone(), &options).await
    }

    /// Takes in that a plan was not executed as a whole: adds the workloads that are as specified to the history,
    /// decides about the rollouts that failed, and rolls them back. Returns whether there were any to roll back.
    ///
    /// # Errors
    /// The failure that stops it. The workloads follow their previous revision all the same, and the next session goes
    /// on.
    pub async fn roll_back_failed(
        &mut self,
        plan: &Plan,
        report: &Report,
        cancel: &watch::Receiver<bool>,
    ) -> Result<bool, ConvergenceError> {
        self.observe().await;
        let left = self.plan();
        let now_ms = self.observed_at_ms;
        if self.request.options.target.is_none() {
            self.convergence.settled(&left.settled(), now_ms)?;
        }
        let mut back: BTreeMap<String, RolledBack> = BTreeMap::new();
        let mut refused = Vec::new();
        for (address, failed) in self.convergence.failed_rollouts(plan, report, now_ms) {
            match self.convergence.decide(&address, failed) {
                Some(Decision::RollBack(rolled_back)) => {
                    back.insert(address, *rolled_back);
                }
                Some(Decision::Stay(reason)) => refused.push(Refused { address, reason }),
                None => {}
            }
        }
        self.observer.refused(self.convergence.graph(), &refused);
        if back.is_empty() {
            return Ok(false);
        }
        // Before the first call: a session that dies during a rollback is finished by the next one.
        for (address, rolled_back) in &back {
            self.convergence.roll_back(address, rolled_back.clone())?;
        }
        self.convergence.follow();
        if back.values().any(|rolled_back| !rolled_back.secrets.is_empty()) {
            self.convergence.read_secrets().await?;
        }
        for (address, rolled_back) in &back {
            self.observer.rolling_back(address, rolled_back);
            self.roll_back(address, rolled_back, cancel).await?;
        }
        Ok(true)
    }

    /// Rolls one workload back. The other changes of the spec wait for the next session: they may depend on the
    /// rollout that failed. A second failure ends it.
    async fn roll_back(
        &mut self,
        address: &str,
        rolled_back: &RolledBack,
        cancel: &watch::Receiver<bool>,
    ) -> Result<(), ConvergenceError> {
        let started = Instant::now();
        let mut first: Option<Plan> = None;
        for _ in 0..self.request.passes {
            self.observe().await;
            let options = Options {
                now_ms: self.observed_at_ms,
                target: Address::parse(address),
                ..Options::default()
            };
            let plan = self.plan_with(options.clone());
            self.stop_on_errors(&plan)?;
            if plan.operations.is_empty() {
                let done = first.as_ref().unwrap_or(&plan);
                self.observer.rolled_back(address, rolled_back, done, started.elapsed());
                return self.remember();
            }
            if first.is_none() && !plan.changes.is_empty() {
                self.observer.rollback_planned(&self.planned(&plan, &options));
            }
            self.intend(&plan)?;
            let report = self.execute(&plan, cancel).await;
            if !report.is_done() {
                self.observer.failed(self.convergence.graph(), &plan, &report);
                self.observer.rollback_failed(self.convergence.graph(), address, rolled_back);
                return Ok(());
            }
            first.get_or_insert(plan);
        }
        Ok(())
    }

    fn intend(&mut self, plan: &Plan) -> Result<(), ConvergenceError> {
        let now_ms = (self.request.now_ms)();
        Ok(self.convergence.intend(plan, now_ms)?)
    }

    fn remember(&self) -> Result<(), ConvergenceError> {
        let now_ms = (self.request.now_ms)();
        Ok(self.convergence.storage().remember(&self.convergence.memory, now_ms)?)
    }

    fn stop_on_errors(&self, plan: &Plan) -> Result<(), ConvergenceError> {
        if !plan.has_errors() {
            return Ok(());
        }
        let sources = Box::new(self.convergence.graph().sources.clone());
        Err(ConvergenceError::Plan(plan.diagnostics.clone(), sources))
    }
}
