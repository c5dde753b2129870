//! Checks that need more than one object: cycles, ports of hosts, volumes and hosts.

mod dependencies;
mod hosts;
mod pod_names;
mod ports;
mod secrets;
mod volumes;

use std::collections::BTreeSet;

use crate::decode::Top;
use crate::lower::LoweredSpec;
use crate::reporter::Reporter;
use crate::resolve::Names;

/// The names that a spec uses.
pub(crate) struct Used {
    /// Named volumes that something mounts.
    pub volumes: BTreeSet<String>,
    /// Secrets that something uses.
    pub secrets: BTreeSet<String>,
}

/// Checks the whole spec.
pub(crate) fn check(
    cx: &mut Reporter<'_>,
    top: &Top<'_>,
    names: &Names<'_>,
    spec: &LoweredSpec,
    used: &Used,
) {
    let LoweredSpec { cluster, workloads, services, .. } = spec;
    // A host that was not read may be the one that a pod requires.
    let hosts_unknown = top.clusters.iter().any(|cluster| cluster.bad)
        || cx.hidden.may_contain("host")
        || cx.hidden.may_contain("cluster");
    let incomplete = !cx.hidden.is_empty();
    hosts::placement(cx, workloads, &cluster.hosts, hosts_unknown);
    pod_names::pod_names(cx, workloads, &cluster.hosts);
    ports::host_ports(cx, workloads, services, cluster.hosts.len());
    dependencies::dependencies(cx, workloads, services);
    volumes::volumes(cx, &top.volumes, &used.volumes, incomplete);
    secrets::secrets(cx, &top.secrets, &used.secrets, incomplete);
    volumes::volumes_on_hosts(cx, names, workloads);
}
