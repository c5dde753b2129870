//! Rollouts that go back by themselves when they fail: the spec says `on-failure=rollback`.
//!
//! Going back is an undo that nobody asked for by hand. What is remembered is the same, with what
//! failed beside it, and it ends the same way: by a newer spec. Whether a rollout is under way the
//! history tells, since a pod that fails may be of a version that served for a year; what was there
//! before the history tells too, and older pods that are still there. Nothing goes back twice: what
//! came back and fails too stays where it is.

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
