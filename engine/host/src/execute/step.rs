//! How a step of an operation ends.

use super::permit::Withheld;

/// How a step of an operation ended without a failure.
pub(super) enum OperationStep {
    /// It is done; holds the full ID of the object that it created.
    Done(Option<String>),
    /// It was a wait, and the plan was cancelled.
    Cancelled,
    /// The permit does not hold.
    Withheld(Withheld),
}
