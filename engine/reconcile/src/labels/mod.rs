//! Names and labels of the objects that Tally creates in Docker.
//!
//! | object | name | role |
//! |---|---|---|
//! | container of a pod | `cluster.pod.container` | `container` or `init` |
//! | a pod's infra container | `cluster.pod` | `infra` |
//! | a pod's own volume | `cluster.pod.volume` | `pod-volume` |
//! | the memory that holds the secrets of a container | `cluster.pod.container.secrets` | `pod-volume` |
//! | a named volume | `cluster.volume` | `volume` |
//! | the cluster's network | `cluster` | `network` |
//!
//! While a container is replaced, the old one has its name with the suffix `_previous`. Only the container with the
//! name itself may be started.
//!
//! Names in a spec contain no dots and no underscores, so two objects never have the same name. The name is the
//! compare-and-swap: if two engines create the same object, exactly one succeeds.

pub mod applied;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The cluster's name; Tally manages an object with this label if the object's name agrees with it.
pub const CLUSTER: &str = "tally.cluster";
/// The role of the object: see [`Role`].
pub const ROLE: &str = "tally.role";
/// The address of the workload that the object belongs to: `controller/frontend`.
pub const WORKLOAD: &str = "tally.workload";
/// The pod's name, `frontend-0`.
pub const POD: &str = "tally.pod";
/// The name of the container in its pod, or of the volume.
pub const NAME: &str = "tally.name";
/// The number of times that this container has been created, from 1.
pub const GENERATION: &str = "tally.generation";
/// The applied spec as compact JSON.
pub const SPEC: &str = "tally.spec";
/// `1` when files were written into the container: only then the record of files is read.
pub const FILES: &str = "tally.files";

/// `1` when files of a container are in memory: only then the record there is read.
pub const SECRETS: &str = "tally.secrets";

/// The folder in memory for the files of a container that contain secrets.
pub const SECRETS_FOLDER: &str = "/.tally/secrets";
/// The path of the record of the files in memory.
pub const SECRETS_RECORD: &str = "/.tally/secrets/record.json";
/// The prefix of the paths of files in memory; the container's own path is a link to such a path.
pub const SECRETS_FILES: &str = "/.tally/secrets/files";

/// The path of the record of written files in a container.
pub const FILES_RECORD: &str = "/.tally/files.json";

/// The image of infra containers, built from a program of this repository and loaded through the API.
pub const INFRA_IMAGE: &str = "tally.local/pause:1";

/// The role of an object that Tally manages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A container of a pod.
    Container,
    /// A container that ends before the pod's containers start.
    Init,
    /// The container that owns a pod's network, IPC and published ports.
    Infra,
    /// A pod's own volume.
    PodVolume,
    /// A named volume.
    Volume,
    /// The cluster's network.
    Network,
}

impl Role {
    /// Returns the value of the label.
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

    /// Returns the role with that value of the label; `None` for an unknown value.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Role::Container, Role::Init, Role::Infra, Role::PodVolume, Role::Volume, Role::Network]
            .into_iter()
            .find(|role| role.word() == word)
    }
}

/// Tally's labels of an object, read in one pass, because they are needed for every container of every host
/// in each observation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OurLabels<'a> {
    pub cluster: Option<&'a str>,
    pub role: Option<&'a str>,
    pub workload: Option<&'a str>,
    pub pod: Option<&'a str>,
    pub name: Option<&'a str>,
    pub generation: Option<&'a str>,
    pub spec: Option<&'a str>,
}

impl<'a> OurLabels<'a> {
    pub fn of(all: &'a BTreeMap<String, String>) -> Self {
        let mut ours = Self::default();
        // A container has only a few labels: one pass over all of them is faster than a search for each of
        // ours.
        for (key, value) in all.iter().filter(|(key, _)| key.starts_with("tally.")) {
            let place = match key.as_str() {
                CLUSTER => &mut ours.cluster,
                ROLE => &mut ours.role,
                WORKLOAD => &mut ours.workload,
                POD => &mut ours.pod,
                NAME => &mut ours.name,
                GENERATION => &mut ours.generation,
                SPEC => &mut ours.spec,
                _ => continue,
            };
            *place = Some(value);
        }
        ours
    }
}

/// Checks whether `infra` are the labels of an infra container of the same cluster as `other`.
#[must_use]
pub fn is_infra_of(infra: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> bool {
    infra.get(ROLE).is_some_and(|role| role == Role::Infra.word())
        && infra.get(CLUSTER) == other.get(CLUSTER)
}

/// Checks whether `text` is the parts joined with dots, without allocating the joined text.
pub(crate) fn is_joined_of(text: &str, parts: &[&str]) -> bool {
    let mut rest = Some(text);
    for (number, part) in parts.iter().enumerate() {
        let dot = if number == 0 { "" } else { "." };
        rest = rest.and_then(|rest| rest.strip_prefix(dot)?.strip_prefix(part));
    }
    rest == Some("")
}

/// Returns the name of a pod's container.
#[must_use]
pub fn container_name(cluster: &str, pod: &str, container: &str) -> String {
    format!("{cluster}.{pod}.{container}")
}

/// Returns the name of a pod's infra container.
#[must_use]
pub fn infra_name(cluster: &str, pod: &str) -> String {
    format!("{cluster}.{pod}")
}

/// The suffix of the name of a container while another one takes its place.
const PREVIOUS_SUFFIX: &str = "_previous";

/// Returns the name that a container has while another one takes its place.
#[must_use]
pub fn previous_name(name: &str) -> String {
    format!("{name}{PREVIOUS_SUFFIX}")
}

/// Returns the name that a container had before another one took its place; `None` if none does.
#[must_use]
pub fn name_before_replacement(name: &str) -> Option<&str> {
    name.strip_suffix(PREVIOUS_SUFFIX)
}

/// Returns the name of a pod's own volume.
#[must_use]
pub fn pod_volume_name(cluster: &str, pod: &str, volume: &str) -> String {
    format!("{cluster}.{pod}.{volume}")
}

/// Returns the name, in its pod, of the volume in memory for a container's secrets.
#[must_use]
pub fn secrets_volume(container: &str) -> String {
    format!("{container}.secrets")
}

/// Returns the name of a named volume.
#[must_use]
pub fn volume_name(cluster: &str, volume: &str) -> String {
    format!("{cluster}.{volume}")
}

/// Returns the labels that every object of the cluster has.
#[must_use]
pub fn owner_labels(cluster: &str, role: Role) -> BTreeMap<String, String> {
    BTreeMap::from([
        (CLUSTER.to_owned(), cluster.to_owned()),
        (ROLE.to_owned(), role.word().to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_consists_of_its_parts() {
        assert!(is_joined_of(&container_name("shop", "web-0", "app"), &["shop", "web-0", "app"]));
        assert!(is_joined_of(&infra_name("shop", "web-0"), &["shop", "web-0"]));
        for wrong in ["shop.web-0", "shop.web-0.app.more", "shop.web-0.ap", "shopweb-0app", ""] {
            assert!(!is_joined_of(wrong, &["shop", "web-0", "app"]), "{wrong}");
        }
    }
}
