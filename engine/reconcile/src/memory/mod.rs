//! The state that no host can report: since when a host is unreachable, its last known pods, the
//! declarations of people. Losing it costs time, never safety: the engine waits where it has no memory.

pub mod declared;
pub mod history;
pub mod in_flight;
pub mod learned;
pub mod revisions;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tally_graph::Millis;

use crate::input::observed::{HostView, Observed};
use crate::plan::{Action, Plan};

pub use declared::{Declarations, Declared};
pub use history::History;
pub use in_flight::InFlight;
pub use learned::{Backoff, Clocks, HostMemory, Learned};

/// Everything that is remembered between two observations. Each part has its own owner.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The knowledge from observations. It is written to the memory file.
    #[serde(flatten)]
    pub learned: Learned,
    /// The declarations of people. They have their own file.
    #[serde(skip)]
    pub declared: Declarations,
    /// The operations that are under way. They end with the process.
    #[serde(skip)]
    pub in_flight: InFlight,
    /// The previous revisions of workloads. They are read from the history.
    #[serde(skip)]
    pub history: History,
}

impl Memory {
    /// Checks whether the pods without data of a host that does not answer count as gone: somebody declared
    /// the host lost, or it has been unreachable for the time that the spec grants.
    #[must_use]
    pub fn is_lost(&self, host: &str, lost_after: Option<Millis>, now_ms: i64) -> bool {
        let known = self.learned.hosts.get(host);
        let since = known.and_then(|host| host.unreachable_since_ms);
        let until = known.and_then(|host| host.unreachable_until_ms).unwrap_or(now_ms);
        let over = lost_after.zip(since).is_some_and(|(grace, since)| {
            until.saturating_sub(since) >= i64::try_from(grace.0).unwrap_or(i64::MAX)
        });
        self.declared.hosts.contains_key(host) || over
    }
}

impl Memory {
    /// Learns from an observation of `cluster` that was made at `now_ms`. Returns whether the memory has
    /// changed and should be written: a later process must not treat a pod as absent that was seen on a
    /// host that does not answer then.
    pub fn learn(&mut self, cluster: &str, observed: &Observed, now_ms: i64) -> bool {
        let mut is_new = false;
        for (name, view) in &observed.hosts {
            is_new |= !self.learned.hosts.contains_key(name);
            let host = self.learned.hosts.entry(name.clone()).or_default();
            match view {
                HostView::Ready(state) => {
                    is_new |= host.unreachable_since_ms.take().is_some();
                    // A host that answers is not lost. A fence stays until somebody removes it: containers
                    // that run there again must be stopped first.
                    if self.declared.hosts.get(name) == Some(&Declared::Lost) {
                        self.declared.hosts.remove(name);
                        is_new = true;
                    }
                    is_new |= host.saw(cluster, state, &self.in_flight.busy);
                }
                // A host that answers some calls is reachable: it does not become lost while its view is
                // incomplete.
                HostView::Unknown { answers: true, .. } => {
                    is_new |= host.unreachable_since_ms.replace(now_ms).is_none();
                }
                HostView::Unknown { .. } => {
                    is_new |= host.unreachable_since_ms.is_none();
                    host.unreachable_since_ms.get_or_insert(now_ms);
                }
            }
        }
        is_new
    }

    /// Learns like [`Memory::learn`], from one observation of all hosts with the given duration, measured
    /// by a monotonic clock. A host that did not answer may have come back while the observation waited for
    /// it: it was certainly unreachable only until the observation started.
    pub fn learn_observation(
        &mut self,
        cluster: &str,
        observed: &Observed,
        took: Duration,
        now_ms: i64,
    ) -> bool {
        let took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        let begun_ms = now_ms.saturating_sub(took_ms);
        for (name, view) in &observed.hosts {
            if matches!(view, HostView::Unknown { .. }) {
                self.learned.hosts.entry(name.clone()).or_default().unreachable_until_ms =
                    Some(begun_ms);
            }
        }
        self.learn(cluster, observed, now_ms)
    }

    /// Remembers the pods that a plan is about to create, before it is carried out: a create whose reply is
    /// lost may have succeeded.
    pub fn intend(&mut self, plan: &Plan) {
        for operation in &plan.operations {
            if matches!(operation.action, Action::CreateContainer(_))
                && let Some(pod) = operation.subject.pod()
            {
                let host = self.learned.hosts.entry(operation.host.clone()).or_default();
                host.pods.get_or_insert_default().insert(pod.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(view: HostView) -> Observed {
        Observed { hosts: [("a".to_owned(), view)].into() }
    }

    fn known(memory: &Memory) -> Vec<&str> {
        memory.learned.hosts["a"].pods.iter().flatten().map(String::as_str).collect()
    }

    #[test]
    fn the_time_a_host_is_unreachable_does_not_follow_the_wall_clock() {
        let clocks =
            |now_ms, steady_ms, boot: &str| Clocks { now_ms, steady_ms, boot: boot.into() };
        let taken_up = |now: Option<Clocks>| {
            let mut memory =
                Learned { written: Some(clocks(100_000, 500, "x")), ..Learned::default() };
            memory.hosts.entry("a".to_owned()).or_default().unreachable_since_ms = Some(90_000);
            memory.take_up(now.as_ref());
            memory.hosts["a"].unreachable_since_ms
        };
        for (now, expected) in [
            (Some(clocks(107_000, 7_500, "x")), Some(90_000)),
            // The wall clock was set forward by an hour, and back by one.
            (Some(clocks(3_707_000, 7_500, "x")), Some(3_690_000)),
            (Some(clocks(-3_493_000, 7_500, "x")), Some(-3_510_000)),
            (Some(clocks(107_000, 7_500, "another start")), None),
            (None, None),
        ] {
            assert_eq!(taken_up(now.clone()), expected, "{now:?}");
        }
    }

    #[test]
    fn a_host_may_have_come_back_while_an_observation_waited_for_it() {
        let mut memory = Memory::default();
        let unreachable = observed(HostView::Unknown { reason: String::new(), answers: false });
        let looked = |memory: &mut Memory, begun_ms: u64, now_ms: u64| {
            let took = Duration::from_millis(now_ms - begun_ms);
            memory.learn_observation("shop", &unreachable, took, i64::try_from(now_ms).unwrap());
        };
        looked(&mut memory, 0, 1_000);
        looked(&mut memory, 60_000, 80_000);
        assert!(!memory.is_lost("a", Some(Millis(60_000)), 80_000));
        looked(&mut memory, 61_000, 81_000);
        assert!(memory.is_lost("a", Some(Millis(60_000)), 81_000));
    }

    #[test]
    fn a_host_that_answers_in_part_does_not_become_lost() {
        let mut memory = Memory::default();
        let in_part = observed(HostView::Unknown { reason: String::new(), answers: true });
        memory.learn("shop", &in_part, 0);
        memory.learn("shop", &in_part, 60_000);
        let grace = Some(Millis(60_000));
        assert!(!memory.is_lost("a", grace, 60_000));
        let unreachable = observed(HostView::Unknown { reason: String::new(), answers: false });
        memory.learn("shop", &unreachable, 70_000);
        assert!(!memory.is_lost("a", grace, 119_999));
        assert!(memory.is_lost("a", grace, 120_000));
    }

    #[test]
    fn with_other_engines_any_pod_may_be_on_a_host_until_it_is_observed() {
        let may_have = |memory: &Memory, pod: &str| memory.learned.hosts["a"].may_have(pod);
        for shared in [false, true] {
            let mut memory = Memory::default();
            memory.learned.shared = shared;
            let pods = Some(["web-0".to_owned()].into());
            memory
                .learned
                .hosts
                .insert("a".to_owned(), HostMemory { pods, ..HostMemory::default() });
            let text = serde_json::to_string(&memory).unwrap();
            let mut memory: Memory = serde_json::from_str(&text).unwrap();
            memory.learned.take_up(None);
            let unreachable = observed(HostView::Unknown { reason: String::new(), answers: false });
            memory.learn("shop", &unreachable, 0);
            assert!(may_have(&memory, "web-0"));
            assert_eq!(may_have(&memory, "web-1"), shared);
            assert!(!memory.learned.hosts["a"].had("web-1"), "it was never observed there");
            memory.learn("shop", &observed(HostView::Ready(Box::default())), 1);
            assert!(!may_have(&memory, "web-1"), "the host was observed");
        }
    }

    #[test]
    fn a_pod_that_is_being_created_is_not_forgotten_for_an_older_view() {
        let mut memory = Memory::default();
        let empty = observed(HostView::Ready(Box::default()));
        assert!(memory.learn("shop", &empty, 0), "a host that was not known");
        assert!(!memory.learn("shop", &empty, 1), "nothing new");
        memory.learned.hosts.entry("a".to_owned()).or_default().pods =
            Some(["web-0".to_owned()].into());
        memory.in_flight.busy.insert("web-0".to_owned());
        assert!(!memory.learn("shop", &empty, 2));
        assert_eq!(known(&memory), ["web-0"]);
        let unreachable = observed(HostView::Unknown { reason: String::new(), answers: false });
        assert!(memory.learn("shop", &unreachable, 3), "the host was not known to be unreachable");
        memory.in_flight.busy.clear();
        assert!(!memory.learn("shop", &unreachable, 4));
        assert_eq!(known(&memory), ["web-0"], "it may run there");
        assert!(memory.learn("shop", &empty, 5));
        assert!(known(&memory).is_empty(), "it was observed");
    }
}
