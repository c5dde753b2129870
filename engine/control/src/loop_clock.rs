//! The clocks of the loop: one that follows the wall clock, and one that does not jump with it.

use std::time::Duration;

use tokio::time::Instant;

/// The clocks of one loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoopClock {
    started: Instant,
    /// The wall clock when the loop was made, in milliseconds since 1970.
    wall_ms: i64,
    wall: fn() -> i64,
}

impl LoopClock {
    pub fn new(wall: fn() -> i64) -> Self {
        Self { started: Instant::now(), wall_ms: wall(), wall }
    }

    /// Returns milliseconds since 1970, by a clock that does not jump: decisions made by it hold when the wall
    /// clock is set.
    pub fn now_ms(&self) -> i64 {
        self.wall_ms.saturating_add(i64::try_from(self.clock_ms()).unwrap_or(i64::MAX))
    }

    /// Returns milliseconds since the loop was made: timers do not follow the wall clock.
    pub fn clock_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the wall clock, in milliseconds since 1970: for people, and for times that other engines compare.
    pub fn wall_now_ms(&self) -> i64 {
        (self.wall)()
    }

    /// Returns the wall clock when the loop was made, in milliseconds since 1970.
    pub fn started_at_ms(&self) -> i64 {
        self.wall_ms
    }

    /// Returns the instant at which [`LoopClock::clock_ms`] is `clock_ms`.
    pub fn instant(&self, clock_ms: u64) -> Instant {
        self.started + Duration::from_millis(clock_ms)
    }
}
