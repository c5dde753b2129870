//! The trait of a Docker host, real or simulated.
//!
//! It has two halves, so that planning cannot change anything by type: [`HostRead`] has no mutating method, and
//! planning gets nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tally_reconcile::input::observed::{
    ContainerDetails, Engine, Live, ObservedContainer, ObservedNetwork, ObservedVolume,
};
use tally_reconcile::plan::request::{ContainerRequest, FilesPart, NetworkRequest, VolumeRequest};

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
    /// Formats the file without its content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, mode, owner) = (&self.path, self.mode, &self.owner);
        write!(f, "FileToWrite({path} {mode:04o} {owner})")
    }
}

/// Progress of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// Number of finished layers.
    pub layers_done: u32,
    /// Number of layers known so far.
    pub layers: u32,
    /// Bytes pulled so far.
    pub bytes: u64,
    /// Bytes known so far.
    pub bytes_total: u64,
}

/// A piece of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Whether it is from standard error.
    pub stderr: bool,
    /// The raw bytes; untrusted.
    pub bytes: Vec<u8>,
}

/// The requested part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRequest {
    /// Maximum number of lines, from the end; all lines when `None`.
    pub tail: Option<u32>,
    /// Whether to follow the log.
    pub follow: bool,
    /// Whether each line starts with its time.
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
    /// Its output; the stream ends when the command ends.
    pub output: BoxStream<'static, Result<LogChunk, HostError>>,
    /// Its standard input.
    pub input: Option<std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>>,
    /// Its ID, for [`Host::exec_exit_code`].
    pub id: String,
}

/// An event on a host. It is only a hint to observe the host: events may be lost, repeated and out of order, and an
/// observation is the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEvent {
    /// The full ID of the container.
    pub id: String,
    /// Docker's name of the event: `die`, `start`, `health_status: healthy`.
    pub action: String,
    /// When, in milliseconds since 1970 by the engine's clock, if it reports the time.
    pub at_ms: Option<i64>,
}

/// The reading calls of a host. Every call has a deadline of its own.
#[async_trait]
pub trait HostRead: Send + Sync {
    /// Returns the host's name in the spec.
    fn name(&self) -> &str;
    /// Returns facts about the engine.
    async fn engine(&self) -> Result<Engine, HostError>;
    /// Returns the offset of its clock from this machine's, in milliseconds (negative: behind), measured once per
    /// connection; `None` when the engine reports no time.
    async fn ahead_ms(&self) -> Result<Option<i64>, HostError>;
    /// Lists all containers, without details.
    async fn containers(&self) -> Result<Vec<ObservedContainer>, HostError>;
    /// Inspects one container; `None` when it does not exist. `with_files` reads the record of files too.
    async fn container(
        &self,
        id: &str,
        with_files: bool,
    ) -> Result<Option<(ObservedContainer, ContainerDetails)>, HostError>;
    /// Lists all volumes.
    async fn volumes(&self) -> Result<Vec<ObservedVolume>, HostError>;
    /// Lists all networks.
    async fn networks(&self) -> Result<Vec<ObservedNetwork>, HostError>;
    /// Lists the names of all images with their IDs, in the form of `tally_graph::ImageRef`.
    async fn images(&self) -> Result<BTreeMap<String, String>, HostError>;
    /// Streams the events of containers that carry the label of `cluster`, from now on. The stream ends with the
    /// connection. A stream without events may be dead.
    async fn events(
        &self,
        cluster: &str,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError>;
    /// Streams a container's output.
    async fn logs(
        &self,
        id: &str,
        request: LogRequest,
    ) -> Result<BoxStream<'static, Result<LogChunk, HostError>>, HostError>;
}

/// The mutating calls of a host. Each method is one call of the Docker API.
#[async_trait]
pub trait Host: HostRead {
    /// Pulls an image and reports its progress.
    async fn pull(
        &self,
        image: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), HostError>;
    /// Loads the image of infra containers for the engine's architecture.
    async fn load_infra_image(&self) -> Result<(), HostError>;
    /// Creates a network and returns its full ID.
    async fn create_network(&self, request: &NetworkRequest) -> Result<String, HostError>;
    /// Removes a network by its full ID.
    async fn remove_network(&self, id: &str) -> Result<(), HostError>;
    /// Creates a volume.
    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), HostError>;
    /// Removes a volume.
    async fn remove_volume(&self, name: &str) -> Result<(), HostError>;
    /// Creates a container and returns its full ID.
    async fn create_container(&self, request: &ContainerRequest) -> Result<String, HostError>;
    /// Writes files, the record of them, or both, into a container, in one call.
    async fn write_files(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
    ) -> Result<(), HostError>;
    /// Writes files that hold secrets, the record of them, or both, into the memory that a container
    /// shares with its infra container, in one call. The infra container must run.
    async fn write_secrets(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: FilesPart,
    ) -> Result<(), HostError>;
    /// Starts a container. Succeeds when it runs already.
    async fn start(&self, id: &str) -> Result<(), HostError>;
    /// Stops a container. Succeeds when it is stopped already.
    async fn stop(&self, id: &str, grace: Option<Duration>) -> Result<(), HostError>;
    /// Stops and starts a container.
    async fn restart(&self, id: &str, grace: Option<Duration>) -> Result<(), HostError>;
    /// Unpauses a container.
    async fn unpause(&self, id: &str) -> Result<(), HostError>;
    /// Sends a signal.
    async fn signal(&self, id: &str, signal: &str) -> Result<(), HostError>;
    /// Updates the settings that can change while the container runs.
    async fn update(&self, id: &str, live: &Live) -> Result<(), HostError>;
    /// Renames a container. Docker refuses a name that another container has.
    async fn rename_container(&self, id: &str, name: &str) -> Result<(), HostError>;
    /// Removes a stopped container and its anonymous volumes. Succeeds when it does not exist.
    async fn remove_container(&self, id: &str) -> Result<(), HostError>;
    /// Runs a command in a container.
    async fn exec(&self, id: &str, request: &ExecRequest) -> Result<ExecSession, HostError>;
    /// Returns the exit code of a command; `None` while it runs.
    async fn exec_exit_code(&self, exec_id: &str) -> Result<Option<i64>, HostError>;
    /// Resizes the terminal of a command.
    async fn exec_resize(&self, exec_id: &str, columns: u16, rows: u16) -> Result<(), HostError>;
}
