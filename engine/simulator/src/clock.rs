//! The time that a simulated host goes by. It is handed in, so that a test can hold it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Tells the time in milliseconds since 1970.
pub trait Clock: Send + Sync {
    /// Now.
    fn now_ms(&self) -> i64;
}

/// A clock that goes on when it is told to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now_ms`.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Lets `millis` pass.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The machine's own clock: for simulated hosts that people use.
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

/// The runtime's clock, which a test can pause: waits then take no time, and the simulated host's
/// time goes with them. It begins at a fixed date, so that runs are alike.
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
