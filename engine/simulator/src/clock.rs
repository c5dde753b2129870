//! The clock of a simulated host. It is a parameter, so that a test can control it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock.
pub trait Clock: Send + Sync {
    /// Returns the time in milliseconds since 1970.
    fn now_ms(&self) -> i64;
}

/// A clock that a test advances.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Returns a clock that shows `now_ms`.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Advances the clock by `millis`.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Returns the machine's own clock, for simulated hosts that people use.
#[must_use]
pub fn wall_clock() -> Arc<dyn Clock> {
    struct Wall;
    impl Clock for Wall {
        fn now_ms(&self) -> i64 {
            tally_host::now_ms()
        }
    }
    Arc::new(Wall)
}

/// Returns the clock of the runtime, which a test can pause: waits then take no time, and the simulated host's time
/// advances with them. It starts at a fixed date, so that runs are reproducible.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock that is handed in")]
pub fn tokio_clock() -> Arc<dyn Clock> {
    struct Paused(tokio::time::Instant);
    impl Clock for Paused {
        fn now_ms(&self) -> i64 {
            const BEGINNING_MS: i64 = 1_800_000_000_000;
            let since = tokio::time::Instant::now() - self.0;
            BEGINNING_MS + i64::try_from(since.as_millis()).unwrap_or(i64::MAX / 2)
        }
    }
    Arc::new(Paused(tokio::time::Instant::now()))
}
