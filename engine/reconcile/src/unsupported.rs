//! What compiles and is not acted on yet. A plan that needs it is refused in one sentence; what can
//! be left out without doing anything wrong is said and left out.

use tally_graph::{Graph, ProbeAction, Replicas, Workload};
use tally_source::{Code, Diagnostic, Span};

const CODE: Code = Code(1102);

/// Everything in the spec that this version does not act on.
pub(crate) fn unsupported(graph: &Graph, workloads: &[&Workload]) -> Vec<Diagnostic> {
    let mut found = refused_hosts(graph);
    for workload in workloads {
        found.extend(placement(workload));
        for container in &workload.containers {
            let span = workload.container_spans.get(&container.name);
            let span = span.copied().unwrap_or(workload.span);
            found.extend(probes(container, span));
        }
    }
    let services = graph.services().map(|service| {
        note(
            format!("service `{}` is not served yet", service.name),
            service.span,
            "checked and shown in the graph only",
            "Names and load balancing of services come in a later version. On one host pods reach \
             each other by pod name.",
        )
    });
    found.extend(services);
    found
}

fn refuse(headline: String, span: Span, label: &str, help: &str) -> Diagnostic {
    Diagnostic::error(CODE, headline).label(span, label).help(help)
}

fn note(headline: String, span: Span, label: &str, help: &str) -> Diagnostic {
    Diagnostic::warning(CODE, headline).label(span, label).help(help)
}

/// Why the spec's hosts cannot be planned by this version; empty when they can.
#[must_use]
pub fn refused_hosts(graph: &Graph) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some(second) = graph.hosts().nth(1) {
        found.push(refuse(
            format!("this version plans one host; the cluster has {}", graph.hosts().count()),
            second.span,
            "the second one",
            "Clusters of several hosts come in a later version.",
        ));
    }
    found
}

fn placement(workload: &Workload) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if workload.replicas == Replicas::PerHost {
        found.push(refuse(
            format!("`replicas=per-host` of `{}` is for a later version", workload.name),
            workload.span,
            "one pod on each host",
            "This version plans one host: write `replicas=1`.",
        ));
    }
    if !workload.place.is_empty() {
        found.push(refuse(
            format!("`place` of `{}` is for a later version", workload.name),
            workload.span,
            "where its pods may go",
            "This version plans one host, and all pods go there: take `place` out.",
        ));
    }
    found
}

fn probes(container: &tally_graph::Container, span: Span) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let over_network =
        |action: &ProbeAction| matches!(action, ProbeAction::Http { .. } | ProbeAction::Tcp { .. });
    if container.readiness.as_ref().is_some_and(|probe| over_network(&probe.action)) {
        found.push(refuse(
            format!(
                "the readiness of `{}` asks over the network, which comes later",
                container.name
            ),
            span,
            "an http or tcp readiness",
            "This version asks with a command: `readiness { command … }`.",
        ));
    }
    if container.liveness.is_some() {
        found.push(note(
            format!("the liveness of `{}` is not acted on yet", container.name),
            span,
            "checked and shown only",
            "Liveness needs the control loop, which comes in a later version.",
        ));
    }
    found
}
