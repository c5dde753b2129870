//! Pods that something is being done to. At most one repair at a time: a pod is left alone from the
//! moment a plan with it begins until a view of its host that began after the last of its
//! operations ended. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// What is known of a pod that is busy.
#[derive(Debug, Default)]
struct State {
    /// Operations that have not ended.
    open: usize,
    /// Hosts whose next view is waited for, with the number of the last look that began before.
    unseen: BTreeMap<String, u64>,
}

/// All pods that are busy, by name.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    pods: BTreeMap<String, State>,
}

impl Busy {
    /// An operation on a pod is about to begin.
    pub fn begin(&mut self, pod: &str) {
        self.pods.entry(pod.to_owned()).or_default().open += 1;
    }

    /// An operation on a pod has ended on `host`, where the last look that began has number `look`.
    pub fn end(&mut self, pod: &str, host: &str, look: u64) {
        if let Some(state) = self.pods.get_mut(pod) {
            state.open = state.open.saturating_sub(1);
            state.unseen.insert(host.to_owned(), look);
        }
    }

    /// A view of `host` has arrived; its look has number `look`.
    pub fn seen(&mut self, host: &str, look: u64) {
        for state in self.pods.values_mut() {
            if state.unseen.get(host).is_some_and(|before| *before < look) {
                state.unseen.remove(host);
            }
        }
        self.pods.retain(|_, state| state.open > 0 || !state.unseen.is_empty());
    }

    /// A host is silent: nothing of it is waited for, and nothing is planned for it either.
    pub fn silent(&mut self, host: &str) {
        for state in self.pods.values_mut() {
            state.unseen.remove(host);
        }
        self.pods.retain(|_, state| state.open > 0 || !state.unseen.is_empty());
    }

    /// Whether a pod is to be left alone.
    pub fn has(&self, pod: &str) -> bool {
        self.pods.contains_key(pod)
    }

    /// The pods that are to be left alone.
    pub fn pods(&self) -> BTreeSet<String> {
        self.pods.keys().cloned().collect()
    }

    /// Whether nothing is busy.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_free_once_a_later_look_has_seen_it() {
        let mut busy = Busy::default();
        busy.begin("web-0");
        busy.begin("web-0");
        busy.end("web-0", "a", 4);
        busy.seen("a", 4);
        busy.seen("a", 5);
        assert!(!busy.is_empty(), "one operation is open");
        busy.end("web-0", "a", 5);
        busy.seen("a", 5);
        assert!(!busy.is_empty(), "that look began before the end");
        busy.seen("b", 9);
        assert!(!busy.is_empty(), "another host says nothing of it");
        busy.seen("a", 6);
        assert!(busy.is_empty());
    }

    #[test]
    fn nothing_is_waited_for_on_a_host_that_is_silent() {
        let mut busy = Busy::default();
        for pod in ["done", "on-both", "open"] {
            busy.begin(pod);
        }
        busy.end("done", "a", 4);
        busy.end("on-both", "a", 4);
        busy.end("on-both", "b", 7);
        busy.silent("a");
        assert!(!busy.has("done"), "no view of `a` will come");
        assert!(busy.has("on-both"), "one of `b` is waited for still");
        assert!(busy.has("open"), "its operation has not ended");
        busy.seen("b", 8);
        assert_eq!(busy.pods(), ["open".to_owned()].into());
    }
}
