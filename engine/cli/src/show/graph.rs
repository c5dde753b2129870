//! A graph as text, DOT, JSON and Mermaid.

use petgraph::visit::EdgeRef as _;
use tally_graph::{Edge, Graph, GraphNode, ProbeAction, Replicas, Workload};

use crate::show::values::count;

/// Returns the words for an edge.
fn edge_words(edge: &Edge) -> String {
    match edge {
        Edge::UsesVolume | Edge::UsesSecret => "uses".to_owned(),
        Edge::Selects => "selects".to_owned(),
        Edge::DependsOn(until) => format!("waits until {}", until.word()),
        Edge::RunsIn => "runs in".to_owned(),
    }
}

/// Returns text for people: each node with its place, its contents and its edges.
#[must_use]
pub fn text(graph: &Graph) -> String {
    let mut out = String::new();
    for index in graph.net.node_indices() {
        let Some(node) = graph.net.node_weight(index) else { continue };
        let place = graph.sources.line_place(node.span());
        out.push_str(&format!("{}  {place}\n", node.address()));
        for line in details(node) {
            out.push_str(&format!("    {line}\n"));
        }
        let mut edges: Vec<String> = graph
            .net
            .edges(index)
            .filter(|edge| *edge.weight() != Edge::RunsIn)
            .filter_map(|edge| {
                let to = graph.net.node_weight(edge.target())?.address();
                Some(format!("{} {to}", edge_words(edge.weight())))
            })
            .collect();
        edges.sort();
        for edge in edges {
            out.push_str(&format!("    {edge}\n"));
        }
    }
    out
}

fn details(node: &GraphNode) -> Vec<String> {
    match node {
        GraphNode::Cluster(_) => Vec::new(),
        GraphNode::Host(host) => vec![host.address.to_string()],
        GraphNode::Volume(volume) => match (&volume.host_path, volume.per_host) {
            (Some(path), _) => vec![format!("host path {path}")],
            (None, true) => vec!["one on each host".to_owned()],
            (None, false) => Vec::new(),
        },
        GraphNode::Secret(secret) => vec![format!("read from {}", secret.source)],
        GraphNode::Service(service) => {
            let mut lines = vec![format!("select {}", service.select)];
            lines.extend(service.ports.iter().map(|(name, port)| {
                let publish = port.publish.as_ref();
                let publish = publish.map_or_else(String::new, |p| format!(", published at {p}"));
                format!("port {name} {}{publish}", port.number)
            }));
            lines
        }
        GraphNode::Workload(workload) => workload_details(workload),
    }
}

fn workload_details(workload: &Workload) -> Vec<String> {
    let mut lines = Vec::new();
    match workload.replicas {
        Replicas::PerHost => lines.push("one on each host".to_owned()),
        Replicas::Count(number) if workload.address().kind == tally_graph::Kind::Controller => {
            lines.push(count(number as usize, "replica", "replicas"));
        }
        Replicas::Count(_) => {}
    }
    if !workload.labels.is_empty() {
        let labels: Vec<String> =
            workload.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        lines.push(format!("label {}", labels.join(" ")));
    }
    for volume in &workload.volumes {
        lines.push(format!("volume {}", volume.name));
    }
    let inits = workload.inits.iter().map(|init| ("init", init));
    let containers = workload.containers.iter().map(|container| ("container", container));
    for (kind, container) in inits.chain(containers) {
        let mut line = format!("{kind} {} {}", container.name, container.image);
        for (name, port) in &container.port {
            line.push_str(&format!(", port {name} {}", port.number));
        }
        if let Some(probe) = &container.readiness {
            line.push_str(match probe.action {
                ProbeAction::Command(_) => ", ready by command",
                ProbeAction::Http { .. } => ", ready by http",
                ProbeAction::Tcp { .. } => ", ready by tcp",
                ProbeAction::Running => ", ready after it has run for a while",
            });
        }
        lines.push(line);
    }
    lines
}

/// Returns the graph for Graphviz.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let mut out = String::from("digraph spec {\n    rankdir=LR;\n    node [shape=box];\n");
    for index in graph.net.node_indices() {
        if let Some(node) = graph.net.node_weight(index) {
            out.push_str(&format!("    \"{}\";\n", node.address()));
        }
    }
    for (from, to, words) in edges(graph) {
        out.push_str(&format!("    \"{from}\" -> \"{to}\" [label=\"{words}\"];\n"));
    }
    out.push_str("}\n");
    out
}

/// Returns the graph for Markdown pages.
#[must_use]
pub fn mermaid(graph: &Graph) -> String {
    let id = |address: &str| address.replace(['/', '-'], "_");
    let mut out = String::from("graph LR\n");
    for index in graph.net.node_indices() {
        if let Some(node) = graph.net.node_weight(index) {
            let address = node.address().to_string();
            out.push_str(&format!("    {}[\"{address}\"]\n", id(&address)));
        }
    }
    for (from, to, words) in edges(graph) {
        out.push_str(&format!("    {} -->|{words}| {}\n", id(&from), id(&to)));
    }
    out
}

/// Returns all edges as addresses and words, in the order of the spec.
fn edges(graph: &Graph) -> Vec<(String, String, String)> {
    let address = |index| graph.net.node_weight(index).map(|node: &GraphNode| node.address());
    graph
        .net
        .edge_references()
        .filter_map(|edge| {
            let (from, to) = (address(edge.source())?, address(edge.target())?);
            Some((from.to_string(), to.to_string(), edge_words(edge.weight())))
        })
        .collect()
}

/// Returns the graph as data, with its texts.
#[must_use]
pub fn json(graph: &Graph) -> String {
    let mut text = serde_json::to_string_pretty(graph).unwrap_or_default();
    text.push('\n');
    text
}
