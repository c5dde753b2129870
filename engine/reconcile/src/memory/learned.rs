//! The knowledge from observations, stored beside the spec for later processes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::input::observed::HostState;
use crate::labels;

/// The knowledge from observations. The loop that observes owns it and writes it to
/// `.tally/memory/CLUSTER.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    /// The memory of each host, by its name.
    pub hosts: BTreeMap<String, HostMemory>,
    /// Pods that are not restarted before a given time, because they fail repeatedly: by host and pod.
    pub backoff: BTreeMap<String, BTreeMap<String, Backoff>>,
    /// The clocks of the process that wrote it.
    pub written: Option<Clocks>,
    /// Whether other engines change the cluster too: then a host that does not answer may have pods that
    /// are not remembered here.
    pub shared: bool,
}

/// The clocks of a machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Clocks {
    /// The wall clock, by which times are remembered, in milliseconds since 1970: it may jump.
    pub now_ms: i64,
    /// A monotonic clock since the start of the machine, in milliseconds.
    pub steady_ms: i64,
    /// The ID of this boot of the machine.
    pub boot: String,
}

impl Learned {
    /// Takes over the memory that another process wrote. If other engines change the cluster too, any pod
    /// may be on a host until that host is observed: this costs time, never safety.
    pub fn take_up(&mut self, now: Option<&Clocks>) {
        let then = self.written.take();
        self.set_clock(then.as_ref(), now);
        for host in self.hosts.values_mut() {
            host.may_have_more = self.shared;
        }
    }

    /// Converts its times from the clocks `then` to the clocks `now`, because the wall clock may have been
    /// set since. If that cannot be determined, after a restart of the machine or on another machine, a
    /// host counts as unreachable from now on. This costs time, never safety.
    pub fn set_clock(&mut self, then: Option<&Clocks>, now: Option<&Clocks>) {
        let both = then.zip(now).filter(|(then, now)| then.boot == now.boot);
        let set_by = both.map(|(then, now)| {
            let wall = now.now_ms.saturating_sub(then.now_ms);
            wall.saturating_sub(now.steady_ms.saturating_sub(then.steady_ms))
        });
        for host in self.hosts.values_mut() {
            let since_ms = host.unreachable_since_ms.take().zip(set_by);
            host.unreachable_since_ms =
                since_ms.map(|(since_ms, set_by)| since_ms.saturating_add(set_by));
        }
        let pauses = self.backoff.values_mut().flat_map(BTreeMap::values_mut);
        for pause in pauses {
            pause.until_ms = pause.until_ms.saturating_add(set_by.unwrap_or(0));
        }
    }
}

/// The memory of one host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostMemory {
    /// The time since which it does not answer, in milliseconds since 1970.
    #[serde(rename = "silent_since_ms")]
    pub unreachable_since_ms: Option<i64>,
    /// The time until which it may have answered: when the last observation that failed started, in
    /// milliseconds since 1970. A loop that was stopped has not observed in the meantime, so it cannot know
    /// of an outage; and a host may come back while an observation waits for it. `None`: until now.
    #[serde(skip)]
    pub unreachable_until_ms: Option<i64>,
    /// Pods of the cluster that were on the host when it last answered, or whose creation was started there
    /// since; `None` when the host was never observed.
    pub pods: Option<BTreeSet<String>>,
    /// Whether other engines may have created more pods there since.
    #[serde(skip)]
    pub may_have_more: bool,
}

impl HostMemory {
    /// Checks whether a pod was there, or its creation was started there.
    pub(crate) fn had(&self, pod: &str) -> bool {
        self.pods.as_ref().is_some_and(|pods| pods.contains(pod))
    }

    /// Checks whether a pod may be there.
    pub(crate) fn may_have(&self, pod: &str) -> bool {
        !self.has_all() || self.had(pod)
    }

    /// Checks whether a pod that `is_one` accepts may be there.
    pub(crate) fn may_have_one(&self, is_one: impl Fn(&str) -> bool) -> bool {
        !self.has_all() || self.pods.iter().flatten().any(|pod| is_one(pod))
    }

    /// Checks whether only the remembered pods can be there.
    fn has_all(&self) -> bool {
        self.pods.is_some() && !self.may_have_more
    }

    /// Stores which pods of `cluster` are there; returns whether they have changed. A busy pod that is not
    /// in the view may have been created since: it counts as present until a later view.
    pub(super) fn saw(
        &mut self,
        cluster: &str,
        state: &HostState,
        busy: &BTreeSet<String>,
    ) -> bool {
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

/// The reason why a pod is not restarted for some time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Backoff {
    /// The end of that time, in milliseconds since 1970.
    pub until_ms: i64,
    /// The number of consecutive failures: it ended, or could not be created.
    pub crashes: u32,
    /// The time of its last end, in milliseconds since 1970 by the daemon's clock.
    pub last_end_ms: i64,
    /// Whether it runs and its liveness fails: then it must run well for longer before the entry is
    /// deleted.
    pub unwell: bool,
}
