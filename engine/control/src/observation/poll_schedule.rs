//! When each host is observed: at once when it is new, soon after an event, and periodically in any case, since
//! events may be lost and a stream may stall for ever. Pure.

use std::collections::BTreeMap;

/// For how long a burst of events is gathered, in milliseconds.
const GATHER_MS: u64 = 20;

/// The longest pause after an observation that failed, in milliseconds: a host that is back for longer is
/// observed, and no longer unreachable.
const MOST_FAILED_MS: u64 = 10_000;

/// An observation that starts later than this after it was due shows that the loop was suspended, in
/// milliseconds.
const LATE_MS: u64 = 5_000;

/// An observation that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub host: String,
    /// Its number among the observations of that host.
    pub number: u64,
    /// Whether the loop was suspended when it should have started.
    pub is_late: bool,
}

/// One host.
#[derive(Debug, Default)]
struct PolledHost {
    /// Whether an observation is in progress.
    observing: bool,
    /// The number of observations that have started.
    started: u64,
    /// When the last one started, on the loop's own clock.
    started_ms: u64,
    /// Whether the loop was suspended while the last one was in progress.
    stood_still: bool,
    /// When the next observation is due, on the loop's own clock.
    due_ms: Option<u64>,
    /// Observations that failed in a row.
    failures: u32,
    /// The number of the observation that must end before anything is planned.
    wanted: u64,
}

/// All hosts.
#[derive(Debug)]
pub(crate) struct PollSchedule {
    hosts: BTreeMap<String, PolledHost>,
    /// The time between two observations when nothing happens, in milliseconds.
    resync_ms: u64,
    /// Maximum duration of an observation, in milliseconds.
    deadline_ms: u64,
}

impl PollSchedule {
    pub fn new(resync_ms: u64, deadline_ms: u64) -> Self {
        Self { hosts: BTreeMap::new(), resync_ms, deadline_ms }
    }

    /// Sets the hosts; new ones are observed at once.
    pub fn set_hosts<'a>(&mut self, names: impl Iterator<Item = &'a str>, now_ms: u64) {
        let mut before = std::mem::take(&mut self.hosts);
        for name in names {
            let host = before.remove(name);
            let fresh = PolledHost { due_ms: Some(now_ms), wanted: 1, ..PolledHost::default() };
            self.hosts.insert(name.to_owned(), host.unwrap_or(fresh));
        }
    }

    /// Has every host that answers observed once more before anything is planned: a new spec or declaration
    /// changes much at once, and must not be decided by an older view, of which an event may have been lost.
    pub fn observe_again(&mut self, now_ms: u64) {
        for host in self.hosts.values_mut().filter(|host| host.failures == 0) {
            host.due_ms = Some(now_ms);
            host.wanted = host.started + 1;
        }
    }

    /// Has a host observed soon, since something happened on it.
    pub fn event(&mut self, host: &str, now_ms: u64) {
        self.observe_by(host, now_ms + GATHER_MS);
    }

    /// Has a host observed at that time at the latest.
    pub fn observe_by(&mut self, host: &str, at_ms: u64) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.due_ms = Some(host.due_ms.map_or(at_ms, |due| due.min(at_ms)));
        }
    }

    /// Returns the observations that are due; they count as started.
    pub fn due(&mut self, now_ms: u64) -> Vec<Due> {
        let mut due = Vec::new();
        for (name, host) in &mut self.hosts {
            let Some(at_ms) = host.due_ms.filter(|at| !host.observing && *at <= now_ms) else {
                continue;
            };
            host.observing = true;
            host.started += 1;
            (host.started_ms, host.due_ms) = (now_ms, None);
            let is_late = std::mem::take(&mut host.stood_still) || now_ms - at_ms > LATE_MS;
            due.push(Due { host: name.clone(), number: host.started, is_late });
        }
        due
    }

    /// Takes in that an observation has ended. The next one is due after the resync time, or, when it failed,
    /// after 1 s, doubled each time up to that time, and ten seconds at most. Hosts are spread over the time by
    /// name.
    pub fn ended(&mut self, name: &str, ok: bool, now_ms: u64) {
        let resync_ms = self.resync_ms;
        let Some(host) = self.hosts.get_mut(name) else { return };
        host.observing = false;
        host.stood_still =
            now_ms.saturating_sub(host.started_ms) > self.deadline_ms.saturating_add(LATE_MS);
        let pause = if ok {
            host.failures = 0;
            // 80% to 120% of the time.
            let spread =
                name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
            resync_ms * 4 / 5
                + (spread ^ host.started).wrapping_mul(0x9e37_79b9) % (resync_ms * 2 / 5).max(1)
        } else {
            host.failures = host.failures.saturating_add(1);
            (1_000 << (host.failures - 1).min(10)).min(resync_ms).min(MOST_FAILED_MS)
        };
        let at = now_ms + pause;
        // One that came due meanwhile is due now: it waited for this observation, and not for a suspended loop.
        host.due_ms = Some(host.due_ms.map_or(at, |due| due.min(at).max(now_ms)));
    }

    /// Returns the number of the last observation that has started.
    pub fn last_number(&self, host: &str) -> u64 {
        self.hosts.get(host).map_or(0, |host| host.started)
    }

    /// Returns when the next observation is due.
    pub fn next_ms(&self) -> Option<u64> {
        self.hosts.values().filter(|host| !host.observing).filter_map(|host| host.due_ms).min()
    }

    /// Checks whether every host was observed since [`PollSchedule::set_hosts`] named it, and since
    /// [`PollSchedule::observe_again`].
    pub fn all_observed(&self) -> bool {
        let seen = |host: &PolledHost| host.started - u64::from(host.observing) >= host.wanted;
        self.hosts.values().all(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_events_is_one_observation() {
        let mut schedule = PollSchedule::new(30_000, 10_000);
        schedule.set_hosts(["a"].into_iter(), 0);
        let first = Due { host: "a".to_owned(), number: 1, is_late: false };
        assert_eq!(schedule.due(0), [first]);
        for at in 0..10 {
            schedule.event("a", at);
        }
        assert!(schedule.due(100).is_empty(), "one observation at a time");
        schedule.ended("a", true, 100);
        let second = Due { host: "a".to_owned(), number: 2, is_late: false };
        assert_eq!(schedule.due(100), [second], "what came meanwhile is not lost");
        schedule.ended("a", true, 200);
        assert!(schedule.due(200).is_empty());
    }

    #[test]
    fn hosts_are_observed_again_for_a_new_spec() {
        let mut schedule = PollSchedule::new(30_000, 10_000);
        schedule.set_hosts(["a", "b", "down"].into_iter(), 0);
        assert!(!schedule.all_observed());
        schedule.due(0);
        schedule.ended("a", true, 0);
        schedule.ended("b", true, 0);
        schedule.ended("down", false, 0);
        assert!(schedule.all_observed());
        schedule.event("a", 40);
        assert_eq!(schedule.due(60).len(), 1, "an observation of before");
        schedule.observe_again(100);
        schedule.ended("a", true, 110);
        assert!(!schedule.all_observed());
        let due: Vec<String> = schedule.due(110).into_iter().map(|due| due.host).collect();
        assert_eq!(due, ["a", "b"], "the unreachable one is not waited for");
        schedule.ended("a", true, 120);
        assert!(!schedule.all_observed());
        schedule.ended("b", false, 120);
        assert!(schedule.all_observed());
    }

    #[test]
    fn a_host_without_events_is_observed_periodically() {
        let mut schedule = PollSchedule::new(30_000, 10_000);
        schedule.set_hosts(["a"].into_iter(), 0);
        schedule.due(0);
        schedule.ended("a", true, 0);
        let next = schedule.next_ms().unwrap();
        assert!((24_000..=36_000).contains(&next), "{next}");
    }

    #[test]
    fn an_observation_of_a_suspended_loop_is_late() {
        let mut schedule = PollSchedule::new(30_000, 10_000);
        schedule.set_hosts(["a"].into_iter(), 0);
        schedule.due(0);
        schedule.ended("a", false, 10);
        let due_ms = schedule.next_ms().unwrap();
        assert!(!schedule.due(due_ms + LATE_MS)[0].is_late);
        schedule.ended("a", false, due_ms + LATE_MS);
        let due_ms = schedule.next_ms().unwrap();
        assert!(schedule.due(due_ms + LATE_MS + 1)[0].is_late);
    }

    #[test]
    fn an_observation_that_waited_for_another_is_not_late() {
        let mut schedule = PollSchedule::new(30_000, 10_000);
        schedule.set_hosts(["a"].into_iter(), 0);
        schedule.due(0);
        schedule.observe_by("a", 1_000);
        schedule.ended("a", false, 10_000);
        assert_eq!(schedule.due(10_000), [Due { host: "a".to_owned(), number: 2, is_late: false }]);
        // An observation that took longer than the deadline: the loop was suspended meanwhile.
        schedule.ended("a", false, 20_000 + LATE_MS + 1);
        assert!(schedule.due(60_000)[0].is_late);
        schedule.ended("a", false, 70_000);
        let due_ms = schedule.next_ms().unwrap();
        assert!(!schedule.due(due_ms)[0].is_late);
    }

    #[test]
    fn an_unreachable_host_is_observed_less_and_less_often() {
        let mut schedule = PollSchedule::new(30_000, 10_000);
        schedule.set_hosts(["a"].into_iter(), 0);
        let mut pauses = Vec::new();
        let mut now = 0;
        for _ in 0..7 {
            schedule.due(now);
            schedule.ended("a", false, now);
            let next = schedule.next_ms().unwrap();
            pauses.push(next - now);
            now = next;
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
    }
}
