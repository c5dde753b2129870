//! What observations showed, kept beside the spec so that a later process knows it too.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::input::observed::HostState;
use crate::labels;

/// What was learned from observations. The loop that observes owns it and writes it to
/// `.tally/memory/CLUSTER.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    /// By host.
    pub hosts: BTreeMap<String, HostMemory>,
    /// Pods that are left alone until a time, because they end again and again: by host and pod.
    pub backoff: BTreeMap<String, BTreeMap<String, Backoff>>,
    /// The clocks of the process that wrote it.
    pub written: Option<Clocks>,
    /// Whether engines elsewhere change the cluster too: then a host that does not answer may have more than
    /// is remembered here.
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

impl Learned {
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

/// What is remembered of one host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostMemory {
    /// Since when it does not answer, in milliseconds since 1970.
    #[serde(rename = "silent_since_ms")]
    pub unreachable_since_ms: Option<i64>,
    /// Until when it surely did not: when the last look began that failed. A loop that was stopped
    /// for a while has not looked meanwhile, and knows of no silence; and a host may come back while a
    /// look waits for it. `None`: until now.
    #[serde(skip)]
    pub unreachable_until_ms: Option<i64>,
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
