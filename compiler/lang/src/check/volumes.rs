//! Named volumes: they are used, and on the host of their pods.

use std::collections::BTreeSet;

use tally_graph::Replicas;
use tally_source::Diagnostic;

use crate::codes;
use crate::decode::{Object, Typed};
use crate::lower::LoweredWorkload;
use crate::reporter::Reporter;
use crate::resolve::Names;

/// Warns of named volumes that nothing mounts.
pub(crate) fn volumes(
    cx: &mut Reporter<'_>,
    volumes: &[Object<'_>],
    used: &BTreeSet<String>,
    incomplete: bool,
) {
    // If something is wrong, a mount may be missing because of it, and there is an error already.
    let quiet = incomplete || !cx.out.is_empty();
    for volume in volumes.iter().filter(|volume| !quiet && !volume.name().is_empty()) {
        if !used.contains(volume.name()) {
            cx.report(
                Diagnostic::warning(codes::UNUSED_VOLUME, format!("nothing mounts `{}`", volume.name()))
                    .label(volume.title_span, "")
                    .help(format!("In the container that needs it: `mount {} \"/path\"`. The volume is created all the same.", volume.name())),
            );
        }
    }
}

/// Reports volumes of one host in pods of all hosts, which would be several different disks.
pub(crate) fn volumes_on_hosts(
    cx: &mut Reporter<'_>,
    names: &Names<'_>,
    workloads: &[LoweredWorkload],
) {
    for lowered in workloads.iter().filter(|lowered| lowered.workload.replicas == Replicas::PerHost)
    {
        for name in &lowered.facts.volumes {
            let Some(volume) = names.volumes.get(name.as_str()) else { continue };
            let per_host = matches!(volume.value("per-host"), Some(Typed::Bool(true)));
            if per_host || volume.is_poisoned("per-host") {
                continue;
            }
            let Some(span) = lowered.facts.volume_spans.get(name) else { continue };
            let mut found = Diagnostic::error(
                codes::ONE_HOST,
                format!("`{name}` is on one host; these pods are on all"),
            )
            .label(*span, "mounted here")
            .label(volume.title_span, "one volume, on one host");
            if let Some(replicas) = lowered.facts.replicas_span {
                found = found.label(replicas, "a pod on each host");
            }
            found = match volume.get("per-host") {
                Some(field) => found.maybe(
                    format!("write `volume {name} per-host=#true`"),
                    field.value_span,
                    "#true",
                ),
                None => found.maybe(
                    format!("write `volume {name} per-host=#true`"),
                    volume.node.head.at_end(),
                    " per-host=#true",
                ),
            };
            cx.report(found);
        }
    }
}
