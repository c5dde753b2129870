//! Locks without poison.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. A panic while the lock was held has already ended the run.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
