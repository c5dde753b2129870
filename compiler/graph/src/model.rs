//! Clusters, hosts, volumes, workloads and services.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tally_source::Span;

use crate::address::{Address, Kind};
use crate::container::{Container, Publish};
use crate::field_path::Provenance;
use crate::hash::sha256;
use crate::selector::Selector;
use crate::units::{Amount, Bytes, Cpu, Millis};

/// The cluster: what a plan is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name; every object we make carries it.
    pub name: String,
    /// A host that has been silent for so long counts as lost; never, when `None`.
    #[serde(default)]
    pub lost_after: Option<Millis>,
    /// Its node.
    pub span: Span,
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostAddress {
    /// A Unix socket of this machine: `unix:///var/run/docker.sock`.
    Unix(String),
    /// A simulated engine whose state is a file: `sim:NAME`.
    Sim(String),
    /// `ssh://[USER@]HOST[:PORT][/SOCKET]`.
    Ssh(String),
    /// `tcp://HOST:PORT`.
    Tcp(String),
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostAddress::Unix(path) => write!(f, "unix://{path}"),
            HostAddress::Sim(name) => write!(f, "sim:{name}"),
            HostAddress::Ssh(url) | HostAddress::Tcp(url) => f.write_str(url),
        }
    }
}

/// What a host offers; asked of the engine where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capacity {
    /// Cores.
    pub cpu: Option<Cpu>,
    /// Memory.
    pub memory: Option<Bytes>,
}

/// Files for mutual TLS, relative to the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// The only authority that is trusted.
    pub ca: String,
    /// Our certificate.
    pub cert: String,
    /// Our key.
    pub key: String,
}

/// A host of the cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub address: HostAddress,
    /// Labels that placement reads.
    pub labels: BTreeMap<String, String>,
    /// What it offers.
    pub capacity: Capacity,
    /// For `tcp://`.
    pub tls: Option<TlsFiles>,
    /// Whether it gives its pods away and takes none.
    #[serde(default)]
    pub drain: bool,
    /// Its node.
    pub span: Span,
    /// Where its values came from.
    pub provenance: Provenance,
}

/// A named volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// A folder of the host instead of a Docker volume.
    pub host_path: Option<String>,
    /// One on each host, instead of one on one host.
    pub per_host: bool,
    /// Its node.
    pub span: Span,
    /// Where its values came from.
    pub provenance: Provenance,
}

/// Whether a workload is one pod or a number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// One pod.
    Pod,
    /// Replicas.
    Controller,
}

/// How many pods a controller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replicas {
    /// So many.
    Count(u32),
    /// One on each host.
    PerHost,
}

impl Replicas {
    /// How many pods that makes on so many hosts.
    #[must_use]
    pub fn pods(self, hosts: u32) -> u32 {
        match self {
            Replicas::Count(count) => count,
            Replicas::PerHost => hosts,
        }
    }
}

/// What happens when a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is started again.
    #[default]
    Always,
    /// It is started again when its exit code is not 0.
    OnFailure,
    /// It stays as it is.
    Never,
}

impl Restart {
    /// The word people write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::Never => "never",
        }
    }
}

/// In what way a controller's pods are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A few at a time.
    #[default]
    Rolling,
    /// All of them go before any comes back.
    Recreate,
}

/// What happens when a change does not get ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It stops where it is.
    #[default]
    Pause,
    /// What was there before comes back.
    Rollback,
}

/// How a controller's pods are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Update {
    /// A few at a time, or all at once.
    pub strategy: Strategy,
    /// So many may be missing at a time.
    pub max_unavailable: Amount,
    /// So many may run beyond the number while pods are replaced.
    pub max_surge: Amount,
    /// A pod must get ready within so long; the probe's own bound when `None`.
    pub progress_deadline: Option<Millis>,
    /// What happens when it does not.
    pub on_failure: OnFailure,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            strategy: Strategy::Rolling,
            max_unavailable: Amount::Count(1),
            max_surge: Amount::Count(0),
            progress_deadline: None,
            on_failure: OnFailure::Pause,
        }
    }
}

impl Update {
    /// So many of `replicas` pods may be missing at a time. Where neither a pod may be missing nor
    /// one more may run, it is 1: nothing could ever change otherwise.
    #[must_use]
    pub fn missing(&self, replicas: u32) -> u32 {
        let missing = self.max_unavailable.of(replicas);
        if missing == 0 && self.surge(replicas) == 0 { 1 } else { missing }
    }

    /// So many pods may run beyond `replicas`; a percent is rounded up, as Kubernetes does.
    #[must_use]
    pub fn surge(&self, replicas: u32) -> u32 {
        match self.strategy {
            Strategy::Rolling => self.max_surge.of_up(replicas),
            Strategy::Recreate => 0,
        }
    }
}

/// Where pods may go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// What the host's labels must be like.
    pub require: Option<Selector>,
    /// The host label whose values the pods are spread over.
    pub spread: Option<String>,
    /// Hosts whose labels are like this come first.
    pub prefer: Option<Selector>,
    /// Hosts with pods whose labels are like this come last.
    pub avoid: Option<Selector>,
    /// Hosts with pods whose labels are like this come first.
    pub near: Option<Selector>,
}

impl Place {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How far another must be before a pod begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// Its containers run.
    Started,
    /// It is ready.
    #[default]
    Ready,
    /// It has ended with exit code 0.
    Completed,
}

impl Until {
    /// The word people write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Until::Started => "started",
            Until::Ready => "ready",
            Until::Completed => "completed",
        }
    }
}

/// What a workload waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// On whom: a pod, a controller or a service.
    pub on: Address,
    /// How far it must be.
    pub until: Until,
    /// Its node.
    pub span: Span,
}

/// What a pod's own volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodVolumeSource {
    /// Empty at first, shared by the pod's containers, gone with the pod.
    Empty,
    /// A folder or file of the host.
    HostPath(String),
}

/// A volume that stands in a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodVolume {
    /// Its name, unique in the pod.
    pub name: String,
    /// What it is.
    pub source: PodVolumeSource,
    /// Its node.
    pub span: Span,
}

/// The fingerprint of a workload, once somebody asked for it. A copy does not take it along, since a copy
/// is what gets changed.
#[derive(Debug, Default)]
pub struct Fingerprint(OnceLock<String>);

impl Clone for Fingerprint {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A pod, or a controller's pods.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Workload {
    /// One pod or replicas.
    pub kind: WorkloadKind,
    /// Its name; pods and controllers share one namespace.
    pub name: String,
    /// Labels that selectors read; Docker's containers carry them too.
    pub labels: BTreeMap<String, String>,
    /// How many; a pod is one.
    pub replicas: Replicas,
    /// How they are replaced.
    pub update: Update,
    /// What happens when a container ends.
    pub restart: Restart,
    /// Where they may go.
    pub place: Place,
    /// What they wait for.
    pub depends_on: Vec<Dependency>,
    /// Volumes of the pod itself, in written order.
    pub volumes: Vec<PodVolume>,
    /// Containers that end before the others begin, in written order: the order counts.
    pub inits: Vec<Container>,
    /// Its containers, in written order.
    pub containers: Vec<Container>,
    /// Its node.
    pub span: Span,
    /// Where its own values came from.
    pub provenance: Provenance,
    /// Where its containers' and inits' values came from, by container name.
    pub container_provenance: BTreeMap<String, Provenance>,
    /// The nodes of its containers and inits, by name.
    pub container_spans: BTreeMap<String, Span>,
    /// What [`Self::fingerprint`] has found.
    #[serde(skip)]
    pub known: Fingerprint,
}

impl WorkloadKind {
    /// The kind in an address.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            WorkloadKind::Pod => Kind::Pod,
            WorkloadKind::Controller => Kind::Controller,
        }
    }

    /// The word that begins an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.kind().word()
    }
}

impl Workload {
    /// Returns the names of the secrets its containers and inits use, each once, sorted.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&str> {
        self.inits.iter().chain(&self.containers).flat_map(Container::secrets).collect()
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::new(self.kind.kind(), &self.name)
    }

    /// The name of the pod in slot `ordinal`: the workload's own for a pod, `name-0` for replicas.
    #[must_use]
    pub fn pod_name(&self, ordinal: u32) -> String {
        match self.kind {
            WorkloadKind::Pod => self.name.clone(),
            WorkloadKind::Controller => format!("{}-{ordinal}", self.name),
        }
    }

    /// The name of the pod of a controller with one pod on each host: `name-host`.
    #[must_use]
    pub fn pod_on(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    /// What it asks for, without where that is written: two that ask for the same have the same,
    /// 64 hex digits (SHA-256). It is made once: a workload is not changed after it was asked for this,
    /// only copies of it are.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let known = self.known.0.get_or_init(|| self.new_fingerprint());
        debug_assert_eq!(*known, self.new_fingerprint(), "{} was changed", self.name);
        known.clone()
    }

    fn new_fingerprint(&self) -> String {
        let nowhere = Span::new(tally_source::FileId(0), 0, 0);
        let mut bare = Self {
            span: nowhere,
            provenance: Provenance::default(),
            container_provenance: BTreeMap::new(),
            container_spans: BTreeMap::new(),
            ..self.clone()
        };
        for dependency in &mut bare.depends_on {
            dependency.span = nowhere;
        }
        for volume in &mut bare.volumes {
            volume.span = nowhere;
        }
        let text = serde_json::to_vec(&bare).unwrap_or_default();
        sha256(&text)
    }

    /// The same as `other` asks for, written where this one is.
    #[must_use]
    pub fn as_before(&self, other: &Self) -> Self {
        Self {
            span: self.span,
            provenance: self.provenance.clone(),
            container_provenance: self.container_provenance.clone(),
            container_spans: self.container_spans.clone(),
            ..other.clone()
        }
    }

    /// Whether the pods of both are the same, however many there are and wherever they run: then a
    /// change from one to the other rolls nothing out.
    #[must_use]
    pub fn has_pods_of(&self, other: &Self) -> bool {
        let alike = Self {
            replicas: other.replicas,
            update: other.update,
            place: other.place.clone(),
            depends_on: other.depends_on.clone(),
            ..self.clone()
        };
        alike.fingerprint() == other.fingerprint()
    }

    /// The labels selectors see: its own and those nobody writes.
    #[must_use]
    pub fn selectable_labels(&self, cluster: &str) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert("cluster".to_owned(), cluster.to_owned());
        labels.insert(self.address().kind.word().to_owned(), self.name.clone());
        labels
    }
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// The service's own number.
    pub number: u16,
    /// Where the hosts serve it.
    pub publish: Option<Publish>,
}

/// One stable name for the pods that a selector matches. Compiled, checked and shown in the graph;
/// its data plane belongs to a later version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Which pods.
    pub select: Selector,
    /// Its ports, by the name of the pods' port.
    pub ports: BTreeMap<String, ServicePort>,
    /// Its node.
    pub span: Span,
    /// Where its values came from.
    pub provenance: Provenance,
}
