//! Looking at one host, within one deadline for all that it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::BoxStream;
use tally_graph::Graph;
use tally_host::{Host, HostError, HostEvent, observe_host};
use tally_reconcile::input::observed::HostState;

use crate::connector::Connector;

/// What a look at a host gave.
pub(crate) struct Looked {
    pub host: String,
    /// Its number among the looks at that host.
    pub number: u64,
    /// When it began, by the loop's time.
    pub begun_ms: i64,
    /// What was found, or that nothing could be seen.
    pub found: Result<Found, Silence>,
}

/// Why nothing could be seen of a host.
pub(crate) struct Silence {
    pub reason: String,
    /// Whether it answered something.
    pub answers: bool,
}

/// What is on a host.
pub(crate) struct Found {
    pub door: Arc<dyn Host>,
    pub state: HostState,
    /// A new stream of events, where there was none.
    pub events: Option<BoxStream<'static, Result<HostEvent, HostError>>>,
}

/// One look at a host: reached where it is not, its events opened where they are not.
pub(crate) struct Look {
    pub host: String,
    pub number: u64,
    pub begun_ms: i64,
    pub door: Option<Arc<dyn Host>>,
    pub wants_events: bool,
    pub graph: Arc<Graph>,
    pub cluster: String,
    pub connector: Arc<dyn Connector>,
    pub deadline: Duration,
}

impl Look {
    /// Looks, within the deadline.
    pub async fn run(self) -> Looked {
        let answers = AtomicBool::new(false);
        let found = match tokio::time::timeout(self.deadline, self.look(&answers)).await {
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", self.deadline.as_secs())),
        };
        let answers = answers.load(Ordering::Relaxed);
        let found = found.map_err(|reason| Silence { reason, answers });
        Looked { host: self.host, number: self.number, begun_ms: self.begun_ms, found }
    }

    async fn look(&self, answers: &AtomicBool) -> Result<Found, HostError> {
        let door = match &self.door {
            Some(door) => Arc::clone(door),
            None => self.connector.connect(&self.graph, &self.host).await?,
        };
        // Events first: what happens between the two is seen twice, and never missed.
        let events = match self.wants_events || self.door.is_none() {
            true => Some(door.events(&self.cluster).await?),
            false => None,
        };
        let state = observe_host(door.as_ref(), &self.cluster, answers).await?;
        Ok(Found { door, state, events })
    }
}
