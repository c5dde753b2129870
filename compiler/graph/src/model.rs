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

/// The cluster: the scope of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name; every object that Tally creates carries it.
    pub name: String,
    /// The time after which an unreachable host counts as lost; never if `None`.
    #[serde(default)]
    pub lost_after: Option<Millis>,
    /// Its node.
    pub span: Span,
}

/// The address of a host.
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

/// The capacity of a host; the engine reports the values that are not set.
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
    /// The only certificate authority that is trusted.
    pub ca: String,
    /// The client certificate.
    pub cert: String,
    /// The client key.
    pub key: String,
}

/// A host of the cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: HostAddress,
    /// Labels that placement reads.
    pub labels: BTreeMap<String, String>,
    /// Its capacity.
    pub capacity: Capacity,
    /// For `tcp://`.
    pub tls: Option<TlsFiles>,
    /// Whether its pods move away and no new ones are placed on it.
    #[serde(default)]
    pub drain: bool,
    /// Its node.
    pub span: Span,
    /// The origins of its values.
    pub provenance: Provenance,
}

/// A named volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// A folder of the host instead of a Docker volume.
    pub host_path: Option<String>,
    /// Whether each host has one of its own, instead of one on one host.
    pub per_host: bool,
    /// Its node.
    pub span: Span,
    /// The origins of its values.
    pub provenance: Provenance,
}

/// The kind of a workload: one pod, or replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// One pod.
    Pod,
    /// Replicas.
    Controller,
}

/// The number of pods of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replicas {
    /// A number.
    Count(u32),
    /// One on each host.
    PerHost,
}

impl Replicas {
    /// Returns the number of pods on that number of hosts.
    #[must_use]
    pub fn pods(self, hosts: u32) -> u32 {
        match self {
            Replicas::Count(count) => count,
            Replicas::PerHost => hosts,
        }
    }
}

/// The reaction to the end of a container.
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
    /// Returns the word people write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::Never => "never",
        }
    }
}

/// The strategy for replacing a controller's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A few at a time.
    #[default]
    Rolling,
    /// All pods stop before a new one starts.
    Recreate,
}

/// The reaction to a change that does not become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The rollout pauses.
    #[default]
    Pause,
    /// The previous revision is restored.
    Rollback,
}

/// How a controller's pods are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Update {
    /// A few at a time, or all at once.
    pub strategy: Strategy,
    /// The maximum number of pods that may be unavailable.
    pub max_unavailable: Amount,
    /// The maximum number of surge pods while pods are replaced.
    pub max_surge: Amount,
    /// The time within which a pod must become ready; `None` for the limit of its probe.
    pub progress_deadline: Option<Millis>,
    /// The reaction if it does not.
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
    /// Returns the number of `replicas` pods that may be unavailable. If neither a pod may be unavailable nor
    /// a surge pod may run, it is 1: otherwise no pod could ever be replaced.
    #[must_use]
    pub fn missing(&self, replicas: u32) -> u32 {
        let missing = self.max_unavailable.of(replicas);
        if missing == 0 && self.surge(replicas) == 0 { 1 } else { missing }
    }

    /// Returns the maximum number of surge pods; a percentage is rounded up, as in Kubernetes.
    #[must_use]
    pub fn surge(&self, replicas: u32) -> u32 {
        match self.strategy {
            Strategy::Rolling => self.max_surge.of_up(replicas),
            Strategy::Recreate => 0,
        }
    }
}

/// The placement of pods.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The selector that the labels of a host must match.
    pub require: Option<Selector>,
    /// The host label whose values the pods are spread over.
    pub spread: Option<String>,
    /// Hosts whose labels match are preferred.
    pub prefer: Option<Selector>,
    /// Hosts with pods whose labels match are avoided.
    pub avoid: Option<Selector>,
    /// Hosts with pods whose labels match are preferred.
    pub near: Option<Selector>,
}

impl Place {
    /// Checks whether nothing is specified.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The state that a dependency must reach before a pod starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// Its containers run.
    Started,
    /// It is ready.
    #[default]
    Ready,
    /// It has exited with code 0.
    Completed,
}

impl Until {
    /// Returns the word people write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Until::Started => "started",
            Until::Ready => "ready",
            Until::Completed => "completed",
        }
    }
}

/// A dependency of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The target: a pod, a controller or a service.
    pub on: Address,
    /// The state that the target must reach.
    pub until: Until,
    /// Its node.
    pub span: Span,
}

/// The source of a pod's own volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodVolumeSource {
    /// Empty at first, shared by the pod's containers, removed with the pod.
    Empty,
    /// A folder or file of the host.
    HostPath(String),
}

/// A volume declared in a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodVolume {
    /// Its name, unique in the pod.
    pub name: String,
    /// Its source.
    pub source: PodVolumeSource,
    /// Its node.
    pub span: Span,
}

/// The fingerprint of a workload, computed on first use. A clone starts without it, since only clones are
/// changed.
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
    /// The reaction to the end of a container.
    pub restart: Restart,
    /// Their placement.
    pub place: Place,
    /// Their dependencies.
    pub depends_on: Vec<Dependency>,
    /// Volumes of the pod itself, in written order.
    pub volumes: Vec<PodVolume>,
    /// Containers that exit before the others start, in written order: the order counts.
    pub inits: Vec<Container>,
    /// Its containers, in written order.
    pub containers: Vec<Container>,
    /// Its node.
    pub span: Span,
    /// The origins of its own values.
    pub provenance: Provenance,
    /// The origins of the values of its containers and inits, by container name.
    pub container_provenance: BTreeMap<String, Provenance>,
    /// The nodes of its containers and inits, by name.
    pub container_spans: BTreeMap<String, Span>,
    /// The result of [`Self::fingerprint`].
    #[serde(skip)]
    pub known: Fingerprint,
}

impl WorkloadKind {
    /// Returns the kind in an address.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            WorkloadKind::Pod => Kind::Pod,
            WorkloadKind::Controller => Kind::Controller,
        }
    }

    /// Returns the word that begins an address.
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

    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::new(self.kind.kind(), &self.name)
    }

    /// Returns the name of the pod in slot `ordinal`: the workload's own for a pod, `name-0` for replicas.
    #[must_use]
    pub fn pod_name(&self, ordinal: u32) -> String {
        match self.kind {
            WorkloadKind::Pod => self.name.clone(),
            WorkloadKind::Controller => format!("{}-{ordinal}", self.name),
        }
    }

    /// Returns the name of the pod of a controller with one pod on each host: `name-host`.
    #[must_use]
    pub fn pod_on(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    /// Returns a hash of the specified state, without its places in the text: equal workloads have equal hashes,
    /// 64 hex digits (SHA-256). It is computed once: after that only clones of the workload are changed.
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

    /// Returns the state of `other` with the places in the text of this one.
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

    /// Checks whether the pods of both are equal, regardless of their number and placement: then a change
    /// from one to the other needs no rollout.
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

    /// Returns the labels that selectors see: its own and the automatic ones.
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
    /// The selected pods.
    pub select: Selector,
    /// Its ports, by the name of the pods' port.
    pub ports: BTreeMap<String, ServicePort>,
    /// Its node.
    pub span: Span,
    /// The origins of its values.
    pub provenance: Provenance,
}
