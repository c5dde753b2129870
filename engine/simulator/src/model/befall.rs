//! What befalls an engine from outside: daemons that end and begin again, people, and removals
//! that get stuck. Calls of the Docker API are elsewhere.

use std::collections::BTreeMap;

use tally_host::HostError;
use tally_reconcile::input::observed::{ContainerState, Health};
use tally_reconcile::plan::request::ContainerRequest;

use super::{Container, Key, Model, look, no_such_container};

/// A container as it stands, without copying anything.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// 64 hex digits.
    pub id: &'a str,
    /// What it was asked to be; its name and labels are there.
    pub request: &'a ContainerRequest,
    /// Its state.
    pub state: ContainerState,
    /// Its last start, in milliseconds since 1970.
    pub started_at_ms: Option<i64>,
    /// Its last exit code.
    pub exit_code: i64,
    /// The full ID of the container whose network it joins.
    pub joined: Option<&'a str>,
    /// What its health check is made to say.
    pub health: Option<Health>,
}

impl Shown<'_> {
    /// Whether its program is there, be it frozen.
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused)
    }
}

impl Model {
    /// All containers by ID, as they stand: time is not let pass.
    pub fn each(&self) -> impl Iterator<Item = Shown<'_>> {
        self.containers.values().map(|container| Shown {
            id: &container.id,
            request: &container.request,
            state: container.state,
            started_at_ms: container.started_at_ms,
            exit_code: container.exit_code,
            joined: container.joined.as_deref(),
            health: container.health,
        })
    }

    /// All volumes with their labels, by name.
    #[must_use]
    pub fn volumes(&self) -> &BTreeMap<String, BTreeMap<String, String>> {
        &self.volumes
    }

    /// When the next thing happens by itself; `None` when nothing will.
    #[must_use]
    pub fn next_ms(&self, now_ms: i64) -> Option<i64> {
        let ends = self.containers.values().filter_map(Container::due_ms);
        let checks = self.containers.values().filter_map(look::health_due_ms);
        ends.chain(checks.filter(|at| *at > now_ms)).min()
    }

    /// What the health check of a container says at `now_ms`; `None` where there is no container.
    #[must_use]
    pub fn health(&self, id: &str, now_ms: i64) -> Option<Health> {
        self.containers.get(id).map(|container| look::health(container, now_ms))
    }

    /// Says that registries have `image` again.
    pub fn set_present(&mut self, image: &str) {
        self.meta.missing.remove(image);
        self.changed.insert(Key::Meta);
    }

    /// Takes an image away, as `docker rmi -f` does: its names go, and containers keep what they were
    /// made from.
    pub fn remove_image(&mut self, image: &str) {
        let Some(removed) = self.images.get(image).cloned() else { return };
        let names = self.images.iter().filter(|(_, known)| known.id == removed.id);
        let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.images.remove(&name);
            self.changed.insert(Key::Image(name));
        }
        self.changed.insert(Key::Image(removed.id.clone()));
        self.images.insert(removed.id.clone(), removed);
    }

    /// The daemon ends, and with it every program, as measured with Docker 20.10 and `kill -9`.
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

    /// The daemon is there again. It starts what its restart policies name, in no order that one
    /// could rely on: a container that joins another's network may come too early, and stays ended.
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

    /// A container gets another name by hand.
    ///
    /// # Errors
    /// When it is not there, or the name is taken.
    pub fn rename(&mut self, id: &str, name: &str) -> Result<(), HostError> {
        let old = self.get(id)?.request.name.clone();
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

    /// The removal of a container gets stuck half-way, as with a busy device.
    ///
    /// # Errors
    /// When it is not there.
    pub fn get_stuck(&mut self, id: &str, now_ms: i64) -> Result<(), HostError> {
        self.stop(id, now_ms)?;
        let container = self.containers.get_mut(id).ok_or_else(|| no_such_container(id))?;
        container.state = ContainerState::Removing;
        self.touch(id);
        Ok(())
    }

    /// A removal that was stuck goes through.
    pub fn come_loose(&mut self, id: &str) {
        if self.containers.get(id).is_some_and(|it| it.state == ContainerState::Removing) {
            self.drop_container(id);
        }
    }

    pub(crate) fn drop_container(&mut self, id: &str) {
        if let Some(container) = self.containers.remove(id) {
            self.names.remove(&container.request.name);
            self.touch(id);
            // Its joiners are left with what they hold themselves.
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
