//! How a session ends.

use std::time::Duration;

use tally_host::Report;
use tally_reconcile::plan::Plan;
use tally_source::{Diagnostic, SourceMap};

use crate::storage::StorageError;

/// How a session ended.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each session")]
pub enum SessionOutcome {
    /// The first plan differs from the one that was agreed to; nothing was changed.
    MovedOn(Plan),
    /// There is nothing to destroy.
    NothingToDestroy,
    /// The first plan changes nothing.
    Unchanged(Plan),
    /// The first plan was declined; nothing was changed.
    Declined,
    /// The last plan changes nothing.
    Converged {
        /// The plan that was executed first.
        first: Plan,
        /// The last plan, which may have blocked workloads.
        last: Plan,
        /// How long it took since the first plan was confirmed.
        took: Duration,
    },
    /// A plan was not executed as a whole, and no workload was rolled back.
    Failed(Report),
    /// A plan was not executed as a whole, and workloads were rolled back, or follow a previous revision from
    /// now on.
    RolledBack,
    /// The plan still changes something after the maximum number of passes.
    StillDiffers(Plan),
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ConvergenceError {
    /// A plan has errors, which point at these sources.
    #[error("the plan has errors")]
    Plan(Vec<Diagnostic>, Box<SourceMap>),
    /// Something cannot be kept.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
