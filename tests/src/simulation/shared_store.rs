//! The store that the engines of some runs share, and the conditions of the network to it: answers are slow,
//! lost or late; the store is unreachable; an engine is stopped while it waits for an answer.

use std::sync::Mutex;
use std::time::Duration;

use tally_control::lease::SpecRecord;

use crate::store::ModelStore;

use super::lock::lock;
use super::rng::Rng;

/// The duration of a lease.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);

/// The store, and the network between it and the engines.
pub struct SharedStore {
    pub(super) model: Mutex<ModelStore>,
    pub(super) network: Mutex<StoreConditions>,
}

/// The conditions of the network to the store.
pub(super) struct StoreConditions {
    /// Random numbers of its own, so that runs without a store do not change.
    pub(super) rng: Rng,
    /// The store is unreachable; whether a call fails at once instead of getting no answer.
    pub(super) down: Option<bool>,
    /// Maximum additional time of a call, in milliseconds.
    pub(super) slow_ms: u64,
    /// Number of answers that will be lost.
    pub(super) lose: u64,
    /// An engine that will be stopped at a call.
    pub(super) stall: Option<Stall>,
}

/// An engine is stopped at its next call, or at the next with which it asks for the lease.
#[derive(Clone, Copy)]
pub(super) struct Stall {
    pub(super) engine: u32,
    pub(super) millis: u64,
    pub(super) at_take: bool,
}

impl SharedStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let rng = Rng::new(seed, 6);
        let network = StoreConditions { rng, down: None, slow_ms: 0, lose: 0, stall: None };
        Self { model: Mutex::new(ModelStore::default()), network: Mutex::new(network) }
    }

    /// Returns the name of the engine that has the lease, by the store's clock.
    #[must_use]
    pub fn leader(&self, now_ms: i64) -> Option<String> {
        lock(&self.model).leader(now_ms)
    }

    /// Returns the spec that counts.
    #[must_use]
    pub fn record(&self) -> Option<SpecRecord> {
        lock(&self.model).record().cloned()
    }

    /// Makes the store unreachable. With `at_once` calls are refused, otherwise they get no answer.
    pub fn set_down(&self, at_once: bool) {
        lock(&self.network).down = Some(at_once);
    }

    /// Makes calls slower, by up to this many milliseconds.
    pub fn set_slow(&self, millis: u64) {
        lock(&self.network).slow_ms = millis;
    }

    /// Loses this number of answers.
    pub fn lose_replies(&self, count: u64) {
        lock(&self.network).lose = count;
    }

    /// Stops an engine at its next call for this time in milliseconds; with `at_take` at the next call that
    /// asks for the lease.
    pub fn stall_engine(&self, engine: u32, millis: u64, at_take: bool) {
        lock(&self.network).stall = Some(Stall { engine, millis, at_take });
    }

    /// Ends all faults.
    pub fn reset(&self) {
        let mut network = lock(&self.network);
        (network.down, network.slow_ms, network.lose, network.stall) = (None, 0, 0, None);
    }
}
