//! The state of a simulated Docker engine.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tally_graph::{Bytes, FileSpec};
use tally_host::HostError;
use tally_reconcile::input::observed::{ContainerState, Engine, Health};
use tally_reconcile::plan::request::ContainerRequest;

/// The simulated engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub(crate) meta: Meta,
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) containers: BTreeMap<String, SimulatedContainer>,
    /// IDs by name.
    pub(crate) names: BTreeMap<String, String>,
    pub(crate) volumes: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) networks: BTreeMap<String, Network>,
    pub(crate) execs: BTreeMap<String, i64>,
    /// Nothing happens by itself before this time.
    pub(super) wake_ms: i64,
    /// The objects that changed since the last [`Model::take_changes`].
    pub(super) changed: BTreeSet<ObjectKey>,
}

/// The part of the state that exists once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub seed: u64,
    /// Number of IDs given out.
    pub made: u64,
    pub engine: Engine,
    /// Images that no registry has, in addition to those whose name contains `missing` or `none-such`.
    pub missing: BTreeSet<String>,
    /// How often each tag has moved at its registry.
    #[serde(default)]
    pub moved: BTreeMap<String, u64>,
    /// Whether the engine uses containerd's image store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub containerd_store: bool,
}

/// The key of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObjectKey {
    Meta,
    Container(String),
    Volume(String),
    Network(String),
    Image(String),
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// `sha256:…`.
    pub id: String,
    /// The program that runs, unless the container names one.
    pub entrypoint: Vec<String>,
    /// The command that runs, unless the container names one.
    pub command: Vec<String>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SimulatedContainer {
    pub id: String,
    pub request: ContainerRequest,
    pub image_id: String,
    pub state: ContainerState,
    pub exit_code: i64,
    pub error: Option<String>,
    pub started_at_ms: Option<i64>,
    pub finished_at_ms: Option<i64>,
    pub restart_count: u32,
    /// The full ID of the container whose network it joins.
    pub joined: Option<String>,
    pub files: Option<BTreeMap<String, FileSpec>>,
    /// The files in the memory that it shares with its infra container.
    #[serde(default)]
    pub secrets: Option<BTreeMap<String, FileSpec>>,
    /// Its output, with the time of each line; lines of the future are included.
    pub log: Vec<(i64, String)>,
    /// When its program ends by itself, and with which exit code.
    pub ends: Option<(i64, i64)>,
    /// When Docker restarts it.
    pub restarts_at_ms: Option<i64>,
    pub backoff_ms: i64,
    /// Its address on its network.
    pub address: u32,
    /// The injected result of its health check.
    pub health: Option<Health>,
}

impl Model {
    /// Returns an engine without objects.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut model = Self {
            meta: Meta {
                seed,
                made: 0,
                engine: Engine::default(),
                missing: BTreeSet::new(),
                moved: BTreeMap::new(),
                containerd_store: false,
            },
            images: BTreeMap::new(),
            containers: BTreeMap::new(),
            names: BTreeMap::new(),
            volumes: BTreeMap::new(),
            networks: BTreeMap::new(),
            execs: BTreeMap::new(),
            wake_ms: i64::MAX,
            changed: BTreeSet::from([ObjectKey::Meta]),
        };
        model.meta.engine = Engine {
            id: model.new_id(),
            version: "20.10.24".to_owned(),
            api_version: "1.41".to_owned(),
            os: "linux".to_owned(),
            arch: "amd64".to_owned(),
            cpus: 4,
            memory: Bytes(8 << 30),
            simulated: true,
        };
        model
    }

    /// Returns a new full ID: 64 hex digits, the same for the same seed and count.
    pub(crate) fn new_id(&mut self) -> String {
        self.meta.made += 1;
        self.changed.insert(ObjectKey::Meta);
        let start = self.meta.seed ^ self.meta.made.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..4_u64).map(|part| format!("{:016x}", mix(start.wrapping_add(part << 60)))).collect()
    }

    /// Marks a container as changed.
    pub(crate) fn touch(&mut self, id: &str) {
        self.changed.insert(ObjectKey::Container(id.to_owned()));
    }

    /// Notes that something happens by itself at `at_ms`.
    pub(crate) fn wake_at(&mut self, at_ms: i64) {
        self.wake_ms = self.wake_ms.min(at_ms);
    }

    /// Returns a container by its ID.
    pub(crate) fn get(&self, id: &str) -> Result<&SimulatedContainer, HostError> {
        self.containers.get(id).ok_or_else(|| no_such_container(id))
    }
}

/// Returns the error for a container that does not exist.
pub(crate) fn no_such_container(id: &str) -> HostError {
    HostError::NotFound(format!("No such container: {id}"))
}

/// Mixes the bits of a number, as the last step of splitmix64: every bit of the input affects every bit of the output.
pub(super) fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
