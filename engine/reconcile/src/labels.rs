//! Names and labels of what we make in Docker.
//!
//! | object | name | role |
//! |---|---|---|
//! | container of a pod | `cluster.pod.container` | `container` or `init` |
//! | a pod's infra container | `cluster.pod` | `infra` |
//! | a pod's own volume | `cluster.pod.volume` | `pod-volume` |
//! | a named volume | `cluster.volume` | `volume` |
//! | the cluster's network | `cluster` | `network` |
//!
//! Names in a spec hold no dots, so two objects never share a name. The name is the
//! compare-and-swap: of two engines that create one, exactly one succeeds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The cluster's name; what has it is ours, if its name agrees too.
pub const CLUSTER: &str = "tally.cluster";
/// What the object is for: see [`Role`].
pub const ROLE: &str = "tally.role";
/// `controller/frontend`: the workload a pod belongs to.
pub const WORKLOAD: &str = "tally.workload";
/// The pod's name, `frontend-0`.
pub const POD: &str = "tally.pod";
/// The name of the container in its pod, or of the volume.
pub const NAME: &str = "tally.name";
/// How often this container has been made, from 1.
pub const GENERATION: &str = "tally.generation";
/// The applied spec: what Docker was told, as compact JSON.
pub const SPEC: &str = "tally.spec";
/// `1` when files were written into the container, so that the record is worth reading.
pub const FILES: &str = "tally.files";

/// The path of the record of written files in a container.
pub const FILES_RECORD: &str = "/.tally/files.json";

/// The image of infra containers, made from a program of our own and loaded through the API.
pub const INFRA_IMAGE: &str = "tally.local/pause:1";

/// What an object of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A container of a pod.
    Container,
    /// One that ends before the pod's containers begin.
    Init,
    /// The holder of a pod's network, IPC and ports.
    Infra,
    /// A pod's own volume.
    PodVolume,
    /// A named volume.
    Volume,
    /// The cluster's network.
    Network,
}

impl Role {
    /// The label's value.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Role::Container => "container",
            Role::Init => "init",
            Role::Infra => "infra",
            Role::PodVolume => "pod-volume",
            Role::Volume => "volume",
            Role::Network => "network",
        }
    }

    /// The role of that label.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Role::Container, Role::Init, Role::Infra, Role::PodVolume, Role::Volume, Role::Network]
            .into_iter()
            .find(|role| role.word() == word)
    }
}

/// The name of a pod's container.
#[must_use]
pub fn container_name(cluster: &str, pod: &str, container: &str) -> String {
    format!("{cluster}.{pod}.{container}")
}

/// The name of a pod's infra container.
#[must_use]
pub fn infra_name(cluster: &str, pod: &str) -> String {
    format!("{cluster}.{pod}")
}

/// The name of a pod's own volume.
#[must_use]
pub fn pod_volume_name(cluster: &str, pod: &str, volume: &str) -> String {
    format!("{cluster}.{pod}.{volume}")
}

/// The name of a named volume.
#[must_use]
pub fn volume_name(cluster: &str, volume: &str) -> String {
    format!("{cluster}.{volume}")
}

/// The labels every object of ours carries.
#[must_use]
pub fn owner_labels(cluster: &str, role: Role) -> BTreeMap<String, String> {
    BTreeMap::from([
        (CLUSTER.to_owned(), cluster.to_owned()),
        (ROLE.to_owned(), role.word().to_owned()),
    ])
}
