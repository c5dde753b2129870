//! Events of a plan that is carried out.

use tally_reconcile::plan::OpId;

use super::failure::Failure;
use crate::host::PullProgress;

/// An event of a plan that is carried out.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// An operation started.
    Started(OpId),
    /// A pull made progress.
    Pulling(OpId, PullProgress),
    /// A wait continues, for a new reason.
    Waiting(OpId, &'a str),
    /// An operation is done.
    Done(OpId),
    /// An operation undoes another one, and nothing has to be undone.
    NotNeeded(OpId),
    /// An operation failed.
    Failed(OpId, &'a Failure),
    /// An operation was skipped.
    Skipped {
        /// Which.
        id: OpId,
        /// The operation that it depends on and that failed.
        because: OpId,
    },
}

/// Receives the events of a plan. It is called from within the walk, so it must not block.
pub trait Progress: Send + Sync {
    /// Receives one event.
    fn event(&self, event: Event<'_>);
}

/// Ignores all events.
impl Progress for () {
    fn event(&self, _: Event<'_>) {}
}
