//! The reading half of the trait.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tally_host::{HostError, HostEvent, HostRead, LogChunk, LogRequest};
use tally_reconcile::input::observed::{
    ContainerDetails, ContainerState, Engine, ObservedContainer, ObservedNetwork, ObservedVolume,
};

use super::sim_host::SimHost;
use crate::clock::Clock;
use crate::events::{Watcher, states};
use crate::model::Model;
use crate::store::{StateBackend, lock};

/// Polling interval of a log that is followed.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);

#[async_trait]
impl HostRead for SimHost {
    fn name(&self) -> &str {
        &self.name
    }

    async fn engine(&self) -> Result<Engine, HostError> {
        self.reading("engine", |model, _| Ok(model.engine())).await
    }

    async fn ahead_ms(&self) -> Result<Option<i64>, HostError> {
        Ok(None)
    }

    async fn containers(&self) -> Result<Vec<ObservedContainer>, HostError> {
        self.reading("containers", |model, _| Ok(model.list())).await
    }

    async fn container(
        &self,
        id: &str,
        with_files: bool,
    ) -> Result<Option<(ObservedContainer, ContainerDetails)>, HostError> {
        self.reading("container", |model, now_ms| Ok(model.inspect(id, with_files, now_ms))).await
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>, HostError> {
        self.reading("volumes", |model, _| Ok(model.list_volumes())).await
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>, HostError> {
        self.reading("networks", |model, _| Ok(model.list_networks())).await
    }

    async fn images(&self) -> Result<BTreeMap<String, String>, HostError> {
        self.reading("images", |model, _| Ok(model.list_images())).await
    }

    async fn events(
        &self,
        cluster: &str,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError> {
        let first =
            self.reading("events", |model, now_ms| Ok(states(model, cluster, now_ms))).await?;
        let watcher = Watcher {
            store: Arc::clone(&self.store),
            seen: self.changes.count(),
            changes: Arc::clone(&self.changes),
            clock: Arc::clone(&self.clock),
            cluster: cluster.to_owned(),
            last: first,
            ready: VecDeque::new(),
        };
        Ok(stream::unfold(watcher, Watcher::next).boxed())
    }

    async fn logs(
        &self,
        id: &str,
        request: LogRequest,
    ) -> Result<BoxStream<'static, Result<LogChunk, HostError>>, HostError> {
        let follower = self
            .reading("logs", |model, now_ms| {
                let lines = model
                    .log(id, now_ms)
                    .ok_or_else(|| HostError::NotFound(format!("No such container: {id}")))?;
                let tail = request.tail.map_or(lines.len(), |tail| tail as usize);
                Ok(Follower { seen: lines.len().saturating_sub(tail), id: id.to_owned(), request })
            })
            .await?;
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let chunks = stream::unfold(Some(follower), move |follower| {
            let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
            async move { follower?.next(&store, clock.as_ref()).await }
        });
        Ok(chunks.boxed())
    }
}

/// A reader of a log, with its position.
struct Follower {
    id: String,
    seen: usize,
    request: LogRequest,
}

impl Follower {
    async fn next(
        mut self,
        store: &Mutex<StateBackend>,
        clock: &dyn Clock,
    ) -> Option<(Result<LogChunk, HostError>, Option<Self>)> {
        loop {
            let now_ms = clock.now_ms();
            let read = |model: &mut Model| {
                model.advance(now_ms);
                let runs = model.inspect(&self.id, false, now_ms).is_some_and(|(seen, _)| {
                    matches!(seen.state, ContainerState::Running | ContainerState::Restarting)
                });
                (model.log(&self.id, now_ms).unwrap_or_default(), runs)
            };
            let state = lock(store).read(read);
            let (lines, runs) = match state {
                Ok(state) => state,
                Err(error) => return Some((Err(error), None)),
            };
            let fresh = lines.get(self.seen..).unwrap_or_default();
            if !fresh.is_empty() {
                let bytes = text(fresh, self.request.timestamps).into_bytes();
                self.seen = lines.len();
                return Some((Ok(LogChunk { stderr: false, bytes }), Some(self)));
            }
            if !self.request.follow || !runs {
                return None;
            }
            tokio::time::sleep(FOLLOW_PAUSE).await;
        }
    }
}

fn text(lines: &[(i64, String)], timestamps: bool) -> String {
    let line = |(at_ms, line): &(i64, String)| {
        if timestamps { format!("{at_ms} {line}\n") } else { format!("{line}\n") }
    };
    lines.iter().map(line).collect()
}
