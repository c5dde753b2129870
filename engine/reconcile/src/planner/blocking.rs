//! What people, pauses and waits hold back.

use tally_graph::Workload;

use crate::plan::builder::Builder;
use crate::plan::{Action, Awaits, Held, HeldBy, OpId, Subject, Why};
use crate::planner::cluster::{Planner, subject};
use crate::planner::pod::PodPlan;

impl Planner<'_> {
    /// A rollout that somebody paused goes no further; what is missing is made all the same.
    pub(super) fn hold_paused(
        &self,
        workload: &Workload,
        own: &[PodPlan],
        surge: &[PodPlan],
        builder: &mut Builder,
    ) {
        let Some(why) = self.memory.declared.paused.get(&workload.address().to_string()) else {
            return;
        };
        for plan in own.iter().chain(surge).filter(|plan| plan.rolls) {
            let why = Why {
                reason: format!("its rollout is paused: {why}"),
                help: Some(format!("`tally rollout resume {}` goes on.", workload.address())),
                by: HeldBy::Paused,
                ..Why::default()
            };
            let subject = subject(workload, "");
            let held = Held { subject, host: String::new(), why, origin: Some(workload.span) };
            builder.hold(&plan.gated, held);
        }
    }

    /// A pod that something is being done to is left alone until that is over, and one that ends
    /// again and again, or cannot be made, for a while.
    pub(super) fn hold_pod(
        &self,
        workload: &Workload,
        pod: &str,
        host: usize,
        plan: &PodPlan,
        builder: &mut Builder,
    ) {
        let host = self.hosts.ready.get(host).map_or("", |host| host.name);
        let mut hold = |why: Why| {
            let (subject, host) = (subject(workload, pod), host.to_owned());
            let operations = [&plan.gated, &plan.downs, &plan.seconds].map(Vec::as_slice).concat();
            builder.hold(&operations, Held { subject, host, why, origin: Some(workload.span) });
        };
        if self.memory.busy.contains(pod) {
            hold(Why::under_way());
        }
        let remembered = self.memory.backoff.get(host).and_then(|pods| pods.get(pod));
        if remembered.is_some_and(|backoff| backoff.until_ms > self.options.now_ms) {
            hold(Why {
                reason: "it ends again and again, or cannot be made: it is left alone for a while"
                    .to_owned(),
                help: Some(format!("See why: `tally events`, `tally logs {pod}`.")),
                by: HeldBy::Backoff,
                ..Why::default()
            });
        }
    }

    /// What belongs to no pod and is under way is not begun once more, and what waits for it waits.
    pub(super) fn hold_under_way(&self, builder: &mut Builder) {
        let all =
            builder.plan.operations.iter().filter(|operation| operation.subject.pod.is_empty());
        let open = all.filter(|operation| self.memory.busy.contains(&*operation.claims()));
        let open: Vec<(OpId, Held)> = open
            .map(|operation| {
                let (subject, host) = (operation.subject.clone(), operation.host.clone());
                let (why, origin) = (Why::under_way(), operation.origin);
                (operation.id, Held { subject, host, why, origin })
            })
            .collect();
        for (id, held) in open {
            builder.hold(&[id], held);
        }
    }

    /// For who does not wait: what has to wait is left for a later plan.
    pub(super) fn hold_waits(&self, builder: &mut Builder) {
        if !self.options.without_waits {
            return;
        }
        let waits: Vec<(OpId, Held)> = builder
            .plan
            .operations
            .iter()
            .filter(|operation| !operation.action.mutates())
            .map(|operation| {
                let subject = Subject { container: String::new(), ..operation.subject.clone() };
                let reason = match operation.action {
                    Action::AwaitExit { .. } => "it has not ended yet",
                    _ => "it is not ready yet",
                };
                let why = Why {
                    reason: reason.to_owned(),
                    help: None,
                    awaits: Awaits::Readiness,
                    by: HeldBy::NotReady,
                };
                let (host, origin) = (operation.host.clone(), operation.origin);
                (operation.id, Held { subject, host, why, origin })
            })
            .collect();
        for (wait, held) in waits {
            builder.hold(&[wait], held);
        }
    }

    /// Nothing is changed while somebody has frozen the cluster.
    pub(super) fn hold_all(&self, builder: &mut Builder) {
        let Some(why) = &self.memory.declared.frozen else { return };
        let mutating: Vec<OpId> = builder
            .plan
            .operations
            .iter()
            .filter(|operation| operation.action.mutates())
            .map(|operation| operation.id)
            .collect();
        let why = Why {
            reason: format!("the cluster is frozen: {why}"),
            help: Some("`tally unfreeze` lets changes through again.".to_owned()),
            by: HeldBy::Frozen,
            ..Why::default()
        };
        builder.hold(&mutating, self.held_cluster(why));
    }

    /// Something that is held back for the whole cluster.
    pub fn held_cluster(&self, why: Why) -> Held {
        Held {
            subject: Subject::cluster(&self.cluster.name),
            host: String::new(),
            why,
            origin: Some(self.cluster.span),
        }
    }
}
