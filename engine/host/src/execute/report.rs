//! What came of a plan.

use tally_reconcile::plan::OpId;
use tally_reconcile::rollback::ended_words;

use super::permit::Withheld;
use crate::HostError;

/// What came of each operation of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By the operation's number.
    pub outcomes: Vec<Outcome>,
    /// Why no further operation was begun, where the permit did not hold.
    pub withheld: Option<Withheld>,
}

impl Report {
    /// What came of the operation with that number.
    #[must_use]
    pub fn outcome(&self, id: OpId) -> Option<&Outcome> {
        self.outcomes.get(id.0 as usize)
    }

    /// Whether everything was done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. }))
    }

    /// What failed, in the plan's order.
    pub fn failures(&self) -> impl Iterator<Item = (OpId, &Failure)> {
        self.outcomes.iter().zip(0_u32..).filter_map(|(outcome, id)| match outcome {
            Outcome::Failed(failure) => Some((OpId(id), failure)),
            _ => None,
        })
    }
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, or what it asks for was so already.
    Done {
        /// The full ID of what it made, for a container or a network.
        made: Option<String>,
    },
    /// It failed.
    Failed(Failure),
    /// It was not tried, because what it needs failed.
    Skipped {
        /// The operation that failed first.
        because: OpId,
    },
    /// It was not tried, or its wait was broken off, because the plan was cancelled or the permit did
    /// not hold.
    NotStarted,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub kind: FailureKind,
    /// The container's last lines, cleaned, where it is about one that ran.
    pub last_lines: Vec<String>,
}

/// Why an operation failed, as few kinds as people act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FailureKind {
    /// The host said so.
    #[error(transparent)]
    Host(#[from] HostError),
    /// It was not ready in time.
    #[error("not ready after {waited_ms} ms: {reason}")]
    NotReady {
        /// How long was waited, in milliseconds.
        waited_ms: u64,
        /// What was missing.
        reason: String,
    },
    /// It ended where it should have run, or with another exit code than 0.
    #[error("{}", ended_words(*.exit_code, .error.as_deref(), *.restarts))]
    Ended {
        /// Its last exit code, when Docker knows it.
        exit_code: Option<i64>,
        /// What Docker says of its end.
        error: Option<String>,
        /// So often Docker's own policy had started it again meanwhile.
        restarts: u32,
    },
    /// What must be true before the call was not: the plan is stale.
    #[error("{0}")]
    PreconditionFailed(String),
}
