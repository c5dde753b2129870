//! The plan is a pure function: in whatever order objects are listed, it is the same, byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use tally_reconcile::input::observed::HostView;
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::{Action, OpId, Plan};
use tally_reconcile::{Options, reconcile};

use crate::world::{World, only_simulated};

#[test]
fn permuted_observations_give_the_same_bytes() {
    only_simulated("permuted", "nothing of it is Docker's", |world: World| async move {
        let spec = |env: u32| {
            world.graph(&format!(
                "volume data\ncontroller web replicas=5 {{ volume own\n\
                 container a image=\"tally.local/hello:1\" {{ env X={env}; mount own \"/own\" }}\n\
                 container b image=\"tally.local/hello:1\" {{ mount own \"/own\" }} }}\n\
                 pod db {{ container c image=\"tally.local/hello:1\" {{ mount data \"/data\" }} }}"
            ))
        };
        world.apply(&spec(1)).await;
        let observed = world.observe().await;
        let fewer = world.graph("pod db { container c image=\"tally.local/hello:1\" }");
        let destroy = Options { destroy: true, remove_volumes: true, ..Options::default() };
        let plans =
            [(spec(2), Options::default()), (fewer, Options::default()), (spec(1), destroy)];
        for (graph, options) in plans {
            let options = Options { now_ms: 1 << 41, ..options };
            let bytes = |observed: &_| {
                format!("{:?}", reconcile(&graph, observed, &Memory::default(), &options))
            };
            let first = bytes(&observed);
            let mut permuted = observed.clone();
            for _ in 0..7 {
                for view in permuted.hosts.values_mut() {
                    let HostView::Ready(state) = view else { continue };
                    let third = state.containers.len() / 3;
                    state.containers.rotate_left(third);
                    state.containers.reverse();
                    state.volumes.reverse();
                    state.networks.reverse();
                }
                assert_eq!(bytes(&permuted), first);
            }
        }
    });
}

/// Returns how many pods a plan can have stopped at one moment, in any order that the executor may choose: pods
/// whose stop has no other pod's stop between itself and its own readiness.
pub fn most_missing(plan: &Plan) -> usize {
    let mut ancestors: BTreeMap<OpId, BTreeSet<OpId>> = BTreeMap::new();
    for operation in &plan.operations {
        collect(plan, operation.id, &mut ancestors);
    }
    let mut stops: BTreeMap<&str, OpId> = BTreeMap::new();
    let mut ready: BTreeMap<&str, OpId> = BTreeMap::new();
    for operation in &plan.operations {
        let pod = operation.subject.pod().unwrap_or_default();
        match operation.action {
            Action::Stop { .. } => drop(stops.entry(pod).or_insert(operation.id)),
            Action::AwaitReady { .. } => drop(ready.insert(pod, operation.id)),
            _ => {}
        }
    }
    // Two pods are down together unless one's stop waits for the other's readiness. Pods that are ordered that way
    // form a chain here, so the largest set is found greedily.
    let pods: Vec<&str> = stops.keys().copied().collect();
    let apart = |a: &str, b: &str| {
        ancestors[&stops[a]].contains(&ready[b]) || ancestors[&stops[b]].contains(&ready[a])
    };
    pods.iter()
        .map(|pod| {
            let mut together = vec![*pod];
            for other in &pods {
                if other != pod && together.iter().all(|one| !apart(one, other)) {
                    together.push(other);
                }
            }
            together.len()
        })
        .max()
        .unwrap_or(0)
}

fn collect(plan: &Plan, id: OpId, known: &mut BTreeMap<OpId, BTreeSet<OpId>>) {
    if known.contains_key(&id) {
        return;
    }
    let mut all = BTreeSet::new();
    for need in plan.operation(id).unwrap().after.clone() {
        collect(plan, need, known);
        all.insert(need);
        all.extend(known[&need].iter().copied());
    }
    known.insert(id, all);
}
