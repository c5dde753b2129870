//! Docker's API behind one trait.

mod error;
mod host;

pub use error::HostError;
pub use host::{
    ExecRequest, ExecSession, FileToWrite, Host, HostRead, LogChunk, LogRequest, PullProgress,
};
