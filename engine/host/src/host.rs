//! The one trait between us and a Docker engine, real or simulated.
//!
//! It comes in two halves so that planning cannot change anything, by type: [`HostRead`] has no
//! method that mutates, and planning is handed nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tally_reconcile::input::observed::{
    ContainerDetails, Engine, Live, ObservedContainer, ObservedNetwork, ObservedVolume,
};
use tally_reconcile::plan::request::{ContainerRequest, NetworkRequest, Part, VolumeRequest};

use crate::error::HostError;

/// A file to write into a container.
#[derive(Clone, PartialEq, Eq)]
pub struct FileToWrite {
    /// Absolute path.
    pub path: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// `uid`, `uid:gid`, or names of the container's own user database.
    pub owner: String,
    /// The keyed hash of the content if it holds secrets. Such a file is kept in memory, and the
    /// container gets a link to it.
    pub keyed: Option<String>,
}

impl std::fmt::Debug for FileToWrite {
    /// Without its content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, mode, owner) = (&self.path, self.mode, &self.owner);
        write!(f, "FileToWrite({path} {mode:04o} {owner})")
    }
}

/// Progress of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// Layers that are done.
    pub layers_done: u32,
    /// Layers known so far.
    pub layers: u32,
    /// Bytes fetched so far.
    pub bytes: u64,
    /// Bytes known so far.
    pub bytes_total: u64,
}

/// A piece of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Whether it came from standard error.
    pub stderr: bool,
    /// The bytes as they came; untrusted.
    pub bytes: Vec<u8>,
}

/// Which part of a log is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRequest {
    /// The last so many lines; all of them when `None`.
    pub tail: Option<u32>,
    /// Whether to stay and give what comes.
    pub follow: bool,
    /// Whether each line begins with its time.
    pub timestamps: bool,
}

/// A command to run in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// The command.
    pub command: Vec<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether it gets our standard input.
    pub stdin: bool,
    /// Terminal size in columns and rows.
    pub size: Option<(u16, u16)>,
}

/// A running command in a container.
pub struct ExecSession {
    /// What it prints; ends when it does.
    pub output: BoxStream<'static, Result<LogChunk, HostError>>,
    /// What it reads.
    pub input: Option<std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>>,
    /// For asking how it ended.
    pub id: String,
}

/// Something that happened on a host. It only says that looking is worth it: events may be lost,
/// repeated and out of order, and a look is the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEvent {
    /// The full ID of the container.
    pub id: String,
    /// What happened, in Docker's word: `die`, `start`, `health_status: healthy`.
    pub action: String,
    /// When, in milliseconds since 1970 by the engine's clock, where it says so.
    pub at_ms: Option<i64>,
}

/// What can be asked of a host without changing it. Every call has a deadline of its own.
#[async_trait]
pub trait HostRead: Send + Sync {
    /// The host's name in the spec.
    fn name(&self) -> &str;
    /// The engine, after negotiating the API version.
    async fn engine(&self) -> Result<Engine, HostError>;
    /// By how much its clock is ahead of this machine's, in milliseconds (negative: behind), as it
    /// was found once for this connection; `None` when the engine does not tell.
    async fn ahead_ms(&self) -> Result<Option<i64>, HostError>;
    /// All containers, without details.
    async fn containers(&self) -> Result<Vec<ObservedContainer>, HostError>;
    /// One container; `None` when it is not there. `with_files` reads the record of files too.
    async fn container(
        &self,
        id: &str,
        with_files: bool,
    ) -> Result<Option<(ObservedContainer, ContainerDetails)>, HostError>;
    /// All volumes.
    async fn volumes(&self) -> Result<Vec<ObservedVolume>, HostError>;
    /// All networks.
    async fn networks(&self) -> Result<Vec<ObservedNetwork>, HostError>;
    /// Names of all images with their IDs, in the form of `tally_graph::ImageRef`.
    async fn images(&self) -> Result<BTreeMap<String, String>, HostError>;
    /// What happens to containers that carry the label of `cluster`, from now on. The stream ends
    /// when the connection does; one that stays silent may be dead.
    async fn events(
        &self,
        cluster: &str,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError>;
    /// A container's output.
    async fn logs(
        &self,
        id: &str,
        request: LogRequest,
    ) -> Result<BoxStream<'static, Result<LogChunk, HostError>>, HostError>;
}

/// What changes a host. Each method is one call of the Docker API.
#[async_trait]
pub trait Host: HostRead {
    /// Fetches an image; `progress` is called now and then.
    async fn pull(
        &self,
        image: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), HostError>;
    /// Loads the image of infra containers for the engine's architecture.
    async fn load_infra_image(&self) -> Result<(), HostError>;
    /// Makes a network and gives its full ID.
    async fn create_network(&self, request: &NetworkRequest) -> Result<String, HostError>;
    /// Removes a network by its full ID.
    async fn remove_network(&self, id: &str) -> Result<(), HostError>;
    /// Makes a volume.
    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), HostError>;
    /// Removes a volume.
    async fn remove_volume(&self, name: &str) -> Result<(), HostError>;
    /// Makes a container and gives its full ID.
    async fn create_container(&self, request: &ContainerRequest) -> Result<String, HostError>;
    /// Writes files, the record of them, or both, into a container, in one call.
    async fn write_files(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: Part,
    ) -> Result<(), HostError>;
    /// Writes files that hold secrets, the record of them, or both, into the memory that a container
    /// shares with its infra container, in one call. The infra container must run.
    async fn write_secrets(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: Part,
    ) -> Result<(), HostError>;
    /// Starts a container; one that runs already is fine.
    async fn start(&self, id: &str) -> Result<(), HostError>;
    /// Stops a container; one that is stopped already is fine.
    async fn stop(&self, id: &str, grace: Option<Duration>) -> Result<(), HostError>;
    /// Stops and starts a container.
    async fn restart(&self, id: &str, grace: Option<Duration>) -> Result<(), HostError>;
    /// Lets a paused container run on.
    async fn unpause(&self, id: &str) -> Result<(), HostError>;
    /// Sends a signal.
    async fn signal(&self, id: &str, signal: &str) -> Result<(), HostError>;
    /// Changes what can be changed while it runs.
    async fn update(&self, id: &str, live: &Live) -> Result<(), HostError>;
    /// Removes a stopped container and its anonymous volumes; one that is gone is fine.
    async fn remove_container(&self, id: &str) -> Result<(), HostError>;
    /// Runs a command in a container.
    async fn exec(&self, id: &str, request: &ExecRequest) -> Result<ExecSession, HostError>;
    /// How a command ended; `None` while it runs.
    async fn exec_exit_code(&self, exec_id: &str) -> Result<Option<i64>, HostError>;
    /// Tells a command its terminal's new size.
    async fn exec_resize(&self, exec_id: &str, columns: u16, rows: u16) -> Result<(), HostError>;
}
