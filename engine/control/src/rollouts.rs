//! When a rollout has failed that goes back by itself: what is not ready is given its time. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tally_reconcile::rollback::Unready;

/// What is known of rollouts that go back when they fail.
#[derive(Debug, Default)]
pub(crate) struct Rollouts {
    /// Since when each container of a new version is not ready, by host and full ID, on the loop's own
    /// clock. One that is ready in between, or out of sight, begins anew.
    since_ms: BTreeMap<(String, String), u64>,
    /// Versions that have failed, by workload: what was to be done about that is done.
    failed: BTreeMap<String, String>,
    /// What went back and came to be as it was, by workload: what befalls it later is no rollout's.
    back: BTreeMap<String, String>,
}

impl Rollouts {
    /// Takes in what is not ready now, and gives what has failed by that: one container of each
    /// workload, and each version once.
    pub fn judge(&mut self, unready: Vec<Unready>, clock_ms: u64) -> Vec<(Unready, String)> {
        let key = |it: &Unready| (it.host.clone(), it.id.clone());
        let seen: BTreeSet<(String, String)> = unready.iter().map(key).collect();
        self.since_ms.retain(|key, _| seen.contains(key));
        let mut failed = Vec::new();
        for one in unready {
            let since = *self.since_ms.entry(key(&one)).or_insert(clock_ms);
            let waited_ms = clock_ms.saturating_sub(since);
            let is_back = self.back.get(&one.workload) == Some(&one.of);
            if is_back || self.has_failed(&one.workload, &one.of) {
                continue;
            }
            let why = match one.is_over {
                true => one.reason.clone(),
                false if waited_ms >= one.deadline_ms => {
                    format!("not ready after {waited_ms} ms: {}", one.reason)
                }
                false => continue,
            };
            self.failed(&one.workload, &one.of);
            failed.push((one, why));
        }
        failed
    }

    /// A version of a workload has failed. Whether nothing was done about that yet.
    pub fn failed(&mut self, workload: &str, of: &str) -> bool {
        let before = self.failed.insert(workload.to_owned(), of.to_owned());
        before.as_deref() != Some(of)
    }

    /// Whether that version of a workload has failed.
    pub fn has_failed(&self, workload: &str, of: &str) -> bool {
        self.failed.get(workload).is_some_and(|failed| failed == of)
    }

    /// It was no failure that anything is to be done about.
    pub fn forget_failed(&mut self, workload: &str) {
        self.failed.remove(workload);
    }

    /// What a workload went back to has come to be.
    pub fn is_back(&mut self, workload: &str, of: &str) {
        self.back.insert(workload.to_owned(), of.to_owned());
    }

    /// Something else is followed: what failed may be tried again.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_reconcile::rollback::Blame;

    fn one(id: &str, is_over: bool) -> Unready {
        Unready {
            workload: "controller/web".into(),
            of: "v2".into(),
            host: "a".into(),
            pod: "web-0".into(),
            container: "c".into(),
            id: id.into(),
            reason: "its health check fails".into(),
            is_over,
            deadline_ms: 1_000,
            blame: Blame::Readiness,
        }
    }

    #[test]
    fn what_is_not_ready_fails_at_its_deadline_and_once() {
        let mut rollouts = Rollouts::default();
        assert!(rollouts.judge(vec![one("x", false)], 5_000).is_empty());
        assert!(rollouts.judge(vec![one("x", false)], 5_999).is_empty());
        let failed = rollouts.judge(vec![one("x", false), one("y", true)], 6_000);
        let whys: Vec<&str> = failed.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(whys, ["not ready after 1000 ms: its health check fails"]);
        assert!(rollouts.judge(vec![one("x", false)], 9_000).is_empty(), "it is known");
    }

    #[test]
    fn what_was_ready_in_between_or_out_of_sight_begins_anew() {
        let mut rollouts = Rollouts::default();
        rollouts.judge(vec![one("x", false)], 0);
        rollouts.judge(Vec::new(), 900);
        assert!(rollouts.judge(vec![one("x", false)], 1_000).is_empty());
        assert_eq!(rollouts.judge(vec![one("x", false)], 2_000).len(), 1);
    }

    #[test]
    fn what_came_back_and_stood_is_no_rollout_any_more() {
        let mut rollouts = Rollouts::default();
        rollouts.is_back("controller/web", "v2");
        assert!(rollouts.judge(vec![one("x", true)], 0).is_empty());
    }
}
