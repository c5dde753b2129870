//! The outcome of a plan.

use tally_reconcile::plan::OpId;

use super::failure::Failure;
use super::permit::Withheld;

/// The outcome of each operation of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By the operation's number.
    pub outcomes: Vec<Outcome>,
    /// Why no further operation was started, when the permit did not hold.
    pub withheld: Option<Withheld>,
}

impl Report {
    /// Returns the outcome of the operation with that number.
    #[must_use]
    pub fn outcome(&self, id: OpId) -> Option<&Outcome> {
        self.outcomes.get(id.0 as usize)
    }

    /// Checks whether all operations are done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let done = |outcome: &Outcome| matches!(outcome, Outcome::Done { .. } | Outcome::NotNeeded);
        self.outcomes.iter().all(done)
    }

    /// Returns the failures, in the plan's order.
    pub fn failures(&self) -> impl Iterator<Item = (OpId, &Failure)> {
        self.outcomes.iter().zip(0_u32..).filter_map(|(outcome, id)| match outcome {
            Outcome::Failed(failure) => Some((OpId(id), failure)),
            _ => None,
        })
    }
}

/// The outcome of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, or was not needed.
    Done {
        /// The full ID of the container or network that it created.
        made: Option<String>,
    },
    /// It failed.
    Failed(Failure),
    /// It was skipped, because an operation that it depends on failed.
    Skipped {
        /// The operation that failed first.
        because: OpId,
    },
    /// It undoes another operation, and nothing had to be undone.
    NotNeeded,
    /// It was not started, or its wait was cancelled, because the plan was cancelled or the permit did not hold.
    NotStarted,
}
