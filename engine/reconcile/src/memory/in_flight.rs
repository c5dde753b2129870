//! What is under way.

use std::collections::BTreeSet;

/// What a running loop works on. The loop owns it, and it is never written to a file: a new process observes the
/// hosts instead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InFlight {
    /// Pods that an operation is under way for, and objects of no pod, as
    /// [`crate::plan::Operation::claims`] names them.
    pub busy: BTreeSet<String>,
    /// Containers whose liveness has failed, by full ID.
    pub failing: BTreeSet<String>,
}
