//! The loop: what wakes it, and what it keeps between two plans.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{BoxStream, FuturesUnordered, SelectAll};
use futures_util::{FutureExt as _, StreamExt as _};
use tally_graph::{Graph, Millis};
use tally_host::{Fetched, Host, HostEvent, Report, Secrets};
use tally_reconcile::Prepared;
use tally_reconcile::input::observed::Observed;
use tally_reconcile::memory::{Declarations, Memory};
use tally_reconcile::plan::{OpId, Plan, Pods};
use tally_reconcile::rollback::Failed;
use tally_reconcile::rollback::undo::undo;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::busy::Busy;
use crate::connector::Connector;
use crate::journal::{Entry, EntryKind, Journal};
use crate::liveness::{Ask, Liveness};
use crate::look::Looked;
use crate::lookout::Lookout;
use crate::metrics::Board;
use crate::probe::probe;
use crate::reported::Reported;
use crate::rollouts::Rollouts;
use crate::seat::{Seat, answer};
use crate::seeing::Stream;
use crate::storage::{Storage, Stored};

/// Where new specs come from.
#[async_trait]
pub trait SpecSource: Send {
    /// What has changed since the last time. It does not end while nothing changes, and loses
    /// nothing when it is dropped before it ends.
    async fn changed(&mut self) -> News;
}

/// What people changed.
pub enum News {
    /// There is a new spec.
    Spec(Box<Graph>),
    /// The changed spec is broken: the report.
    Broken(String),
    /// Something was declared, or is no longer.
    Declared(Declarations),
    /// There is a new spec, and what its secrets hold.
    SpecWith(Box<Graph>, Secrets),
    /// Secrets of the spec that is followed were read again.
    Secrets(Secrets),
    /// A secret cannot be read any more: the report.
    Unread(String),
}

/// How the loop goes.
#[derive(Clone)]
pub struct Options {
    /// The time between two looks at a quiet host.
    pub resync: Duration,
    /// A host that has not shown everything within so long does not answer.
    pub look_deadline: Duration,
    /// So many calls at once on each host.
    pub calls_per_host: usize,
    /// Ends when nothing is left to do now.
    pub once: bool,
    /// Milliseconds since 1970.
    pub now_ms: fn() -> i64,
}

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All was as the spec says.
    Tallies,
    /// Something is held back or failed, or did not get ready for as long as it may take.
    Differs,
    /// It was told to.
    Stopped,
}

/// The most executions at once: each one but the last waits for slow calls only.
pub(crate) const MOST_RUNNING: usize = 32;
/// So many containers are asked at once whether they are well.
const MOST_ASKED: usize = 64;

/// Operations that have ended, with their plans.
pub(crate) type EndedOps = Arc<Mutex<Vec<(Arc<Plan>, OpId)>>>;
pub(crate) type Events = BoxStream<'static, (String, u64, Option<HostEvent>)>;
pub(crate) type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;

/// A plan that was carried out.
pub(crate) struct Ran {
    pub plan: Arc<Plan>,
    pub report: Report,
}

/// What is kept of a host.
#[derive(Default)]
pub(crate) struct Kept {
    pub door: Option<Arc<dyn Host>>,
    /// Its stream of events; `None` while there is none.
    pub stream: Option<Stream>,
    /// By how much its clock was seen to be ahead of ours, in milliseconds; negative when behind.
    pub ahead_ms: i64,
    /// Whether it had a stream of events before.
    pub heard: bool,
    /// When the look began that showed it last.
    pub shown_ms: i64,
}

/// The control loop of one cluster.
pub struct Controller {
    /// The spec as it is written.
    pub(crate) spec: Graph,
    /// What is followed: the spec, with what was undone.
    pub(crate) graph: Arc<Graph>,
    pub(crate) cluster: String,
    pub(crate) memory: Memory,
    /// What the secrets hold.
    pub(crate) secrets: Secrets,
    /// What was prepared of a graph and of what its secrets hold, for the plans of both.
    pub(crate) prepared: Option<(Arc<Graph>, BTreeMap<String, String>, Prepared)>,
    pub(crate) options: Options,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) hosts: BTreeMap<String, Kept>,
    /// The latest view of every host that was looked at.
    pub(crate) observed: Observed,
    pub(crate) lookout: Lookout,
    pub(crate) busy: Busy,
    pub(crate) running: FuturesUnordered<Future<Ran>>,
    /// Operations that have ended, of all executions, as they end.
    pub(crate) ended: EndedOps,
    pub(crate) notify: Arc<Notify>,
    pub(crate) cancel: watch::Sender<bool>,
    pub(crate) looking: FuturesUnordered<Future<Looked>>,
    pub(crate) liveness: Liveness,
    asking: FuturesUnordered<Future<(Ask, Result<(), String>)>>,
    /// What tags stand for in the plans that are under way.
    pub(crate) fetched: Fetched,
    pub(crate) rollouts: Rollouts,
    /// Workloads that were told to have settled, of what is followed.
    pub(crate) settled: BTreeSet<String>,
    /// Rollouts that have failed, whose last words are being read: workload, what it asks for, what failed.
    pub(crate) failing: FuturesUnordered<Future<(String, String, Failed)>>,
    pub(crate) events: SelectAll<Events>,
    pub(crate) streams: u64,
    /// The spec that is followed once what is under way has ended.
    pub(crate) next: Option<Graph>,
    /// What the secrets hold of the spec that comes next.
    pub(crate) next_secrets: Option<Secrets>,
    pub(crate) begun: Instant,
    /// The wall clock when the loop was made, in milliseconds since 1970.
    wall_ms: i64,
    /// Whether something was seen or has ended since the last plan.
    pub(crate) dirty: bool,
    /// Whether nothing was to be done or waited for at the last plan.
    pub(crate) at_rest: bool,
    /// When a plan is due although nothing happens, on the loop's own clock.
    pub(crate) plan_at_ms: Option<u64>,
    /// How many pods there were and were ready at the last plan, and since when, on the loop's own clock.
    pub(crate) counted: Option<(u64, BTreeMap<String, Pods>)>,
    /// Since when something is waited for, on the loop's own clock.
    pub(crate) waiting_since_ms: Option<u64>,
    /// Since when nothing is done but to wait and to put right what ends, on the loop's own clock.
    pub(crate) only_waits_since_ms: Option<u64>,
    /// What the last plan showed and the journal has already, so that each thing is reported once.
    pub(crate) reported: BTreeSet<Reported>,
    pub(crate) last: Option<Ended>,
    pub(crate) board: Board,
    /// Its place among other engines of the cluster.
    pub(crate) seat: Option<Box<Seat>>,
}

impl Controller {
    /// A loop that keeps `graph`, with what is remembered of its cluster.
    #[must_use]
    pub fn new(
        graph: Graph,
        mut memory: Memory,
        connector: Arc<dyn Connector>,
        storage: Arc<dyn Storage>,
        journal: Arc<dyn Journal>,
        options: Options,
    ) -> Self {
        let wall_ms = (options.now_ms)();
        crate::clocks::begin(&mut memory, wall_ms);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let lookout = Lookout::new(millis(options.resync).max(1), millis(options.look_deadline));
        let cluster = graph.cluster().map(|cluster| cluster.name.clone()).unwrap_or_default();
        memory.history.previous = storage.previous_revisions(&graph);
        let mut followed = graph.clone();
        undo(&mut followed, &memory.declared.undone);
        let mut new = Self {
            spec: graph,
            graph: Arc::new(followed),
            cluster,
            memory,
            secrets: Secrets::default(),
            prepared: None,
            options,
            connector,
            storage,
            journal,
            hosts: BTreeMap::new(),
            observed: Observed::default(),
            lookout,
            busy: Busy::default(),
            running: FuturesUnordered::new(),
            ended: Arc::default(),
            notify: Arc::default(),
            cancel: watch::channel(false).0,
            looking: FuturesUnordered::new(),
            liveness: Liveness::default(),
            asking: FuturesUnordered::new(),
            fetched: Fetched::default(),
            rollouts: Rollouts::default(),
            settled: BTreeSet::new(),
            failing: FuturesUnordered::new(),
            events: SelectAll::new(),
            streams: 0,
            next: None,
            next_secrets: None,
            begun: Instant::now(),
            wall_ms,
            dirty: false,
            at_rest: false,
            plan_at_ms: None,
            counted: None,
            waiting_since_ms: None,
            only_waits_since_ms: None,
            reported: BTreeSet::new(),
            last: None,
            board: Board::default(),
            seat: None,
        };
        new.board.change(|metrics| {
            metrics.cluster.clone_from(&new.cluster);
            metrics.began_at_ms = wall_ms;
            metrics.spec_is_good = true;
        });
        new.set_hosts();
        new
    }

    /// The same with what the secrets of the spec hold.
    #[must_use]
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// What it counts, while it goes on.
    #[must_use]
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// Goes on until `stop` turns true; then it finishes the calls in flight and begins no other.
    pub async fn run(
        &mut self,
        spec: &mut dyn SpecSource,
        mut stop: watch::Receiver<bool>,
    ) -> Ended {
        self.tell(EntryKind::Began, "", format!("keeping cluster {}", self.cluster));
        if self.seat.is_none() {
            self.end_undone();
            // Nobody else changes the cluster from now on, or nobody says so.
            self.memory.learned.shared = false;
        }
        let ended = loop {
            self.start_looks();
            self.ask();
            self.attend();
            let wake = self.wake();
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break Ended::Stopped,
                Some(ran) = self.running.next(), if !self.running.is_empty() => self.ran(&ran),
                () = self.notify.notified() => {}
                Some(looked) = self.looking.next(), if !self.looking.is_empty() => self.saw(looked),
                Some((ask, answer)) = self.asking.next(), if !self.asking.is_empty() => {
                    self.answered(&ask, answer);
                }
                Some((workload, of, failed)) = self.failing.next(), if !self.failing.is_empty() => {
                    self.rollout_failed(&workload, &of, failed);
                }
                Some((host, stream, event)) = self.events.next(), if !self.events.is_empty() => {
                    self.heard(&host, stream, event.as_ref());
                }
                answered = answer(&mut self.seat) => self.store_answered(answered),
                news = spec.changed() => self.heed(news),
                () = tokio::time::sleep_until(wake) => {}
            }
            // All views that have arrived go into one plan.
            while let Some(Some(looked)) = self.looking.next().now_or_never() {
                self.saw(looked);
            }
            self.stand();
            self.drain();
            self.follow();
            if self.due() {
                self.round();
            }
            if self.options.once
                && self.running.is_empty()
                && self.busy.is_empty()
                && self.failing.is_empty()
                && self.next.is_none()
                && !self.dirty
                && let Some(last) = self.last
            {
                break last;
            }
        };
        // Nobody listens when nothing is under way.
        let _ = self.cancel.send(true);
        while let Some(ran) = self.running.next().await {
            self.ran(&ran);
        }
        self.resign().await;
        self.remember();
        self.tell(EntryKind::Ended, "", "what is there stays as it is".to_owned());
        ended
    }

    /// Milliseconds since 1970, by a clock that goes on evenly: what was decided by it holds when
    /// the wall clock jumps.
    pub(crate) fn now_ms(&self) -> i64 {
        self.wall_ms.saturating_add(i64::try_from(self.clock_ms()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since the loop was made: timers do not follow the wall clock when it jumps.
    pub(crate) fn clock_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn wake(&self) -> Instant {
        let can_ask = self.may_act() && self.asking.len() < MOST_ASKED;
        let asked = self.liveness.next_ms().filter(|_| can_ask);
        let next = self.lookout.next_ms().into_iter().chain(self.plan_at_ms).chain(asked).min();
        // Nothing due: a second is soon enough to look at the clock again.
        let next = next.unwrap_or_else(|| self.clock_ms() + 1_000);
        let next = self.begun + Duration::from_millis(next);
        self.seat.as_ref().map_or(next, |seat| seat.wake().min(next))
    }

    /// Whether a plan is to be made now. Not before every host was looked at: what was not asked
    /// yet is not silent.
    fn due(&mut self) -> bool {
        let timer = self.plan_at_ms.is_some_and(|at| at <= self.clock_ms());
        if timer {
            self.plan_at_ms = None;
        }
        self.dirty |= timer;
        self.dirty
            && self.next.is_none()
            && !self.plan_waits()
            && self.lookout.all_seen()
            && self.running.len() < MOST_RUNNING
    }

    pub(crate) fn set_hosts(&mut self) {
        let names = self.connector.hosts(&self.graph);
        let now_ms = self.clock_ms();
        self.lookout.set_hosts(names.iter().map(String::as_str), now_ms);
        let mut before = std::mem::take(&mut self.hosts);
        for name in names {
            let kept = before.remove(&name).unwrap_or_default();
            self.hosts.insert(name, kept);
        }
        self.observed.hosts.retain(|name, _| self.hosts.contains_key(name));
        self.board.change(|metrics| metrics.set_hosts(self.hosts.keys()));
    }

    /// Asks containers whether they are well.
    fn ask(&mut self) {
        if !self.may_act() {
            return;
        }
        let free = MOST_ASKED.saturating_sub(self.asking.len());
        for ask in self.liveness.due(self.clock_ms(), free) {
            let door = self.hosts.get(&ask.host).and_then(|kept| kept.door.clone());
            self.asking.push(Box::pin(async move {
                let answer = match door {
                    Some(door) => probe(door.as_ref(), &ask).await,
                    None => Ok(()),
                };
                (ask, answer)
            }));
        }
    }

    /// A container has answered. What cannot be asked, because its host does not answer or because
    /// it ended meanwhile, has not failed.
    fn answered(&mut self, ask: &Ask, answer: Result<(), String>) {
        let now_ms = self.clock_ms();
        let failed = self.liveness.answered(&ask.id, answer.is_ok(), now_ms);
        let Err(why) = answer else { return };
        if !failed
            || self.busy.has(&ask.pod)
            || !self.memory.in_flight.failing.insert(ask.id.clone())
        {
            return;
        }
        let now_ms = self.now_ms();
        self.board.change(|metrics| metrics.unwell += 1);
        let times = crate::backoff::unwell(&mut self.memory, &ask.host, &ask.pod, now_ms);
        let what =
            format!("the liveness of {} failed: {why} (time {times} in a row)", ask.container);
        // A probe may print what it was told.
        let what = self.secrets.redact(&what);
        self.journal.entry(&Entry {
            host: ask.host.clone(),
            workload: ask.workload.clone(),
            pod: ask.pod.clone(),
            ..Entry::new(now_ms, EntryKind::Unwell, what)
        });
        self.dirty = true;
    }

    /// Takes in which operations have ended.
    fn drain(&mut self) {
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        for (plan, id) in ended {
            if let Some(operation) = plan.operation(id) {
                let last = self.lookout.last(&operation.host);
                self.busy.end(&operation.claims(), &operation.host, last);
                let now_ms = self.clock_ms();
                self.lookout.event(&operation.host, now_ms);
            }
        }
    }

    /// How long a host may be silent until it counts as lost.
    pub(crate) fn lost_after(&self) -> Option<Millis> {
        self.graph.cluster().and_then(|cluster| cluster.lost_after)
    }

    /// Keeps the memory.
    pub(crate) fn remember(&self) {
        self.kept(self.storage.remember(&self.memory, self.now_ms()));
    }

    /// Reports what could not be kept; the loop goes on without it.
    pub(crate) fn kept(&self, stored: Stored) {
        if let Err(error) = stored {
            self.tell(EntryKind::Failed, "", error.to_string());
        }
    }

    pub(crate) fn tell(&self, kind: EntryKind, host: &str, what: String) {
        let entry = Entry::new((self.options.now_ms)(), kind, what);
        self.journal.entry(&Entry { host: host.to_owned(), ..entry });
    }
}

/// Resolves when `stop` is true; never when nobody can say so any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
