//! Creating, changing and removing containers, and running commands in them.

use std::collections::BTreeMap;

use tally_host::{FileToWrite, HostError, OwnerKind, record};
use tally_reconcile::input::observed::{ContainerState, Live};
use tally_reconcile::labels::{self, SECRETS_FOLDER};
use tally_reconcile::plan::request::{ContainerRequest, FilesPart, MountFrom, NetworkRef};

use super::state::{Model, ObjectKey, SimulatedContainer, no_such_container};
use crate::program;

/// Docker's minimum memory limit.
const LEAST_MEMORY_BYTES: u64 = 6 << 20;
/// Maximum number of commands whose exit codes are kept.
const MOST_EXECS: usize = 1_000;

impl Model {
    /// Creates a container and returns its full ID.
    ///
    /// # Errors
    /// The errors of Docker; nothing is created then.
    pub fn create(&mut self, request: &ContainerRequest, now_ms: i64) -> Result<String, HostError> {
        self.advance(now_ms);
        check_memory(&request.live)?;
        self.check_cpus(&request.live)?;
        if request.mounts.contains_key("/") {
            let message = "invalid volume specification: destination can't be '/'".to_owned();
            return Err(HostError::Refused { status: 400, message });
        }
        for mount in request.mounts.values() {
            if let MountFrom::HostPath(path) = &mount.source
                && program::is_missing(path)
            {
                let message = format!("bind source path does not exist: {path}");
                return Err(HostError::Refused { status: 400, message });
            }
        }
        let by_id = || self.images.values().find(|image| image.id == request.image);
        let image_id = self.images.get(&request.image).or_else(by_id).map(|image| image.id.clone());
        let image_id = image_id.ok_or_else(|| HostError::Image {
            image: request.image.clone(),
            missing: true,
            message: format!("No such image: {}", request.image),
        })?;
        if let Some(id) = self.names.get(&request.name) {
            let name = &request.name;
            let said = format!("The container name \"/{name}\" is already in use by \"{id}\"");
            return Err(HostError::Conflict(said));
        }
        let joined = match &request.network {
            NetworkRef::Joins(name) => {
                let id = self
                    .names
                    .get(name)
                    .or_else(|| self.containers.get(name).map(|container| &container.id));
                Some(id.cloned().ok_or_else(|| no_such_container(name))?)
            }
            _ => None,
        };
        for mount in request.mounts.values() {
            if let MountFrom::Volume(name) = &mount.source {
                // Docker creates a volume that does not exist, with the labels of the mount.
                let wanted = request.volumes.iter().find(|volume| volume.name == *name);
                let labels = wanted.map(|volume| volume.labels.clone()).unwrap_or_default();
                self.volumes.entry(name.clone()).or_insert(labels);
                self.changed.insert(ObjectKey::Volume(name.clone()));
            }
        }
        let id = self.new_id();
        let container = new_container(&id, request, image_id, joined, self.meta.made);
        self.names.insert(request.name.clone(), id.clone());
        self.containers.insert(id.clone(), container);
        self.touch(&id);
        Ok(id)
    }

    /// Removes a stopped container. Succeeds when it does not exist.
    ///
    /// # Errors
    /// When it runs.
    pub fn remove(&mut self, id: &str, now_ms: i64) -> Result<(), HostError> {
        self.advance(now_ms);
        let Some(container) = self.containers.get(id) else { return Ok(()) };
        if container.holds_ports() || container.state == ContainerState::Restarting {
            let said = format!("You cannot remove a running container {id}");
            return Err(HostError::Conflict(said));
        }
        if container.state == ContainerState::Removing {
            let said = format!("removal of container {id} is already in progress");
            return Err(HostError::Conflict(said));
        }
        self.drop_container(id);
        Ok(())
    }

    /// Writes files, and the record of them.
    ///
    /// # Errors
    /// When the container does not exist, or has no such owner.
    pub fn write(
        &mut self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
        now_ms: i64,
    ) -> Result<(), HostError> {
        self.advance(now_ms);
        self.get(id)?;
        owners_are_known(files)?;
        if let (Some(container), true) = (self.containers.get_mut(id), part != FilesPart::Contents)
        {
            container.files = Some(record(files));
            self.touch(id);
        }
        Ok(())
    }

    /// Writes files that hold secrets, and the record of them, into memory. Their contents are not kept, because the
    /// state of a simulated host may be a file.
    ///
    /// # Errors
    /// When the container does not exist or has no such memory, or its infra container does not run.
    pub fn write_secrets(
        &mut self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
        now_ms: i64,
    ) -> Result<(), HostError> {
        self.advance(now_ms);
        let container = self.get(id)?;
        owners_are_known(files)?;
        let holder = container.joined.as_ref().and_then(|id| self.containers.get(id));
        let holds = holder.is_some_and(|holder| {
            let folder = format!("{SECRETS_FOLDER}/");
            let has = holder.request.mounts.keys().any(|path| path.starts_with(&folder));
            let ours = labels::is_infra_of(&holder.request.labels, &container.request.labels);
            holder.holds_ports() && has && ours
        });
        if !holds || !container.request.mounts.contains_key(SECRETS_FOLDER) {
            let said = format!("nobody holds the memory of {}", container.request.name);
            return Err(HostError::Conflict(said));
        }
        if let (Some(container), true) = (self.containers.get_mut(id), part != FilesPart::Contents)
        {
            container.secrets = Some(record(files));
            self.touch(id);
        }
        Ok(())
    }

    /// Clears the memory that no container holds any more, after a container ended.
    pub(crate) fn forget(&mut self, id: &str) {
        let Some(ended) = self.containers.get(id) else { return };
        let mut of: Vec<String> = Vec::new();
        if ended.request.shareable_ipc {
            let joined = self.containers.values().filter(|it| it.joined.as_deref() == Some(id));
            of.extend(joined.filter(|it| it.secrets.is_some()).map(|it| it.id.clone()));
        } else if ended.secrets.is_some() {
            of.push(id.to_owned());
        }
        for id in of {
            let Some(container) = self.containers.get(&id) else { continue };
            let holder = container.joined.as_ref().and_then(|id| self.containers.get(id));
            let held =
                container.holds_ports() || holder.is_some_and(SimulatedContainer::holds_ports);
            if !held && let Some(container) = self.containers.get_mut(&id) {
                container.secrets = None;
                self.touch(&id);
            }
        }
    }

    /// Changes the settings that can be changed while a container runs.
    ///
    /// # Errors
    /// When the container does not exist, or Docker would refuse the limits.
    pub fn update(&mut self, id: &str, live: &Live, now_ms: i64) -> Result<(), HostError> {
        self.advance(now_ms);
        self.get(id)?;
        check_memory(live)?;
        self.check_cpus(live)?;
        if let Some(container) = self.containers.get_mut(id) {
            container.request.live = live.clone();
            self.touch(id);
        }
        Ok(())
    }

    /// Runs a command in a container and returns its ID and its output.
    ///
    /// # Errors
    /// When the container does not exist or does not run.
    pub fn exec(
        &mut self,
        id: &str,
        command: &[String],
        now_ms: i64,
    ) -> Result<(String, String), HostError> {
        self.advance(now_ms);
        if self.get(id)?.state != ContainerState::Running {
            return Err(HostError::Conflict(format!("Container {id} is not running")));
        }
        let exec = self.new_id();
        let mut output = String::new();
        let code = if program::exists(command) {
            let program = program::read(command);
            for (_, line) in &program.lines {
                output.push_str(line);
                output.push('\n');
            }
            if program.is_server {
                let name = command.first().map_or("", String::as_str);
                output.push_str(&format!("This host is simulated: {name} was not run.\n"));
            }
            program.ends.map_or(0, |(_, code)| code)
        } else {
            output.push_str("exec failed: executable file not found in $PATH\n");
            127
        };
        if self.execs.len() >= MOST_EXECS {
            self.execs.pop_first();
        }
        self.execs.insert(exec.clone(), code);
        Ok((exec, output))
    }

    /// Returns the exit code of a command.
    ///
    /// # Errors
    /// When the command is unknown.
    pub fn exec_code(&self, id: &str) -> Result<i64, HostError> {
        let code = self.execs.get(id).copied();
        code.ok_or_else(|| HostError::NotFound(format!("No such exec instance: {id}")))
    }
}

fn new_container(
    id: &str,
    request: &ContainerRequest,
    image_id: String,
    joined: Option<String>,
    made: u64,
) -> SimulatedContainer {
    SimulatedContainer {
        id: id.to_owned(),
        request: request.clone(),
        image_id,
        state: ContainerState::Created,
        exit_code: 0,
        error: None,
        started_at_ms: None,
        finished_at_ms: None,
        restart_count: 0,
        joined,
        files: None,
        secrets: None,
        log: Vec::new(),
        ends: None,
        restarts_at_ms: None,
        backoff_ms: 0,
        address: u32::try_from(made % 65_000).unwrap_or(0) + 2,
        health: None,
    }
}

fn check_memory(live: &Live) -> Result<(), HostError> {
    let refuse = |message: &str| HostError::Refused { status: 400, message: message.to_owned() };
    if live.memory != 0 && live.memory < LEAST_MEMORY_BYTES {
        return Err(refuse("Minimum memory limit allowed is 6MB"));
    }
    if live.memory != 0 && live.memory_reservation > live.memory {
        return Err(refuse("Minimum memory limit can not be less than memory reservation limit"));
    }
    Ok(())
}

impl Model {
    /// Checks a limit of cores against the cores of the host, as Docker does.
    fn check_cpus(&self, live: &Live) -> Result<(), HostError> {
        let cpus = self.meta.engine.cpus;
        if live.nano_cpus <= u64::from(cpus) * 1_000_000_000 {
            return Ok(());
        }
        let message = format!(
            "Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        );
        Err(HostError::Refused { status: 400, message })
    }

    /// Returns the labels of a volume.
    pub(crate) fn volume_labels(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.volumes.get(name)
    }
}

/// Checks that the container's image defines the owners of files.
fn owners_are_known(files: &[FileToWrite]) -> Result<(), HostError> {
    let Some(file) = files.iter().find(|file| program::is_missing(&file.owner)) else {
        return Ok(());
    };
    Err(HostError::UnknownOwner { kind: OwnerKind::User, name: file.owner.clone() })
}
