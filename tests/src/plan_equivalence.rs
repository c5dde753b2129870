//! Plans made twice: with the fast path, and with every pod compared field by field.

use tally_control::convergence::Planned;
use tally_graph::Graph;
use tally_reconcile::input::observed::Observed;
use tally_reconcile::labels;
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::request::{MountFrom, VolumeRequest};
use tally_reconcile::plan::{Action, Operation, Plan};
use tally_reconcile::{Options, reconcile};

/// Makes a plan, and checks it as [`check`] does.
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
    check(&Planned { graph, observed, memory, options, plan: &plan });
    plan
}

/// Checks that pods that the plan skips on the fast path have nothing to do when every field is compared.
///
/// # Panics
/// When the two plans differ, or a container does not say what its volumes are.
pub fn check(planned: &Planned<'_>) {
    let Planned { graph, observed, memory, options, plan } = *planned;
    let thorough = Options { thorough: true, ..options.clone() };
    let closely = reconcile(graph, observed, memory, &thorough);
    // How many pods were compared is the one thing that differs.
    let text = |plan: &Plan| format!("{:?}", Plan { compared: 0, ..plan.clone() });
    assert_eq!(text(plan), text(&closely), "on the fast path, and field by field");
    plan.operations.iter().for_each(says_what_its_volumes_are);
    crate::golden::record(graph, plan);
}

/// A container that is made says what its volumes are: one that is gone by then is made anew with it.
fn says_what_its_volumes_are(operation: &Operation) {
    let Action::CreateContainer(request) = &operation.action else { return };
    for mount in request.mounts.values() {
        let MountFrom::Volume(name) = &mount.source else { continue };
        let ours = |volume: &&VolumeRequest| volume.labels.contains_key(labels::CLUSTER);
        let told = request.volumes.iter().filter(ours).any(|volume| volume.name == *name);
        assert!(told, "{} does not say what the volume {name} is", request.name);
    }
}
