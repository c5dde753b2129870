//! The answers to reading calls.

use std::collections::{BTreeMap, BTreeSet};

use tally_reconcile::input::observed::{
    ContainerDetails, ContainerState, Engine, Health, ObservedContainer, ObservedNetwork,
    ObservedVolume,
};
use tally_reconcile::plan::request::{HealthRequest, NetworkRef};

use super::state::{Image, Model, Network, SimulatedContainer};
use crate::program;

impl Model {
    /// Returns the engine.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.meta.engine.clone()
    }

    /// Returns all containers.
    #[must_use]
    pub fn list(&self) -> Vec<ObservedContainer> {
        self.containers.values().map(shown).collect()
    }

    /// Returns one container.
    #[must_use]
    pub fn inspect(
        &self,
        id: &str,
        with_files: bool,
        now_ms: i64,
    ) -> Option<(ObservedContainer, ContainerDetails)> {
        let container = self.containers.get(id)?;
        let ended = matches!(container.state, ContainerState::Exited | ContainerState::Restarting);
        let mut live = container.request.live.clone();
        if live.restart.is_empty() {
            "no".clone_into(&mut live.restart);
        }
        let details = ContainerDetails {
            image_id: container.image_id.clone(),
            health: health(container, now_ms),
            exit_code: ended.then_some(container.exit_code),
            error: container.error.clone(),
            started_at_ms: container.started_at_ms,
            finished_at_ms: container.finished_at_ms,
            restart_count: container.restart_count,
            live,
            joined: container.joined.clone(),
            files: container.files.clone().filter(|_| with_files),
            secrets: container.secrets.clone().filter(|_| with_files),
            addresses: addresses(container),
        };
        Some((shown(container), details))
    }

    /// Returns all volumes.
    #[must_use]
    pub fn list_volumes(&self) -> Vec<ObservedVolume> {
        let volume = |(name, labels): (&String, &BTreeMap<String, String>)| ObservedVolume {
            name: name.clone(),
            labels: labels.clone(),
        };
        self.volumes.iter().map(volume).collect()
    }

    /// Returns all networks.
    #[must_use]
    pub fn list_networks(&self) -> Vec<ObservedNetwork> {
        let network = |(id, network): (&String, &Network)| ObservedNetwork {
            id: id.clone(),
            name: network.name.clone(),
            driver: "bridge".to_owned(),
            labels: network.labels.clone(),
        };
        self.networks.iter().map(network).collect()
    }

    /// Returns the names of all images, with their IDs. An image without names is listed under its ID while a
    /// container uses it.
    #[must_use]
    pub fn list_images(&self) -> BTreeMap<String, String> {
        let in_use: BTreeSet<&String> = self.containers.values().map(|it| &it.image_id).collect();
        let there =
            |(name, image): &(&String, &Image)| **name != image.id || in_use.contains(&image.id);
        self.images
            .iter()
            .filter(there)
            .map(|(name, image)| (name.clone(), image.id.clone()))
            .collect()
    }

    /// Returns the output of a container until `now_ms`.
    #[must_use]
    pub fn log(&self, id: &str, now_ms: i64) -> Option<Vec<(i64, String)>> {
        let log = self.containers.get(id)?.log.iter();
        Some(log.filter(|(at, _)| *at <= now_ms).cloned().collect())
    }
}

fn shown(container: &SimulatedContainer) -> ObservedContainer {
    let mut published = Vec::new();
    if container.holds_ports() {
        published.clone_from(&container.request.publish);
        published.sort();
        published.dedup();
    }
    ObservedContainer {
        id: container.id.clone(),
        name: container.request.name.clone(),
        labels: container.request.labels.clone(),
        image: container.request.image.clone(),
        state: container.state,
        published,
        details: None,
    }
}

fn addresses(container: &SimulatedContainer) -> BTreeMap<String, String> {
    let network = match &container.request.network {
        NetworkRef::Default => "bridge",
        NetworkRef::Named { name, .. } => name.as_str(),
        NetworkRef::Joins(_) => return BTreeMap::new(),
    };
    if !container.holds_ports() {
        return BTreeMap::new();
    }
    let [_, _, third, fourth] = container.address.to_be_bytes();
    BTreeMap::from([(network.to_owned(), format!("172.17.{third}.{fourth}"))])
}

/// Returns the health of a container. Docker runs the first probe after one interval. A failure counts once the delay is over.
pub(super) fn health(container: &SimulatedContainer, now_ms: i64) -> Health {
    let Some(check) = &container.request.health else { return Health::None };
    if let Some(injected) = container.health {
        return injected;
    }
    let running = container.state == ContainerState::Running;
    let Some(started) = container.started_at_ms.filter(|_| running) else {
        return if container.started_at_ms.is_some() {
            Health::Unhealthy
        } else {
            Health::Starting
        };
    };
    let every = i64::try_from(check.every_ms).unwrap_or(i64::MAX).max(1);
    let delay = i64::try_from(check.delay_ms).unwrap_or(i64::MAX);
    let ran = (now_ms - started).max(0);
    if succeeds(check, container) {
        return if ran >= every { Health::Healthy } else { Health::Starting };
    }
    // Probes that count are those after the delay.
    let failures = (ran / every) - (delay / every);
    let enough = failures >= i64::from(check.failures.max(1));
    if enough { Health::Unhealthy } else { Health::Starting }
}

/// Returns when its health next changes by itself, in milliseconds since 1970.
pub(super) fn health_due_ms(container: &SimulatedContainer) -> Option<i64> {
    let check = container.request.health.as_ref()?;
    let running = container.state == ContainerState::Running && container.health.is_none();
    let started = container.started_at_ms.filter(|_| running)?;
    let every = i64::try_from(check.every_ms).unwrap_or(i64::MAX).max(1);
    let delay = i64::try_from(check.delay_ms).unwrap_or(i64::MAX);
    let probes = if succeeds(check, container) {
        1
    } else {
        i64::from(check.failures.max(1)).saturating_add(delay / every)
    };
    Some(started.saturating_add(every.saturating_mul(probes)))
}

/// Checks whether a health check succeeds. A check for a file finds the files that were written.
fn succeeds(check: &HealthRequest, container: &SimulatedContainer) -> bool {
    if !program::exists(&check.command) {
        return false;
    }
    let words: Vec<&str> = check.command.iter().map(String::as_str).collect();
    if let ["test", "-f" | "-e", path] = words.as_slice() {
        return container.files.as_ref().is_some_and(|files| files.contains_key(*path));
    }
    program::read(&check.command).ends.is_none_or(|(_, code)| code == 0)
}
