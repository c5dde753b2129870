//! The control loop: the same observe, reconcile and execute as `apply`, for ever. Docker's events,
//! timers and changes of the spec only wake it; what it does follows from what it sees.
//!
//! Each host is looked at by itself, so a slow or silent one delays nothing on the others. A plan is
//! made whenever there is a new view, from the latest view of every host; what is under way is left
//! alone until a view that began after it has ended.

pub mod backoff;
mod busy;
mod clocks;
mod connector;
mod controller;
pub mod convergence;
mod going_back;
mod journal;
pub mod lease;
mod liveness;
mod look;
mod lookout;
mod metrics;
mod news;
mod probe;
mod reported;
mod rest;
mod rollouts;
mod round;
#[cfg(test)]
mod samples;
mod seat;
mod seeing;
mod storage;

pub use connector::Connector;
pub use controller::{Controller, Ended, News, Options, SpecSource};
pub use journal::{Entry, EntryKind, Journal};
pub use metrics::{
    Board, HostMetrics, HostState, Metrics, ROUND_BUCKETS_S, Rounds, SharingMetrics,
};
pub use seat::Sharing;
pub use storage::{Current, Storage, StorageError, Stored};
