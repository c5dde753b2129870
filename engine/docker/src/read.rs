//! The reading calls of a Docker host.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{
    DownloadFromContainerOptions, InspectContainerOptions, ListContainersOptions,
    ListImagesOptions, ListNetworksOptions, ListVolumesOptions,
};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tally_graph::{Bytes, FileSpec};
use tally_reconcile::input::observed::{
    ContainerDetails, Engine, ObservedContainer, ObservedNetwork, ObservedVolume,
};
use tally_reconcile::labels::{self, FILES_RECORD, SECRETS_RECORD};

use crate::docker_host::DockerHost;
use crate::{convert, files, stream};
use tally_host::{HostError, HostEvent, HostRead, LogChunk, LogRequest, clean};

impl DockerHost {
    /// Reads the first file at a path of a container. Returns `None` when the file or the container does not exist.
    pub(crate) async fn read_file(
        &self,
        id: &str,
        path: &str,
    ) -> Result<Option<Vec<u8>>, HostError> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let read = async {
            let mut body = self.docker.download_from_container(id, Some(options));
            let mut archive = Vec::new();
            while let Some(part) = body.next().await {
                archive.extend_from_slice(&part?);
                if archive.len() > files::READ_CAP_BYTES {
                    break;
                }
            }
            Ok(archive)
        };
        match self.call("read a file", self.options.read, read).await {
            Ok(archive) => Ok(files::first_file(&archive)),
            Err(HostError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn record(
        &self,
        id: &str,
        path: &str,
    ) -> Result<Option<BTreeMap<String, FileSpec>>, HostError> {
        let bytes = self.read_file(id, path).await?;
        Ok(bytes.and_then(|bytes| files::parse_record(&bytes)))
    }
}

/// Checks for an error that passes. Podman reports a container that has just ended as `stopped`, which is not a state
/// of Docker, so the client library rejects the whole answer. It passes as soon as Podman has cleaned up the container.
fn is_passing_state(error: &HostError) -> bool {
    matches!(error, HostError::Broken(what) if what.contains("unknown variant `stopped`"))
}

/// Number of retries after [`is_passing_state`], and the pause between them.
const PASSING_TRIES: u32 = 50;
const PASSING_PAUSE: Duration = Duration::from_millis(100);

/// Repeats a call until no container is in a state that passes.
async fn settled<T, F>(ask: impl Fn() -> F) -> Result<T, HostError>
where
    F: Future<Output = Result<T, HostError>>,
{
    for _ in 0..PASSING_TRIES {
        match ask().await {
            Err(error) if is_passing_state(&error) => tokio::time::sleep(PASSING_PAUSE).await,
            other => return other,
        }
    }
    ask().await
}

#[async_trait]
impl HostRead for DockerHost {
    fn name(&self) -> &str {
        &self.name
    }

    async fn engine(&self) -> Result<Engine, HostError> {
        let facts = self.facts().await?;
        Ok(Engine {
            id: clean::line(&facts.id),
            version: clean::line(&facts.version),
            api_version: self.api_version.clone(),
            os: clean::line(&facts.os),
            arch: clean::line(&facts.arch),
            cpus: facts.size.cpus,
            memory: Bytes(facts.size.memory),
            simulated: false,
        })
    }

    async fn ahead_ms(&self) -> Result<Option<i64>, HostError> {
        Ok(self.facts().await?.ahead_ms)
    }

    async fn containers(&self) -> Result<Vec<ObservedContainer>, HostError> {
        let ask = || async {
            let options = ListContainersOptions { all: true, ..Default::default() };
            let list = self.docker.list_containers(Some(options));
            self.call("list containers", self.options.read, list).await
        };
        let list = settled(ask).await?;
        Ok(list.into_iter().filter_map(convert::container).collect())
    }

    async fn container(
        &self,
        id: &str,
        with_files: bool,
    ) -> Result<Option<(ObservedContainer, ContainerDetails)>, HostError> {
        let inspect = settled(|| async {
            let inspect = self.docker.inspect_container(id, None::<InspectContainerOptions>);
            self.call("inspect container", self.options.read, inspect).await
        });
        let record =
            async { if with_files { self.record(id, FILES_RECORD).await } else { Ok(None) } };
        let (inspected, record) = futures_util::join!(inspect, record);
        let inspected = match inspected {
            Ok(inspected) => inspected,
            Err(HostError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let record = record?;
        let size = self.facts().await?.size;
        let Some((container, mut details)) = convert::inspected(inspected, size) else {
            return Ok(None);
        };
        details.files = record;
        if with_files && container.labels.contains_key(labels::SECRETS) {
            details.secrets = self.record(id, SECRETS_RECORD).await?;
        }
        Ok(Some((container, details)))
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>, HostError> {
        let list = self.docker.list_volumes(None::<ListVolumesOptions>);
        let list = self.call("list volumes", self.options.read, list).await?;
        Ok(list.volumes.unwrap_or_default().into_iter().map(convert::volume).collect())
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>, HostError> {
        let list = self.docker.list_networks(None::<ListNetworksOptions>);
        let list = self.call("list networks", self.options.read, list).await?;
        Ok(list.into_iter().filter_map(convert::network).collect())
    }

    async fn images(&self) -> Result<BTreeMap<String, String>, HostError> {
        let list = self.docker.list_images(None::<ListImagesOptions>);
        let list = self.call("list images", self.options.read, list).await?;
        Ok(convert::images(list))
    }

    async fn events(
        &self,
        cluster: &str,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError> {
        Ok(stream::events(self, cluster))
    }

    async fn logs(
        &self,
        id: &str,
        request: LogRequest,
    ) -> Result<BoxStream<'static, Result<LogChunk, HostError>>, HostError> {
        Ok(stream::logs(self, id, request))
    }
}
