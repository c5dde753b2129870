//! Whether calls that change something may be made now. Who shares a cluster with other engines may do
//! so until a deadline only, which is moved ahead for as long as it leads.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tokio::time::Instant;

use super::operation::Step;
use crate::HostError;

/// A clock that does not jump, and that goes on while the machine sleeps where it is told for how long
/// that was.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    begun: Instant,
    slept_ms: fn() -> u64,
    slept_before_ms: u64,
}

impl Steady {
    /// A clock that begins now. `slept_ms` says for how long the machine has slept in all, in
    /// milliseconds: the runtime's own clock stands still meanwhile.
    #[must_use]
    pub fn new(slept_ms: fn() -> u64) -> Self {
        Self { begun: Instant::now(), slept_ms, slept_before_ms: slept_ms() }
    }

    /// Milliseconds since it began.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let awake = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        awake.saturating_add((self.slept_ms)().saturating_sub(self.slept_before_ms))
    }
}

/// Whether calls that change something may be made now. Copies stand and fall together. The default one
/// always holds.
#[derive(Debug, Clone, Default)]
pub struct Permit(Option<Arc<Bounds>>);

#[derive(Debug)]
struct Bounds {
    clock: Steady,
    /// Until when it holds, by that clock; 0 once it has ended for good.
    until_ms: AtomicU64,
}

/// The permit does not hold: nothing was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this engine no longer leads: nothing further was begun")]
pub struct Withheld;

impl Permit {
    /// One that holds until a time of that clock.
    #[must_use]
    pub fn until(clock: Steady, until_ms: u64) -> Self {
        Self(Some(Arc::new(Bounds { clock, until_ms: AtomicU64::new(until_ms) })))
    }

    /// Whether it holds now. To be asked right before each call that changes something.
    ///
    /// # Errors
    /// [`Withheld`] when it does not.
    pub fn ask(&self) -> Result<(), Withheld> {
        let Some(bounds) = &self.0 else { return Ok(()) };
        match bounds.clock.now_ms() < bounds.until_ms.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(Withheld),
        }
    }

    /// A pull, which may ask its registry several times over minutes: each step of it asks the permit
    /// first, and it is broken off where that does not hold.
    pub(super) async fn during(
        &self,
        pull: impl Future<Output = Result<(), HostError>>,
    ) -> Result<Step, HostError> {
        let mut pull = pin!(pull);
        std::future::poll_fn(|context| match self.ask() {
            Ok(()) => pull.as_mut().poll(context).map(|done| done.map(|()| Step::Done(None))),
            Err(why) => Poll::Ready(Ok(Step::Withheld(why))),
        })
        .await
    }

    /// Moves the deadline; not of one that has ended or has run out, which never holds again.
    pub fn extend(&self, until_ms: u64) {
        let Some(bounds) = &self.0 else { return };
        let now_ms = bounds.clock.now_ms();
        // Whoever fails here sees one that is over already.
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
