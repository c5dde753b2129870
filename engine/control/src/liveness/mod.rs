//! Liveness: containers are probed in the background, and restarted when they fail too often.

mod probe;
mod schedule;

use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use tally_graph::Graph;
use tally_host::Host;
use tally_reconcile::input::observed::HostState;

use self::probe::probe;
pub(crate) use self::schedule::ProbeRequest;
use self::schedule::ProbeSchedule;
use crate::task::Task;

/// Maximum number of probes at once.
const MAX_PROBES: usize = 64;

/// A probe that ended: that the container is well, or why not.
pub(crate) type Probed = (ProbeRequest, Result<(), String>);

/// The containers with a liveness, and the probes in progress.
#[derive(Default)]
pub(crate) struct Liveness {
    schedule: ProbeSchedule,
    pub probes: FuturesUnordered<Task<Probed>>,
}

impl Liveness {
    /// Takes in the containers of a host, at `clock_ms` on the loop's own clock.
    pub fn observed(
        &mut self,
        graph: &Graph,
        cluster: &str,
        host: &str,
        state: &HostState,
        clock_ms: u64,
    ) {
        self.schedule.observed(graph, cluster, host, state, clock_ms);
    }

    /// Starts the probes that are due, over the connections that `connection` returns.
    pub fn start(&mut self, clock_ms: u64, connection: impl Fn(&str) -> Option<Arc<dyn Host>>) {
        let free = MAX_PROBES.saturating_sub(self.probes.len());
        for request in self.schedule.due(clock_ms, free) {
            let connection = connection(&request.host);
            self.probes.push(Box::pin(async move {
                let answer = match connection {
                    Some(host) => probe(host.as_ref(), &request).await,
                    None => Ok(()),
                };
                (request, answer)
            }));
        }
    }

    /// Takes in the result of a probe; returns whether the container has now failed as often as it may.
    pub fn probed(&mut self, id: &str, good: bool, clock_ms: u64) -> bool {
        self.schedule.probed(id, good, clock_ms)
    }

    /// Returns when the next probe is due and may start, on the loop's own clock.
    pub fn next_ms(&self) -> Option<u64> {
        self.schedule.next_ms().filter(|_| self.probes.len() < MAX_PROBES)
    }
}
