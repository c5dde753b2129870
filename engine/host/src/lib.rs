//! A Docker host behind one trait, real or simulated, and everything that works on any of them: observing hosts,
//! carrying plans out, secrets. No Docker client is below this crate: `tally-docker` and `tally-simulator`
//! implement the trait.

pub mod clean;
mod error;
pub mod execute;
mod file_record;
mod host;
mod observe;
mod secrets;
mod time;
mod trace;
mod transport_error;
mod unreachable_host;

pub use error::{HostError, OwnerKind, SimulatedFileProblem};
pub use execute::{
    Event, ExecuteOptions, Failure, FailureKind, NotReadyReason, Outcome, Permit, Progress, Report,
    ResolvedTags, StaleReason, Steady, Withheld, execute, failed_versions, last_lines,
};
pub use file_record::record;
pub use host::{
    ExecRequest, ExecSession, FileToWrite, Host, HostEvent, HostRead, LogChunk, LogRequest,
    PullProgress,
};
pub use observe::{observe, observe_host, unknown};
pub use secrets::Secrets;
pub use time::now_ms;
pub use trace::traced;
pub use transport_error::TransportError;
pub use unreachable_host::{UnreachableHost, unreachable_host};
