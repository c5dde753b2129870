//! Starting and stopping containers, restart policies with their backoff, and the passing of time.

use tally_host::HostError;
use tally_reconcile::input::observed::ContainerState;
use tally_reconcile::plan::request::NetworkRef;

use super::state::{Model, ObjectKey, SimulatedContainer, no_such_container};
use crate::program::{self, Program};

/// Docker's backoff before it restarts a container: 100 ms, doubled each time up to a minute, and 100 ms again after
/// a run of 10 s.
const FIRST_BACKOFF_MS: i64 = 100;
const LONGEST_BACKOFF_MS: i64 = 60_000;
const GOOD_RUN_MS: i64 = 10_000;
/// Maximum number of steps of a crash loop that are simulated at a time.
const MOST_STEPS: usize = 10_000;
/// Maximum number of lines of a log.
const MOST_LOG_LINES: usize = 2_000;

impl SimulatedContainer {
    /// Checks whether it holds its ports and its address.
    pub(crate) fn holds_ports(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused)
    }
}

impl Model {
    /// Advances the time: programs end, and restart policies restart them.
    pub fn advance(&mut self, now_ms: i64) {
        if now_ms < self.wake_ms {
            return;
        }
        let due: Vec<String> = self
            .containers
            .values()
            .filter(|container| container.due_ms().is_some_and(|at| at <= now_ms))
            .map(|container| container.id.clone())
            .collect();
        for id in due {
            let mut steps = 0;
            while steps < MOST_STEPS && self.step(&id, now_ms) {
                steps += 1;
            }
        }
        let next = self.containers.values().filter_map(SimulatedContainer::due_ms).min();
        self.wake_ms = next.unwrap_or(i64::MAX);
    }

    /// Carries out the next event that happens to a container by itself. Returns whether there was one.
    fn step(&mut self, id: &str, now_ms: i64) -> bool {
        let Some(container) = self.containers.get_mut(id) else { return false };
        let Some(at) = container.due_ms().filter(|at| *at <= now_ms) else { return false };
        self.changed.insert(ObjectKey::Container(id.to_owned()));
        if container.state == ContainerState::Restarting {
            container.restarts_at_ms = None;
            container.restart_count += 1;
            self.run_again(id, at);
        } else if let Some((_, code)) = container.ends.take() {
            container.end(at, code);
            container.follow_policy(at);
            self.forget(id);
        }
        true
    }

    /// Restarts a container.
    pub(crate) fn run_again(&mut self, id: &str, at_ms: i64) {
        let started = self.launch(id, at_ms);
        if let (Err(error), Some(container)) = (started, self.containers.get_mut(id)) {
            // Docker gives up on a container that it cannot restart.
            container.state = ContainerState::Exited;
            container.error = Some(error.to_string());
        }
    }

    /// Starts a container.
    ///
    /// # Errors
    /// The errors of Docker, with the state that they leave behind.
    pub fn start(&mut self, id: &str, now_ms: i64) -> Result<(), HostError> {
        self.advance(now_ms);
        match self.get(id)?.state {
            ContainerState::Running | ContainerState::Restarting => return Ok(()),
            ContainerState::Paused => {
                let said = "cannot start a paused container, try unpause instead";
                return Err(HostError::Conflict(said.to_owned()));
            }
            ContainerState::Removing | ContainerState::Dead => {
                let said = "container is marked for removal and cannot be started";
                return Err(HostError::Conflict(said.to_owned()));
            }
            ContainerState::Created | ContainerState::Exited => {}
        }
        self.touch(id);
        let started = self.launch(id, now_ms);
        let Some(container) = self.containers.get_mut(id) else {
            return Err(no_such_container(id));
        };
        match &started {
            Ok(()) => {
                container.restart_count = 0;
                container.backoff_ms = 0;
            }
            Err(error) => {
                container.error = Some(error.to_string());
                container.exit_code = 128;
            }
        }
        started
    }

    /// Runs the container's program, if its network, ports, user and program exist.
    fn launch(&mut self, id: &str, at_ms: i64) -> Result<(), HostError> {
        let container = self.get(id)?;
        self.check_network(container)?;
        self.check_ports(container)?;
        if container.request.settings.user.as_deref().is_some_and(program::is_missing) {
            let said = "unable to find user: no matching entries in passwd file".to_owned();
            return Err(HostError::Refused { status: 400, message: said });
        }
        let argv = self.argv(container);
        if !program::exists(&argv) {
            let name = argv.first().cloned().unwrap_or_default();
            let said = format!("exec: \"{name}\": executable file not found in $PATH");
            return Err(HostError::CommandNotFound(said));
        }
        let started_at_ms = self.start_time(container, at_ms);
        let program = program::read(&argv);
        let Some(container) = self.containers.get_mut(id) else {
            return Err(no_such_container(id));
        };
        container.run(started_at_ms, &program);
        if let Some((ends, _)) = container.ends {
            self.wake_at(ends);
        }
        Ok(())
    }

    /// Returns the start time of a container. Containers that share a network never start at the same time: the order
    /// tells whether a joiner is older than its infra container.
    fn start_time(&self, container: &SimulatedContainer, at_ms: i64) -> i64 {
        let holder = container.joined.as_ref().and_then(|id| self.containers.get(id));
        let mut at_ms = at_ms;
        if let Some(started) = holder.and_then(|holder| holder.started_at_ms) {
            at_ms = at_ms.max(started + 1);
        }
        if container.request.shareable_ipc {
            let joiners = self
                .containers
                .values()
                .filter(|other| other.joined.as_ref() == Some(&container.id));
            let latest = joiners.filter_map(|joiner| joiner.started_at_ms).max();
            at_ms = at_ms.max(latest.map_or(at_ms, |latest| latest + 1));
        }
        at_ms
    }

    fn check_network(&self, container: &SimulatedContainer) -> Result<(), HostError> {
        match &container.request.network {
            NetworkRef::Default => Ok(()),
            NetworkRef::Named { name, .. } => {
                if self.networks.values().any(|network| network.name == *name) {
                    return Ok(());
                }
                Err(HostError::NotFound(format!("network {name} not found")))
            }
            NetworkRef::Joins(name) => {
                let holder = container.joined.as_ref().and_then(|id| self.containers.get(id));
                let holder = holder.ok_or_else(|| no_such_container(name))?;
                if !holder.holds_ports() {
                    let id = &holder.id;
                    let said = format!("cannot join network of a non running container: {id}");
                    return Err(HostError::Conflict(said));
                }
                if !holder.request.shareable_ipc {
                    let message =
                        format!("can't join IPC of container {}: non-shareable IPC", holder.id);
                    return Err(HostError::Refused { status: 500, message });
                }
                Ok(())
            }
        }
    }

    fn check_ports(&self, container: &SimulatedContainer) -> Result<(), HostError> {
        for wanted in &container.request.publish {
            let held = self
                .containers
                .values()
                .filter(|other| other.holds_ports())
                .flat_map(|other| &other.request.publish)
                .any(|held| held.protocol == wanted.protocol && held.host.clashes(&wanted.host));
            if held {
                let port = wanted.host.port;
                let ip = wanted.host.ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
                let message = format!("Bind for {ip}:{port} failed: port is already allocated");
                return Err(HostError::PortTaken { port: Some(port), message });
            }
        }
        Ok(())
    }

    /// Stops a container. It takes no time: a program that ignores its stop signal is killed immediately, with the
    /// exit code that it would have after its grace period.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn stop(&mut self, id: &str, now_ms: i64) -> Result<(), HostError> {
        self.advance(now_ms);
        let argv = self.argv(self.get(id)?);
        let Some(container) = self.containers.get_mut(id) else {
            return Err(no_such_container(id));
        };
        match container.state {
            ContainerState::Running | ContainerState::Paused => {
                let signal = container.request.stop_signal.as_deref().unwrap_or("SIGTERM");
                let program = program::read(&argv);
                let code = program.on_signal(&program::signal_name(signal)).unwrap_or(137);
                container.end(now_ms, code);
            }
            ContainerState::Restarting => {
                container.state = ContainerState::Exited;
                container.restarts_at_ms = None;
            }
            _ => return Ok(()),
        }
        self.touch(id);
        self.forget(id);
        Ok(())
    }

    /// Stops and starts a container.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(&mut self, id: &str, now_ms: i64) -> Result<(), HostError> {
        self.stop(id, now_ms)?;
        self.start(id, now_ms)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the container does not run, or there is no such signal.
    pub fn signal(&mut self, id: &str, signal: &str, now_ms: i64) -> Result<(), HostError> {
        self.advance(now_ms);
        let name = program::signal_name(signal);
        let argv = self.argv(self.get(id)?);
        if !program::is_signal(&name) {
            let message = format!("Invalid signal: {signal}");
            return Err(HostError::Refused { status: 400, message });
        }
        let Some(container) = self.containers.get_mut(id) else {
            return Err(no_such_container(id));
        };
        if container.state != ContainerState::Running {
            let said = format!("Cannot kill container: {id}: Container {id} is not running");
            return Err(HostError::Conflict(said));
        }
        if let Some(code) = program::read(&argv).on_signal(&name) {
            container.end(now_ms, code);
            self.touch(id);
            self.forget(id);
        }
        Ok(())
    }

    /// Freezes a running container, as a person might by hand.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&mut self, id: &str, now_ms: i64) -> Result<(), HostError> {
        self.switch(id, now_ms, ContainerState::Running, ContainerState::Paused, "not running")
    }

    /// Lets a paused container run on.
    ///
    /// # Errors
    /// When it is not paused.
    pub fn unpause(&mut self, id: &str, now_ms: i64) -> Result<(), HostError> {
        self.switch(id, now_ms, ContainerState::Paused, ContainerState::Running, "not paused")
    }

    fn switch(
        &mut self,
        id: &str,
        now_ms: i64,
        from: ContainerState,
        to: ContainerState,
        otherwise: &str,
    ) -> Result<(), HostError> {
        self.advance(now_ms);
        self.get(id)?;
        if let Some(container) = self.containers.get_mut(id).filter(|it| it.state == from) {
            container.state = to;
            // A paused program whose time has passed ends now.
            container.ends = container.ends.map(|(at, code)| (at.max(now_ms), code));
            let due_ms = container.due_ms();
            self.touch(id);
            if let Some(due_ms) = due_ms {
                self.wake_at(due_ms);
            }
            return Ok(());
        }
        Err(HostError::Conflict(format!("Container {id} is {otherwise}")))
    }

    /// Returns the command line of a container: its own, otherwise that of its image.
    pub(crate) fn argv(&self, container: &SimulatedContainer) -> Vec<String> {
        let named = self.images.get(&container.request.image);
        let own = named.filter(|image| image.id == container.image_id);
        // Under any of its names.
        let by_id = || self.images.values().find(|image| image.id == container.image_id);
        let image = own.or_else(by_id).or(named);
        let image = image.cloned().unwrap_or_default();
        let request = &container.request;
        // An entrypoint of its own drops the image's command, as Docker does.
        let (entrypoint, default) = match &request.entrypoint {
            Some(own) => (own.clone(), Vec::new()),
            None => (image.entrypoint, image.command),
        };
        let command = request.command.clone().unwrap_or(default);
        entrypoint.into_iter().chain(command).collect()
    }
}

impl SimulatedContainer {
    /// Returns when the next event happens to it by itself.
    pub(crate) fn due_ms(&self) -> Option<i64> {
        match self.state {
            ContainerState::Running => self.ends.map(|(at, _)| at),
            ContainerState::Restarting => self.restarts_at_ms,
            _ => None,
        }
    }

    fn run(&mut self, at_ms: i64, program: &Program) {
        self.state = ContainerState::Running;
        self.started_at_ms = Some(at_ms);
        self.error = None;
        self.ends = program.ends.map(|(after, code)| (at_ms.saturating_add(after), code));
        let lines = program.lines.iter();
        self.log.extend(lines.map(|(after, line)| (at_ms.saturating_add(*after), line.clone())));
        let surplus = self.log.len().saturating_sub(MOST_LOG_LINES);
        self.log.drain(..surplus);
    }

    /// Ends its program.
    pub(crate) fn end(&mut self, at_ms: i64, code: i64) {
        self.state = ContainerState::Exited;
        self.exit_code = code;
        self.finished_at_ms = Some(at_ms);
        self.ends = None;
        // Lines after the end are never printed.
        self.log.retain(|(at, _)| *at <= at_ms);
    }

    fn follow_policy(&mut self, at_ms: i64) {
        let again = match self.request.live.restart.as_str() {
            "always" | "unless-stopped" => true,
            "on-failure" => self.exit_code != 0,
            _ => false,
        };
        if !again {
            return;
        }
        let ran = at_ms - self.started_at_ms.unwrap_or(at_ms);
        self.backoff_ms = if ran >= GOOD_RUN_MS || self.backoff_ms == 0 {
            FIRST_BACKOFF_MS
        } else {
            (self.backoff_ms * 2).min(LONGEST_BACKOFF_MS)
        };
        self.state = ContainerState::Restarting;
        self.restarts_at_ms = Some(at_ms + self.backoff_ms);
    }
}
