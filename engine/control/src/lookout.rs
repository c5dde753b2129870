//! When each host is looked at: at once when it is new, soon after an event, and now and again in
//! any case, since events may be lost and a stream may be silent for ever. Pure.

use std::collections::BTreeMap;

/// What a burst of events is gathered for, in milliseconds.
const GATHER_MS: u64 = 20;

/// The longest pause after a look that failed, in milliseconds: a host that is back for longer is seen, and its
/// silence is over.
const MOST_FAILED_MS: u64 = 10_000;

/// A look that begins so much later than it was due shows that the loop stood still, in milliseconds.
const LATE_MS: u64 = 5_000;

/// A look that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub host: String,
    /// Its number among the looks at that host.
    pub number: u64,
    /// Whether the loop stood still when it should have begun.
    pub is_late: bool,
}

/// One host.
#[derive(Debug, Default)]
struct Host {
    /// The look that is under way.
    looking: bool,
    /// Looks that have begun.
    begun: u64,
    /// When the last one began, on the loop's own clock.
    begun_ms: u64,
    /// Whether the loop stood still while the last one was under way.
    stood_still: bool,
    /// When the next look is due, on the loop's own clock.
    due_ms: Option<u64>,
    /// Looks that failed in a row.
    failures: u32,
    /// The number of the look that is to end before anything is planned.
    wanted: u64,
}

/// All hosts.
#[derive(Debug)]
pub(crate) struct Lookout {
    hosts: BTreeMap<String, Host>,
    /// The time between two looks when nothing happens, in milliseconds.
    resync_ms: u64,
    /// The longest that a look takes, in milliseconds.
    look_ms: u64,
}

impl Lookout {
    pub fn new(resync_ms: u64, look_ms: u64) -> Self {
        Self { hosts: BTreeMap::new(), resync_ms, look_ms }
    }

    /// The hosts there are from now on; new ones are looked at at once.
    pub fn set_hosts<'a>(&mut self, names: impl Iterator<Item = &'a str>, now_ms: u64) {
        let mut before = std::mem::take(&mut self.hosts);
        for name in names {
            let host = before.remove(name);
            let fresh = Host { due_ms: Some(now_ms), wanted: 1, ..Host::default() };
            self.hosts.insert(name.to_owned(), host.unwrap_or(fresh));
        }
    }

    /// Every host that answers is looked at once more before anything is planned: what was asked for
    /// changes much at once, and what was seen some time ago, with an event that was lost since, must
    /// not be what that is decided by.
    pub fn anew(&mut self, now_ms: u64) {
        for host in self.hosts.values_mut().filter(|host| host.failures == 0) {
            host.due_ms = Some(now_ms);
            host.wanted = host.begun + 1;
        }
    }

    /// Something happened on a host: it is looked at soon.
    pub fn event(&mut self, host: &str, now_ms: u64) {
        self.within(host, now_ms + GATHER_MS);
    }

    /// A host is looked at by then.
    pub fn within(&mut self, host: &str, at_ms: u64) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.due_ms = Some(host.due_ms.map_or(at_ms, |due| due.min(at_ms)));
        }
    }

    /// The hosts that are to be looked at now; they count as being looked at.
    pub fn due(&mut self, now_ms: u64) -> Vec<Due> {
        let mut due = Vec::new();
        for (name, host) in &mut self.hosts {
            let Some(at_ms) = host.due_ms.filter(|at| !host.looking && *at <= now_ms) else {
                continue;
            };
            host.looking = true;
            host.begun += 1;
            (host.begun_ms, host.due_ms) = (now_ms, None);
            let is_late = std::mem::take(&mut host.stood_still) || now_ms - at_ms > LATE_MS;
            due.push(Due { host: name.clone(), number: host.begun, is_late });
        }
        due
    }

    /// A look has ended. The next one is due after the pause for quiet times, or, when it failed,
    /// after 1 s, doubled each time up to that pause, and ten seconds at most. Hosts are spread over the pause by name.
    pub fn seen(&mut self, name: &str, ok: bool, now_ms: u64) {
        let resync_ms = self.resync_ms;
        let Some(host) = self.hosts.get_mut(name) else { return };
        host.looking = false;
        host.stood_still =
            now_ms.saturating_sub(host.begun_ms) > self.look_ms.saturating_add(LATE_MS);
        let pause = match ok {
            true => {
                host.failures = 0;
                // 80% to 120% of the pause.
                let spread =
                    name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
                resync_ms * 4 / 5
                    + (spread ^ host.begun).wrapping_mul(0x9e37_79b9) % (resync_ms * 2 / 5).max(1)
            }
            false => {
                host.failures = host.failures.saturating_add(1);
                (1_000 << (host.failures - 1).min(10)).min(resync_ms).min(MOST_FAILED_MS)
            }
        };
        let at = now_ms + pause;
        // What was due meanwhile is due now: it waited for this look, and not for a loop that stood still.
        host.due_ms = Some(host.due_ms.map_or(at, |due| due.min(at).max(now_ms)));
    }

    /// The number of the last look that has begun.
    pub fn last(&self, host: &str) -> u64 {
        self.hosts.get(host).map_or(0, |host| host.begun)
    }

    /// When the next look is due.
    pub fn next_ms(&self) -> Option<u64> {
        self.hosts.values().filter(|host| !host.looking).filter_map(|host| host.due_ms).min()
    }

    /// Whether every host has been looked at since `set_hosts` named it, and since `anew`.
    pub fn all_seen(&self) -> bool {
        let seen = |host: &Host| host.begun - u64::from(host.looking) >= host.wanted;
        self.hosts.values().all(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_events_is_one_look() {
        let mut lookout = Lookout::new(30_000, 10_000);
        lookout.set_hosts(["a"].into_iter(), 0);
        let first = Due { host: "a".to_owned(), number: 1, is_late: false };
        assert_eq!(lookout.due(0), [first]);
        for at in 0..10 {
            lookout.event("a", at);
        }
        assert!(lookout.due(100).is_empty(), "one look at a time");
        lookout.seen("a", true, 100);
        let second = Due { host: "a".to_owned(), number: 2, is_late: false };
        assert_eq!(lookout.due(100), [second], "what came meanwhile is not lost");
        lookout.seen("a", true, 200);
        assert!(lookout.due(200).is_empty());
    }

    #[test]
    fn what_was_seen_before_a_new_spec_is_looked_at_once_more() {
        let mut lookout = Lookout::new(30_000, 10_000);
        lookout.set_hosts(["a", "b", "silent"].into_iter(), 0);
        assert!(!lookout.all_seen());
        lookout.due(0);
        lookout.seen("a", true, 0);
        lookout.seen("b", true, 0);
        lookout.seen("silent", false, 0);
        assert!(lookout.all_seen());
        lookout.event("a", 40);
        assert_eq!(lookout.due(60).len(), 1, "a look of before");
        lookout.anew(100);
        lookout.seen("a", true, 110);
        assert!(!lookout.all_seen());
        let due: Vec<String> = lookout.due(110).into_iter().map(|due| due.host).collect();
        assert_eq!(due, ["a", "b"], "the silent one is not waited for");
        lookout.seen("a", true, 120);
        assert!(!lookout.all_seen());
        lookout.seen("b", false, 120);
        assert!(lookout.all_seen());
    }

    #[test]
    fn a_quiet_host_is_looked_at_now_and_again() {
        let mut lookout = Lookout::new(30_000, 10_000);
        lookout.set_hosts(["a"].into_iter(), 0);
        lookout.due(0);
        lookout.seen("a", true, 0);
        let next = lookout.next_ms().unwrap();
        assert!((24_000..=36_000).contains(&next), "{next}");
    }

    #[test]
    fn a_look_of_a_loop_that_stood_still_is_late() {
        let mut lookout = Lookout::new(30_000, 10_000);
        lookout.set_hosts(["a"].into_iter(), 0);
        lookout.due(0);
        lookout.seen("a", false, 10);
        let due_ms = lookout.next_ms().unwrap();
        assert!(!lookout.due(due_ms + LATE_MS)[0].is_late);
        lookout.seen("a", false, due_ms + LATE_MS);
        let due_ms = lookout.next_ms().unwrap();
        assert!(lookout.due(due_ms + LATE_MS + 1)[0].is_late);
    }

    #[test]
    fn what_was_due_during_a_look_is_not_late_after_it() {
        let mut lookout = Lookout::new(30_000, 10_000);
        lookout.set_hosts(["a"].into_iter(), 0);
        lookout.due(0);
        lookout.within("a", 1_000);
        lookout.seen("a", false, 10_000);
        assert_eq!(lookout.due(10_000), [Due { host: "a".to_owned(), number: 2, is_late: false }]);
        // A look that took longer than any look may: the loop stood still meanwhile.
        lookout.seen("a", false, 20_000 + LATE_MS + 1);
        assert!(lookout.due(60_000)[0].is_late);
        lookout.seen("a", false, 70_000);
        let due_ms = lookout.next_ms().unwrap();
        assert!(!lookout.due(due_ms)[0].is_late);
    }

    #[test]
    fn a_silent_host_is_asked_less_and_less_often() {
        let mut lookout = Lookout::new(30_000, 10_000);
        lookout.set_hosts(["a"].into_iter(), 0);
        let mut pauses = Vec::new();
        let mut now = 0;
        for _ in 0..7 {
            lookout.due(now);
            lookout.seen("a", false, now);
            let next = lookout.next_ms().unwrap();
            pauses.push(next - now);
            now = next;
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
    }
}
