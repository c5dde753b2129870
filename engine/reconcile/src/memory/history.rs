//! What workloads were before.

use std::collections::BTreeMap;

use crate::memory::revisions::PreviousRevision;

/// The previous revisions of workloads, read from the history of applied specs. Nothing changes it but reading
/// the history again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// What workloads were before that are being rolled out and are rolled back when that fails, by address.
    pub previous: BTreeMap<String, PreviousRevision>,
}
