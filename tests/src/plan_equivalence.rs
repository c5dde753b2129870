//! Plans made twice: with the fast path, and with every pod compared field by field.

use tally_control::convergence::PlanningResult;
use tally_graph::Graph;
use tally_reconcile::input::observed::Observed;
use tally_reconcile::labels;
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::request::{MountFrom, VolumeRequest};
use tally_reconcile::plan::{Action, Operation, Plan};
use tally_reconcile::{Options, reconcile};

/// Computes a plan, and checks it as [`check`] does.
///
/// # Panics
/// As [`check`].
#[must_use]
pub fn plan_checked(
    graph: &Graph,
    observed: &Observed,
    memory: &Memory,
    options: &Options,
) -> Plan {
    let plan = reconcile(graph, observed, memory, options);
    check(&PlanningResult { graph, observed, memory, options, plan: &plan });
    plan
}

/// Checks that the pods that the plan skips on the fast path have no differences when every field is compared.
///
/// # Panics
/// If the two plans differ, or a container does not describe its volumes.
pub fn check(planned: &PlanningResult<'_>) {
    let PlanningResult { graph, observed, memory, options, plan } = *planned;
    let thorough = Options { thorough: true, ..options.clone() };
    let closely = reconcile(graph, observed, memory, &thorough);
    // Only the number of compared pods differs.
    let text = |plan: &Plan| format!("{:?}", Plan { compared: 0, ..plan.clone() });
    assert_eq!(
        text(plan),
        text(&closely),
        "the plan of the fast path differs from the full comparison"
    );
    plan.operations.iter().for_each(describes_its_volumes);
    crate::golden::record(graph, plan);
}

/// Checks that a container's creation describes its volumes: a volume that was removed since is created again from it.
fn describes_its_volumes(operation: &Operation) {
    let Action::CreateContainer(request) = &operation.action else { return };
    for mount in request.mounts.values() {
        let MountFrom::Volume(name) = &mount.source else { continue };
        let ours = |volume: &&VolumeRequest| volume.labels.contains_key(labels::CLUSTER);
        let described = request.volumes.iter().filter(ours).any(|volume| volume.name == *name);
        assert!(described, "{} does not describe the volume {name}", request.name);
    }
}
