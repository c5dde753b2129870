//! What the loop counts: plain data that somebody else may show. Pure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tally_graph::Millis;
use tally_host::{FailureKind, HostError, Outcome, Report};
use tally_reconcile::input::observed::{HostView, Observed};
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::reason::BlockedBy;
use tally_reconcile::plan::{Plan, Pods};

/// The upper bounds of the buckets that rounds are counted in by how long they took, in seconds.
pub const ROUND_BUCKETS_S: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

/// How a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostState {
    /// It answers.
    Ready,
    /// It does not, and nothing is concluded from that; or it was not asked yet.
    Unknown,
    /// It does not, and its pods count as gone.
    Lost,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMetrics {
    /// How it stands.
    pub state: HostState,
    /// When everything on it was seen last, in milliseconds since 1970.
    pub looked_at_ms: Option<i64>,
    /// How often its stream of events was opened again.
    pub reconnects: u64,
}

/// How long rounds took.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rounds {
    /// How many took no longer than each of [`ROUND_BUCKETS_S`], and longer than the one before.
    pub buckets: [u64; ROUND_BUCKETS_S.len()],
    /// How many there were.
    pub count: u64,
    /// How long all of them took.
    pub took: Duration,
}

impl Rounds {
    fn add(&mut self, took: Duration) {
        let place = ROUND_BUCKETS_S.iter().position(|bound| took.as_secs_f64() <= *bound);
        if let Some(bucket) = place.and_then(|place| self.buckets.get_mut(place)) {
            *bucket += 1;
        }
        self.count += 1;
        self.took += took;
    }
}

/// Everything that is counted. What grows is since the loop began.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics {
    /// The cluster.
    pub cluster: String,
    /// When the loop was made, in milliseconds since 1970.
    pub began_at_ms: i64,
    /// The hosts, by name.
    pub hosts: BTreeMap<String, HostMetrics>,
    /// How many pods there are, by workload.
    pub pods: BTreeMap<String, Pods>,
    /// The rounds: plans that were made and begun.
    pub rounds: Rounds,
    /// Operations that have ended, by kind and outcome.
    pub operations: BTreeMap<(&'static str, &'static str), u64>,
    /// Operations that failed, by why.
    pub failures: BTreeMap<&'static str, u64>,
    /// Failed liveness that led to a restart.
    pub unwell: u64,
    /// Rollouts that failed and went back.
    pub rollbacks: u64,
    /// Pods that are left alone for a while now.
    pub backed_off: usize,
    /// What is held back now, by what holds it.
    pub blocked: BTreeMap<BlockedBy, u64>,
    /// Whether the cluster is frozen.
    pub frozen: bool,
    /// Workloads whose rollout is paused.
    pub paused: Vec<String>,
    /// Whether the files of the spec compile.
    pub spec_is_good: bool,
    /// Whether all was as the spec says at the last plan.
    pub tallies: bool,
    /// How this engine stands to the others of its cluster, where there is a store.
    pub sharing: Option<SharingMetrics>,
}

/// How an engine stands to the others of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SharingMetrics {
    /// Whether it leads.
    pub leads: bool,
    /// The epoch of the spec that counts; 0 where that is not known.
    pub epoch: u64,
    /// The engine that leads, as far as is known; empty when none does.
    pub leader: String,
    /// Since when that is so, in milliseconds since 1970.
    pub since_ms: i64,
    /// Whether it would not lead, since its spec was superseded.
    pub aside: bool,
    /// Whether the store answered what it was asked last.
    pub store_answers: bool,
    /// The hash of the spec that is followed.
    pub spec: String,
}

/// What the loop counts, shared with whoever shows it. Each side holds it for as long as copying it
/// takes.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Metrics>>);

impl Board {
    /// As it stands.
    #[must_use]
    pub fn read(&self) -> Metrics {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Metrics)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Metrics {
    /// A host was looked at.
    pub(crate) fn looked(&mut self, host: &str, view: &HostView, lost: bool, at_ms: i64) {
        let one = self.host(host);
        one.state = match (view, lost) {
            (HostView::Ready(_), _) => HostState::Ready,
            (HostView::Unknown { .. }, true) => HostState::Lost,
            (HostView::Unknown { .. }, false) => HostState::Unknown,
        };
        if matches!(view, HostView::Ready(_)) {
            one.looked_at_ms = Some(at_ms);
        }
    }

    /// A host's stream of events was opened again.
    pub(crate) fn reconnected(&mut self, host: &str) {
        self.host(host).reconnects += 1;
    }

    fn host(&mut self, name: &str) -> &mut HostMetrics {
        let fresh = HostMetrics { state: HostState::Unknown, looked_at_ms: None, reconnects: 0 };
        self.hosts.entry(name.to_owned()).or_insert(fresh)
    }

    /// The hosts there are from now on.
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

    /// A plan was made.
    pub(crate) fn planned(&mut self, plan: &Plan, tallies: bool, took: Duration) {
        self.rounds.add(took);
        self.pods.clone_from(&plan.pods);
        self.blocked.clear();
        for blocked in &plan.blocked {
            *self.blocked.entry(blocked.reason.by()).or_default() += 1;
        }
        self.tallies = tallies;
    }

    /// What is remembered beside what is seen.
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
                self.host(name).state = HostState::Lost;
            }
        }
    }

    /// A plan was carried out.
    pub(crate) fn ran(&mut self, plan: &Plan, report: &Report) {
        for operation in &plan.operations {
            let outcome = match report.outcome(operation.id) {
                Some(Outcome::Done { .. }) => "done",
                Some(Outcome::Failed(failure)) => {
                    *self.failures.entry(why(&failure.kind)).or_default() += 1;
                    "failed"
                }
                Some(Outcome::Skipped { .. }) => "skipped",
                Some(Outcome::NotStarted) | None => "not-started",
            };
            *self.operations.entry((operation.action.word(), outcome)).or_default() += 1;
        }
    }
}

/// Why an operation failed, in a word.
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
    fn a_round_is_counted_in_the_first_bucket_that_holds_it() {
        let mut rounds = Rounds::default();
        for ms in [0, 1, 2, 100, 60_000] {
            rounds.add(Duration::from_millis(ms));
        }
        assert_eq!(rounds.buckets, [2, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!((rounds.count, rounds.took), (5, Duration::from_millis(60_103)));
    }

    #[test]
    fn a_host_is_shown_from_the_first_on_and_no_longer_than_the_spec_has_it() {
        let mut metrics = Metrics::default();
        let names = ["a", "b"].map(str::to_owned);
        metrics.set_hosts(names.iter());
        assert!(metrics.hosts.values().all(|host| host.state == HostState::Unknown));
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
