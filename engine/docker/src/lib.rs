//! Docker's API behind one trait: reaching engines, seeing what is there, carrying plans out.

mod classify;
pub mod clean;
mod connect;
mod convert;
mod create;
mod credentials;
mod default_host;
mod error;
pub mod execute;
mod files;
mod host;
mod infra;
mod observe;
mod pull;
mod read;
mod registries;
mod secrets;
mod silent;
mod stream;
mod time;
mod write;

pub use connect::{
    Channel, ChannelError, ConnectOptions, Endpoint, Reply, TlsPaths, TransportError, connect,
    connect_read,
};
pub use default_host::default_host;
pub use error::HostError;
pub use execute::{
    Event, ExecuteOptions, Failure, FailureKind, Fetched, Outcome, Permit, Progress, Report,
    Steady, Withheld, execute, failed_versions, last_lines,
};
pub use files::record;
pub use host::{
    ExecRequest, ExecSession, FileToWrite, Host, HostEvent, HostRead, LogChunk, LogRequest,
    PullProgress,
};
pub use infra::infra_program;
pub use observe::{observe, observe_host, unknown};
pub use secrets::Secrets;
pub use silent::{SilentHost, silent};
pub use time::now_ms;
