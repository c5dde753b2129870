//! The control loop, and the convergence that it drives: observe, plan, execute, judge the result, observe again.
//!
//! [`convergence`] has the steps that every driver shares, and the bounded session of `tally apply` and
//! `tally destroy`. [`ControlLoop`] drives the same steps for as long as `tally run` runs: Docker's events, timers
//! and changes of the spec only wake it; its actions follow from its observations. Each host is observed by itself,
//! so a slow or unreachable one delays nothing on the others. A plan is made whenever there is a new view, from the
//! latest view of every host; pods with operations in progress are left alone until a view that started after
//! their end.

pub mod backoff;
mod clocks;
mod connector;
mod control_loop;
pub mod convergence;
mod execution;
mod leader_election;
pub mod lease;
mod liveness;
mod loop_clock;
mod observation;
mod options;
mod pacing;
mod reporting;
mod rollouts;
mod spec_changes;
mod storage;
mod task;
#[cfg(test)]
mod test_containers;

pub use connector::Connector;
pub use control_loop::ControlLoop;
pub use leader_election::Sharing;
pub use options::{Ended, LoopOptions};
pub use reporting::journal::{EntryKind, Journal, JournalEntry};
pub use reporting::metrics::{
    Board, HostMetrics, HostStatus, Metrics, SharingMetrics, TICK_BUCKETS_S, TickDurations,
};
pub use spec_changes::{SpecChange, SpecSource};
pub use storage::{Current, Storage, StorageError, Stored};
