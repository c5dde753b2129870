//! The stream of events of a simulated host: the differences between two states.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tally_host::{HostError, HostEvent};
use tally_reconcile::input::observed::{ContainerState, Health};
use tally_reconcile::labels;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::model::{ContainerView, Model};
use crate::store::{StateBackend, lock};

/// Polling interval of a host whose state is a file, because other processes change it.
const EVENTS_PAUSE: Duration = Duration::from_millis(50);
/// Changes within this time are reported together.
const EVENTS_DELAY: Duration = Duration::from_millis(1);

/// The state of each container of a cluster, by full ID.
pub(crate) type States = BTreeMap<String, (ContainerState, Option<Health>, Option<i64>)>;

/// Returns the state of each container of a cluster.
pub(crate) fn states(model: &Model, cluster: &str, now_ms: i64) -> States {
    let ours = model
        .each()
        .filter(|it| it.request.labels.get(labels::CLUSTER).is_some_and(|of| of == cluster));
    let state = |it: ContainerView<'_>| {
        let health = model.health(it.id, now_ms);
        (it.id.to_owned(), (it.state, health, it.started_at_ms))
    };
    ours.map(state).collect()
}

/// Counts the mutating calls, and wakes the waiters in the order in which they arrived. A `watch` channel wakes them in
/// random order, so runs of one seed would differ.
#[derive(Default)]
pub(crate) struct Changes {
    count: AtomicU64,
    changed: Notify,
}

impl Changes {
    /// Returns the count.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Counts one more call.
    pub fn one_more(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until the count differs from `seen`, and returns it.
    async fn after(&self, seen: u64) -> u64 {
        loop {
            // Registered before the count is read, so that no change in between is missed.
            let changed = self.changed.notified();
            let count = self.count();
            if count != seen {
                return count;
            }
            changed.await;
        }
    }
}

/// Reports the differences between two states.
pub(crate) struct Watcher {
    pub store: Arc<Mutex<StateBackend>>,
    pub changes: Arc<Changes>,
    /// Number of changes that were processed.
    pub seen: u64,
    pub clock: Arc<dyn Clock>,
    pub cluster: String,
    pub last: States,
    pub ready: VecDeque<HostEvent>,
}

impl Watcher {
    /// Returns the next event.
    pub async fn next(mut self) -> Option<(Result<HostEvent, HostError>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            self.wait().await;
            let now_ms = self.clock.now_ms();
            let state = lock(&self.store).read(|model| {
                model.advance(now_ms);
                states(model, &self.cluster, now_ms)
            });
            let now = match state {
                Ok(now) => now,
                Err(error) => return Some((Err(error), self)),
            };
            for (id, state) in &now {
                if self.last.get(id) != Some(state) {
                    let action = match state.0 {
                        ContainerState::Running => "start",
                        ContainerState::Created => "create",
                        ContainerState::Paused => "pause",
                        _ => "die",
                    };
                    self.ready.push_back(HostEvent {
                        id: id.clone(),
                        action: action.to_owned(),
                        at_ms: Some(now_ms),
                    });
                }
            }
            for id in self.last.keys().filter(|id| !now.contains_key(*id)) {
                self.ready.push_back(HostEvent {
                    id: id.clone(),
                    action: "destroy".to_owned(),
                    at_ms: Some(now_ms),
                });
            }
            self.last = now;
        }
    }

    /// Waits until something may have changed, by a call or by itself.
    async fn wait(&mut self) {
        let next_ms = match &*lock(&self.store) {
            StateBackend::File(_) => None,
            StateBackend::Memory(model) => Some(model.next_ms(self.clock.now_ms())),
        };
        let Some(next_ms) = next_ms else {
            return tokio::time::sleep(EVENTS_PAUSE).await;
        };
        let soon = next_ms.map(|at| u64::try_from(at - self.clock.now_ms()).unwrap_or(0));
        let by_itself = async {
            match soon {
                Some(soon) => tokio::time::sleep(Duration::from_millis(soon)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            seen = self.changes.after(self.seen) => self.seen = seen,
            () = by_itself => {}
        }
        tokio::time::sleep(EVENTS_DELAY).await;
    }
}
