//! When a rollout has failed that is rolled back: a container that is not ready has a deadline. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tally_reconcile::rollback::Unready;

/// The rollouts that are rolled back when they fail.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Since when each container of a new version is not ready, by host and full ID, on the loop's own
    /// clock. The deadline of one that is ready in between, or out of sight, starts again.
    since_ms: BTreeMap<(String, String), u64>,
    /// Revisions that have failed, by workload: the decision about them was made.
    failed: BTreeMap<String, String>,
    /// Revisions that were rolled back to and became ready, by workload: a later failure is no rollout's.
    back: BTreeMap<String, String>,
}

impl Deadlines {
    /// Takes in the containers that are not ready now; returns those that have failed, with the reason: one of
    /// each workload, and each revision once.
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
            let why = if one.is_final {
                one.reason.clone()
            } else if waited_ms >= one.deadline_ms {
                format!("not ready after {waited_ms} ms: {}", one.reason)
            } else {
                continue;
            };
            self.failed(&one.workload, &one.of);
            failed.push((one, why));
        }
        failed
    }

    /// Notes that a revision of a workload has failed; returns whether that is new.
    pub fn failed(&mut self, workload: &str, of: &str) -> bool {
        let before = self.failed.insert(workload.to_owned(), of.to_owned());
        before.as_deref() != Some(of)
    }

    /// Checks whether that revision of a workload has failed.
    pub fn has_failed(&self, workload: &str, of: &str) -> bool {
        self.failed.get(workload).is_some_and(|failed| failed == of)
    }

    /// Forgets that a workload failed.
    pub fn forget_failed(&mut self, workload: &str) {
        self.failed.remove(workload);
    }

    /// Notes that a workload was rolled back to that revision, and is ready.
    pub fn is_back(&mut self, workload: &str, of: &str) {
        self.back.insert(workload.to_owned(), of.to_owned());
    }

    /// Forgets everything: failed rollouts may be tried again.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_reconcile::rollback::FailureAttribution;

    fn one(id: &str, is_final: bool) -> Unready {
        Unready {
            workload: "controller/web".into(),
            of: "v2".into(),
            host: "a".into(),
            pod: "web-0".into(),
            container: "c".into(),
            id: id.into(),
            reason: "its health check fails".into(),
            is_final,
            deadline_ms: 1_000,
            failure_attribution: FailureAttribution::Readiness,
        }
    }

    #[test]
    fn a_container_that_is_not_ready_fails_at_its_deadline_and_once() {
        let mut deadlines = Deadlines::default();
        assert!(deadlines.judge(vec![one("x", false)], 5_000).is_empty());
        assert!(deadlines.judge(vec![one("x", false)], 5_999).is_empty());
        let failed = deadlines.judge(vec![one("x", false), one("y", true)], 6_000);
        let whys: Vec<&str> = failed.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(whys, ["not ready after 1000 ms: its health check fails"]);
        assert!(deadlines.judge(vec![one("x", false)], 9_000).is_empty(), "it is known");
    }

    #[test]
    fn the_deadline_starts_again_when_ready_in_between_or_out_of_sight() {
        let mut deadlines = Deadlines::default();
        deadlines.judge(vec![one("x", false)], 0);
        deadlines.judge(Vec::new(), 900);
        assert!(deadlines.judge(vec![one("x", false)], 1_000).is_empty());
        assert_eq!(deadlines.judge(vec![one("x", false)], 2_000).len(), 1);
    }

    #[test]
    fn a_revision_that_was_rolled_back_to_and_became_ready_is_no_rollout() {
        let mut deadlines = Deadlines::default();
        deadlines.is_back("controller/web", "v2");
        assert!(deadlines.judge(vec![one("x", true)], 0).is_empty());
    }
}
