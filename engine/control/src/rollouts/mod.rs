//! Rollouts that are rolled back when they fail, where the spec says `on-failure=rollback`: which of them failed,
//! and which workloads have become as specified.

mod deadlines;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use tally_host::{Host, last_lines};
use tally_reconcile::Prepared;
use tally_reconcile::plan::{Plan, Pods};
use tally_reconcile::rollback::{self, RolloutFailure, Unready};

use self::deadlines::Deadlines;
use crate::convergence::Convergence;
use crate::loop_clock::LoopClock;
use crate::task::Task;

/// Maximum number of lines that are kept of the output of a container that failed.
const LAST_LINES: u32 = 10;

/// A rollout that failed.
pub(crate) struct FailedRollout {
    /// The address of the workload.
    pub workload: String,
    /// The fingerprint of the revision that failed.
    pub of: String,
    pub failed: RolloutFailure,
}

/// The rollouts of the current graph.
#[derive(Default)]
pub(crate) struct Rollouts {
    deadlines: Deadlines,
    /// Rollouts that have failed, whose last output is being read.
    pub failing: FuturesUnordered<Task<FailedRollout>>,
    /// Workloads whose becoming as specified is in the history.
    settled: BTreeSet<String>,
}

impl Rollouts {
    /// Checks which rollouts failed according to the latest observation, and reads their last output.
    pub fn watch(
        &mut self,
        state: &Convergence,
        clock: &LoopClock,
        connection: impl Fn(&str) -> Option<Arc<dyn Host>>,
    ) {
        let nothing = Prepared::default();
        let prepared = state.prepared().unwrap_or(&nothing);
        let (graph, now_ms) = (state.graph(), clock.now_ms());
        let unready = rollback::unready(graph, &state.observed, &state.memory, prepared, now_ms);
        for (one, why) in self.deadlines.judge(unready, clock.clock_ms()) {
            let connection = connection(&one.host);
            let Unready { workload, of, host, pod, container, id, failure_attribution, .. } = one;
            let (by, at_ms) = (state.actor().name().to_owned(), clock.wall_now_ms());
            let failed = RolloutFailure {
                by,
                at_ms,
                host,
                pod,
                container,
                why,
                failure_attribution,
                ..RolloutFailure::default()
            };
            self.failing.push(Box::pin(async move {
                let last_lines = match connection {
                    Some(host) => last_lines(host.as_ref(), &id, LAST_LINES).await,
                    None => Vec::new(),
                };
                FailedRollout { workload, of, failed: RolloutFailure { last_lines, ..failed } }
            }));
        }
    }

    /// Notes that a revision of a workload failed; returns whether that is new.
    pub fn failed(&mut self, workload: &str, of: &str) -> bool {
        self.deadlines.failed(workload, of)
    }

    /// Forgets that a workload failed: it was no failure of a rollout.
    pub fn forget_failed(&mut self, workload: &str) {
        self.deadlines.forget_failed(workload);
    }

    /// Forgets which revisions failed: they may be tried again.
    pub fn forget_failures(&mut self) {
        self.deadlines.forget();
    }

    /// Forgets everything about the spec that was followed.
    pub fn forget(&mut self) {
        self.deadlines.forget();
        self.settled.clear();
    }

    /// Checks whether a rollout may fail, or end, without an event: its pods are observed soon.
    pub fn awaits(&self, state: &Convergence, plan: &Plan) -> bool {
        rollback::rolling(state.graph(), &state.memory).iter().any(|(address, of)| {
            let unready = |pods: &Pods| pods.ready < pods.placed;
            !self.deadlines.has_failed(address, of) && plan.pods.get(address).is_some_and(unready)
        })
    }

    /// Returns the workloads that have become as specified and are not in the history yet: their rollouts are
    /// over, and a later rollback may return to them.
    pub fn newly_settled(
        &mut self,
        state: &Convergence,
        plan: &Plan,
        is_quiet: bool,
    ) -> Option<BTreeSet<String>> {
        // Everything is in the history: nothing can be new.
        if self.settled.len() == plan.pods.len() && state.memory.declared.rolled_back.is_empty() {
            return None;
        }
        let settled = plan.settled();
        for (address, of) in rollback::rolled_back_fingerprints(state.graph(), &state.memory) {
            if settled.contains(&address) {
                self.deadlines.is_back(&address, &of);
            }
        }
        let rolled = rollback::rolling(state.graph(), &state.memory);
        let over = is_quiet || rolled.keys().any(|address| settled.contains(address));
        if !over || settled.is_subset(&self.settled) {
            return None;
        }
        self.settled.extend(settled.iter().cloned());
        Some(settled)
    }
}
