//! Automatic rollbacks of rollouts that fail: the spec says `on-failure=rollback`.
//!
//! An automatic rollback is a rollback that no person requested. Its record has the same form, with the
//! failure added, and it ends in the same way: with a newer spec. The history shows whether a rollout is in
//! progress, because a pod that fails may be of a revision that has served for a year. The previous
//! revision comes from the history too, or from older pods that still exist. A rollback is never repeated:
//! if the previous revision fails too, the workload stays as it is.

pub mod course;
pub mod decision;
pub mod history;
mod older;
pub(crate) mod report;
pub mod undo;
pub mod unready;

pub use course::{rolled_back, rolling, went_back};
pub use decision::{Decision, decide};
pub use history::{Entry, previous_revisions};
pub use report::{blamed, images, stays};
pub use unready::{Unready, ended_words, unready};

pub use crate::memory::revisions::{FailureAttribution, PreviousRevision, RolloutFailure};
