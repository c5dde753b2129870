//! The mutating half of the trait.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use tally_host::{ExecRequest, ExecSession, FileToWrite, Host, HostError, LogChunk, PullProgress};
use tally_reconcile::input::observed::Live;
use tally_reconcile::plan::request::{ContainerRequest, FilesPart, NetworkRequest, VolumeRequest};

use super::sim_host::SimHost;
use crate::model::Model;

#[async_trait]
impl Host for SimHost {
    async fn pull(
        &self,
        image: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), HostError> {
        self.changing("pull", |model, _| model.pull(image)).await?;
        progress(PullProgress { layers_done: 1, layers: 1, bytes: 1, bytes_total: 1 });
        Ok(())
    }

    async fn load_infra_image(&self) -> Result<(), HostError> {
        self.changing("load_infra_image", |model, _| {
            model.load_infra_image();
            Ok(())
        })
        .await
    }

    async fn create_network(&self, request: &NetworkRequest) -> Result<String, HostError> {
        self.changing("create_network", |model, _| model.create_network(request)).await
    }

    async fn remove_network(&self, id: &str) -> Result<(), HostError> {
        self.changing("remove_network", |model, now_ms| model.remove_network(id, now_ms)).await
    }

    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), HostError> {
        self.changing("create_volume", |model, _| model.create_volume(request)).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), HostError> {
        self.changing("remove_volume", |model, _| model.remove_volume(name)).await
    }

    async fn create_container(&self, request: &ContainerRequest) -> Result<String, HostError> {
        self.changing("create_container", |model, now_ms| model.create(request, now_ms)).await
    }

    async fn write_files(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
    ) -> Result<(), HostError> {
        self.changing("write_files", |model, now_ms| model.write(id, files, part, now_ms)).await
    }

    async fn write_secrets(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
    ) -> Result<(), HostError> {
        self.changing("write_secrets", |model, now_ms| model.write_secrets(id, files, part, now_ms))
            .await
    }

    async fn start(&self, id: &str) -> Result<(), HostError> {
        self.changing("start", |model, now_ms| model.start(id, now_ms)).await
    }

    async fn stop(&self, id: &str, _grace: Option<Duration>) -> Result<(), HostError> {
        self.changing("stop", |model, now_ms| model.stop(id, now_ms)).await
    }

    async fn restart(&self, id: &str, _grace: Option<Duration>) -> Result<(), HostError> {
        self.changing("restart", |model, now_ms| model.restart(id, now_ms)).await
    }

    async fn unpause(&self, id: &str) -> Result<(), HostError> {
        self.changing("unpause", |model, now_ms| model.unpause(id, now_ms)).await
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), HostError> {
        self.changing("signal", |model, now_ms| model.signal(id, signal, now_ms)).await
    }

    async fn update(&self, id: &str, live: &Live) -> Result<(), HostError> {
        self.changing("update", |model, now_ms| model.update(id, live, now_ms)).await
    }

    async fn rename_container(&self, id: &str, name: &str) -> Result<(), HostError> {
        self.changing("rename_container", |model, _| model.rename(id, name)).await
    }

    async fn remove_container(&self, id: &str) -> Result<(), HostError> {
        self.changing("remove_container", |model, now_ms| model.remove(id, now_ms)).await
    }

    async fn exec(&self, id: &str, request: &ExecRequest) -> Result<ExecSession, HostError> {
        let act = |model: &mut Model, now_ms| model.exec(id, &request.command, now_ms);
        let (exec, output) = self.changing("exec", act).await?;
        let chunk = LogChunk { stderr: false, bytes: output.into_bytes() };
        Ok(ExecSession {
            output: stream::iter([Ok(chunk)]).boxed(),
            input: request.stdin.then(
                || -> std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>> {
                    Box::pin(tokio::io::sink())
                },
            ),
            id: exec,
        })
    }

    async fn exec_exit_code(&self, exec_id: &str) -> Result<Option<i64>, HostError> {
        self.reading("exec_exit_code", |model, _| model.exec_code(exec_id).map(Some)).await
    }

    async fn exec_resize(&self, _: &str, _: u16, _: u16) -> Result<(), HostError> {
        self.reading("exec_resize", |_, _| Ok(())).await
    }
}
