//! Volumes, networks and images.

use tally_graph::ImageRef;
use tally_host::HostError;
use tally_reconcile::labels::INFRA_IMAGE;
use tally_reconcile::plan::request::{MountFrom, NetworkRef, NetworkRequest, VolumeRequest};

use super::state::{Image, Model, Network, ObjectKey, SimulatedContainer, mix};
use crate::program;

impl Model {
    /// Creates a volume. Succeeds when it exists with the same labels.
    ///
    /// # Errors
    /// When it exists with other labels.
    pub fn create_volume(&mut self, request: &VolumeRequest) -> Result<(), HostError> {
        match self.volume_labels(&request.name) {
            Some(labels) if *labels == request.labels => Ok(()),
            Some(_) => {
                let name = &request.name;
                let said = format!("a volume named {name} is there already, with other labels");
                Err(HostError::Conflict(said))
            }
            None => {
                self.volumes.insert(request.name.clone(), request.labels.clone());
                self.changed.insert(ObjectKey::Volume(request.name.clone()));
                Ok(())
            }
        }
    }

    /// Removes a volume. Succeeds when it does not exist.
    ///
    /// # Errors
    /// When a container mounts it.
    pub fn remove_volume(&mut self, name: &str) -> Result<(), HostError> {
        let mounts_it = |container: &SimulatedContainer| {
            let source = MountFrom::Volume(name.to_owned());
            container.request.mounts.values().any(|mount| mount.source == source)
        };
        if let Some(user) = self.containers.values().find(|container| mounts_it(container)) {
            let said = format!("remove {name}: volume is in use - [{}]", user.id);
            return Err(HostError::Conflict(said));
        }
        if self.volumes.remove(name).is_some() {
            self.changed.insert(ObjectKey::Volume(name.to_owned()));
        }
        Ok(())
    }

    /// Creates a network and returns its full ID.
    ///
    /// # Errors
    /// When its name is taken.
    pub fn create_network(&mut self, request: &NetworkRequest) -> Result<String, HostError> {
        if self.networks.values().any(|network| network.name == request.name) {
            let said = format!("network with name {} already exists", request.name);
            return Err(HostError::Conflict(said));
        }
        let id = self.new_id();
        let network = Network { name: request.name.clone(), labels: request.labels.clone() };
        self.networks.insert(id.clone(), network);
        self.changed.insert(ObjectKey::Network(id.clone()));
        Ok(id)
    }

    /// Removes a network. Succeeds when it does not exist.
    ///
    /// # Errors
    /// When a running container is on it.
    pub fn remove_network(&mut self, id: &str, now_ms: i64) -> Result<(), HostError> {
        self.advance(now_ms);
        let Some(network) = self.networks.get(id) else { return Ok(()) };
        let is_on_it = |container: &SimulatedContainer| {
            container.holds_ports()
                && matches!(&container.request.network,
                    NetworkRef::Named { name, .. } if *name == network.name)
        };
        if self.containers.values().any(is_on_it) {
            let name = &network.name;
            let said = format!("error while removing network: network {name} has active endpoints");
            return Err(HostError::Conflict(said));
        }
        self.networks.remove(id);
        self.changed.insert(ObjectKey::Network(id.to_owned()));
        Ok(())
    }

    /// Pulls an image by its tag or its digest. Every registry has every image, except those whose name contains
    /// `missing` or `none-such`, and those removed by [`Model::set_missing`]; a registry at port 9 never answers. All
    /// hosts get the same image by the same name, until its tag moves.
    ///
    /// # Errors
    /// When the image is not available.
    pub fn pull(&mut self, image: &str) -> Result<(), HostError> {
        let fail = |missing, message: String| {
            Err(HostError::Image { image: image.to_owned(), missing, message })
        };
        let parsed = match ImageRef::parse(image) {
            Ok(parsed) => parsed,
            Err(error) => return fail(true, format!("{image}: {error}")),
        };
        if parsed.registry_host().ends_with(":9") {
            return fail(false, format!("dial tcp {}: connection refused", parsed.registry_host()));
        }
        if program::is_missing(image) || self.meta.missing.contains(image) {
            return fail(true, format!("manifest for {image} not found: manifest unknown"));
        }
        let digest = match &parsed.digest {
            Some(digest) => digest.clone(),
            None => {
                let moved = self.meta.moved.get(image).copied().unwrap_or(0);
                format!("sha256:{}", hash_of(image, moved))
            }
        };
        let id = if self.meta.containerd_store {
            digest.clone()
        } else {
            format!("sha256:{}", hash_of(&digest, 0))
        };
        if self.meta.containerd_store && parsed.digest.is_none() {
            self.untag(image, &id);
        }
        let by_digest = ImageRef { tag: None, digest: Some(digest), ..parsed };
        let is_there = |name: &str| self.images.get(name).is_some_and(|known| known.id == id);
        let names = [image.to_owned(), by_digest.to_string()];
        let missing: Vec<&String> = names.iter().filter(|name| !is_there(name)).collect();
        for name in missing {
            let command = vec!["/serve".to_owned()];
            self.images.insert(name.clone(), Image { id: id.clone(), command, ..Image::default() });
            self.changed.insert(ObjectKey::Image(name.clone()));
        }
        Ok(())
    }

    /// Removes the names of another image that had the tag.
    fn untag(&mut self, image: &str, id: &str) {
        if self.images.get(image).is_some_and(|known| known.id != id) {
            self.remove_image(image);
        }
    }

    /// Loads the image of infra containers.
    pub fn load_infra_image(&mut self) {
        if !self.images.contains_key(INFRA_IMAGE) {
            let entrypoint = vec!["/pause".to_owned()];
            self.add_image(INFRA_IMAGE, Image { entrypoint, ..Image::default() });
        }
    }

    /// Adds an image that no registry has, with a new ID.
    pub fn add_image(&mut self, name: &str, image: Image) {
        let id = format!("sha256:{}", self.new_id());
        self.images.insert(name.to_owned(), Image { id, ..image });
        self.changed.insert(ObjectKey::Image(name.to_owned()));
    }
}

/// Returns 64 hex digits for a text and a number.
fn hash_of(text: &str, number: u64) -> String {
    let start = text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ mix(number), |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (0..4_u64).map(|part| format!("{:016x}", mix(start.wrapping_add(part << 60)))).collect()
}
