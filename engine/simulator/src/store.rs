//! Where the state of a simulated host is kept: in memory or in a file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tally_host::HostError;

use crate::file::SimFile;
use crate::model::Model;

/// The state of a simulated host.
pub(crate) enum StateBackend {
    Memory(Box<Model>),
    File(Box<SimFile>),
}

impl StateBackend {
    /// Changes the state.
    pub fn change<T>(&mut self, act: impl FnOnce(&mut Model) -> T) -> Result<T, HostError> {
        match self {
            StateBackend::Memory(model) => Ok(act(model)),
            StateBackend::File(file) => file.change(act),
        }
    }

    /// Reads the state.
    pub fn read<T>(&mut self, read: impl FnOnce(&mut Model) -> T) -> Result<T, HostError> {
        match self {
            StateBackend::Memory(model) => Ok(read(model)),
            StateBackend::File(file) => file.read_only(read),
        }
    }
}

/// Locks a mutex. Only a test panics while it holds the lock, and the state is consistent all the same.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
