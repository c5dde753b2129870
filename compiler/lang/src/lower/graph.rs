//! Nodes to graph.

use std::collections::BTreeMap;

use tally_graph::{Address, Edge, Graph, GraphNode, Kind};

use super::lowered::LoweredSpec;

/// Joins the nodes to a graph, which is valid only if there is no error.
pub(crate) fn into_graph(spec: LoweredSpec) -> Graph {
    let LoweredSpec { cluster, volumes, secrets, workloads, services } = spec;
    let mut graph = Graph::default();
    let mut places: BTreeMap<Address, petgraph::graph::NodeIndex> = BTreeMap::new();
    let mut add = |graph: &mut Graph, node: GraphNode| {
        let address = node.address();
        let index = graph.net.add_node(node);
        places.insert(address, index);
        index
    };
    let root = add(&mut graph, GraphNode::Cluster(cluster.cluster));
    for host in cluster.hosts {
        let index = add(&mut graph, GraphNode::Host(host));
        graph.net.add_edge(index, root, Edge::RunsIn);
    }
    for volume in volumes {
        add(&mut graph, GraphNode::Volume(volume));
    }
    for secret in secrets {
        add(&mut graph, GraphNode::Secret(secret));
    }
    let mut indices = Vec::with_capacity(workloads.len());
    let mut waits = Vec::with_capacity(workloads.len());
    for lowered in workloads {
        let secrets: Vec<String> =
            lowered.workload.secrets().into_iter().map(str::to_owned).collect();
        waits.push((lowered.workload.depends_on.clone(), lowered.facts.volumes, secrets));
        let index = add(&mut graph, GraphNode::Workload(Box::new(lowered.workload)));
        graph.net.add_edge(index, root, Edge::RunsIn);
        indices.push(index);
    }
    for lowered in services {
        let matched = lowered.matched;
        let index = add(&mut graph, GraphNode::Service(lowered.service));
        for target in matched.into_iter().filter_map(|at| indices.get(at)) {
            graph.net.add_edge(index, *target, Edge::Selects);
        }
    }
    for (index, (depends_on, volumes, secrets)) in indices.iter().zip(waits) {
        let targets = depends_on.iter().map(|on| (&on.on, Edge::DependsOn(on.until)));
        for (target, edge) in targets {
            if let Some(target) = places.get(target) {
                graph.net.add_edge(*index, *target, edge);
            }
        }
        let volumes = volumes.into_iter().map(|name| (Kind::Volume, name, Edge::UsesVolume));
        let secrets = secrets.into_iter().map(|name| (Kind::Secret, name, Edge::UsesSecret));
        for (kind, name, edge) in volumes.chain(secrets) {
            if let Some(target) = places.get(&Address::new(kind, name)) {
                graph.net.add_edge(*index, *target, edge);
            }
        }
    }
    graph
}
