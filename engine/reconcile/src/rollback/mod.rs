//! Automatic rollbacks of rollouts that fail: the spec says `on-failure=rollback`.
//!
//! An automatic rollback is a rollback that no person requested. Its record has the same form, with the
//! failure added, and it ends in the same way: with a newer spec. The history shows whether a rollout is in
//! progress, because a pod that fails may be of a revision that has served for a year. The previous
//! revision comes from the history too, or from older pods that still exist. A rollback is never repeated:
//! if the previous revision fails too, the workload stays as it is.

pub mod apply;
pub mod decision;
pub mod history;
mod previous_revision;
pub(crate) mod report;
pub mod rollout_state;
pub mod unready;

pub use decision::{Decision, decide};
pub use history::{HistoryEntry, previous_revisions};
pub use report::{failure_span, images, not_rolled_back};
pub use rollout_state::{rolled_back, rolled_back_fingerprints, rolling};
pub use unready::{Unready, ended_words, unready};

pub use crate::memory::revisions::{FailureAttribution, PreviousRevision, RolloutFailure};
