//! In what order a workload's pods change, and what waits for what.

use tally_graph::{Until, Workload};

use crate::builder::Builder;
use crate::plan::OpId;
use crate::pods::PodPlan;

/// Makes disruptive changes go `max-unavailable` at a time, never below replicas − max-unavailable,
/// and stop at the first pod that does not get ready.
///
/// Pods that are not ready stand first: they are missing already, so changing them takes nothing
/// away, and all that follow wait for them. Then the ready ones that must be taken down, highest
/// ordinal first. With `m` allowed to be missing, the pod at place `i` waits until all pods at
/// places up to `i − m` are ready: so at most `m` are missing at any time.
pub(crate) fn stagger(workload: &Workload, pods: &[PodPlan], builder: &mut Builder) {
    let replicas = workload.replicas.pods(1);
    let missing = workload.update.max_unavailable.of(replicas) as usize;
    let unready: Vec<&PodPlan> = pods.iter().filter(|pod| !pod.ready_now).collect();
    let disrupted: Vec<&PodPlan> =
        pods.iter().rev().filter(|pod| pod.ready_now && pod.disruptive).collect();
    let first = unready.len();
    let row: Vec<&PodPlan> = unready.into_iter().chain(disrupted).collect();
    for place in first..row.len() {
        let before = (place + 1).saturating_sub(missing);
        let gates: Vec<OpId> =
            row.iter().take(before.min(place)).flat_map(|pod| pod.ready.iter().copied()).collect();
        if let Some(pod) = row.get(place) {
            builder.gate(&pod.gated, &gates);
        }
    }
}

/// The operations that must have succeeded before a dependent begins.
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
