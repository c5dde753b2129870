//! Plans made twice: at a glance, and with every pod compared field by field.

use tally_graph::Graph;
use tally_reconcile::input::observed::Observed;
use tally_reconcile::labels;
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::request::{MountFrom, VolumeRequest};
use tally_reconcile::plan::{Action, Operation, Plan};
use tally_reconcile::{Options, reconcile};

/// A plan, after making sure that what is passed over at a glance has nothing to do when it is
/// looked at closely either.
///
/// # Panics
/// When the two plans differ, or a container does not say what its volumes are.
#[must_use]
pub fn plan(graph: &Graph, observed: &Observed, memory: &Memory, options: &Options) -> Plan {
    let plan = reconcile(graph, observed, memory, options);
    let closely = Options { thorough: true, ..options.clone() };
    let closely = reconcile(graph, observed, memory, &closely);
    // How many pods were compared is the one thing that differs.
    let text = |plan: &Plan| format!("{:?}", Plan { compared: 0, ..plan.clone() });
    assert_eq!(text(&plan), text(&closely), "at a glance, and closely");
    plan.operations.iter().for_each(says_what_its_volumes_are);
    crate::golden::record(graph, &plan);
    plan
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
