//! Objects to graph: resolves names, fills in defaults and records the origin of every value.

mod cluster;
mod container;
mod files;
mod graph;
mod lowered;
mod lowering;
mod maps;
mod origins;
mod paths;
mod probe;
mod secrets;
mod selectors;
mod services;
mod workload;

use crate::decode::Top;
use crate::resolve::Names;
pub(crate) use cluster::cluster;
pub(crate) use graph::into_graph;
pub(crate) use lowered::{LoweredCluster, LoweredService, LoweredSpec, LoweredWorkload};
pub(crate) use lowering::Lowering;
use selectors::Selectable;

/// Lowers all objects but the cluster, which is lowered before names are collected.
pub(crate) fn lower(
    low: &mut Lowering<'_, '_>,
    names: &Names<'_>,
    top: &Top<'_>,
    cluster: LoweredCluster,
) -> LoweredSpec {
    let volumes = top.volumes.iter().map(|object| cluster::volume(low, object)).collect();
    let secrets = top.secrets.iter().filter_map(|object| secrets::secret(low, object)).collect();
    let workloads: Vec<LoweredWorkload> =
        top.workloads.iter().map(|object| workload::workload(low, names, object)).collect();
    let selectable = if top.services.is_empty() { &[] } else { workloads.as_slice() };
    let labels = Selectable::new(selectable, &cluster.cluster.name);
    let services = top
        .services
        .iter()
        .map(|object| services::service(low, names, &labels, &workloads, object))
        .collect();
    LoweredSpec { cluster, volumes, secrets, workloads, services }
}
