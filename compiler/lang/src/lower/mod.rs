//! Objects to graph: names resolved, defaults filled in, the origin of every value noted.

mod cluster;
mod container;
mod files;
mod origins;
mod probe;
mod secrets;
mod selectors;
mod services;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Address, Edge, FileContent, Graph, Kind, Node as GraphNode, Workload};
use tally_source::{OriginArena, SourceMap};

use crate::check;
use crate::decode::{Context, Object};
use crate::loader::Loader;
use crate::resolve::Names;
pub(crate) use selectors::Selectable;
pub(crate) use services::Lowered as ServiceFacts;
pub(crate) use workload::Facts;

/// What lowering reads and writes, beside the reports.
pub(crate) struct Lowering<'l, 's> {
    pub cx: Context<'s>,
    pub loader: &'l mut dyn Loader,
    pub origins: OriginArena,
    pub contents: BTreeMap<String, FileContent>,
    pub content_bytes: usize,
    /// What each file that `from` names holds, by path: read once.
    pub read: BTreeMap<String, Option<String>>,
    /// Named volumes that something mounts.
    pub used_volumes: BTreeSet<String>,
    /// Secrets that something uses.
    pub used_secrets: BTreeSet<String>,
}

/// The top of a spec, by kind.
#[derive(Default)]
pub(crate) struct Top<'a> {
    pub clusters: Vec<Object<'a>>,
    pub volumes: Vec<Object<'a>>,
    pub workloads: Vec<Object<'a>>,
    pub services: Vec<Object<'a>>,
    pub secrets: Vec<Object<'a>>,
    /// Something at the top could not be read as what it was meant.
    pub bad: bool,
}

/// A lowered workload with what checks must know of it.
pub(crate) struct Lowered {
    pub workload: Workload,
    pub facts: Facts,
}

/// The nodes of the graph, free of the text and its trees.
pub(crate) struct Parts {
    cluster: cluster::Lowered,
    volumes: Vec<tally_graph::Volume>,
    secrets: Vec<tally_graph::Secret>,
    workloads: Vec<Lowered>,
    services: Vec<services::Lowered>,
}

/// Lowers all objects and checks what no single one can know.
pub(crate) fn lower<'a>(
    low: &mut Lowering<'_, '_>,
    top: &'a Top<'a>,
    incomplete: bool,
    sources: &SourceMap,
) -> Parts {
    let incomplete = incomplete || top.bad;
    let cluster = cluster::cluster(low, &top.clusters, incomplete, sources);
    let names = Names::collect(&mut low.cx, top, incomplete);
    let volumes: Vec<tally_graph::Volume> =
        top.volumes.iter().map(|object| cluster::volume(low, object)).collect();
    let secrets: Vec<tally_graph::Secret> =
        top.secrets.iter().filter_map(|object| secrets::secret(low, object)).collect();
    let workloads: Vec<Lowered> =
        top.workloads.iter().map(|object| workload::workload(low, &names, object)).collect();
    let services_there = !top.services.is_empty();
    let labels =
        Selectable::new(if services_there { &workloads } else { &[] }, &cluster.cluster.name);
    let services: Vec<services::Lowered> = top
        .services
        .iter()
        .map(|object| services::service(low, &names, &labels, &workloads, object))
        .collect();

    check::placement(&mut low.cx, &workloads, &cluster.hosts, incomplete);
    check::pod_names(&mut low.cx, &workloads, &cluster.hosts);
    check::host_ports(&mut low.cx, &workloads, &services, cluster.hosts.len());
    check::dependencies(&mut low.cx, &names, &workloads, &services);
    check::volumes(&mut low.cx, &top.volumes, &low.used_volumes, incomplete);
    check::secrets(&mut low.cx, &top.secrets, &low.used_secrets, incomplete);
    check::volumes_on_hosts(&mut low.cx, &names, &workloads);
    Parts { cluster, volumes, secrets, workloads, services }
}

/// Joins the nodes to a graph. It is of use only when nothing was reported as an error.
pub(crate) fn join(parts: Parts) -> Graph {
    let Parts { cluster, volumes, secrets, workloads, services } = parts;
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
