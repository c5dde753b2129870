//! Events injected from outside the Docker API: daemons that stop and start, people, crashes, registries, and
//! removals that get stuck.

use std::collections::BTreeMap;

use tally_graph::Bytes;
use tally_host::HostError;
use tally_reconcile::input::observed::{ContainerState, Health};
use tally_reconcile::plan::request::ContainerRequest;

use super::inspect;
use super::state::{Model, ObjectKey, SimulatedContainer, no_such_container};

/// A view of a container, without copies.
#[derive(Debug, Clone, Copy)]
pub struct ContainerView<'a> {
    /// 64 hex digits.
    pub id: &'a str,
    /// The request that created it, with its name and labels.
    pub request: &'a ContainerRequest,
    /// Its state.
    pub state: ContainerState,
    /// Its last start, in milliseconds since 1970.
    pub started_at_ms: Option<i64>,
    /// Its last exit code.
    pub exit_code: i64,
    /// The full ID of the container whose network it joins.
    pub joined: Option<&'a str>,
    /// The injected result of its health check.
    pub health: Option<Health>,
}

impl ContainerView<'_> {
    /// Checks whether its program runs or is paused.
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused)
    }
}

impl Model {
    /// Sets the cores and the memory of the machine.
    pub fn set_size(&mut self, cpus: u32, memory: Bytes) {
        self.meta.engine.cpus = cpus;
        self.meta.engine.memory = memory;
        self.changed.insert(ObjectKey::Meta);
    }

    /// Removes `image` from all registries.
    pub fn set_missing(&mut self, image: &str) {
        self.meta.missing.insert(image.to_owned());
        self.changed.insert(ObjectKey::Meta);
    }

    /// Switches to containerd's image store, as in Docker 29: an image's ID is its digest, and an image that loses
    /// its tag has no name left.
    pub fn use_containerd_store(&mut self) {
        self.meta.containerd_store = true;
        self.changed.insert(ObjectKey::Meta);
    }

    /// Moves the tag of `image` to another image at its registry. Hosts that have pulled it keep their image.
    pub fn move_tag(&mut self, image: &str) {
        *self.meta.moved.entry(image.to_owned()).or_default() += 1;
        self.changed.insert(ObjectKey::Meta);
    }

    /// Sets the result of the container's health check; `None` leaves it to its command.
    pub fn set_health(&mut self, id: &str, health: Option<Health>) {
        if let Some(container) = self.containers.get_mut(id) {
            container.health = health;
            self.changed.insert(ObjectKey::Container(id.to_owned()));
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

    /// Returns all containers by ID. Time does not advance.
    pub fn each(&self) -> impl Iterator<Item = ContainerView<'_>> {
        self.containers.values().map(|container| ContainerView {
            id: &container.id,
            request: &container.request,
            state: container.state,
            started_at_ms: container.started_at_ms,
            exit_code: container.exit_code,
            joined: container.joined.as_deref(),
            health: container.health,
        })
    }

    /// Returns all volumes with their labels, by name.
    #[must_use]
    pub fn volumes(&self) -> &BTreeMap<String, BTreeMap<String, String>> {
        &self.volumes
    }

    /// Returns when the next event happens by itself; `None` when none will.
    #[must_use]
    pub fn next_ms(&self, now_ms: i64) -> Option<i64> {
        let ends = self.containers.values().filter_map(SimulatedContainer::due_ms);
        let checks = self.containers.values().filter_map(inspect::health_due_ms);
        ends.chain(checks.filter(|at| *at > now_ms)).min()
    }

    /// Returns the health of a container at `now_ms`; `None` when the container does not exist.
    #[must_use]
    pub fn health(&self, id: &str, now_ms: i64) -> Option<Health> {
        self.containers.get(id).map(|container| inspect::health(container, now_ms))
    }

    /// Adds `image` to the registries again.
    pub fn set_present(&mut self, image: &str) {
        self.meta.missing.remove(image);
        self.changed.insert(ObjectKey::Meta);
    }

    /// Removes an image, as `docker rmi -f` does: its names are removed, and containers keep the image that they were
    /// created from.
    pub fn remove_image(&mut self, image: &str) {
        let Some(removed) = self.images.get(image).cloned() else { return };
        let names = self.images.iter().filter(|(_, known)| known.id == removed.id);
        let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.images.remove(&name);
            self.changed.insert(ObjectKey::Image(name));
        }
        self.changed.insert(ObjectKey::Image(removed.id.clone()));
        self.images.insert(removed.id.clone(), removed);
    }

    /// Stops the daemon and every program, as measured with Docker 20.10 and `kill -9`.
    pub fn daemon_ends(&mut self, now_ms: i64) {
        self.advance(now_ms);
        let ids: Vec<String> = self.containers.keys().cloned().collect();
        for id in ids {
            let Some(container) = self.containers.get_mut(&id) else { continue };
            match container.state {
                ContainerState::Running | ContainerState::Paused => container.end(now_ms, 137),
                ContainerState::Restarting => {
                    container.state = ContainerState::Exited;
                    container.restarts_at_ms = None;
                }
                _ => continue,
            }
            self.touch(&id);
            self.forget(&id);
        }
    }

    /// Starts the daemon. It restarts containers by their restart policies, in no reliable order: a container that
    /// joins another container's network may be started too early, and stays ended.
    pub fn daemon_begins(&mut self, now_ms: i64) {
        let ids: Vec<String> = self.containers.keys().cloned().collect();
        for id in ids {
            let Some(container) = self.containers.get_mut(&id) else { continue };
            let policy = container.request.live.restart.as_str();
            let again = matches!(policy, "always" | "unless-stopped")
                || (policy == "on-failure" && container.exit_code != 0);
            if container.state == ContainerState::Exited && again {
                container.restart_count = 0;
                container.backoff_ms = 0;
                self.run_again(&id, now_ms);
                self.touch(&id);
            }
        }
    }

    /// Renames a container.
    ///
    /// # Errors
    /// When it does not exist, or is between two restarts, or the name is taken.
    pub fn rename(&mut self, id: &str, name: &str) -> Result<(), HostError> {
        let container = self.get(id)?;
        let old = container.request.name.clone();
        if container.state == ContainerState::Restarting {
            // As Docker 20.10: it has no network between two restarts.
            return Err(HostError::NotFound(format!("sandbox of {id} not found")));
        }
        if let Some(holder) = self.names.get(name) {
            let said = format!("The container name \"/{name}\" is already in use by \"{holder}\"");
            return Err(HostError::Conflict(said));
        }
        self.names.remove(&old);
        self.names.insert(name.to_owned(), id.to_owned());
        if let Some(container) = self.containers.get_mut(id) {
            name.clone_into(&mut container.request.name);
        }
        self.touch(id);
        Ok(())
    }

    /// Lets the removal of a container get stuck, as with a busy device.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn get_stuck(&mut self, id: &str, now_ms: i64) -> Result<(), HostError> {
        self.stop(id, now_ms)?;
        let container = self.containers.get_mut(id).ok_or_else(|| no_such_container(id))?;
        container.state = ContainerState::Removing;
        self.touch(id);
        Ok(())
    }

    /// Completes a removal that was stuck.
    pub fn come_loose(&mut self, id: &str) {
        if self.containers.get(id).is_some_and(|it| it.state == ContainerState::Removing) {
            self.drop_container(id);
        }
    }

    /// Removes a container from the state.
    pub(crate) fn drop_container(&mut self, id: &str) {
        if let Some(container) = self.containers.remove(id) {
            self.names.remove(&container.request.name);
            self.touch(id);
            // Memory that only the removed container held is empty.
            if container.request.shareable_ipc {
                let joined = self.containers.values_mut();
                let alone = joined.filter(|it| it.joined.as_deref() == Some(id));
                for left in alone.filter(|it| !it.holds_ports()) {
                    left.secrets = None;
                }
            }
        }
    }
}
