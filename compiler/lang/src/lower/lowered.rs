//! The results of lowering: nodes of the graph, with the facts that checks need.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{
    Cluster, Container, Host, Protocol, Provenance, Publish, Secret, Service, Volume, Workload,
};
use tally_source::Span;

/// The nodes of the graph, free of the text and its trees.
pub(crate) struct LoweredSpec {
    pub cluster: LoweredCluster,
    pub volumes: Vec<Volume>,
    pub secrets: Vec<Secret>,
    pub workloads: Vec<LoweredWorkload>,
    pub services: Vec<LoweredService>,
}

/// The cluster with its hosts.
pub(crate) struct LoweredCluster {
    pub cluster: Cluster,
    pub hosts: Vec<Host>,
}

/// A workload with the facts that checks need.
pub(crate) struct LoweredWorkload {
    pub workload: Workload,
    pub facts: WorkloadFacts,
}

/// The facts of a workload that checks need.
#[derive(Default)]
pub(crate) struct WorkloadFacts {
    /// Ports by name, of all containers.
    pub ports: BTreeMap<String, PortFact>,
    /// Whether a port is wrong. Then no port is reported as missing.
    pub ports_bad: bool,
    /// Whether a label is wrong.
    pub labels_bad: bool,
    /// Named volumes it mounts.
    pub volumes: BTreeSet<String>,
    /// Where it mounts them first.
    pub volume_spans: BTreeMap<String, Span>,
    /// `replicas` in the text.
    pub replicas_span: Option<Span>,
    /// `place { require … }` and `spread` in the text.
    pub require_span: Option<Span>,
    pub spread_span: Option<Span>,
}

/// A port of a container.
pub(crate) struct PortFact {
    pub number: u16,
    pub protocol: Protocol,
    pub publish: Option<Publish>,
    pub publish_span: Span,
    pub span: Span,
}

/// A service with the facts that checks need.
pub(crate) struct LoweredService {
    pub service: Service,
    /// The workloads it selects.
    pub matched: Vec<usize>,
    /// The host ports that it publishes, and where.
    pub published: Vec<(Publish, Span)>,
}

/// A container with the facts that its pod needs.
pub(super) struct LoweredContainer {
    pub container: Container,
    pub provenance: Provenance,
    pub ports: Vec<(String, PortFact)>,
    pub ports_bad: bool,
    /// Volumes of the pod that it mounts.
    pub own_volumes: BTreeSet<String>,
    /// Named volumes that it mounts, and where first.
    pub spec_volumes: Vec<(String, Span)>,
}
