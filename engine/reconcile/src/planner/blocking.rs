//! Blocks operations because of freezes, pauses, running work, backoff and waits.

use tally_graph::Workload;

use crate::plan::builder::Builder;
use crate::plan::pod_plan::PodPlan;
use crate::plan::reason::{BlockReason, Blocked};
use crate::plan::subject::Subject;
use crate::plan::{Action, OpId};
use crate::planner::context::Planner;

impl Planner<'_> {
    /// Blocks the changes of a paused rollout. Missing pods are still created.
    pub(super) fn block_paused(
        &self,
        workload: &Workload,
        own: &[PodPlan],
        surge: &[PodPlan],
        builder: &mut Builder,
    ) {
        let address = workload.address().to_string();
        let Some(note) = self.memory.declared.paused.get(&address) else { return };
        for plan in own.iter().chain(surge).filter(|plan| plan.rolls) {
            let reason = BlockReason::Paused { workload: address.clone(), note: note.clone() };
            builder.block(&plan.gated, Blocked::from_workload(workload, reason));
        }
    }

    /// Blocks a pod that an earlier plan is still changing, and a pod whose backoff has not expired.
    pub(super) fn block_pod(
        &self,
        workload: &Workload,
        pod: &str,
        host: usize,
        plan: &PodPlan,
        builder: &mut Builder,
    ) {
        let host = self.hosts.ready.get(host).map_or("", |host| host.name);
        let mut block = |reason: BlockReason| {
            let operations = [&plan.gated, &plan.downs, &plan.seconds].map(Vec::as_slice).concat();
            let blocked = Blocked {
                subject: Subject::from_pod(workload, pod),
                host: Some(host.to_owned()),
                reason,
                origin: Some(workload.span),
            };
            builder.block(&operations, blocked);
        };
        if self.memory.in_flight.busy.contains(pod) {
            block(BlockReason::UnderWay);
        }
        let remembered = self.memory.learned.backoff.get(host).and_then(|pods| pods.get(pod));
        if remembered.is_some_and(|backoff| backoff.until_ms > self.options.now_ms) {
            block(BlockReason::Backoff { pod: pod.to_owned() });
        }
    }

    /// Blocks operations on other objects than pods that an earlier plan is still executing, and the operations
    /// that wait for them.
    pub(super) fn block_under_way(&self, builder: &mut Builder) {
        let all =
            builder.plan.operations.iter().filter(|operation| operation.subject.pod().is_none());
        let open =
            all.filter(|operation| self.memory.in_flight.busy.contains(&*operation.lock_key()));
        let open: Vec<(OpId, Blocked)> = open
            .map(|operation| {
                let blocked = Blocked {
                    subject: operation.subject.clone(),
                    host: Some(operation.host.clone()),
                    reason: BlockReason::UnderWay,
                    origin: operation.origin,
                };
                (operation.id, blocked)
            })
            .collect();
        for (id, blocked) in open {
            builder.block(&[id], blocked);
        }
    }

    /// Blocks the operations that must wait, for a caller that plans again instead of waiting.
    pub(super) fn block_waits(&self, builder: &mut Builder) {
        if !self.options.without_waits {
            return;
        }
        let waits: Vec<(OpId, Blocked)> = builder
            .plan
            .operations
            .iter()
            .filter(|operation| !operation.action.mutates())
            .map(|operation| {
                let reason = match operation.action {
                    Action::AwaitExit { .. } => BlockReason::NotEnded,
                    _ => BlockReason::NotReady,
                };
                let blocked = Blocked {
                    subject: operation.subject.whole_pod(),
                    host: Some(operation.host.clone()),
                    reason,
                    origin: operation.origin,
                };
                (operation.id, blocked)
            })
            .collect();
        for (wait, blocked) in waits {
            builder.block(&[wait], blocked);
        }
    }

    /// Blocks all changes while the cluster is frozen.
    pub(super) fn block_all(&self, builder: &mut Builder) {
        let Some(note) = &self.memory.declared.frozen else { return };
        let mutating: Vec<OpId> = builder
            .plan
            .operations
            .iter()
            .filter(|operation| operation.action.mutates())
            .map(|operation| operation.id)
            .collect();
        let reason = BlockReason::Frozen { note: note.clone() };
        builder.block(&mutating, self.blocked_cluster(reason));
    }

    /// Returns a blocked entry about the whole cluster.
    pub fn blocked_cluster(&self, reason: BlockReason) -> Blocked {
        Blocked {
            subject: Subject::Cluster(self.cluster.name.clone()),
            host: None,
            reason,
            origin: Some(self.cluster.span),
        }
    }
}
