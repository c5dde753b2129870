//! The graph: typed nodes and edges, with the texts they came from.

use std::collections::BTreeMap;

use base64::Engine as _;
use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tally_source::{OriginArena, OriginId, SourceMap, Span};

use crate::address::{Address, Kind};
use crate::field_path::Provenance;
use crate::hash::sha256;
use crate::model::{Cluster, Host, Service, Until, Volume, Workload};
use crate::secret::Secret;

/// A node of the graph.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphNode {
    /// The cluster.
    Cluster(Cluster),
    /// A host.
    Host(Host),
    /// A named volume.
    Volume(Volume),
    /// A pod or a controller.
    Workload(Box<Workload>),
    /// A service.
    Service(Service),
    /// A secret, without its value.
    Secret(Secret),
}

impl GraphNode {
    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> Address {
        match self {
            GraphNode::Cluster(cluster) => Address::new(Kind::Cluster, &cluster.name),
            GraphNode::Host(host) => Address::new(Kind::Host, &host.name),
            GraphNode::Volume(volume) => Address::new(Kind::Volume, &volume.name),
            GraphNode::Workload(workload) => workload.address(),
            GraphNode::Service(service) => Address::new(Kind::Service, &service.name),
            GraphNode::Secret(secret) => Address::new(Kind::Secret, &secret.name),
        }
    }

    /// Returns the node in the text.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            GraphNode::Cluster(cluster) => cluster.span,
            GraphNode::Host(host) => host.span,
            GraphNode::Volume(volume) => volume.span,
            GraphNode::Workload(workload) => workload.span,
            GraphNode::Service(service) => service.span,
            GraphNode::Secret(secret) => secret.span,
        }
    }

    /// Returns the specified state as text, without its places in the text.
    fn bare(&self) -> String {
        let nowhere = Span::new(tally_source::FileId(0), 0, 0);
        let provenance = Provenance::default();
        let bare = match self.clone() {
            GraphNode::Workload(workload) => return workload.fingerprint(),
            GraphNode::Cluster(cluster) => GraphNode::Cluster(Cluster { span: nowhere, ..cluster }),
            GraphNode::Host(host) => GraphNode::Host(Host { span: nowhere, provenance, ..host }),
            GraphNode::Volume(volume) => {
                GraphNode::Volume(Volume { span: nowhere, provenance, ..volume })
            }
            GraphNode::Service(found) => {
                GraphNode::Service(Service { span: nowhere, provenance, ..found })
            }
            GraphNode::Secret(secret) => {
                GraphNode::Secret(Secret { span: nowhere, provenance, ..secret })
            }
        };
        serde_json::to_string(&bare).unwrap_or_default()
    }

    /// Returns the origins of its values.
    #[must_use]
    pub fn provenance(&self) -> Option<&Provenance> {
        match self {
            GraphNode::Cluster(_) => None,
            GraphNode::Host(host) => Some(&host.provenance),
            GraphNode::Volume(volume) => Some(&volume.provenance),
            GraphNode::Workload(workload) => Some(&workload.provenance),
            GraphNode::Service(service) => Some(&service.provenance),
            GraphNode::Secret(secret) => Some(&secret.provenance),
        }
    }
}

/// The relation of one node to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edge {
    /// A workload mounts a named volume.
    UsesVolume,
    /// A workload uses a secret.
    UsesSecret,
    /// A service selects a workload.
    Selects,
    /// A workload waits for another, or for a service.
    DependsOn(Until),
    /// A host or a workload is part of the cluster.
    RunsIn,
}

/// The bytes of a file, in base64 when serialised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent(pub Vec<u8>);

impl FileContent {
    /// Returns the SHA-256 of the bytes, 64 hex digits.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256(&self.0)
    }
}

impl Serialize for FileContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for FileContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        Ok(Self(bytes.map_err(serde::de::Error::custom)?))
    }
}

/// The specified state, with the texts it came from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Graph {
    /// Nodes in written order, and their edges.
    pub net: DiGraph<GraphNode, Edge>,
    /// The texts.
    pub sources: SourceMap,
    /// The origins of values.
    pub origins: OriginArena,
    /// Contents of files, by SHA-256.
    pub contents: BTreeMap<String, FileContent>,
}

impl Graph {
    /// Returns the cluster; a compiled graph always has one.
    #[must_use]
    pub fn cluster(&self) -> Option<&Cluster> {
        self.net.node_weights().find_map(|node| match node {
            GraphNode::Cluster(cluster) => Some(cluster),
            _ => None,
        })
    }

    /// Returns its hosts, in written order.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.net.node_weights().filter_map(|node| match node {
            GraphNode::Host(host) => Some(host),
            _ => None,
        })
    }

    /// Returns its named volumes, in written order.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.net.node_weights().filter_map(|node| match node {
            GraphNode::Volume(volume) => Some(volume),
            _ => None,
        })
    }

    /// Returns its pods and controllers, in written order.
    pub fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.net.node_weights().filter_map(|node| match node {
            GraphNode::Workload(workload) => Some(workload.as_ref()),
            _ => None,
        })
    }

    /// Returns the pod or controller at the address.
    #[must_use]
    pub fn workload(&self, address: &Address) -> Option<&Workload> {
        self.workloads().find(|it| it.kind.kind() == address.kind && it.name == address.name)
    }

    /// Returns the pod or controller at an address in its text form, such as `pod/web`.
    #[must_use]
    pub fn workload_at(&self, address: &str) -> Option<&Workload> {
        self.workload(&Address::parse(address)?)
    }

    /// Replaces the workload of the same kind and name. Returns whether there is one.
    pub fn replace_workload(&mut self, workload: Workload) -> bool {
        let address = workload.address();
        let found = self.net.node_weights_mut().find(|node| node.address() == address);
        match found {
            Some(node) => {
                *node = GraphNode::Workload(Box::new(workload));
                true
            }
            None => false,
        }
    }

    /// Returns its services, in written order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.net.node_weights().filter_map(|node| match node {
            GraphNode::Service(service) => Some(service),
            _ => None,
        })
    }

    /// Returns its secrets, in written order.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.net.node_weights().filter_map(|node| match node {
            GraphNode::Secret(secret) => Some(secret),
            _ => None,
        })
    }

    /// Returns a hash of the specified state, without its places in the text and its order (except that of the hosts, which
    /// placement depends on): equal graphs have equal hashes, 64 hex digits (SHA-256).
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let is_host = |node: &&GraphNode| matches!(node, GraphNode::Host(_));
        let hosts = self.net.node_weights().filter(is_host).map(GraphNode::bare);
        let mut others: Vec<(String, String)> = self
            .net
            .node_weights()
            .filter(|node| !is_host(node))
            .map(|node| (node.address().to_string(), node.bare()))
            .collect();
        others.sort();
        let others = others.into_iter().map(|(address, bare)| format!("{address} {bare}"));
        sha256(hosts.chain(others).collect::<Vec<_>>().join("\n").as_bytes())
    }

    /// Returns the node with that address.
    #[must_use]
    pub fn find(&self, address: &Address) -> Option<(NodeIndex, &GraphNode)> {
        let index = self.net.node_indices().find(|index| {
            self.net.node_weight(*index).is_some_and(|node| node.address() == *address)
        })?;
        Some((index, self.net.node_weight(index)?))
    }

    /// Returns the place a value was written at; `None` for a default.
    #[must_use]
    pub fn written_at(&self, origin: OriginId) -> Option<Span> {
        let origin = self.origins.get(origin)?;
        matches!(origin.kind, tally_source::OriginKind::Written).then_some(origin.span)
    }
}
