//! What can go wrong when a host is asked, as few kinds as the engine acts on.

use std::time::Duration;

use crate::transport_error::TransportError;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing answers at the host's address.
    #[error("no Docker engine answers at {address}: {reason}")]
    Unreachable {
        /// Its address.
        address: String,
        /// What the attempt said.
        reason: String,
    },
    /// The way to the host is closed, for a reason with a way out of its own.
    #[error("{0} ({code}). {help}", code = .0.code(), help = .0.help())]
    Transport(Box<TransportError>),
    /// No answer in time; what was asked may have happened all the same.
    #[error("no answer to `{call}` within {after:?}")]
    Deadline {
        /// Which call.
        call: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The engine is too old for us.
    #[error("the Docker engine speaks API {found}; Tally needs {needed} or later")]
    TooOld {
        /// Its API version.
        found: String,
        /// Ours.
        needed: &'static str,
    },
    /// The object is not there.
    #[error("{0}")]
    NotFound(String),
    /// A name is taken, or the state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// An image cannot be had.
    #[error("{message}")]
    Image {
        /// Which.
        image: String,
        /// Whether the registry says that there is none, as opposed to not answering.
        missing: bool,
        /// What was said.
        message: String,
    },
    /// A host port is taken.
    #[error("{message}")]
    PortTaken {
        /// Which, when Docker says it.
        port: Option<u16>,
        /// What was said.
        message: String,
    },
    /// The command of a container is not in its image, or cannot be run.
    #[error("{0}")]
    CommandNotFound(String),
    /// The engine refused; its status and its words.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What was said.
        message: String,
    },
    /// The reply broke off or made no sense; what was asked may have happened all the same.
    #[error("{0}")]
    Broken(String),
}

impl From<TransportError> for HostError {
    fn from(error: TransportError) -> Self {
        HostError::Transport(Box::new(error))
    }
}
