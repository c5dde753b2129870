//! The metrics of the loop: plain data that somebody else may show. Pure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tally_graph::Millis;
use tally_host::{FailureKind, HostError, Outcome, Report};
use tally_reconcile::input::observed::{HostView, Observed};
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::reason::BlockedBy;
use tally_reconcile::plan::{Plan, Pods};

/// The upper bounds of the buckets in which ticks are counted by their duration, in seconds.
pub const TICK_BUCKETS_S: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

/// The status of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostStatus {
    /// It answers.
    Ready,
    /// It is unreachable, and nothing follows from that; or it was not asked yet.
    Unknown,
    /// It is unreachable, and its pods count as removed.
    Lost,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMetrics {
    /// Its status.
    pub state: HostStatus,
    /// When it was last observed as a whole, in milliseconds since 1970.
    pub looked_at_ms: Option<i64>,
    /// The number of times its stream of events was opened again.
    pub reconnects: u64,
}

/// The durations of ticks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TickDurations {
    /// The number that took no longer than each of [`TICK_BUCKETS_S`], and longer than the one before.
    pub buckets: [u64; TICK_BUCKETS_S.len()],
    /// The number of all.
    pub count: u64,
    /// The duration of all of them together.
    pub took: Duration,
}

impl TickDurations {
    fn add(&mut self, took: Duration) {
        let place = TICK_BUCKETS_S.iter().position(|bound| took.as_secs_f64() <= *bound);
        if let Some(bucket) = place.and_then(|place| self.buckets.get_mut(place)) {
            *bucket += 1;
        }
        self.count += 1;
        self.took += took;
    }
}

/// All metrics. Counters count from the start of the loop.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics {
    /// The cluster.
    pub cluster: String,
    /// When the loop was made, in milliseconds since 1970.
    pub began_at_ms: i64,
    /// The hosts, by name.
    pub hosts: BTreeMap<String, HostMetrics>,
    /// The number of pods, by workload.
    pub pods: BTreeMap<String, Pods>,
    /// The ticks: plans that were made and started.
    pub ticks: TickDurations,
    /// Operations that have ended, by kind and outcome.
    pub operations: BTreeMap<(&'static str, &'static str), u64>,
    /// Operations that failed, by reason.
    pub failures: BTreeMap<&'static str, u64>,
    /// Failures of liveness that led to a restart.
    pub unwell: u64,
    /// Rollouts that failed and were rolled back.
    pub rollbacks: u64,
    /// Pods in backoff now.
    pub backed_off: usize,
    /// Work that is blocked now, by the kind of its reason.
    pub blocked: BTreeMap<BlockedBy, u64>,
    /// Whether the cluster is frozen.
    pub frozen: bool,
    /// Workloads whose rollout is paused.
    pub paused: Vec<String>,
    /// Whether the files of the spec compile.
    pub spec_is_good: bool,
    /// Whether everything was as specified at the last plan.
    pub tallies: bool,
    /// This engine among the others of its cluster, where there is a store.
    pub sharing: Option<SharingMetrics>,
}

/// One engine among the others of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SharingMetrics {
    /// Whether it leads.
    pub leads: bool,
    /// The epoch of the published spec; 0 where that is not known.
    pub epoch: u64,
    /// The engine that leads, as far as is known; empty when none does.
    pub leader: String,
    /// Since when it leads or does not, in milliseconds since 1970.
    pub since_ms: i64,
    /// Whether it does not stand for election, since its spec was superseded.
    pub aside: bool,
    /// Whether the store answered the last question.
    pub store_answers: bool,
    /// The hash of the spec that is followed.
    pub spec: String,
}

/// The metrics, shared by the loop and their readers. Each side locks them for as long as a copy takes.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Metrics>>);

impl Board {
    /// Returns a copy.
    #[must_use]
    pub fn read(&self) -> Metrics {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Metrics)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Metrics {
    /// Counts an observation of a host.
    pub(crate) fn looked(&mut self, host: &str, view: &HostView, lost: bool, at_ms: i64) {
        let one = self.host(host);
        one.state = match (view, lost) {
            (HostView::Ready(_), _) => HostStatus::Ready,
            (HostView::Unknown { .. }, true) => HostStatus::Lost,
            (HostView::Unknown { .. }, false) => HostStatus::Unknown,
        };
        if matches!(view, HostView::Ready(_)) {
            one.looked_at_ms = Some(at_ms);
        }
    }

    /// Counts that a host's stream of events was opened again.
    pub(crate) fn reconnected(&mut self, host: &str) {
        self.host(host).reconnects += 1;
    }

    fn host(&mut self, name: &str) -> &mut HostMetrics {
        let fresh = HostMetrics { state: HostStatus::Unknown, looked_at_ms: None, reconnects: 0 };
        self.hosts.entry(name.to_owned()).or_insert(fresh)
    }

    /// Sets the hosts; those that stay keep their counts.
    pub(crate) fn set_hosts<'a>(&mut self, names: impl Iterator<Item = &'a String>) {
        let before = std::mem::take(&mut self.hosts);
        for name in names {
            self.host(name);
        }
        for (name, host) in before {
            if let Some(now) = self.hosts.get_mut(&name) {
                *now = host;
            }
        }
    }

    /// Counts a plan.
    pub(crate) fn planned(&mut self, plan: &Plan, tallies: bool, took: Duration) {
        self.ticks.add(took);
        self.pods.clone_from(&plan.pods);
        self.blocked.clear();
        for blocked in &plan.blocked {
            *self.blocked.entry(blocked.reason.by()).or_default() += 1;
        }
        self.tallies = tallies;
    }

    /// Copies the metrics that come from the memory.
    pub(crate) fn remembered(
        &mut self,
        memory: &Memory,
        observed: &Observed,
        lost_after: Option<Millis>,
        now_ms: i64,
    ) {
        self.frozen = memory.declared.frozen.is_some();
        self.paused = memory.declared.paused.keys().cloned().collect();
        let pods = memory.learned.backoff.values().flat_map(BTreeMap::values);
        self.backed_off = pods.filter(|backoff| backoff.until_ms > now_ms).count();
        for (name, view) in &observed.hosts {
            let lost = memory.is_lost(name, lost_after, now_ms);
            if let (HostView::Unknown { .. }, true) = (view, lost) {
                self.host(name).state = HostStatus::Lost;
            }
        }
    }

    /// Counts the result of an execution.
    pub(crate) fn ran(&mut self, plan: &Plan, report: &Report) {
        for operation in &plan.operations {
            let outcome = match report.outcome(operation.id) {
                Some(Outcome::Done { .. }) => "done",
                Some(Outcome::Failed(failure)) => {
                    *self.failures.entry(why(&failure.kind)).or_default() += 1;
                    "failed"
                }
                Some(Outcome::Skipped { .. }) => "skipped",
                Some(Outcome::NotNeeded) => continue,
                Some(Outcome::NotStarted) | None => "not-started",
            };
            *self.operations.entry((operation.action.word(), outcome)).or_default() += 1;
        }
    }
}

/// Returns why an operation failed, in a word.
fn why(kind: &FailureKind) -> &'static str {
    match kind {
        FailureKind::NotReady { .. } => "not-ready",
        FailureKind::Ended { .. } => "ended",
        FailureKind::PreconditionFailed(_) => "stale",
        FailureKind::Host(error) => match error {
            HostError::Unreachable { .. } | HostError::Transport(_) => "unreachable",
            HostError::Deadline { .. } => "deadline",
            HostError::NotFound(_) => "not-found",
            HostError::Conflict(_) => "conflict",
            HostError::Image { .. } => "image",
            HostError::PortTaken { .. } => "port-taken",
            HostError::CommandNotFound(_) => "command-not-found",
            HostError::TooOld { .. }
            | HostError::Refused { .. }
            | HostError::UnknownOwner { .. }
            | HostError::CredentialHelper { .. }
            | HostError::DockerConfig { .. }
            | HostError::NoInfraImage { .. }
            | HostError::Simulated { .. } => "refused",
            HostError::Broken(_) | HostError::Archive { .. } | HostError::SimulatedFile { .. } => {
                "other"
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_counted_in_the_first_bucket_that_holds_it() {
        let mut ticks = TickDurations::default();
        for ms in [0, 1, 2, 100, 60_000] {
            ticks.add(Duration::from_millis(ms));
        }
        assert_eq!(ticks.buckets, [2, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!((ticks.count, ticks.took), (5, Duration::from_millis(60_103)));
    }

    #[test]
    fn a_host_is_shown_from_the_first_on_and_no_longer_than_the_spec_has_it() {
        let mut metrics = Metrics::default();
        let names = ["a", "b"].map(str::to_owned);
        metrics.set_hosts(names.iter());
        assert!(metrics.hosts.values().all(|host| host.state == HostStatus::Unknown));
        assert_eq!(metrics.hosts.keys().collect::<Vec<_>>(), ["a", "b"]);
        metrics.reconnected("b");
        let names = ["b", "c"].map(str::to_owned);
        metrics.set_hosts(names.iter());
        let reconnects: Vec<_> =
            metrics.hosts.iter().map(|(name, host)| (name.as_str(), host.reconnects)).collect();
        assert_eq!(reconnects, [("b", 1), ("c", 0)]);
    }

    #[test]
    fn each_kind_of_failure_is_counted_under_its_word() {
        use tally_host::{HostError as E, NotReadyReason, SimulatedFileProblem, StaleReason};
        let text = || "what was said".to_owned();
        let image = E::Image { image: text(), missing: true, message: text() };
        let problem = SimulatedFileProblem::Io(text());
        let kinds: [(FailureKind, &str); 16] = [
            (FailureKind::NotReady { waited_ms: 1, reason: NotReadyReason::Paused }, "not-ready"),
            (FailureKind::Ended { exit_code: None, error: None, restarts: 0 }, "ended"),
            (FailureKind::PreconditionFailed(StaleReason::Removed), "stale"),
            (E::Unreachable { address: text(), reason: text() }.into(), "unreachable"),
            (E::Deadline { call: "start", after: Duration::ZERO }.into(), "deadline"),
            (E::NotFound(text()).into(), "not-found"),
            (E::Conflict(text()).into(), "conflict"),
            (image.into(), "image"),
            (E::PortTaken { port: None, message: text() }.into(), "port-taken"),
            (E::CommandNotFound(text()).into(), "command-not-found"),
            (E::TooOld { found: text(), needed: "1.41" }.into(), "refused"),
            (E::Refused { status: 500, message: text() }.into(), "refused"),
            (E::Simulated { name: text() }.into(), "refused"),
            (E::Broken(text()).into(), "other"),
            (E::SimulatedFile { path: text(), problem }.into(), "other"),
            (E::from(tally_host::TransportError::SshMissing).into(), "unreachable"),
        ];
        for (kind, word) in kinds {
            assert_eq!(why(&kind), word, "{kind:?}");
        }
    }

    #[test]
    fn a_host_that_the_spec_no_longer_has_is_forgotten() {
        let mut metrics = Metrics::default();
        let [a, b] = ["a".to_owned(), "b".to_owned()];
        metrics.set_hosts([&a, &b].into_iter());
        metrics.reconnected("b");
        metrics.set_hosts([&b].into_iter());
        assert_eq!(metrics.hosts.keys().collect::<Vec<_>>(), [&b]);
        assert_eq!(metrics.hosts["b"].reconnects, 1, "what stays is counted on");
    }
}
