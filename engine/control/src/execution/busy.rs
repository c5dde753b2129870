//! Pods that are busy. At most one repair at a time: a pod is left alone from the start of a plan that changes it
//! until an observation of its host that started after the last of its operations ended. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// A pod that is busy.
#[derive(Debug, Default)]
struct BusyState {
    /// Operations that have not ended.
    open: usize,
    /// Hosts whose next view is waited for, with the number of the last observation that started before.
    unseen: BTreeMap<String, u64>,
}

/// All pods that are busy, by name.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    pods: BTreeMap<String, BusyState>,
}

impl Busy {
    /// Notes that an operation on a pod is about to start.
    pub fn begin(&mut self, pod: &str) {
        self.pods.entry(pod.to_owned()).or_default().open += 1;
    }

    /// Notes that an operation on a pod has ended on `host`, whose last observation that started has that number.
    pub fn end(&mut self, pod: &str, host: &str, number: u64) {
        if let Some(state) = self.pods.get_mut(pod) {
            state.open = state.open.saturating_sub(1);
            state.unseen.insert(host.to_owned(), number);
        }
    }

    /// Takes in an observation of `host` with that number.
    pub fn observed(&mut self, host: &str, number: u64) {
        for state in self.pods.values_mut() {
            if state.unseen.get(host).is_some_and(|before| *before < number) {
                state.unseen.remove(host);
            }
        }
        self.pods.retain(|_, state| state.open > 0 || !state.unseen.is_empty());
    }

    /// Notes that a host is unreachable: no view of it is waited for, and nothing is planned for it either.
    pub fn unreachable(&mut self, host: &str) {
        for state in self.pods.values_mut() {
            state.unseen.remove(host);
        }
        self.pods.retain(|_, state| state.open > 0 || !state.unseen.is_empty());
    }

    /// Checks whether a pod is busy.
    pub fn has(&self, pod: &str) -> bool {
        self.pods.contains_key(pod)
    }

    /// Returns the pods that are busy.
    pub fn pods(&self) -> BTreeSet<String> {
        self.pods.keys().cloned().collect()
    }

    /// Checks whether nothing is busy.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_free_after_a_later_observation() {
        let mut busy = Busy::default();
        busy.begin("web-0");
        busy.begin("web-0");
        busy.end("web-0", "a", 4);
        busy.observed("a", 4);
        busy.observed("a", 5);
        assert!(!busy.is_empty(), "one operation is open");
        busy.end("web-0", "a", 5);
        busy.observed("a", 5);
        assert!(!busy.is_empty(), "that observation started before the end");
        busy.observed("b", 9);
        assert!(!busy.is_empty(), "another host shows nothing of it");
        busy.observed("a", 6);
        assert!(busy.is_empty());
    }

    #[test]
    fn nothing_is_waited_for_on_an_unreachable_host() {
        let mut busy = Busy::default();
        for pod in ["done", "on-both", "open"] {
            busy.begin(pod);
        }
        busy.end("done", "a", 4);
        busy.end("on-both", "a", 4);
        busy.end("on-both", "b", 7);
        busy.unreachable("a");
        assert!(!busy.has("done"), "no view of `a` will come");
        assert!(busy.has("on-both"), "one of `b` is waited for still");
        assert!(busy.has("open"), "its operation has not ended");
        busy.observed("b", 8);
        assert_eq!(busy.pods(), ["open".to_owned()].into());
    }
}
