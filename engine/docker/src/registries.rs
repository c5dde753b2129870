//! Backoff for busy registries. A registry that is busy, or requests a backoff, is retried later and by one pull at a
//! time, whichever image is pulled. The other pulls wait for their turn, and fail with its message after the last try.
//! Other registries are not affected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Maximum number of tries in a row.
pub(crate) const TRIES: u32 = 3;
/// Maximum wait between two tries, whatever a registry requests.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The registries that one engine pulls from.
#[derive(Default)]
pub(crate) struct Registries(Mutex<BTreeMap<String, Arc<Registry>>>);

impl Registries {
    /// Returns the registry with that name (`docker.io`, `localhost:5000`).
    pub(crate) fn of(&self, name: &str) -> Arc<Registry> {
        Arc::clone(lock(&self.0).entry(name.to_owned()).or_default())
    }
}

/// A registry, and whether it is in trouble.
#[derive(Default)]
pub(crate) struct Registry {
    trouble: Mutex<Option<Trouble>>,
    turn: tokio::sync::Mutex<()>,
}

/// The state of a registry that refuses.
struct Trouble {
    /// When the last refusal was reported.
    noted: Instant,
    /// No request is sent until then.
    until: Instant,
    /// The backoff when it requests none.
    pause: Duration,
    /// Number of refusals in a row. Refusals of concurrent calls count as one.
    refusals: u32,
    /// Its last message.
    said: String,
}

/// The permission to send a request. While the registry is in trouble, only one exists.
pub(crate) struct Turn<'a> {
    _alone: Option<tokio::sync::MutexGuard<'a, ()>>,
    began: Instant,
}

impl Registry {
    /// Waits until a request may be sent.
    ///
    /// # Errors
    /// The last message of the registry, after the last try.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, String> {
        let mut alone = None;
        if lock(&self.trouble).is_some() {
            alone = Some(self.turn.lock().await);
            // Meanwhile it may have answered, or refused again.
            let until = match lock(&self.trouble).as_ref() {
                None => None,
                Some(trouble) if trouble.refusals >= TRIES && Instant::now() < trouble.until => {
                    return Err(trouble.said.clone());
                }
                Some(trouble) => Some(trouble.until),
            };
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => alone = None,
            }
        }
        Ok(Turn { _alone: alone, began: Instant::now() })
    }

    /// Records a refusal. The backoff is the one that it `asked` for, otherwise `first`, doubled each time.
    pub(crate) fn refused(
        &self,
        turn: &Turn<'_>,
        asked: Option<Duration>,
        first: Duration,
        said: String,
    ) {
        let now = Instant::now();
        let mut trouble = lock(&self.trouble);
        let (pause, refusals, until) = match trouble.as_ref() {
            None => (first, 1, now),
            Some(known) if turn.began < known.noted => (known.pause, known.refusals, known.until),
            Some(known) => (known.pause.saturating_mul(2), known.refusals + 1, now),
        };
        let wait = asked.unwrap_or(pause).min(LONGEST_WAIT);
        *trouble =
            Some(Trouble { noted: now, until: until.max(now + wait), pause, refusals, said });
    }

    /// Records an answer: the registry works.
    pub(crate) fn answered(&self, turn: &Turn<'_>) {
        let mut trouble = lock(&self.trouble);
        if trouble.as_ref().is_some_and(|known| turn.began >= known.noted) {
            *trouble = None;
        }
    }
}

/// Locks a mutex. Ignores poisoning, because nothing panics while one of these locks is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(2);

    async fn turn(registry: &Registry) -> Turn<'_> {
        registry.turn().await.map_err(|said| panic!("given up: {said}")).unwrap()
    }

    fn refuse(registry: &Registry, turn: &Turn<'_>, asked: Option<u64>) {
        registry.refused(turn, asked.map(Duration::from_secs), FIRST, "busy".to_owned());
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_is_left_alone_for_as_long_as_it_asks_else_ever_longer() {
        let registry = Registry::default();
        let began = Instant::now();
        for (asked, waited_s) in [(None, 2), (Some(30), 32), (Some(600), 92)] {
            let now = turn(&registry).await;
            refuse(&registry, &now, asked);
            drop(now);
            let until = lock(&registry.trouble).as_ref().map(|it| it.until - began);
            assert_eq!(until, Some(Duration::from_secs(waited_s)), "{asked:?}");
        }
        assert_eq!(registry.turn().await.err().as_deref(), Some("busy"), "asked often enough");
        tokio::time::advance(Duration::from_secs(60)).await;
        let later = turn(&registry).await;
        registry.answered(&later);
        assert!(lock(&registry.trouble).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_at_once_are_one_and_the_others_wait_for_the_first_to_find_out() {
        let registry = Registry::default();
        let (a, b) = (turn(&registry).await, turn(&registry).await);
        tokio::time::advance(Duration::from_millis(5)).await;
        refuse(&registry, &a, None);
        refuse(&registry, &b, None);
        assert_eq!(lock(&registry.trouble).as_ref().map(|it| it.refusals), Some(1));
        drop((a, b));
        let first = turn(&registry).await;
        let second = registry.turn();
        tokio::pin!(second);
        let early = tokio::time::timeout(Duration::from_secs(9), &mut second).await;
        assert!(early.is_err(), "one at a time");
        registry.answered(&first);
        drop(first);
        let second = second.await.unwrap();
        assert!(second._alone.is_none(), "it works again: nobody waits for a turn");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_an_earlier_question_does_not_end_a_trouble() {
        let registry = Registry::default();
        let (early, other) = (turn(&registry).await, turn(&registry).await);
        tokio::time::advance(Duration::from_millis(5)).await;
        refuse(&registry, &other, None);
        registry.answered(&early);
        assert!(lock(&registry.trouble).is_some());
    }

    #[test]
    fn each_registry_has_its_own_troubles() {
        let registries = Registries::default();
        assert!(Arc::ptr_eq(&registries.of("a:1"), &registries.of("a:1")));
        assert!(!Arc::ptr_eq(&registries.of("a:1"), &registries.of("b:1")));
    }
}
