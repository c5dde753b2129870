//! A simulated Docker engine: its state as plain data, and what calls do to it. It has no clock
//! and no randomness of its own: the time is handed in, and IDs come from a seeded counter, so the
//! same calls at the same times give the same state.

mod befall;
mod look;
mod objects;
mod record;
mod run;
mod shape;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tally_graph::{Bytes, FileSpec};
use tally_host::HostError;
use tally_reconcile::input::observed::{ContainerState, Engine, Health};
use tally_reconcile::plan::request::ContainerRequest;

pub use befall::Shown;
pub use record::Record;

/// The simulated engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub(crate) meta: Meta,
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) containers: BTreeMap<String, Container>,
    /// IDs by name.
    pub(crate) names: BTreeMap<String, String>,
    pub(crate) volumes: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) networks: BTreeMap<String, Network>,
    pub(crate) execs: BTreeMap<String, i64>,
    /// Nothing happens by itself before this time.
    wake_ms: i64,
    /// What has changed since it was last asked.
    changed: BTreeSet<Key>,
}

/// What is there once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub seed: u64,
    /// So many IDs were given out.
    pub made: u64,
    pub engine: Engine,
    /// Images that no registry has, beyond those whose name says so.
    pub missing: BTreeSet<String>,
    /// How often each tag has moved at its registry.
    #[serde(default)]
    pub moved: BTreeMap<String, u64>,
    /// Whether images lie in containerd's store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub containerd_store: bool,
}

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
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
    /// The program that runs, if the container does not say.
    pub entrypoint: Vec<String>,
    /// The command that runs, if the container does not say.
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
pub(crate) struct Container {
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
    /// What lies in the memory that it shares with its infra container.
    #[serde(default)]
    pub secrets: Option<BTreeMap<String, FileSpec>>,
    /// What it printed, or will have printed by that time.
    pub log: Vec<(i64, String)>,
    /// When its program ends by itself, and how.
    pub ends: Option<(i64, i64)>,
    /// When Docker starts it again.
    pub restarts_at_ms: Option<i64>,
    pub backoff_ms: i64,
    /// Which address of its network it has.
    pub address: u32,
    /// What its health check is made to say.
    pub health: Option<Health>,
}

impl Model {
    /// An engine with nothing on it.
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
            changed: BTreeSet::from([Key::Meta]),
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

    /// Says what kind of machine it is on: cores and memory.
    pub fn set_size(&mut self, cpus: u32, memory: Bytes) {
        self.meta.engine.cpus = cpus;
        self.meta.engine.memory = memory;
        self.changed.insert(Key::Meta);
    }

    /// Says that no registry has `image`.
    pub fn set_missing(&mut self, image: &str) {
        self.meta.missing.insert(image.to_owned());
        self.changed.insert(Key::Meta);
    }

    /// Says that images lie in containerd's store, as in Docker 29: an image's ID is its digest, and one
    /// that loses its tag is left with no name.
    pub fn use_containerd_store(&mut self) {
        self.meta.containerd_store = true;
        self.changed.insert(Key::Meta);
    }

    /// Says that the tag of `image` stands for another image at its registry from now on. Hosts that have
    /// fetched it keep what they have.
    pub fn move_tag(&mut self, image: &str) {
        *self.meta.moved.entry(image.to_owned()).or_default() += 1;
        self.changed.insert(Key::Meta);
    }

    /// Says what the container's health check shows from now on; `None` leaves it to its command.
    pub fn set_health(&mut self, id: &str, health: Option<Health>) {
        if let Some(container) = self.containers.get_mut(id) {
            container.health = health;
            self.changed.insert(Key::Container(id.to_owned()));
        }
    }

    /// Ends the container's program, as a crash would.
    pub fn crash(&mut self, id: &str, exit_code: i64, now_ms: i64) {
        self.advance(now_ms);
        if let Some(container) = self.containers.get_mut(id) {
            container.ends = Some((now_ms, exit_code));
            self.touch(id);
            self.wake_at(now_ms);
            self.advance(now_ms);
        }
    }

    /// A full ID: 64 hex digits, the same for the same seed and count.
    pub(crate) fn new_id(&mut self) -> String {
        self.meta.made += 1;
        self.changed.insert(Key::Meta);
        let start = self.meta.seed ^ self.meta.made.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..4_u64).map(|part| format!("{:016x}", mix(start.wrapping_add(part << 60)))).collect()
    }

    pub(crate) fn touch(&mut self, id: &str) {
        self.changed.insert(Key::Container(id.to_owned()));
    }

    pub(crate) fn wake_at(&mut self, at_ms: i64) {
        self.wake_ms = self.wake_ms.min(at_ms);
    }

    /// A container by its ID.
    pub(crate) fn get(&self, id: &str) -> Result<&Container, HostError> {
        self.containers.get(id).ok_or_else(|| no_such_container(id))
    }
}

pub(crate) fn no_such_container(id: &str) -> HostError {
    HostError::NotFound(format!("No such container: {id}"))
}

/// Splitmix64's finish: every bit of the input reaches every bit of the output.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
