//! The order in which a workload's pods change, and the waits between them.

use tally_graph::{Strategy, Until, Workload};

use crate::plan::OpId;
use crate::plan::builder::Builder;
use crate::plan::pod_plan::PodPlan;
use crate::plan::reason::{BlockReason, Blocked};

/// Staggers disruptive changes: at most as many pods at once as keep the workload at `replicas −
/// max-unavailable`, and no further pod after the first that does not become ready. `surge` are pods beyond
/// the number of replicas that replace those that are taken down.
///
/// Pods that are not ready come first: they are unavailable already, so their change takes nothing away,
/// and all that follow wait for them. Then come the ready ones that must be taken down, highest ordinal
/// first. With `m` pods allowed to be unavailable, and `s` surge pods, the pod at position `i` waits until
/// all pods at positions up to `i − m − s` and the surge pods are ready: so at most `m` are unavailable at
/// any time. A pod that cannot be observed or placed is unavailable and cannot be waited for: changes that
/// would have to wait for it are blocked. A surge pod that cannot be observed replaces no pod.
pub(crate) fn stagger(
    workload: &Workload,
    pods: &[PodPlan],
    surge: &[PodPlan],
    builder: &mut Builder,
) {
    if workload.update.strategy == Strategy::Recreate {
        return all_at_once(pods, builder);
    }
    let replicas = u32::try_from(pods.len()).unwrap_or(u32::MAX);
    let missing = workload.update.max_unavailable.of(replicas) as usize;
    let unseen = surge.iter().filter(|pod| pod.absent).count();
    let together = (missing + surge.len() - unseen).max(1);
    let stand_ins: Vec<OpId> = surge.iter().flat_map(|pod| pod.ready.iter().copied()).collect();
    let absent: Vec<&PodPlan> = pods.iter().filter(|pod| pod.absent).collect();
    let unready = pods.iter().filter(|pod| !pod.ready_now && !pod.absent);
    let first: Vec<&PodPlan> = absent.iter().copied().chain(unready).collect();
    let disrupted = pods.iter().rev().filter(|pod| pod.ready_now && pod.disruptive);
    let mut row = first.clone();
    row.extend(disrupted);
    for place in first.len()..row.len() {
        let Some(pod) = row.get(place) else { continue };
        if unseen > 0 && missing == 0 {
            builder.block(
                &pod.gated,
                Blocked::from_workload(workload, BlockReason::Budget { absent: unseen }),
            );
            continue;
        }
        let before = (place + 1).saturating_sub(together).min(place);
        if before > 0 && !absent.is_empty() {
            let reason = BlockReason::Budget { absent: absent.len() };
            builder.block(&pod.gated, Blocked::from_workload(workload, reason));
            continue;
        }
        let ready = row.iter().take(before).flat_map(|pod| pod.ready.iter().copied());
        let gates: Vec<OpId> = ready.chain(stand_ins.iter().copied()).collect();
        builder.gate(&pod.gated, &gates);
    }
}

/// Makes all pods stop before any of them starts again.
fn all_at_once(pods: &[PodPlan], builder: &mut Builder) {
    let downs: Vec<OpId> = pods.iter().flat_map(|pod| pod.downs.iter().copied()).collect();
    let needs: Vec<OpId> = pods.iter().flat_map(|pod| pod.needs.iter().copied()).collect();
    builder.gate(&downs, &needs);
    for pod in pods {
        builder.gate(&pod.ups, &downs);
    }
}

/// Returns the operations that must succeed before a dependent pod starts.
pub(crate) fn gates(until: Until, pods: &[PodPlan], builder: &mut Builder) -> Vec<OpId> {
    let mut gates = Vec::new();
    for pod in pods {
        match until {
            Until::Started => gates.extend(&pod.started),
            Until::Ready => gates.extend(&pod.ready),
            Until::Completed => {
                gates.extend(pod.unended.iter().map(|container| container.wait(builder)));
            }
        }
    }
    gates
}
