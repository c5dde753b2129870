//! Observation: the connections to the hosts, when each of them is observed, and their streams of events.

mod event_stream;
mod host_observation;
mod poll_schedule;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, FuturesUnordered, SelectAll};
use tally_graph::Graph;
use tally_host::{Host, HostEvent};
use tally_reconcile::input::observed::{HostState, HostView};
use tally_reconcile::memory::Memory;

use self::event_stream::{EventStream, NumberedEvent, numbered};
pub(crate) use self::host_observation::{HostObservation, Unreachable};
use self::host_observation::{ObserveHost, ReachedHost};
use self::poll_schedule::{Due, PollSchedule};
use crate::clocks;
use crate::connector::Connector;
use crate::loop_clock::LoopClock;
use crate::task::Task;

/// The pause before an event stream that broke off is opened again, in milliseconds.
const REOPEN_MS: u64 = 1_000;

/// A host of the spec.
#[derive(Default)]
struct Connected {
    connection: Option<Arc<dyn Host>>,
    /// Its stream of events; `None` while there is none.
    stream: Option<EventStream>,
    /// By how much its clock is ahead of ours, in milliseconds; negative when behind.
    ahead_ms: i64,
    /// Whether it had a stream of events before.
    had_stream: bool,
    /// When the observation started that showed it last.
    shown_ms: i64,
}

/// A view of a host that has arrived.
pub(crate) struct Arrived {
    pub host: String,
    pub number: u64,
    pub started_ms: i64,
    pub result: Result<HostState, Unreachable>,
    /// Whether its stream of events was opened again.
    pub reconnected: bool,
}

/// The hosts of the spec that is followed, and the observations in progress.
pub(crate) struct Observation {
    connector: Arc<dyn Connector>,
    deadline: Duration,
    hosts: BTreeMap<String, Connected>,
    pub schedule: PollSchedule,
    pub running: FuturesUnordered<Task<HostObservation>>,
    pub events: SelectAll<BoxStream<'static, NumberedEvent>>,
    /// The number of streams that were opened.
    streams: u64,
}

impl Observation {
    pub fn new(connector: Arc<dyn Connector>, resync: Duration, deadline: Duration) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            connector,
            deadline,
            hosts: BTreeMap::new(),
            schedule: PollSchedule::new(millis(resync).max(1), millis(deadline)),
            running: FuturesUnordered::new(),
            events: SelectAll::new(),
            streams: 0,
        }
    }

    /// Sets the hosts to those of `graph`; connections to hosts that stay are kept.
    pub fn set_hosts(&mut self, graph: &Graph, clock_ms: u64) {
        let names = self.connector.hosts(graph);
        self.schedule.set_hosts(names.iter().map(String::as_str), clock_ms);
        let mut before = std::mem::take(&mut self.hosts);
        for name in names {
            let host = before.remove(&name).unwrap_or_default();
            self.hosts.insert(name, host);
        }
    }

    /// Returns the names of the hosts.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.hosts.keys()
    }

    /// Returns the connection to a host, if there is one.
    pub fn connection(&self, host: &str) -> Option<Arc<dyn Host>> {
        self.hosts.get(host).and_then(|host| host.connection.clone())
    }

    /// Returns the connections to all hosts that have one.
    pub fn connections(&self) -> BTreeMap<String, Arc<dyn Host>> {
        self.hosts
            .iter()
            .filter_map(|(name, host)| Some((name.clone(), Arc::clone(host.connection.as_ref()?))))
            .collect()
    }

    /// Has the wanted hosts observed at that time at the latest.
    pub fn observe_by(&mut self, wanted: impl Fn(&str) -> bool, at_ms: u64) {
        for host in self.hosts.keys().filter(|host| wanted(host)) {
            self.schedule.observe_by(host, at_ms);
        }
    }

    /// Starts the observations that are due.
    pub fn start(
        &mut self,
        clock: &LoopClock,
        memory: &mut Memory,
        graph: &Arc<Graph>,
        cluster: &str,
    ) {
        let started_ms = clock.now_ms();
        for Due { host: name, number, is_late } in self.schedule.due(clock.clock_ms()) {
            // Nobody observed while this loop was suspended: that a host is unreachable counts from now on.
            let remembered = memory.learned.hosts.get_mut(&name).filter(|_| is_late);
            if let Some(since_ms) = remembered.and_then(|host| host.unreachable_since_ms.as_mut()) {
                *since_ms = started_ms;
            }
            let host = self.hosts.entry(name.clone()).or_default();
            let observe = ObserveHost {
                host: name,
                number,
                started_ms,
                connection: host.connection.clone(),
                wants_events: host.stream.is_none(),
                graph: Arc::clone(graph),
                cluster: cluster.to_owned(),
                connector: Arc::clone(&self.connector),
                deadline: self.deadline,
            };
            self.running.push(Box::pin(observe.run()));
        }
    }

    /// Takes in the result of an observation, `before` being the view before it; `None` where the host is no
    /// longer in the spec.
    pub fn arrived(
        &mut self,
        observation: HostObservation,
        before: Option<&HostView>,
        clock: &LoopClock,
    ) -> Option<Arrived> {
        let HostObservation { host: name, number, started_ms, result } = observation;
        self.schedule.ended(&name, result.is_ok(), clock.clock_ms());
        let host = self.hosts.get_mut(&name)?;
        let mut reconnected = false;
        let result = match result {
            Ok(ReachedHost { connection, mut state, events }) => {
                let now_ms = clock.now_ms();
                if host.connection.is_none() {
                    // The offset was found by the wall clock, and the loop's time follows its own.
                    let apart_ms = clock.wall_now_ms().saturating_sub(now_ms);
                    host.ahead_ms = state.ahead_ms.saturating_add(apart_ms);
                }
                let shown = before.and_then(HostView::ready).map(|state| (state, host.shown_ms));
                clocks::compare(&mut state, shown, &mut host.ahead_ms, now_ms);
                host.shown_ms = started_ms;
                host.connection = Some(connection);
                if let Some(events) = events {
                    self.streams += 1;
                    reconnected = std::mem::replace(&mut host.had_stream, true);
                    let (stream, events) = numbered(name.clone(), self.streams, events);
                    host.stream = Some(stream);
                    self.events.push(events);
                }
                Ok(state)
            }
            Err(unreachable) => {
                // The next observation connects again: the connection itself may be dead.
                host.connection = None;
                host.stream = None;
                host.ahead_ms = 0;
                Err(unreachable)
            }
        };
        Some(Arrived { host: name, number, started_ms, result, reconnected })
    }

    /// Takes in an event of a host, or that its stream has ended.
    pub fn event(&mut self, name: &str, stream: u64, event: Option<&HostEvent>, clock: &LoopClock) {
        let (clock_ms, now_ms) = (clock.clock_ms(), clock.now_ms());
        let Some(host) = self
            .hosts
            .get_mut(name)
            .filter(|host| host.stream.as_ref().is_some_and(|current| current.number == stream))
        else {
            return;
        };
        if let Some(event) = event {
            if let Some(at_ms) = event.at_ms {
                clocks::heard(&mut host.ahead_ms, at_ms, now_ms);
            }
            self.schedule.event(name, clock_ms);
        } else {
            host.stream = None;
            self.schedule.observe_by(name, clock_ms + REOPEN_MS);
        }
    }
}
