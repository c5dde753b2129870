//! Pauses a future, as SIGSTOP and SIGCONT do with a process.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Whether the work is paused.
#[derive(Default)]
pub struct PauseSwitch {
    paused: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl PauseSwitch {
    /// Pauses or continues the work.
    pub fn stall(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
}

/// Runs `work` while it is not paused.
pub async fn pausable<F: Future>(switch: Arc<PauseSwitch>, work: F) -> F::Output {
    let mut work: Pin<Box<F>> = Box::pin(work);
    std::future::poll_fn(move |context| {
        if switch.paused.load(Ordering::SeqCst) {
            let mut waker = switch.waker.lock().unwrap_or_else(PoisonError::into_inner);
            *waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        work.as_mut().poll(context)
    })
    .await
}
