//! The dependencies between workloads.

use std::collections::BTreeMap;

use tally_graph::{Edge, Graph, GraphNode, Until};

/// For each workload, by name, the workloads that it waits for.
pub(crate) type Needs<'a> = BTreeMap<&'a str, Vec<(&'a str, Until)>>;

/// Returns the workloads that each workload waits for: directly, or as the pods of a service.
pub(crate) fn needs(graph: &Graph) -> Needs<'_> {
    let net = &graph.net;
    let workload = |index| match net.node_weight(index) {
        Some(GraphNode::Workload(workload)) => Some(workload.name.as_str()),
        _ => None,
    };
    let mut needs = Needs::new();
    for edge in net.edge_indices() {
        let Some((from, to)) = net.edge_endpoints(edge) else {
            continue;
        };
        let (Some(Edge::DependsOn(until)), Some(from)) = (net.edge_weight(edge), workload(from))
        else {
            continue;
        };
        let on = needs.entry(from).or_default();
        match workload(to) {
            Some(name) => on.push((name, *until)),
            // A service is ready when the pods that it selects are ready.
            None => on.extend(net.neighbors(to).filter_map(workload).map(|name| (name, *until))),
        }
    }
    for on in needs.values_mut() {
        on.sort_unstable();
        on.dedup();
    }
    needs
}
