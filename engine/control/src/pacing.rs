//! When the loop plans next: at once when something changed, at a time when time alone changes something, and not
//! in steady state. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tally_graph::{Graph, Millis};
use tally_reconcile::desired::realise::{RUNNING_MS, patience};
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::{Plan, Pods};

use crate::backoff;
use crate::options::Ended;

/// The first and the longest pause between two observations of something that is waited for, in milliseconds.
const WAIT_PAUSES_MS: (u64, u64) = (150, 2_000);

/// The pace of the loop. All times are of the loop's own clock, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    /// Whether something was observed or has ended since the last plan.
    pub dirty: bool,
    /// Whether the last plan was empty and nothing is pending.
    pub steady: bool,
    /// How the loop would end by the last plan; `None` while something is in progress.
    pub last: Option<Ended>,
    /// When a plan is due although nothing happens.
    pub plan_at_ms: Option<u64>,
    /// How many pods there were and were ready at the last plan, and since when.
    counted: Option<(u64, BTreeMap<String, Pods>)>,
    /// Since when something is waited for.
    waiting_since_ms: Option<u64>,
    /// Since when the loop only waits and repairs containers that end.
    only_waits_since_ms: Option<u64>,
}

impl Pacing {
    /// Checks whether a plan is due, and takes the timer that is over.
    pub fn is_due(&mut self, clock_ms: u64) -> bool {
        let timer = self.plan_at_ms.is_some_and(|at| at <= clock_ms);
        if timer {
            self.plan_at_ms = None;
        }
        self.dirty |= timer;
        self.dirty
    }

    /// Checks whether nothing is waited for, neither a time nor the readiness of something.
    pub fn awaits_nothing(&self) -> bool {
        self.waiting_since_ms.is_none() && self.plan_at_ms.is_none()
    }

    /// Notes that the loop made progress.
    pub fn progressed(&mut self) {
        self.only_waits_since_ms = None;
    }

    /// Returns how long to wait until the pods that the loop waits for are observed again: soon at first, then less
    /// and less often.
    pub fn wait_pause(&mut self, waits: bool, clock_ms: u64) -> Option<u64> {
        if !waits {
            self.waiting_since_ms = None;
            return None;
        }
        let since = *self.waiting_since_ms.get_or_insert(clock_ms);
        let (least, most) = WAIT_PAUSES_MS;
        Some((clock_ms.saturating_sub(since) / 4).clamp(least, most))
    }

    /// Sets when a plan is due although nothing happens: when a pause or a grace period is over, and when pods
    /// may have become ready.
    pub fn plan_later(
        &mut self,
        plan: &Plan,
        memory: &Memory,
        lost_after: Option<Millis>,
        (clock_ms, now_ms): (u64, i64),
    ) {
        let silent = memory.learned.hosts.values().filter_map(|host| host.unreachable_since_ms);
        let lost = lost_after.into_iter().flat_map(|after| {
            let after = i64::try_from(after.0).unwrap_or(i64::MAX);
            silent.clone().map(move |since| since.saturating_add(after))
        });
        let next = lost.chain(backoff::next_ms(memory, now_ms)).filter(|at| *at > now_ms).min();
        let next = next.map(|at| clock_ms + u64::try_from(at - now_ms).unwrap_or(0));
        self.plan_at_ms = next.into_iter().chain(self.counts_again(plan, clock_ms)).min();
    }

    /// Returns when to count again who is ready, while some pods are not: a pod that has run for long enough is
    /// ready, and no event says so. Soon after their number changed, later the longer it stays.
    fn counts_again(&mut self, plan: &Plan, clock_ms: u64) -> Option<u64> {
        let (since, pods) = self.counted.get_or_insert_with(|| (clock_ms, plan.pods.clone()));
        if *pods != plan.pods {
            (*since, *pods) = (clock_ms, plan.pods.clone());
        }
        let pause = (clock_ms.saturating_sub(*since) / 4).max(RUNNING_MS);
        plan.pods.values().any(|pods| pods.ready < pods.placed).then_some(clock_ms + pause)
    }

    /// Returns how long a loop that is to end had patience, once it has waited for as long as a pod may take to
    /// get ready.
    pub fn out_of_patience(&mut self, graph: &Graph, clock_ms: u64) -> Option<Duration> {
        let since_ms = *self.only_waits_since_ms.get_or_insert(clock_ms);
        let patience = patience(graph);
        let waited = Duration::from_millis(clock_ms.saturating_sub(since_ms));
        (waited >= patience).then_some(patience)
    }
}
