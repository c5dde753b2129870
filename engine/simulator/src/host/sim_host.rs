//! A simulated Docker host: time, faults and latency around the pure model.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tally_host::{HostError, traced};

use crate::clock::{Clock, wall_clock};
use crate::events::Changes;
use crate::faults::{FaultKind, FaultPlan, Faults};
use crate::model::Model;
use crate::store::{StateBackend, lock};

/// The configuration of a simulated host.
#[derive(Clone)]
pub struct SimOptions {
    /// The seed of its IDs.
    pub seed: u64,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// The faults of its calls.
    pub faults: FaultPlan,
    /// Deadline of a call that hangs.
    pub deadline: Duration,
    /// Duration of every call.
    pub latency: Duration,
}

impl SimOptions {
    /// Returns a configuration without faults and latency.
    #[must_use]
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            seed,
            clock,
            faults: FaultPlan::default(),
            deadline: Duration::from_secs(30),
            latency: Duration::ZERO,
        }
    }
}

/// A simulated Docker host.
pub struct SimHost {
    pub(super) name: String,
    pub(super) store: Arc<Mutex<StateBackend>>,
    /// Counts the changes that are made through this host.
    pub(super) changes: Arc<Changes>,
    pub(super) clock: Arc<dyn Clock>,
    faults: Mutex<Faults>,
    deadline: Duration,
    latency: Duration,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl SimHost {
    /// Returns a host without objects, whose state is in memory.
    #[must_use]
    pub fn new(name: &str, options: SimOptions) -> Self {
        let model = Model::new(options.seed);
        Self::with_model(name, model, options)
    }

    /// Returns a host without objects and faults, with the machine's clock.
    #[must_use]
    pub fn in_memory(name: &str) -> Self {
        Self::new(name, SimOptions::new(1, wall_clock()))
    }

    /// Returns a host with the given state, kept in memory.
    #[must_use]
    pub fn with_model(name: &str, model: Model, options: SimOptions) -> Self {
        Self::with_store(name, StateBackend::Memory(Box::new(model)), options)
    }

    /// Returns a host with the given state.
    pub(crate) fn with_store(name: &str, store: StateBackend, options: SimOptions) -> Self {
        Self {
            name: name.to_owned(),
            store: Arc::new(Mutex::new(store)),
            changes: Arc::default(),
            clock: options.clock,
            faults: Mutex::new(Faults::new(options.faults)),
            deadline: options.deadline,
            latency: options.latency,
            running: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }

    /// Changes the state from outside the Docker API, as people and crashes do. `act` gets the model and the time.
    ///
    /// # Errors
    /// When the state is in a file that cannot be used.
    pub fn inject<T>(&self, act: impl FnOnce(&mut Model, i64) -> T) -> Result<T, HostError> {
        let now_ms = self.clock.now_ms();
        let result = lock(&self.store).change(|model| act(model, now_ms));
        self.changed();
        result
    }

    /// Reads the state from outside the Docker API, up to date with its clock.
    ///
    /// # Errors
    /// When the state is in a file that cannot be used.
    pub fn inspect<T>(&self, read: impl FnOnce(&Model, i64) -> T) -> Result<T, HostError> {
        let now_ms = self.clock.now_ms();
        lock(&self.store).read(|model| {
            model.advance(now_ms);
            read(model, now_ms)
        })
    }

    fn changed(&self) {
        self.changes.one_more();
    }

    /// Replaces the faults.
    pub fn set_faults(&self, plan: FaultPlan) {
        *lock(&self.faults) = Faults::new(plan);
    }

    /// Returns how often each kind of fault occurred.
    #[must_use]
    pub fn fired(&self) -> BTreeMap<FaultKind, u64> {
        lock(&self.faults).fired()
    }

    /// Returns how often each call was made.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.faults).counts()
    }

    /// Returns the maximum number of mutating calls that ran at the same time.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    /// Makes a mutating call.
    pub(super) async fn changing<T>(
        &self,
        call: &'static str,
        act: impl FnOnce(&mut Model, i64) -> Result<T, HostError> + Send,
    ) -> Result<T, HostError> {
        let at_once = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let changing = |store: &mut StateBackend, now_ms| {
            let result = store.change(|it| act(it, now_ms));
            self.changed();
            result
        };
        let result = self.calling(call, changing).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// Makes a reading call.
    pub(super) async fn reading<T>(
        &self,
        call: &'static str,
        read: impl FnOnce(&Model, i64) -> Result<T, HostError> + Send,
    ) -> Result<T, HostError> {
        let read = |store: &mut StateBackend, now_ms| {
            store.read(|model| {
                model.advance(now_ms);
                read(model, now_ms)
            })
        };
        self.calling(call, read).await
    }

    async fn calling<T>(
        &self,
        call: &'static str,
        act: impl FnOnce(&mut StateBackend, i64) -> Result<Result<T, HostError>, HostError> + Send,
    ) -> Result<T, HostError> {
        traced(&self.name, call, self.with_faults(call, act)).await
    }

    /// Makes a call, with its faults and its latency.
    async fn with_faults<T>(
        &self,
        call: &'static str,
        act: impl FnOnce(&mut StateBackend, i64) -> Result<Result<T, HostError>, HostError> + Send,
    ) -> Result<T, HostError> {
        let fault = lock(&self.faults).next(call);
        let deadline = HostError::Deadline { call, after: self.deadline };
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        match &fault {
            Some(FaultKind::Slow { millis }) => {
                tokio::time::sleep(Duration::from_millis(*millis)).await;
            }
            Some(FaultKind::LoseRequest) => return Err(lost(call)),
            Some(FaultKind::Refuse { status, message }) => {
                return Err(HostError::Refused { status: *status, message: message.clone() });
            }
            Some(FaultKind::Hang { applied: false }) => {
                tokio::time::sleep(self.deadline).await;
                return Err(deadline);
            }
            Some(FaultKind::Unreachable) => {
                let address = format!("sim:{}", self.name);
                return Err(HostError::Unreachable {
                    address,
                    reason: "a simulated fault".to_owned(),
                });
            }
            Some(FaultKind::LoseReply | FaultKind::Hang { applied: true }) | None => {}
        }
        let now_ms = self.clock.now_ms();
        let result = act(&mut lock(&self.store), now_ms)?;
        match fault {
            Some(FaultKind::LoseReply) => Err(lost(call)),
            Some(FaultKind::Hang { .. }) => {
                tokio::time::sleep(self.deadline).await;
                Err(deadline)
            }
            _ => result,
        }
    }
}

fn lost(call: &str) -> HostError {
    HostError::Broken(format!("the reply to `{call}` broke off: a simulated fault"))
}
