//! The options of the loop, and how it ends.

use std::time::Duration;

/// The options of the loop.
#[derive(Clone)]
pub struct LoopOptions {
    /// The time between two observations of a host on which nothing happens.
    pub resync: Duration,
    /// Maximum duration of one observation; a host that takes longer is unreachable.
    pub observation_deadline: Duration,
    /// Maximum concurrent Docker API calls per host.
    pub calls_per_host: usize,
    /// Whether the loop ends when nothing is left to do now.
    pub once: bool,
    /// The wall clock, in milliseconds since 1970.
    pub now_ms: fn() -> i64,
}

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything was as specified.
    Tallies,
    /// Something is blocked or failed, or did not get ready in time.
    Differs,
    /// It was asked to stop.
    Stopped,
}
