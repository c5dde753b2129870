//! The mutating calls of a Docker host.

use std::time::Duration;

use async_trait::async_trait;
use bollard::body_full;
use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, InspectNetworkOptions, KillContainerOptions, RemoveContainerOptions,
    RemoveVolumeOptions, RenameContainerOptions, RestartContainerOptions, StartContainerOptions,
    StopContainerOptions, UploadToContainerOptions,
};
use tally_reconcile::input::observed::{ContainerState, Live};
use tally_reconcile::labels;
use tally_reconcile::plan::request::{ContainerRequest, FilesPart, NetworkRequest, VolumeRequest};

use crate::docker_host::DockerHost;
use crate::{create, files, infra, pull, stream};
use tally_host::{
    ExecRequest, ExecSession, FileToWrite, Host, HostError, HostRead as _, PullProgress,
};

impl DockerHost {
    /// Returns the deadline of a call that waits for a container to stop. Without a given grace period, the container's
    /// own applies, which the caller need not know: 120 s cover Docker's default.
    fn stop_deadline(&self, grace: Option<Duration>) -> Duration {
        grace.map_or(self.options.mutate, |grace| grace + self.options.stop_extra)
    }

    /// Returns the stop signal to request when the spec sets none. Docker treats any signal to a container without a
    /// stop signal as a request to end it, and disables its restart policy. So a container that may get a signal to
    /// reload its files needs one.
    async fn stop_signal(&self, image: &str) -> Result<Option<String>, HostError> {
        let inspect = self.docker.inspect_image(image);
        let limit = self.options.read;
        let seen = self.call_about("inspect image", Some(image), limit, inspect).await?;
        let has_one = seen.config.and_then(|config| config.stop_signal);
        Ok(has_one.is_none_or(|signal| signal.is_empty()).then(|| "SIGTERM".to_owned()))
    }

    /// Returns the message of an engine that refused to remove a network, with the reason added.
    async fn why_not_removed(&self, id: &str, said: String) -> String {
        let inspect = self.docker.inspect_network(id, None::<InspectNetworkOptions>);
        match self.call("inspect network", self.options.read, inspect).await {
            Ok(network) => {
                let on_it = network.containers.unwrap_or_default().into_values();
                let names = on_it.filter_map(|container| container.name).collect::<Vec<_>>();
                format!("{said}; {}", attached_containers(&names))
            }
            Err(_) => said,
        }
    }

    async fn names(&self, id: &str, files: &[FileToWrite]) -> Result<files::UserNames, HostError> {
        if !files::needs_names(files) {
            return Ok(files::UserNames::default());
        }
        let text = |bytes: Option<Vec<u8>>| {
            String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
        };
        Ok(files::UserNames {
            passwd: text(self.read_file(id, "/etc/passwd").await?),
            group: text(self.read_file(id, "/etc/group").await?),
        })
    }
}

/// Checks whether a container may get a signal that does not end it: only containers with files of Tally do.
fn may_be_signalled(request: &ContainerRequest) -> bool {
    request.labels.get(labels::FILES).is_some_and(|files| files == "1")
}

/// Returns a clause that names the containers on a network that the engine refused to remove.
fn attached_containers(containers: &[String]) -> String {
    match containers {
        // moby/moby 17217 and 23302: the record of a removed container. Only a start of the daemon reads the
        // records again.
        [] => "no container is on it: the engine has kept a record of one that is gone, and lets \
               go of it when its daemon is restarted; apply again after that"
            .to_owned(),
        names => format!("these containers are on it: {}", names.join(", ")),
    }
}

fn not_found(id: &str) -> HostError {
    HostError::NotFound(format!("No such container: {id}"))
}

/// Treats 404 as a success, for calls that remove an object.
fn ignore_not_found(result: Result<(), HostError>) -> Result<(), HostError> {
    match result {
        Err(HostError::NotFound(_)) => Ok(()),
        other => other,
    }
}

fn seconds(grace: Option<Duration>) -> Option<i32> {
    grace.map(|grace| i32::try_from(grace.as_secs()).unwrap_or(i32::MAX))
}

#[async_trait]
impl Host for DockerHost {
    async fn pull(
        &self,
        image: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), HostError> {
        pull::pull(self, image, progress).await
    }

    async fn load_infra_image(&self) -> Result<(), HostError> {
        infra::load(self).await
    }

    async fn create_network(&self, request: &NetworkRequest) -> Result<String, HostError> {
        let body = NetworkCreateRequest {
            name: request.name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(request.labels.clone().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        let create = self.docker.create_network(body);
        Ok(self.call("create network", self.options.mutate, create).await?.id)
    }

    async fn remove_network(&self, id: &str) -> Result<(), HostError> {
        let remove = self.docker.remove_network(id);
        match ignore_not_found(self.call("remove network", self.options.mutate, remove).await) {
            Err(HostError::Conflict(said)) => {
                Err(HostError::Conflict(self.why_not_removed(id, said).await))
            }
            other => other,
        }
    }

    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), HostError> {
        let (driver, driver_opts) = create::driver(request).unzip();
        let body = VolumeCreateRequest {
            name: Some(request.name.clone()),
            labels: Some(request.labels.clone().into_iter().collect()),
            driver,
            driver_opts,
            ..VolumeCreateRequest::default()
        };
        let create = self.docker.create_volume(body);
        let made = self.call("create volume", self.options.mutate, create).await?;
        // Docker answers with an existing volume of that name, also one that Tally did not create.
        let same = made.labels.len() == request.labels.len()
            && request.labels.iter().all(|(key, value)| made.labels.get(key) == Some(value));
        // A volume that is not in memory would store secrets on the disk.
        let lies_there = made.options.get("type").is_some_and(|kind| kind == "tmpfs");
        if same && lies_there == request.in_memory {
            return Ok(());
        }
        Err(HostError::Conflict(format!(
            "a volume named {} is there already, and is not as ours would be",
            request.name
        )))
    }

    async fn remove_volume(&self, name: &str) -> Result<(), HostError> {
        let remove = self.docker.remove_volume(name, None::<RemoveVolumeOptions>);
        ignore_not_found(self.call("remove volume", self.options.mutate, remove).await)
    }

    async fn create_container(&self, request: &ContainerRequest) -> Result<String, HostError> {
        let options =
            CreateContainerOptions { name: Some(request.name.clone()), ..Default::default() };
        let mut body = create::body(request);
        if request.stop_signal.is_none() && may_be_signalled(request) {
            body.stop_signal = self.stop_signal(&request.image).await?;
        }
        let make = self.docker.create_container(Some(options), body);
        let image = Some(request.image.as_str());
        Ok(self.call_about("create container", image, self.options.mutate, make).await?.id)
    }

    async fn write_files(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
    ) -> Result<(), HostError> {
        let archive = files::archive(files, part, &self.names(id, files).await?)?;
        // The owners are those of the archive, which is Docker's default for this call.
        let options = UploadToContainerOptions { path: "/".to_owned(), ..Default::default() };
        let upload = self.docker.upload_to_container(id, Some(options), body_full(archive.into()));
        self.call("write files", self.options.mutate, upload).await
    }

    async fn write_secrets(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
    ) -> Result<(), HostError> {
        let (container, details) = self.container(id, false).await?.ok_or_else(|| not_found(id))?;
        let holder = details.joined.unwrap_or_default();
        let (infra, _) = self.container(&holder, false).await?.ok_or_else(|| not_found(&holder))?;
        let ours = labels::is_infra_of(&infra.labels, &container.labels);
        // A container that does not run would accept the files and lose them.
        if !ours || !matches!(infra.state, ContainerState::Running | ContainerState::Paused) {
            let said = format!("{} does not hold the memory of {}", infra.name, container.name);
            return Err(HostError::Conflict(said));
        }
        let name = container.labels.get(labels::NAME).map(String::as_str).unwrap_or_default();
        let archive = files::secrets_archive(files, part, &self.names(id, files).await?)?;
        let path = format!("{}/{name}", labels::SECRETS_FOLDER);
        let options = UploadToContainerOptions { path, ..Default::default() };
        let upload =
            self.docker.upload_to_container(&holder, Some(options), body_full(archive.into()));
        self.call("write secrets", self.options.mutate, upload).await
    }

    async fn start(&self, id: &str) -> Result<(), HostError> {
        let start = self.docker.start_container(id, None::<StartContainerOptions>);
        self.call("start", self.options.mutate, start).await
    }

    async fn stop(&self, id: &str, grace: Option<Duration>) -> Result<(), HostError> {
        let options = StopContainerOptions { signal: None, t: seconds(grace) };
        let stop = self.docker.stop_container(id, Some(options));
        self.call("stop", self.stop_deadline(grace), stop).await
    }

    async fn restart(&self, id: &str, grace: Option<Duration>) -> Result<(), HostError> {
        let options = RestartContainerOptions { signal: None, t: seconds(grace) };
        let restart = self.docker.restart_container(id, Some(options));
        // It stops and starts, so it may take as long as both together.
        let after = self.stop_deadline(grace) + self.options.mutate;
        self.call("restart", after, restart).await
    }

    async fn unpause(&self, id: &str) -> Result<(), HostError> {
        let unpause = self.docker.unpause_container(id);
        self.call("unpause", self.options.mutate, unpause).await
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), HostError> {
        let options = KillContainerOptions { signal: signal.to_owned() };
        let kill = self.docker.kill_container(id, Some(options));
        self.call("signal", self.options.mutate, kill).await
    }

    async fn update(&self, id: &str, live: &Live) -> Result<(), HostError> {
        let Some((_, now)) = self.container(id, false).await? else {
            return Err(HostError::NotFound(format!("No such container: {id}")));
        };
        let size = self.facts().await?.size;
        let update = self.docker.update_container(id, create::update(&now.live, live, size));
        self.call("update", self.options.mutate, update).await
    }

    async fn rename_container(&self, id: &str, name: &str) -> Result<(), HostError> {
        let options = RenameContainerOptions { name: name.to_owned() };
        let rename = self.docker.rename_container(id, options);
        self.call("rename container", self.options.mutate, rename).await
    }

    async fn remove_container(&self, id: &str) -> Result<(), HostError> {
        // Never by force: a running container is stopped first, or not removed.
        let options = RemoveContainerOptions { v: true, force: false, link: false };
        let remove = self.docker.remove_container(id, Some(options));
        ignore_not_found(self.call("remove container", self.options.mutate, remove).await)
    }

    async fn exec(&self, id: &str, request: &ExecRequest) -> Result<ExecSession, HostError> {
        stream::exec(self, id, request).await
    }

    async fn exec_exit_code(&self, exec_id: &str) -> Result<Option<i64>, HostError> {
        stream::exit_code(self, exec_id).await
    }

    async fn exec_resize(&self, exec_id: &str, columns: u16, rows: u16) -> Result<(), HostError> {
        stream::resize(self, exec_id, columns, rows).await
    }
}
