//! A host that could not be reached. It keeps its place among the other hosts, and every call to it fails with the
//! reason. So observing it gives `Unknown` with the reason, and no caller needs a second way of handling such hosts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tally_reconcile::input::observed::{
    ContainerDetails, Engine, Live, ObservedContainer, ObservedNetwork, ObservedVolume,
};
use tally_reconcile::plan::request::{ContainerRequest, FilesPart, NetworkRequest, VolumeRequest};

use crate::error::HostError;
use crate::host::{
    ExecRequest, ExecSession, FileToWrite, Host, HostEvent, HostRead, LogChunk, LogRequest,
    PullProgress,
};

/// Returns a host that could not be reached because of `reason`. Its calls fail immediately.
#[must_use]
pub fn unreachable_host(name: &str, reason: HostError) -> Arc<UnreachableHost> {
    Arc::new(UnreachableHost { name: name.to_owned(), reason })
}

/// A host that could not be reached.
#[derive(Debug)]
pub struct UnreachableHost {
    name: String,
    reason: HostError,
}

impl UnreachableHost {
    fn fail<T>(&self) -> Result<T, HostError> {
        Err(self.reason.clone())
    }
}

#[async_trait]
impl HostRead for UnreachableHost {
    fn name(&self) -> &str {
        &self.name
    }

    async fn engine(&self) -> Result<Engine, HostError> {
        self.fail()
    }

    async fn ahead_ms(&self) -> Result<Option<i64>, HostError> {
        self.fail()
    }

    async fn containers(&self) -> Result<Vec<ObservedContainer>, HostError> {
        self.fail()
    }

    async fn container(
        &self,
        _: &str,
        _: bool,
    ) -> Result<Option<(ObservedContainer, ContainerDetails)>, HostError> {
        self.fail()
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>, HostError> {
        self.fail()
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>, HostError> {
        self.fail()
    }

    async fn images(&self) -> Result<BTreeMap<String, String>, HostError> {
        self.fail()
    }

    async fn events(
        &self,
        _: &str,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError> {
        self.fail()
    }

    async fn logs(
        &self,
        _: &str,
        _: LogRequest,
    ) -> Result<BoxStream<'static, Result<LogChunk, HostError>>, HostError> {
        self.fail()
    }
}

#[async_trait]
impl Host for UnreachableHost {
    async fn pull(
        &self,
        _: &str,
        _: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), HostError> {
        self.fail()
    }

    async fn load_infra_image(&self) -> Result<(), HostError> {
        self.fail()
    }

    async fn create_network(&self, _: &NetworkRequest) -> Result<String, HostError> {
        self.fail()
    }

    async fn remove_network(&self, _: &str) -> Result<(), HostError> {
        self.fail()
    }

    async fn create_volume(&self, _: &VolumeRequest) -> Result<(), HostError> {
        self.fail()
    }

    async fn remove_volume(&self, _: &str) -> Result<(), HostError> {
        self.fail()
    }

    async fn create_container(&self, _: &ContainerRequest) -> Result<String, HostError> {
        self.fail()
    }

    async fn write_files(&self, _: &str, _: &[FileToWrite], _: FilesPart) -> Result<(), HostError> {
        self.fail()
    }

    async fn write_secrets(
        &self,
        _: &str,
        _: &[FileToWrite],
        _: FilesPart,
    ) -> Result<(), HostError> {
        self.fail()
    }

    async fn start(&self, _: &str) -> Result<(), HostError> {
        self.fail()
    }

    async fn stop(&self, _: &str, _: Option<Duration>) -> Result<(), HostError> {
        self.fail()
    }

    async fn restart(&self, _: &str, _: Option<Duration>) -> Result<(), HostError> {
        self.fail()
    }

    async fn unpause(&self, _: &str) -> Result<(), HostError> {
        self.fail()
    }

    async fn signal(&self, _: &str, _: &str) -> Result<(), HostError> {
        self.fail()
    }

    async fn update(&self, _: &str, _: &Live) -> Result<(), HostError> {
        self.fail()
    }

    async fn rename_container(&self, _: &str, _: &str) -> Result<(), HostError> {
        self.fail()
    }

    async fn remove_container(&self, _: &str) -> Result<(), HostError> {
        self.fail()
    }

    async fn exec(&self, _: &str, _: &ExecRequest) -> Result<ExecSession, HostError> {
        self.fail()
    }

    async fn exec_exit_code(&self, _: &str) -> Result<Option<i64>, HostError> {
        self.fail()
    }

    async fn exec_resize(&self, _: &str, _: u16, _: u16) -> Result<(), HostError> {
        self.fail()
    }
}
