//! The operations that are under way.

use std::collections::BTreeSet;

/// The work that a running loop has started. The loop owns it, and it is never written to a file: a new
/// process observes the hosts instead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InFlight {
    /// The pods of operations that are under way, and objects of no pod, as
    /// [`crate::plan::Operation::lock_key`] names them.
    pub busy: BTreeSet<String>,
    /// Containers whose liveness has failed, by full ID.
    pub failing: BTreeSet<String>,
}
