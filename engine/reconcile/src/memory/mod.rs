//! What live state cannot tell: since when a host is silent, what was last seen on it, what people
//! declared. Losing it costs time, never safety: what is not remembered is waited for.

pub mod revisions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tally_graph::Millis;

use crate::input::observed::{HostState, HostView, Observed};
use crate::labels;
use crate::memory::revisions::{Former, Undone};
use crate::plan::{Action, Plan};

/// Everything that is remembered between two observations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// By host.
    pub hosts: BTreeMap<String, HostMemory>,
    /// Pods that are left alone until a time, because they end again and again: by host and pod.
    pub backoff: BTreeMap<String, BTreeMap<String, Backoff>>,
    /// What people declared.
    #[serde(skip)]
    pub declared: Declarations,
    /// Pods that something is being done to, and what is under way beside them: as
    /// [`crate::plan::Operation::claims`] calls it.
    #[serde(skip)]
    pub busy: BTreeSet<String>,
    /// Containers whose liveness has failed, by full ID.
    #[serde(skip)]
    pub failing: BTreeSet<String>,
    /// What workloads were before that are being rolled out and go back when that fails, as the
    /// history tells; by address.
    #[serde(skip)]
    pub former: BTreeMap<String, Former>,
    /// The clocks of who wrote it down.
    pub written: Option<Clocks>,
    /// Whether engines elsewhere change the cluster too: then what stands here of a host that does not
    /// answer may not be all that is there.
    pub shared: bool,
}

/// The clocks of a machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Clocks {
    /// The clock by which times are remembered, in milliseconds since 1970: it may jump.
    pub now_ms: i64,
    /// A clock that goes on evenly since the machine was started, in milliseconds.
    pub steady_ms: i64,
    /// Which start of which machine that was.
    pub boot: String,
}

impl Memory {
    /// Takes up what another process wrote down. Where engines elsewhere change the cluster too, any pod may
    /// be on a host until that was seen: that costs time, never safety.
    pub fn take_up(&mut self, now: Option<&Clocks>) {
        let then = self.written.take();
        self.set_clock(then.as_ref(), now);
        for host in self.hosts.values_mut() {
            host.may_have_more = self.shared;
        }
    }

    /// Puts its times as `now` would have told them, that were told by `then`: the clock may have been set
    /// since. Where nobody can say whether it was, after a restart of the machine or on another one, a
    /// silence counts from now on. That costs time, never safety.
    pub fn set_clock(&mut self, then: Option<&Clocks>, now: Option<&Clocks>) {
        let both = then.zip(now).filter(|(then, now)| then.boot == now.boot);
        let set_by = both.map(|(then, now)| {
            let wall = now.now_ms.saturating_sub(then.now_ms);
            wall.saturating_sub(now.steady_ms.saturating_sub(then.steady_ms))
        });
        for host in self.hosts.values_mut() {
            let since_ms = host.silent_since_ms.take().zip(set_by);
            host.silent_since_ms =
                since_ms.map(|(since_ms, set_by)| since_ms.saturating_add(set_by));
        }
        let pauses = self.backoff.values_mut().flat_map(BTreeMap::values_mut);
        for pause in pauses {
            pause.until_ms = pause.until_ms.saturating_add(set_by.unwrap_or(0));
        }
    }

    /// Whether the pods without data of a host that does not answer count as gone: somebody declared
    /// it, or it has been silent for as long as the spec grants.
    #[must_use]
    pub fn is_lost(&self, host: &str, lost_after: Option<Millis>, now_ms: i64) -> bool {
        let known = self.hosts.get(host);
        let since = known.and_then(|host| host.silent_since_ms);
        let until = known.and_then(|host| host.silent_until_ms).unwrap_or(now_ms);
        let over = lost_after.zip(since).is_some_and(|(grace, since)| {
            until.saturating_sub(since) >= i64::try_from(grace.0).unwrap_or(i64::MAX)
        });
        self.declared.hosts.contains_key(host) || over
    }
}

/// What is remembered of one host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostMemory {
    /// Since when it does not answer, in milliseconds since 1970.
    pub silent_since_ms: Option<i64>,
    /// Until when it surely did not: when the last look began that failed. A loop that was stopped
    /// for a while has not looked meanwhile, and knows of no silence; and a host may come back while a
    /// look waits for it. `None`: until now.
    #[serde(skip)]
    pub silent_until_ms: Option<i64>,
    /// Pods of ours that were there when it last answered, or were begun to be made there since;
    /// `None` when it was never seen.
    pub pods: Option<BTreeSet<String>>,
    /// Whether engines elsewhere may have made others there since.
    #[serde(skip)]
    pub may_have_more: bool,
}

impl HostMemory {
    /// Whether a pod was there, or was begun to be made there.
    pub(crate) fn had(&self, pod: &str) -> bool {
        self.pods.as_ref().is_some_and(|pods| pods.contains(pod))
    }

    /// Whether a pod may be there.
    pub(crate) fn may_have(&self, pod: &str) -> bool {
        !self.has_all() || self.had(pod)
    }

    /// Whether one of the pods that `is_one` knows may be there.
    pub(crate) fn may_have_one(&self, is_one: impl Fn(&str) -> bool) -> bool {
        !self.has_all() || self.pods.iter().flatten().any(|pod| is_one(pod))
    }

    /// Whether no other pods can be there than those that are remembered.
    fn has_all(&self) -> bool {
        self.pods.is_some() && !self.may_have_more
    }

    /// Keeps which pods of `cluster` are there; whether they are others than before. One that is
    /// busy and not there may have been made since: it counts as there until a later view.
    fn saw(&mut self, cluster: &str, state: &HostState, busy: &BTreeSet<String>) -> bool {
        self.may_have_more = false;
        let ours = state.containers.iter().filter(|container| {
            container.labels.get(labels::CLUSTER).is_some_and(|of| of == cluster)
        });
        let known = self.pods.iter().flatten().filter(|pod| busy.contains(*pod));
        let pods: BTreeSet<&String> =
            ours.filter_map(|container| container.labels.get(labels::POD)).chain(known).collect();
        if self.pods.as_ref().is_some_and(|known| known.iter().eq(pods.iter().copied())) {
            return false;
        }
        let pods = pods.into_iter().cloned().collect();
        self.pods = Some(pods);
        true
    }
}

/// What people declared, and nothing that is seen could tell. It is kept apart from what is learned:
/// it must not be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Declarations {
    /// Hosts that are lost or fenced.
    pub hosts: BTreeMap<String, Declared>,
    /// Rollouts that are paused, by workload, with who and why.
    pub paused: BTreeMap<String, String>,
    /// Why nothing may be changed at all.
    pub frozen: Option<String>,
    /// Workloads whose last change was undone, by people or because it failed.
    pub undone: BTreeMap<String, Undone>,
    /// Containers that are to be restarted: full IDs with the start that is to be their last, by
    /// workload. Starts are compared for equality only, so clocks may differ.
    pub restarts: BTreeMap<String, BTreeMap<String, i64>>,
}

/// What somebody declared about a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declared {
    /// It will not come back soon: pods without data are replaced.
    Lost,
    /// It is surely off: pods with data are replaced too, without the data.
    Fenced,
}

/// Why a pod is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Backoff {
    /// Until when, in milliseconds since 1970.
    pub until_ms: i64,
    /// How often it has ended, or could not be made, in a row.
    pub crashes: u32,
    /// When it last ended, in milliseconds since 1970 by the daemon's clock.
    pub last_end_ms: i64,
    /// Whether it runs and its liveness fails: then it must run well for longer to be forgotten.
    pub unwell: bool,
}

impl Memory {
    /// Takes in an observation of `cluster` that was made at `now_ms`. Whether it holds anything new,
    /// so that it should be written down: who comes after must not take a pod for absent that was
    /// seen on a host that does not answer by then.
    pub fn learn(&mut self, cluster: &str, observed: &Observed, now_ms: i64) -> bool {
        let mut is_new = false;
        for (name, view) in &observed.hosts {
            is_new |= !self.hosts.contains_key(name);
            let host = self.hosts.entry(name.clone()).or_default();
            match view {
                HostView::Ready(state) => {
                    is_new |= host.silent_since_ms.take().is_some();
                    // A host that answers is not lost. A fence stays until somebody takes it away:
                    // what runs there again must first be stopped.
                    if self.declared.hosts.get(name) == Some(&Declared::Lost) {
                        self.declared.hosts.remove(name);
                        is_new = true;
                    }
                    is_new |= host.saw(cluster, state, &self.busy);
                }
                // What answers something is there: until it shows all, no silence grows into a loss.
                HostView::Unknown { answers: true, .. } => {
                    is_new |= host.silent_since_ms.replace(now_ms).is_none();
                }
                HostView::Unknown { .. } => {
                    is_new |= host.silent_since_ms.is_none();
                    host.silent_since_ms.get_or_insert(now_ms);
                }
            }
        }
        is_new
    }

    /// As [`Memory::learn`], of one look at all hosts that took so long, by a clock that nobody sets. A host
    /// that did not answer may have come back while it was waited for: it surely was silent only until
    /// the look began.
    pub fn looked(
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
                self.hosts.entry(name.clone()).or_default().silent_until_ms = Some(begun_ms);
            }
        }
        self.learn(cluster, observed, now_ms)
    }

    /// Notes what a plan is about to make, before it is carried out: a create whose reply is lost
    /// may have been done.
    pub fn intend(&mut self, plan: &Plan) {
        for operation in &plan.operations {
            if matches!(operation.action, Action::CreateContainer(_))
                && let Some(pod) = operation.subject.pod()
            {
                let host = self.hosts.entry(operation.host.clone()).or_default();
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
        memory.hosts["a"].pods.iter().flatten().map(String::as_str).collect()
    }

    #[test]
    fn a_silence_is_as_long_as_it_was_whatever_was_done_to_the_clock() {
        let clocks =
            |now_ms, steady_ms, boot: &str| Clocks { now_ms, steady_ms, boot: boot.into() };
        let taken_up = |now: Option<Clocks>| {
            let mut memory =
                Memory { written: Some(clocks(100_000, 500, "x")), ..Memory::default() };
            memory.hosts.entry("a".to_owned()).or_default().silent_since_ms = Some(90_000);
            memory.take_up(now.as_ref());
            memory.hosts["a"].silent_since_ms
        };
        for (now, expected) in [
            (Some(clocks(107_000, 7_500, "x")), Some(90_000)),
            // Set forward by an hour, and back by one.
            (Some(clocks(3_707_000, 7_500, "x")), Some(3_690_000)),
            (Some(clocks(-3_493_000, 7_500, "x")), Some(-3_510_000)),
            (Some(clocks(107_000, 7_500, "another start")), None),
            (None, None),
        ] {
            assert_eq!(taken_up(now.clone()), expected, "{now:?}");
        }
    }

    #[test]
    fn a_host_may_have_come_back_while_a_look_waited_for_it() {
        let mut memory = Memory::default();
        let silent = observed(HostView::Unknown { reason: String::new(), answers: false });
        let looked = |memory: &mut Memory, begun_ms: u64, now_ms: u64| {
            let took = Duration::from_millis(now_ms - begun_ms);
            memory.looked("shop", &silent, took, i64::try_from(now_ms).unwrap());
        };
        looked(&mut memory, 0, 1_000);
        looked(&mut memory, 60_000, 80_000);
        assert!(!memory.is_lost("a", Some(Millis(60_000)), 80_000));
        looked(&mut memory, 61_000, 81_000);
        assert!(memory.is_lost("a", Some(Millis(60_000)), 81_000));
    }

    #[test]
    fn what_answers_in_part_is_never_silent_for_long() {
        let mut memory = Memory::default();
        let in_part = observed(HostView::Unknown { reason: String::new(), answers: true });
        memory.learn("shop", &in_part, 0);
        memory.learn("shop", &in_part, 60_000);
        let grace = Some(Millis(60_000));
        assert!(!memory.is_lost("a", grace, 60_000));
        let silent = observed(HostView::Unknown { reason: String::new(), answers: false });
        memory.learn("shop", &silent, 70_000);
        assert!(!memory.is_lost("a", grace, 119_999));
        assert!(memory.is_lost("a", grace, 120_000));
    }

    #[test]
    fn beside_other_engines_any_pod_may_be_on_a_host_until_that_was_seen() {
        let may_have = |memory: &Memory, pod: &str| memory.hosts["a"].may_have(pod);
        for shared in [false, true] {
            let mut memory = Memory { shared, ..Memory::default() };
            let pods = Some(["web-0".to_owned()].into());
            memory.hosts.insert("a".to_owned(), HostMemory { pods, ..HostMemory::default() });
            let text = serde_json::to_string(&memory).unwrap();
            let mut memory: Memory = serde_json::from_str(&text).unwrap();
            memory.take_up(None);
            let silent = observed(HostView::Unknown { reason: String::new(), answers: false });
            memory.learn("shop", &silent, 0);
            assert!(may_have(&memory, "web-0"));
            assert_eq!(may_have(&memory, "web-1"), shared);
            assert!(!memory.hosts["a"].had("web-1"), "nobody saw it there");
            memory.learn("shop", &observed(HostView::Ready(Box::default())), 1);
            assert!(!may_have(&memory, "web-1"), "the host was seen");
        }
    }

    #[test]
    fn a_pod_that_is_being_made_is_not_forgotten_for_an_older_view() {
        let mut memory = Memory::default();
        let empty = observed(HostView::Ready(Box::default()));
        assert!(memory.learn("shop", &empty, 0), "a host that was not known");
        assert!(!memory.learn("shop", &empty, 1), "nothing new");
        memory.hosts.entry("a".to_owned()).or_default().pods = Some(["web-0".to_owned()].into());
        memory.busy.insert("web-0".to_owned());
        assert!(!memory.learn("shop", &empty, 2));
        assert_eq!(known(&memory), ["web-0"]);
        let silent = observed(HostView::Unknown { reason: String::new(), answers: false });
        assert!(memory.learn("shop", &silent, 3), "a silence that was not known");
        memory.busy.clear();
        assert!(!memory.learn("shop", &silent, 4));
        assert_eq!(known(&memory), ["web-0"], "it may run there");
        assert!(memory.learn("shop", &empty, 5));
        assert!(known(&memory).is_empty(), "it was looked at");
    }
}
