//! Why an operation failed.

use std::fmt;

use tally_reconcile::rollback::ended_words;

use crate::error::HostError;

/// A failed operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub kind: FailureKind,
    /// The last lines of the container's output, cleaned, when the operation is about a container that ran.
    pub last_lines: Vec<String>,
}

/// Why an operation failed, as the few kinds that people react to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FailureKind {
    /// A call to the host failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The container was not ready in time.
    #[error("not ready after {waited_ms} ms: {reason}")]
    NotReady {
        /// How long the operation waited, in milliseconds.
        waited_ms: u64,
        /// The condition that did not hold.
        reason: NotReadyReason,
    },
    /// The container ended although it must run, or with an exit code other than 0.
    #[error("{}", ended_words(*.exit_code, .error.as_deref(), *.restarts))]
    Ended {
        /// Its last exit code, when Docker reports it.
        exit_code: Option<i64>,
        /// Docker's own error for the container.
        error: Option<String>,
        /// How often Docker's restart policy restarted it meanwhile.
        restarts: u32,
    },
    /// The precondition of the operation does not hold: the plan is stale.
    #[error("{0}")]
    PreconditionFailed(StaleReason),
}

impl FailureKind {
    /// Returns the same failure with each of its texts passed through `clean`, for example to remove secrets.
    #[must_use]
    pub fn map_texts(self, clean: &dyn Fn(&str) -> String) -> Self {
        match self {
            FailureKind::Host(error) => FailureKind::Host(error.map_texts(clean)),
            FailureKind::Ended { exit_code, error, restarts } => {
                let error = error.map(|error| clean(&error));
                FailureKind::Ended { exit_code, error, restarts }
            }
            FailureKind::PreconditionFailed(reason) => {
                FailureKind::PreconditionFailed(reason.map_texts(clean))
            }
            FailureKind::NotReady { .. } => self,
        }
    }
}

/// Why a container is not ready yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReadyReason {
    /// It is not started.
    NotStarted,
    /// It is paused.
    Paused,
    /// It ended, and Docker's restart policy starts it again.
    Restarting {
        /// Its last exit code, when it matters.
        exit_code: Option<i64>,
    },
    /// Its health check fails.
    HealthCheckFails,
    /// Its health check has not succeeded yet.
    HealthCheckPending,
    /// It has not run long enough.
    RunsTooShort,
    /// It runs, and must end.
    StillRuns,
}

impl NotReadyReason {
    /// Checks whether the health check is the reason.
    #[must_use]
    pub fn is_health_check(self) -> bool {
        matches!(self, Self::HealthCheckFails | Self::HealthCheckPending)
    }
}

impl fmt::Display for NotReadyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "it is not started yet",
            Self::Paused => "it is paused",
            Self::Restarting { exit_code: Some(code) } => {
                return write!(f, "it ended with exit code {code} and is started again");
            }
            Self::Restarting { exit_code: None } => "it is started again",
            Self::HealthCheckFails => "its health check fails",
            Self::HealthCheckPending => "its health check has not succeeded yet",
            Self::RunsTooShort => "it has not run long enough yet",
            Self::StillRuns => "it has not ended yet",
        })
    }
}

/// Why the precondition of an operation does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaleReason {
    /// The operation that creates its container did not.
    ContainerNotCreated,
    /// The object was removed by somebody else.
    Removed,
    /// The container was removed during the wait for it.
    RemovedDuringWait,
    /// The container has another name.
    Renamed {
        /// The name in the plan.
        from: String,
        /// Its name now.
        to: String,
    },
    /// The object does not carry the label of its cluster any more.
    LabelLost {
        /// The cluster.
        cluster: String,
    },
    /// The plan does not hold the content of a file.
    NoContent {
        /// The path of the file in the container.
        path: String,
    },
    /// A secret was not read.
    SecretNotRead {
        /// The name of the secret.
        name: String,
    },
}

impl StaleReason {
    fn map_texts(mut self, clean: &dyn Fn(&str) -> String) -> Self {
        let texts = match &mut self {
            Self::ContainerNotCreated | Self::Removed | Self::RemovedDuringWait => Vec::new(),
            Self::Renamed { from, to } => vec![from, to],
            Self::LabelLost { cluster: text }
            | Self::NoContent { path: text }
            | Self::SecretNotRead { name: text } => vec![text],
        };
        for text in texts {
            *text = clean(text);
        }
        self
    }
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContainerNotCreated => f.write_str("its container was not created"),
            Self::Removed => f.write_str("it was removed meanwhile"),
            Self::RemovedDuringWait => f.write_str("it was removed during the wait for it"),
            Self::Renamed { from, to } => write!(f, "it was renamed from {from} to {to}"),
            Self::LabelLost { cluster } => {
                write!(f, "it no longer carries the label of cluster {cluster}")
            }
            Self::NoContent { path } => write!(f, "the content of {path} is not in the plan"),
            Self::SecretNotRead { name } => write!(f, "the secret `{name}` was not read"),
        }
    }
}
