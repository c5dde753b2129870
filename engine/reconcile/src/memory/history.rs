//! The previous revisions of workloads.

use std::collections::BTreeMap;

use crate::memory::revisions::PreviousRevision;

/// The previous revisions of workloads, read from the history of applied specs. They change only when the
/// history is read again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// The previous revisions of workloads that are being rolled out and are rolled back on failure, by
    /// address.
    pub previous: BTreeMap<String, PreviousRevision>,
}
