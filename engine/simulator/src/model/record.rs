//! The state as records, so that a file can hold it and a change writes only the changed objects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state::{Image, Meta, Model, Network, ObjectKey, SimulatedContainer};

/// The current form of one object, or its removal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record(Kept);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kept {
    Engine(Meta),
    Container(Box<SimulatedContainer>),
    ContainerGone(String),
    Volume(String, BTreeMap<String, String>),
    VolumeGone(String),
    Network(String, Network),
    NetworkGone(String),
    Image(String, Image),
    ImageGone(String),
}

impl Model {
    /// Removes and returns the records of the objects that changed since the last call.
    pub fn take_changes(&mut self) -> Vec<Record> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| self.record(key)).collect()
    }

    /// Returns the number of records of the whole state, without creating them.
    #[must_use]
    pub fn record_count(&self) -> usize {
        1 + self.images.len() + self.networks.len() + self.volumes.len() + self.containers.len()
    }

    /// Returns the records of the whole state.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let containers = self.containers.keys().cloned().map(ObjectKey::Container);
        let volumes = self.volumes.keys().cloned().map(ObjectKey::Volume);
        let networks = self.networks.keys().cloned().map(ObjectKey::Network);
        let images = self.images.keys().cloned().map(ObjectKey::Image);
        let keys = std::iter::once(ObjectKey::Meta);
        keys.chain(images)
            .chain(networks)
            .chain(volumes)
            .chain(containers)
            .map(|key| self.record(key))
            .collect()
    }

    fn record(&self, key: ObjectKey) -> Record {
        Record(match key {
            ObjectKey::Meta => Kept::Engine(self.meta.clone()),
            ObjectKey::Container(id) => match self.containers.get(&id) {
                Some(container) => Kept::Container(Box::new(container.clone())),
                None => Kept::ContainerGone(id),
            },
            ObjectKey::Volume(name) => match self.volumes.get(&name) {
                Some(labels) => Kept::Volume(name, labels.clone()),
                None => Kept::VolumeGone(name),
            },
            ObjectKey::Network(id) => match self.networks.get(&id) {
                Some(network) => Kept::Network(id, network.clone()),
                None => Kept::NetworkGone(id),
            },
            ObjectKey::Image(name) => match self.images.get(&name) {
                Some(image) => Kept::Image(name, image.clone()),
                None => Kept::ImageGone(name),
            },
        })
    }

    /// Applies a record of another process.
    pub fn apply(&mut self, record: Record) {
        match record.0 {
            Kept::Engine(meta) => self.meta = meta,
            Kept::Container(container) => {
                if let Some(old) = self.containers.get(&container.id).map(|it| &it.request.name)
                    && self.names.get(old) == Some(&container.id)
                {
                    self.names.remove(old);
                }
                self.names.insert(container.request.name.clone(), container.id.clone());
                let due = container.ends.map(|(at, _)| at).into_iter();
                for at in due.chain(container.restarts_at_ms) {
                    self.wake_at(at);
                }
                self.containers.insert(container.id.clone(), *container);
            }
            Kept::ContainerGone(id) => {
                if let Some(gone) = self.containers.remove(&id)
                    && self.names.get(&gone.request.name) == Some(&id)
                {
                    self.names.remove(&gone.request.name);
                }
            }
            Kept::Volume(name, labels) => {
                self.volumes.insert(name, labels);
            }
            Kept::VolumeGone(name) => {
                self.volumes.remove(&name);
            }
            Kept::Network(id, network) => {
                self.networks.insert(id, network);
            }
            Kept::NetworkGone(id) => {
                self.networks.remove(&id);
            }
            Kept::Image(name, image) => {
                self.images.insert(name, image);
            }
            Kept::ImageGone(name) => {
                self.images.remove(&name);
            }
        }
    }
}
