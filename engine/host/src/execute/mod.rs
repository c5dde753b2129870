//! Carrying a plan out: its graph is walked in parallel under a bound, and each call is made only while its
//! precondition holds. Nothing is decided here. A plan is never resumed, only computed again.

mod conflict_409;
mod context;
mod failure;
mod failure_attribution;
mod files;
mod lanes;
mod last_lines;
mod lost_reply;
mod operation;
mod options;
mod permit;
mod precondition;
mod progress;
mod report;
mod resolved_tags;
mod step;
mod trace;
mod wait;
mod walk;

pub use failure::{Failure, FailureKind, NotReadyReason, StaleReason};
pub use failure_attribution::failed_versions;
pub use last_lines::last_lines;
pub use options::ExecuteOptions;
pub use permit::{Permit, Steady, Withheld};
pub use progress::{Event, Progress};
pub use report::{Outcome, Report};
pub use resolved_tags::ResolvedTags;
pub use walk::execute;
