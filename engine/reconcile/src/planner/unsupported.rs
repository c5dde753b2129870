//! Reports parts of the spec that compile but are not supported yet. A part that the plan cannot do without
//! is an error. A part that can safely be ignored is a warning.

use tally_graph::{Graph, ProbeAction, Workload};
use tally_source::{Code, Diagnostic, Span, engine_codes};

const CODE: Code = engine_codes::NOT_SUPPORTED;

/// Returns the reports about everything in the spec that this version does not support.
pub(crate) fn unsupported(graph: &Graph, workloads: &[&Workload]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for workload in workloads {
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

/// Returns an error about an unsupported part.
fn refuse(headline: String, span: Span, label: &str, help: &str) -> Diagnostic {
    Diagnostic::error(CODE, headline).label(span, label).help(help)
}

/// Returns a warning about an ignored part.
fn note(headline: String, span: Span, label: &str, help: &str) -> Diagnostic {
    Diagnostic::warning(CODE, headline).label(span, label).help(help)
}

/// Returns the reports about a container's probes.
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
    if container.liveness.as_ref().is_some_and(|probe| over_network(&probe.action)) {
        found.push(note(
            format!(
                "the liveness of `{}` asks over the network, which comes later",
                container.name
            ),
            span,
            "checked and shown only",
            "This version asks with a command: `liveness { command … }`.",
        ));
    }
    found
}
