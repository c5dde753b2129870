//! The store that the engines of some runs share, and the way to it: answers take time, get lost, come
//! late; the store is away; an engine is stopped while it waits for an answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tally_control::lease::{Document, Renewed, Seen, SpecRecord, Store, StoreError, Taken, Term};
use tokio::sync::oneshot;

use crate::store::ModelStore;

use super::faults::Kind;
use super::rng::Rng;
use super::world::{World, lock};
use crate::gate::Gate;

/// How long a lease lasts.
pub const LASTS: Duration = Duration::from_secs(15);

/// The store, and what lies between it and the engines.
pub struct Depot {
    model: Mutex<ModelStore>,
    weather: Mutex<Weather>,
}

/// What lies between.
struct Weather {
    /// Chance of its own, so that runs without a store stay as they are.
    rng: Rng,
    /// It cannot be reached; whether that is told at once.
    down: Option<bool>,
    /// Every call may take so much longer, in milliseconds.
    slow_ms: u64,
    /// So many answers get lost.
    lose: u64,
    /// An engine is stopped at a call, for so long.
    stall: Option<Stall>,
}

/// An engine is stopped at its next call, or at the next with which it asks for the lease.
#[derive(Clone, Copy)]
struct Stall {
    engine: u32,
    millis: u64,
    at_take: bool,
}

impl Depot {
    /// An empty store.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let rng = Rng::new(seed, 6);
        let weather = Weather { rng, down: None, slow_ms: 0, lose: 0, stall: None };
        Self { model: Mutex::new(ModelStore::default()), weather: Mutex::new(weather) }
    }

    /// The name of the engine that has the lease, by the store's clock.
    #[must_use]
    pub fn leader(&self, now_ms: i64) -> Option<String> {
        lock(&self.model).leader(now_ms)
    }

    /// Which spec counts.
    #[must_use]
    pub fn record(&self) -> Option<SpecRecord> {
        lock(&self.model).record().cloned()
    }

    /// It cannot be reached from now on; `told`: a call finds nobody, else it gets no answer.
    pub fn goes_down(&self, told: bool) {
        lock(&self.weather).down = Some(told);
    }

    /// It takes its time from now on.
    pub fn slows_down(&self, millis: u64) {
        lock(&self.weather).slow_ms = millis;
    }

    /// The next answers get lost.
    pub fn loses(&self, count: u64) {
        lock(&self.weather).lose = count;
    }

    /// An engine is stopped at its next call, for so many milliseconds; `at_take`: at the next with which
    /// it asks for the lease.
    pub fn stalls(&self, engine: u32, millis: u64, at_take: bool) {
        lock(&self.weather).stall = Some(Stall { engine, millis, at_take });
    }

    /// All is well again.
    pub fn heals(&self) {
        let mut weather = lock(&self.weather);
        (weather.down, weather.slow_ms, weather.lose, weather.stall) = (None, 0, 0, None);
    }
}

/// One engine's way to the store.
pub struct Counter {
    world: Arc<World>,
    engine: u32,
    gate: Arc<Gate>,
}

impl Counter {
    /// The way of an engine, by its number.
    #[must_use]
    pub fn new(world: &Arc<World>, engine: u32, gate: &Arc<Gate>) -> Self {
        Self { world: Arc::clone(world), engine, gate: Arc::clone(gate) }
    }

    fn stall(&self, takes: bool) {
        let fits = |it: &mut Stall| it.engine == self.engine && (takes || !it.at_take);
        let stall = lock(&self.world.depot.weather).stall.take_if(fits);
        let Some(Stall { millis, .. }) = stall else { return };
        self.world.fire(Kind::LeaderStalls, &self.engine.to_string());
        self.gate.stall(true);
        let gate = Arc::clone(&self.gate);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            gate.stall(false);
        });
    }

    /// Sends a call. Once it is sent it goes its way, whatever becomes of who sent it.
    async fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut ModelStore, i64) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (there, back, down, lost, slow) = {
            let mut weather = lock(&self.world.depot.weather);
            let there = weather.rng.range(1, 20);
            let back = weather.rng.range(1, 20);
            let slow = weather.slow_ms;
            let slow = if slow > 0 { weather.rng.below(slow) } else { 0 };
            let lost = weather.lose > 0;
            weather.lose = weather.lose.saturating_sub(1);
            (there + slow / 2, back + slow / 2, weather.down, lost, slow > 0)
        };
        if let Some(told) = down {
            self.world.fire(Kind::StoreDown, &self.engine.to_string());
            if told {
                tokio::time::sleep(Duration::from_millis(there)).await;
                return Err(StoreError::Silent("connection refused".to_owned()));
            }
            return std::future::pending().await;
        }
        if slow {
            self.world.fire(Kind::StoreSlow, &self.engine.to_string());
        }
        let (reply, answer) = oneshot::channel();
        let world = Arc::clone(&self.world);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(there)).await;
            let result = act(&mut lock(&world.depot.model), world.time_ms());
            tokio::time::sleep(Duration::from_millis(back)).await;
            // Who asked may be gone.
            let _ = reply.send(result);
        });
        match answer.await {
            Ok(_) if lost => {
                self.world.fire(Kind::StoreLostReply, &self.engine.to_string());
                Err(StoreError::Silent("the answer broke off".to_owned()))
            }
            Ok(result) => Ok(result),
            Err(_) => Err(StoreError::Silent("the answer broke off".to_owned())),
        }
    }

    fn note(&self, what: &str) {
        self.world.note("store", what, &self.engine.to_string());
    }
}

#[async_trait]
impl Store for Counter {
    async fn look(&self) -> Result<Seen, StoreError> {
        self.stall(false);
        self.call(|model, now_ms| model.look(now_ms)).await
    }

    async fn take(&self, name: &str, lasts: Duration) -> Result<Taken, StoreError> {
        let name = name.to_owned();
        self.stall(true);
        let taken = self.call(move |model, now_ms| model.take(&name, lasts, now_ms)).await?;
        if matches!(taken, Taken::Ours { .. }) {
            self.note("takes the lease");
        }
        Ok(taken)
    }

    async fn renew(&self, term: Term) -> Result<Renewed, StoreError> {
        self.stall(false);
        self.call(move |model, now_ms| model.renew(term, now_ms)).await
    }

    async fn give_back(&self, term: Term) -> Result<(), StoreError> {
        self.note("gives the lease back");
        self.call(move |model, _| model.give_back(term)).await
    }

    async fn publish(
        &self,
        term: Term,
        after: i64,
        record: &SpecRecord,
    ) -> Result<Option<i64>, StoreError> {
        self.note(&format!("publishes epoch {}", record.epoch));
        let (record, world) = (record.clone(), Arc::clone(&self.world));
        self.call(move |model, now_ms| {
            let revision = model.publish(term, after, &record, now_ms);
            if revision.is_some() {
                // From now on the changed spec counts.
                world.state().edited_ms = now_ms;
            }
            revision
        })
        .await
    }

    async fn write(&self, document: &Document) -> Result<Option<i64>, StoreError> {
        let document = document.clone();
        self.call(move |model, now_ms| model.write(&document, now_ms)).await
    }
}
