//! The pure core: compares a spec with the observed state and returns a plan.
//!
//! No I/O, no clock, no randomness: the same graph and the same observation give the same plan, byte for
//! byte. [`reconcile`] is the only entry point.

pub mod desired;
pub mod diff;
pub mod input;
pub mod inventory;
pub mod labels;
pub mod memory;
pub mod placement;
pub mod plan;
mod planner;
pub mod rollback;
mod rollout;

pub use input::options::{LOCAL_HOST, Options};
pub use inventory::classify::owns;
pub use inventory::collect::Prepared;
pub use planner::images::digest_of;
pub use planner::reconcile::{reconcile, reconcile_prepared};
