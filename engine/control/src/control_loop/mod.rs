//! The control loop: drives convergence for as long as it runs. It is woken by events, timers and changes, and is
//! composed of components that own their state; this is the one place that knows all of them.

mod inputs;
mod leading;
mod tick;

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use tally_graph::{Graph, Millis};
use tally_host::Secrets;
use tally_reconcile::memory::Memory;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clocks;
use crate::connector::Connector;
use crate::convergence::{Actor, Convergence};
use crate::execution::Execution;
use crate::leader_election::{LeaderElection, Sharing, answer};
use crate::liveness::Liveness;
use crate::loop_clock::LoopClock;
use crate::observation::Observation;
use crate::options::{Ended, LoopOptions};
use crate::pacing::Pacing;
use crate::reporting::Reporting;
use crate::reporting::journal::{EntryKind, Journal};
use crate::reporting::metrics::{Board, SharingMetrics};
use crate::rollouts::Rollouts;
use crate::spec_changes::{PendingSpec, SpecSource};
use crate::storage::Storage;

/// The control loop of one cluster.
pub struct ControlLoop {
    /// The graph, the memory, the secrets and the latest observation.
    state: Convergence,
    observation: Observation,
    execution: Execution,
    liveness: Liveness,
    rollouts: Rollouts,
    /// Its part in the election of a leader, where several engines share a store.
    leadership: Option<Box<LeaderElection>>,
    pending: PendingSpec,
    pacing: Pacing,
    reporting: Reporting,
    clock: LoopClock,
    options: LoopOptions,
}

impl ControlLoop {
    /// Creates a loop that keeps `graph`, with the memory of its cluster.
    #[must_use]
    pub fn new(
        graph: Graph,
        mut memory: Memory,
        connector: Arc<dyn Connector>,
        storage: Arc<dyn Storage>,
        journal: Arc<dyn Journal>,
        options: LoopOptions,
    ) -> Self {
        let clock = LoopClock::new(options.now_ms);
        clocks::begin(&mut memory, clock.started_at_ms());
        let mut state = Convergence::new(Actor::Run, graph, memory, Secrets::default(), storage);
        state.read_previous_revisions();
        state.follow();
        let mut new = Self {
            state,
            observation: Observation::new(connector, options.resync, options.observation_deadline),
            execution: Execution::new(),
            liveness: Liveness::default(),
            rollouts: Rollouts::default(),
            leadership: None,
            pending: PendingSpec::default(),
            pacing: Pacing::default(),
            reporting: Reporting::new(journal, clock),
            clock,
            options,
        };
        new.reporting.board.change(|metrics| {
            new.state.cluster().clone_into(&mut metrics.cluster);
            metrics.began_at_ms = clock.started_at_ms();
            metrics.spec_is_good = true;
        });
        new.set_hosts();
        new
    }

    /// Returns the loop with the values of the spec's secrets.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.state.secrets = secrets;
        self
    }

    /// Returns the loop beside other engines, which share a store.
    #[must_use]
    pub fn with_store(mut self, sharing: Sharing) -> Self {
        let spec = self.state.spec().fingerprint();
        let election = LeaderElection::new(sharing, &spec);
        self.reporting.board.change(|metrics| {
            metrics.sharing = Some(SharingMetrics { spec, ..SharingMetrics::default() });
        });
        self.leadership = Some(Box::new(election));
        self
    }

    /// Returns the metrics, which change while the loop runs.
    #[must_use]
    pub fn board(&self) -> Board {
        self.reporting.board.clone()
    }

    /// Runs until `stop` turns true; then the calls in flight finish and no other starts.
    pub async fn run(
        &mut self,
        spec: &mut dyn SpecSource,
        mut stop: watch::Receiver<bool>,
    ) -> Ended {
        self.tell(EntryKind::Began, "", format!("keeping cluster {}", self.state.cluster()));
        if self.leadership.is_none() {
            self.end_rollbacks();
            // Nobody else changes the cluster from now on, or nobody says so.
            self.state.memory.learned.shared = false;
        }
        let ended = loop {
            self.start();
            let wake = self.wake();
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break Ended::Stopped,
                Some(executed) = self.execution.running.next(),
                    if !self.execution.running.is_empty() => self.executed(&executed),
                () = self.execution.notify.notified() => {}
                Some(observation) = self.observation.running.next(),
                    if !self.observation.running.is_empty() => self.observed(observation),
                Some((request, answer)) = self.liveness.probes.next(),
                    if !self.liveness.probes.is_empty() => self.probed(&request, answer),
                Some(failed) = self.rollouts.failing.next(),
                    if !self.rollouts.failing.is_empty() => self.rollout_failed(failed),
                Some((host, stream, event)) = self.observation.events.next(),
                    if !self.observation.events.is_empty() => {
                        self.observation.event(&host, stream, event.as_ref(), &self.clock);
                    }
                answered = answer(&mut self.leadership) => self.store_answered(answered),
                change = spec.changed() => self.change(change),
                () = tokio::time::sleep_until(wake) => {}
            }
            // All views that have arrived go into one plan.
            while let Some(Some(observation)) = self.observation.running.next().now_or_never() {
                self.observed(observation);
            }
            self.update_role();
            self.operations_ended();
            self.follow();
            if self.is_due() {
                self.tick();
            }
            if let Some(last) = self.pacing.last.filter(|_| self.options.once && self.is_over()) {
                break last;
            }
        };
        self.finish().await;
        ended
    }

    /// Starts the tasks that are due: observations, probes, requests to the store.
    fn start(&mut self) {
        let (graph, cluster) = (Arc::clone(self.state.graph()), self.state.cluster().to_owned());
        self.observation.start(&self.clock, &mut self.state.memory, &graph, &cluster);
        if self.may_act() {
            let observation = &self.observation;
            self.liveness.start(self.clock.clock_ms(), |host| observation.connection(host));
        }
        self.attend();
    }

    /// Checks whether nothing is in progress, pending or new.
    fn is_over(&self) -> bool {
        self.execution.is_idle()
            && self.rollouts.failing.is_empty()
            && !self.pending.is_some()
            && !self.pacing.dirty
    }

    /// Ends the executions in progress, gives the lease back, and keeps the memory.
    async fn finish(&mut self) {
        self.execution.stop();
        while let Some(executed) = self.execution.running.next().await {
            self.executed(&executed);
        }
        if let Some(election) = &mut self.leadership
            && election.resign().await
        {
            let what = "the lease could not be given back; it runs out by itself".to_owned();
            self.tell(EntryKind::Failed, "", what);
        }
        self.remember();
        self.tell(EntryKind::Ended, "", "containers keep running".to_owned());
    }

    fn wake(&self) -> Instant {
        let probe_ms = self.liveness.next_ms().filter(|_| self.may_act());
        let next = self.observation.schedule.next_ms();
        let next = next.into_iter().chain(self.pacing.plan_at_ms).chain(probe_ms).min();
        // Nothing due: a second is soon enough to check the clock again.
        let next = next.unwrap_or_else(|| self.clock.clock_ms() + 1_000);
        let next = self.clock.instant(next);
        self.leadership.as_ref().map_or(next, |election| election.wake().min(next))
    }

    /// Checks whether a plan is to be made now. Not before every host was observed: a host that was not asked
    /// yet is not unreachable.
    fn is_due(&mut self) -> bool {
        let plan_waits = self.leadership.as_ref().is_some_and(|election| election.plan_waits());
        self.pacing.is_due(self.clock.clock_ms())
            && !self.pending.is_some()
            && !plan_waits
            && self.observation.schedule.all_observed()
            && self.execution.has_room()
    }

    /// Sets the hosts to those of the spec that is followed.
    fn set_hosts(&mut self) {
        let clock_ms = self.clock.clock_ms();
        self.observation.set_hosts(self.state.graph(), clock_ms);
        let names: std::collections::BTreeSet<&String> = self.observation.names().collect();
        self.state.observed.hosts.retain(|name, _| names.contains(name));
        let names = self.observation.names();
        self.reporting.board.change(|metrics| metrics.set_hosts(names));
    }

    /// Returns for how long a host may be unreachable until it is lost.
    fn lost_after(&self) -> Option<Millis> {
        self.state.graph().cluster().and_then(|cluster| cluster.lost_after)
    }

    /// Keeps the memory.
    fn remember(&self) {
        let now_ms = self.clock.now_ms();
        self.reporting.stored(self.state.storage().remember(&self.state.memory, now_ms));
    }

    fn tell(&self, kind: EntryKind, host: &str, what: String) {
        self.reporting.tell(kind, host, what);
    }
}

/// Resolves when `stop` is true; never when nobody can say so any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
