//! One engine's connection to the shared store, with the faults of the network between them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tally_control::lease::{
    Document, Renewed, SpecRecord, Store, StoreError, StoreView, Taken, Term,
};
use tokio::sync::oneshot;

use crate::pause::PauseSwitch;
use crate::store::ModelStore;

use super::faults::Kind;
use super::lock::lock;
use super::shared_store::Stall;
use super::world::World;

/// One engine's connection to the store.
pub struct StoreConnection {
    world: Arc<World>,
    engine: u32,
    pause_switch: Arc<PauseSwitch>,
}

impl StoreConnection {
    /// Creates the connection of an engine, by its number.
    #[must_use]
    pub fn new(world: &Arc<World>, engine: u32, pause_switch: &Arc<PauseSwitch>) -> Self {
        Self { world: Arc::clone(world), engine, pause_switch: Arc::clone(pause_switch) }
    }

    fn stall(&self, takes: bool) {
        let fits = |it: &mut Stall| it.engine == self.engine && (takes || !it.at_take);
        let stall = lock(&self.world.store.network).stall.take_if(fits);
        let Some(Stall { millis, .. }) = stall else { return };
        self.world.fire(Kind::LeaderStalls, &self.engine.to_string());
        self.pause_switch.stall(true);
        let pause_switch = Arc::clone(&self.pause_switch);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            pause_switch.stall(false);
        });
    }

    /// Sends a call. A call that was sent takes effect even if its sender is gone.
    async fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut ModelStore, i64) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (there, back, down, lost, slow) = {
            let mut network = lock(&self.world.store.network);
            let there = network.rng.range(1, 20);
            let back = network.rng.range(1, 20);
            let slow = network.slow_ms;
            let slow = if slow > 0 { network.rng.below(slow) } else { 0 };
            let lost = network.lose > 0;
            network.lose = network.lose.saturating_sub(1);
            (there + slow / 2, back + slow / 2, network.down, lost, slow > 0)
        };
        if let Some(at_once) = down {
            self.world.fire(Kind::StoreDown, &self.engine.to_string());
            if at_once {
                tokio::time::sleep(Duration::from_millis(there)).await;
                return Err(StoreError::Unreachable("connection refused".to_owned()));
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
            let result = act(&mut lock(&world.store.model), world.time_ms());
            tokio::time::sleep(Duration::from_millis(back)).await;
            // The sender may be gone.
            let _ = reply.send(result);
        });
        match answer.await {
            Ok(_) if lost => {
                self.world.fire(Kind::StoreLostReply, &self.engine.to_string());
                Err(StoreError::Unreachable("the answer broke off".to_owned()))
            }
            Ok(result) => Ok(result),
            Err(_) => Err(StoreError::Unreachable("the answer broke off".to_owned())),
        }
    }

    fn note(&self, what: &str) {
        self.world.note("store", what, &self.engine.to_string());
    }
}

#[async_trait]
impl Store for StoreConnection {
    async fn look(&self) -> Result<StoreView, StoreError> {
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
                // The changed spec counts from this moment.
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
