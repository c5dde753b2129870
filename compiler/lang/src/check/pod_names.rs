//! Names of pods: those of a controller with one pod on each host must not be another pod's, since
//! Docker would have one container where two are specified. Names with numbers are checked where names
//! are declared.

use std::collections::BTreeMap;

use tally_graph::{Host, Replicas, Workload, WorkloadKind};
use tally_source::Diagnostic;

use crate::codes;
use crate::lower::LoweredWorkload;
use crate::reporter::Reporter;

/// Reports pods of two workloads with one name.
pub(crate) fn pod_names(cx: &mut Reporter<'_>, workloads: &[LoweredWorkload], hosts: &[Host]) {
    let mut known: BTreeMap<String, &Workload> = BTreeMap::new();
    let all = workloads.iter().map(|lowered| &lowered.workload);
    for workload in all.filter(|workload| !workload.name.is_empty()) {
        let names = match (workload.kind, workload.replicas) {
            (WorkloadKind::Pod, _) => vec![workload.name.clone()],
            (_, Replicas::PerHost) => {
                hosts.iter().map(|host| workload.pod_on(&host.name)).collect()
            }
            _ => continue,
        };
        for name in names {
            // Two declarations with one name are reported where names are collected.
            match known.get(&name).filter(|other| other.name != workload.name) {
                Some(other) => cx.report(
                    Diagnostic::error(codes::SAME_NAME, format!("two pods are called `{name}`"))
                        .label(workload.span, "this one")
                        .label(other.span, "and one of this")
                        .help("The pods of a controller with one pod on each host are named after the controller and the host. Give one of the two another name."),
                ),
                None => {
                    known.insert(name, workload);
                }
            }
        }
    }
}
