//! One observation of one host, with one deadline for everything that it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::BoxStream;
use tally_graph::Graph;
use tally_host::{Host, HostError, HostEvent, observe_host};
use tally_reconcile::input::observed::HostState;

use crate::connector::Connector;

/// The result of an observation.
pub(crate) struct HostObservation {
    pub host: String,
    /// Its number among the observations of that host.
    pub number: u64,
    /// When it started, by the loop's time.
    pub started_ms: i64,
    /// The inventory of the host, or that the host is unreachable.
    pub result: Result<ReachedHost, Unreachable>,
}

/// Why a host could not be observed.
pub(crate) struct Unreachable {
    pub reason: String,
    /// Whether it answered something.
    pub answers: bool,
}

/// The state of a host, and the connection to it.
pub(crate) struct ReachedHost {
    pub connection: Arc<dyn Host>,
    pub state: HostState,
    /// A new stream of events, where there was none.
    pub events: Option<BoxStream<'static, Result<HostEvent, HostError>>>,
}

/// An observation to make: the host is connected to where it is not, and its events are opened where they are
/// not.
pub(super) struct ObserveHost {
    pub host: String,
    pub number: u64,
    pub started_ms: i64,
    pub connection: Option<Arc<dyn Host>>,
    pub wants_events: bool,
    pub graph: Arc<Graph>,
    pub cluster: String,
    pub connector: Arc<dyn Connector>,
    pub deadline: Duration,
}

impl ObserveHost {
    /// Observes, within the deadline.
    pub async fn run(self) -> HostObservation {
        let answers = AtomicBool::new(false);
        let result = match tokio::time::timeout(self.deadline, self.observe(&answers)).await {
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", self.deadline.as_secs())),
        };
        let answers = answers.load(Ordering::Relaxed);
        let result = result.map_err(|reason| Unreachable { reason, answers });
        HostObservation {
            host: self.host,
            number: self.number,
            started_ms: self.started_ms,
            result,
        }
    }

    async fn observe(&self, answers: &AtomicBool) -> Result<ReachedHost, HostError> {
        let connection = match &self.connection {
            Some(connection) => Arc::clone(connection),
            None => self.connector.connect(&self.graph, &self.host).await?,
        };
        // Events first: a change between the two is seen twice, and never missed.
        let events = if self.wants_events || self.connection.is_none() {
            Some(connection.events(&self.cluster).await?)
        } else {
            None
        };
        let state = observe_host(connection.as_ref(), &self.cluster, answers).await?;
        Ok(ReachedHost { connection, state, events })
    }
}
