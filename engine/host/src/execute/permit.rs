//! Whether mutating calls may be made. An engine that shares a cluster with others may make them until a deadline
//! only, which is extended while it leads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// A monotonic clock. It also counts the time that the machine was suspended, as far as `slept_ms` reports it.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    started: Instant,
    slept_ms: fn() -> u64,
    slept_before_ms: u64,
}

impl Steady {
    /// Returns a clock that starts now. `slept_ms` returns for how long the machine was suspended in total, in
    /// milliseconds: the clock of the runtime stops meanwhile.
    #[must_use]
    pub fn new(slept_ms: fn() -> u64) -> Self {
        Self { started: Instant::now(), slept_ms, slept_before_ms: slept_ms() }
    }

    /// Returns the milliseconds since it started.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let awake = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        awake.saturating_add((self.slept_ms)().saturating_sub(self.slept_before_ms))
    }
}

/// The permission to make mutating calls. Copies share one state. The default one always holds.
#[derive(Debug, Clone, Default)]
pub struct Permit(Option<Arc<PermitBounds>>);

#[derive(Debug)]
struct PermitBounds {
    clock: Steady,
    /// The time of that clock until which it holds; 0 after it ended for good.
    until_ms: AtomicU64,
}

/// The permit does not hold: nothing was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this engine no longer leads: nothing further was started")]
pub struct Withheld;

impl Permit {
    /// Returns a permit that holds until a time of that clock.
    #[must_use]
    pub fn until(clock: Steady, until_ms: u64) -> Self {
        Self(Some(Arc::new(PermitBounds { clock, until_ms: AtomicU64::new(until_ms) })))
    }

    /// Checks whether it holds now. Call this right before each mutating call.
    ///
    /// # Errors
    /// [`Withheld`] when it does not.
    pub fn ask(&self) -> Result<(), Withheld> {
        let Some(bounds) = &self.0 else { return Ok(()) };
        let holds = bounds.clock.now_ms() < bounds.until_ms.load(Ordering::SeqCst);
        if holds { Ok(()) } else { Err(Withheld) }
    }

    /// Extends the deadline. A permit that ended or expired never holds again.
    pub fn extend(&self, until_ms: u64) {
        let Some(bounds) = &self.0 else { return };
        let now_ms = bounds.clock.now_ms();
        // An error means that the permit is already over.
        let _ = bounds.until_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |until| {
            (now_ms < until).then_some(until.max(until_ms))
        });
    }

    /// Ends it for good.
    pub fn end(&self) {
        if let Some(bounds) = &self.0 {
            bounds.until_ms.store(0, Ordering::SeqCst);
        }
    }
}

impl PartialEq for Permit {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Permit {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn awake() -> u64 {
        0
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_holds_until_its_deadline_and_once_over_never_again() {
        let permit = Permit::until(Steady::new(awake), 1_000);
        let copy = permit.clone();
        assert_eq!(copy.ask(), Ok(()));
        tokio::time::advance(Duration::from_millis(900)).await;
        permit.extend(1_500);
        tokio::time::advance(Duration::from_millis(599)).await;
        assert_eq!(copy.ask(), Ok(()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(copy.ask(), Err(Withheld));
        permit.extend(9_000);
        assert_eq!(copy.ask(), Err(Withheld), "a term that has ended stays so");
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_was_ended_is_over_for_all_its_copies() {
        let permit = Permit::until(Steady::new(awake), 1_000);
        let copy = permit.clone();
        permit.end();
        permit.extend(2_000);
        assert_eq!(copy.ask(), Err(Withheld));
        assert_eq!(Permit::default().ask(), Ok(()), "without a store it always holds");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_a_machine_slept_counts() {
        use std::cell::Cell;
        thread_local! { static SLEPT: Cell<u64> = const { Cell::new(70_000) }; }
        let permit = Permit::until(Steady::new(|| SLEPT.get()), 1_000);
        assert_eq!(permit.ask(), Ok(()));
        SLEPT.set(71_000);
        assert_eq!(permit.ask(), Err(Withheld));
    }
}
