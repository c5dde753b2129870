//! Rollouts that fail and go back by themselves, where the spec says `on-failure=rollback`: seen, decided
//! by the planner's rules, and followed as if somebody had undone the change.

use std::sync::Arc;

use tally_host::{Report, failed_versions, last_lines};
use tally_reconcile::Prepared;
use tally_reconcile::plan::{Plan, Pods};
use tally_reconcile::rollback::{self, Decision, Failed, Unready};

use crate::controller::Controller;
use crate::journal::{Entry, EntryKind};

/// So many lines of what a container printed last are kept.
const LAST_LINES: u32 = 10;

impl Controller {
    /// Looks whether a rollout has failed by what is seen.
    pub(crate) fn watch_rollouts(&mut self) {
        // What comes next is judged by its own pods.
        if self.next.is_some() {
            return;
        }
        let now_ms = self.now_ms();
        self.prepare();
        let nothing = Prepared::default();
        let prepared = self.prepared_now().unwrap_or(&nothing);
        let unready =
            rollback::unready(&self.graph, &self.observed, &self.memory, prepared, now_ms);
        for (one, why) in self.rollouts.judge(unready, self.clock_ms()) {
            let door =
                self.hosts.get(&one.host).and_then(|kept| kept.door.as_ref()).map(Arc::clone);
            let Unready { workload, of, host, pod, container, id, blame, .. } = one;
            let (by, at_ms) = ("run".to_owned(), (self.options.now_ms)());
            let failed =
                Failed { by, at_ms, host, pod, container, why, blame, ..Failed::default() };
            self.failing.push(Box::pin(async move {
                let last_lines = match door {
                    Some(door) => last_lines(door.as_ref(), &id, LAST_LINES).await,
                    None => Vec::new(),
                };
                (workload, of, Failed { last_lines, ..failed })
            }));
        }
    }

    /// Looks whether a rollout has failed by what came of a plan.
    pub(crate) fn judge_report(&mut self, plan: &Plan, report: &Report) {
        let at_ms = (self.options.now_ms)();
        for (workload, failed) in failed_versions(plan, report, "run", at_ms) {
            if let Some(of) = self.followed(&workload)
                && self.rollouts.failed(&workload, &of)
            {
                self.rollout_failed(&workload, &of, failed);
            }
        }
    }

    /// What a workload is asked to be now.
    fn followed(&self, address: &str) -> Option<String> {
        let found = self.graph.workload_at(address)?;
        Some(found.fingerprint())
    }

    /// A rollout has failed: it goes back, or stays where it is.
    pub(crate) fn rollout_failed(&mut self, address: &str, of: &str, failed: Failed) {
        let is_over = self.next.is_some() || self.followed(address).as_deref() != Some(of);
        if is_over || !self.may_act() {
            return;
        }
        let lines = failed.last_lines.iter().map(|line| self.secrets.redact(line)).collect();
        let failed = Failed { last_lines: lines, ..failed };
        let graph = Arc::clone(&self.graph);
        let Some(decision) =
            rollback::decide(&graph, &self.observed, &self.memory, address, failed.clone())
        else {
            self.rollouts.forget_failed(address);
            return;
        };
        let name = failed.name(address);
        let mut what = format!("{name}: {}", failed.why);
        if let Some(line) = failed.last_lines.last() {
            what.push_str(&format!(" (last line: {line})"));
        }
        match decision {
            Decision::Stays(why) => {
                let what = format!("the rollout failed and stays where it is: {why}; {what}");
                self.tell_failed(EntryKind::Failed, address, &failed, what);
            }
            Decision::Back(undone) => {
                let goal = undone.failed.as_ref().map(Failed::goal).unwrap_or_default();
                let images = rollback::images(&undone.workload);
                let what = format!("goes back to {goal} ({images}), since {what}");
                self.tell_failed(EntryKind::RolledBack, address, &failed, what);
                self.board.change(|metrics| metrics.rollbacks += 1);
                self.kept(self.storage.rolled_back(address, Some(&undone)));
                self.memory.declared.undone.insert(address.to_owned(), *undone);
                self.declared_moved();
                // Followed as a changed spec is: calls in flight finish first.
                self.next.get_or_insert_with(|| self.spec.clone());
                let _ = self.cancel.send(true);
            }
        }
    }

    fn tell_failed(&self, kind: EntryKind, address: &str, failed: &Failed, what: String) {
        let workload = self.graph.workload_at(address);
        let span = workload.map(|workload| rollback::blamed(&self.graph, workload, failed));
        self.journal.entry(&Entry {
            host: failed.host.clone(),
            workload: address.to_owned(),
            pod: failed.pod.clone(),
            place: span.map(|span| self.graph.sources.line_place(span)),
            ..Entry::new((self.options.now_ms)(), kind, what)
        });
    }

    /// Whether a rollout may fail, or be over, without anything happening: its pods are looked at soon.
    pub(crate) fn awaits_rollouts(&self, plan: &Plan) -> bool {
        rollback::rolling(&self.graph, &self.memory).iter().any(|(address, of)| {
            let unready = |pods: &Pods| pods.ready < pods.placed;
            !self.rollouts.has_failed(address, of) && plan.pods.get(address).is_some_and(unready)
        })
    }

    /// Notes what has come to be as the spec says: a rollout is over then, and can be gone back to.
    pub(crate) fn note_settled(&mut self, plan: &Plan) {
        // All that there is was told: nothing can be new.
        if self.settled.len() == plan.pods.len() && self.memory.declared.undone.is_empty() {
            return;
        }
        let settled = plan.settled();
        for (address, of) in rollback::went_back(&self.graph, &self.memory) {
            if settled.contains(&address) {
                self.rollouts.is_back(&address, &of);
            }
        }
        let quiet = plan.is_empty() && self.busy.is_empty();
        let rolled = rollback::rolling(&self.graph, &self.memory);
        let over = quiet || rolled.keys().any(|address| settled.contains(address));
        if over && !settled.is_subset(&self.settled) {
            let now_ms = (self.options.now_ms)();
            self.kept(self.storage.settled(&self.graph, &settled, now_ms));
            self.settled.extend(settled);
            self.memory.history.previous = self.storage.previous_revisions(&self.spec);
        }
    }
}
