//! The world of a run: hosts with their own clocks, the network between them and the engines,
//! and the trace of events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tally_control::lease::Common;
use tally_control::{Board, SpecChange};
use tally_graph::Graph;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::memory::{Clocks, Declarations};
use tally_reconcile::rollback::apply::apply_rollbacks;
use tally_reconcile::rollback::{HistoryEntry, PreviousRevision, previous_revisions};
use tally_simulator::{Clock, SimHost, SimOptions};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::faults::Kind;
use super::lock::lock;
use super::rng::Rng;
use super::shared_store::SharedStore;
use super::spec::{CANARY, ExpectedWorkload, Family, Version, work};

/// The number of the engine of `tally apply`.
pub const HAND: u32 = 9;

/// The start of simulated time, in milliseconds since 1970.
const BEGINNING_MS: i64 = 1_800_000_000_000;

/// The maximum number of violations kept: later ones follow from the first.
const MAX_VIOLATIONS: usize = 3;

/// A clock that follows the runtime's clock, and can jump.
pub struct JumpClock {
    started: Instant,
    jumped_ms: AtomicI64,
}

impl JumpClock {
    fn new() -> Self {
        Self { started: now(), jumped_ms: AtomicI64::new(0) }
    }

    /// Changes the clock by `millis`.
    pub fn jump(&self, millis: i64) {
        self.jumped_ms.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for JumpClock {
    fn now_ms(&self) -> i64 {
        BEGINNING_MS + millis(self.started.elapsed()) + self.jumped_ms.load(Ordering::SeqCst)
    }
}

fn now() -> Instant {
    Instant::now()
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Whether a host can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachability {
    /// It answers.
    Open,
    /// Nothing listens: the daemon is down.
    Refused,
    /// Packets vanish: calls end at their deadlines.
    Dropped,
}

/// The behaviour of a host's event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// It reports every event.
    Tell,
    /// It is open and reports nothing.
    Silent,
    /// It ends at once.
    End,
    /// It reports every event three times.
    Thrice,
}

/// A fault of a later call.
#[derive(Debug, Clone)]
pub struct PendingFault {
    /// The call's name; `None` means any call that changes something.
    pub call: Option<&'static str>,
    /// The fault.
    pub kind: Kind,
}

/// The conditions of the network between the engines and one host.
pub struct NetworkConditions {
    /// Whether it can be reached.
    pub reachability: Reachability,
    /// Since when it is unreachable, in simulated time.
    pub unreachable_since_ms: Option<i64>,
    /// The last time for which it did not answer, from and until.
    pub last_outage_ms: Option<(i64, i64)>,
    /// Until when its pods may count as lost, by a declaration or by the spec's grace; for some time after it is
    /// reachable again, since engines have yet to observe that.
    pub presumed_lost_until_ms: i64,
    /// Its stream of events.
    pub events: Events,
    /// Faults of the next calls.
    pub pending_faults: VecDeque<PendingFault>,
    /// No space is left: nothing can be created.
    pub disk_full: bool,
    /// Additional duration of every call, in milliseconds.
    pub slow_ms: u64,
    /// One container whose inspection hangs.
    pub hanging_inspect: Option<String>,
    /// Its faults are permanent.
    pub dead: bool,
}

/// A host.
pub struct SimulatedHost {
    /// Its name.
    pub name: String,
    /// The simulated engine.
    pub daemon: SimHost,
    /// Its own clock.
    pub clock: Arc<JumpClock>,
    /// The network between the host and the engines.
    pub network: Mutex<NetworkConditions>,
}

impl SimulatedHost {
    /// Returns the conditions of the network between the host and the engines.
    pub fn network(&self) -> MutexGuard<'_, NetworkConditions> {
        lock(&self.network)
    }
}

/// The point of a call at which an engine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Before the call is sent.
    Before,
    /// After the call was sent; it takes effect, and the engine gets no answer.
    Unacknowledged,
    /// After the answer was received.
    Acknowledged,
}

/// Everything in a run.
pub struct World {
    /// The spec and its versions.
    pub family: Arc<Family>,
    /// The hosts by name.
    pub sim_hosts: BTreeMap<String, Arc<SimulatedHost>>,
    /// The engines' clock.
    pub clock: Arc<JumpClock>,
    /// The store that the engines of some runs share.
    pub store: SharedStore,
    /// Signals that an engine has reached the call at which it ends.
    pub died: Notify,
    started: Instant,
    state: Mutex<State>,
}

/// The state of a run.
pub struct State {
    /// Random numbers of the network.
    pub rng: Rng,
    /// The events, as a hash and, on request, as lines.
    pub trace: Trace,
    /// The number of times that each kind of fault took effect.
    pub fired: BTreeMap<Kind, u64>,
    /// The violations of invariants.
    pub violations: Vec<String>,
    /// The current version of the spec.
    pub version: usize,
    /// The time when the version changed.
    pub edited_ms: i64,
    /// The version before it.
    pub before: usize,
    /// The time of the last fault.
    pub disturbed_ms: i64,
    /// The declarations of people.
    pub declared: Declarations,
    /// Removals of the last seconds: the time, and whether the pod is absent from the spec.
    pub removed: BTreeMap<String, i64>,
    /// The time of the last removal of a container, by pod and host.
    pub replaced: BTreeMap<(String, String), i64>,
    /// Number of containers that engines have created.
    pub made: u64,
    /// Maximum number of containers that engines may have to create again because of faults.
    pub repairs: u64,
    /// The time when a person last confirmed removals by applying by hand.
    pub confirmed_ms: i64,
    /// Calls that changed something.
    pub changes: u64,
    /// Number of calls that were answered.
    pub calls: u64,
    /// Full IDs of containers that are no longer checked: renamed or forged by hand.
    pub unmanaged: BTreeSet<String>,
    /// The number of the call at which the engine ends, and the point of the call.
    pub dies: Option<(u64, Death)>,
    /// Whether more than one engine runs.
    pub engines: usize,
    /// Whether two independent engines run: where they see the hosts differently each reverts the changes of the
    /// other.
    pub uncoordinated: bool,
    /// The revisions of workloads, newest last, for rollbacks.
    pub history: Vec<HistoryEntry>,
    /// Number of rollbacks.
    pub rollbacks: u64,
    /// Whether its engines share a store.
    pub shared: bool,
    /// The engines that share the store: the name of each, and its counter.
    pub candidates: BTreeMap<u32, (String, Board)>,
    /// Engines that were asked to end, and may not have ended yet.
    pub stopping: BTreeMap<u32, AbortHandle>,
    /// Number of engines started so far.
    pub started: u64,
    /// Each engine's copy of the declarations that are in the store too: beside the declarations of people, in one
    /// file for all.
    pub common: BTreeMap<u32, Common>,
    /// Engines whose files are not updated, with their version.
    pub outdated: BTreeMap<u32, usize>,
    /// The receivers of declarations.
    pub listeners: Vec<mpsc::UnboundedSender<SpecChange>>,
}

/// The initial value of FNV-1a.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// The events of a run.
#[derive(Default)]
pub struct Trace {
    hash: u64,
    /// The hash of all calls that changed something, with their times.
    pub calls_hash: u64,
    /// The lines, if they are kept.
    pub lines: Option<Vec<String>>,
}

impl World {
    /// Creates the world of `seed`. Called inside the runtime whose time it shares.
    #[must_use]
    pub fn new(seed: u64, family: Arc<Family>, verbose: bool) -> Arc<Self> {
        let sim_host = |(number, name): (usize, &String)| {
            let clock = Arc::new(JumpClock::new());
            let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
            let options = SimOptions::new(seed.wrapping_mul(31) + number as u64 + 1, shared);
            let network = NetworkConditions {
                reachability: Reachability::Open,
                unreachable_since_ms: None,
                last_outage_ms: None,
                presumed_lost_until_ms: i64::MIN,
                events: Events::Tell,
                pending_faults: VecDeque::new(),
                disk_full: false,
                slow_ms: 0,
                hanging_inspect: None,
                dead: false,
            };
            let daemon = SimHost::new(name, options);
            let network = Mutex::new(network);
            (name.clone(), Arc::new(SimulatedHost { name: name.clone(), daemon, clock, network }))
        };
        let state = State {
            rng: Rng::new(seed, 3),
            trace: Trace {
                hash: FNV_OFFSET,
                calls_hash: FNV_OFFSET,
                lines: verbose.then(Vec::new),
            },
            fired: BTreeMap::new(),
            violations: Vec::new(),
            version: 0,
            edited_ms: 0,
            before: 0,
            disturbed_ms: -1_000_000,
            declared: Declarations::default(),
            removed: BTreeMap::new(),
            replaced: BTreeMap::new(),
            confirmed_ms: i64::MIN / 2,
            made: 0,
            repairs: 0,
            changes: 0,
            calls: 0,
            unmanaged: BTreeSet::new(),
            dies: None,
            engines: 0,
            uncoordinated: false,
            history: Vec::new(),
            rollbacks: 0,
            shared: false,
            candidates: BTreeMap::new(),
            stopping: BTreeMap::new(),
            started: 0,
            common: BTreeMap::new(),
            outdated: BTreeMap::new(),
            listeners: Vec::new(),
        };
        Arc::new(Self {
            sim_hosts: family.hosts.iter().enumerate().map(sim_host).collect(),
            family,
            clock: Arc::new(JumpClock::new()),
            store: SharedStore::new(seed),
            died: Notify::new(),
            started: now(),
            state: Mutex::new(state),
        })
    }

    /// Returns the milliseconds since the start of the run, by a clock that does not jump.
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        millis(self.started.elapsed())
    }

    /// Returns the state of the run.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Returns the current version of the spec.
    #[must_use]
    pub fn version(&self) -> &Version {
        let number = self.state().version;
        &self.family.versions[number]
    }

    /// Returns the version of the spec that an engine has, by its number.
    #[must_use]
    pub fn version_of(&self, engine: u32) -> &Version {
        let state = self.state();
        let number = state.outdated.get(&engine).copied().unwrap_or(state.version);
        &self.family.versions[number]
    }

    /// Returns the spec with its rollbacks applied.
    #[must_use]
    pub fn followed(&self) -> Arc<Graph> {
        let rolled_back = self.state().declared.rolled_back.clone();
        let graph = &self.version().graph;
        if rolled_back.is_empty() {
            return Arc::clone(graph);
        }
        let mut followed = Graph::clone(graph);
        apply_rollbacks(&mut followed, &rolled_back);
        Arc::new(followed)
    }

    /// Returns the pods that the spec asks for, with its rollbacks applied.
    #[must_use]
    pub fn expected(&self) -> Vec<ExpectedWorkload> {
        let version = self.version();
        if self.state().declared.rolled_back.is_empty() {
            return version.expected.clone();
        }
        let followed = self.followed();
        let hosts = self.family.hosts.iter();
        let open: Vec<&String> = hosts.filter(|host| !version.drained.contains(host)).collect();
        followed.workloads().map(|workload| work(workload, &followed, &open)).collect()
    }

    /// Returns the clocks of the machine of engines and people, when its wall clock shows `now_ms`.
    #[must_use]
    pub fn clocks(&self, now_ms: i64) -> Clocks {
        Clocks { now_ms, steady_ms: self.time_ms(), boot: "one".to_owned() }
    }

    /// Adds the workloads of a spec to the history.
    pub fn settled(&self, graph: &Graph, workloads: &BTreeSet<String>) {
        if !self.version().rolls_back {
            return;
        }
        let all = graph.workloads().map(|it| (it.address().to_string(), it.fingerprint()));
        let settled = all.filter(|(address, _)| workloads.contains(address)).collect();
        let mut state = self.state();
        let number = state.history.len() as u64 + 1;
        state.history.push(HistoryEntry { number, settled, graph: graph.clone() });
    }

    /// Returns the previous revisions of workloads that are being rolled out.
    #[must_use]
    pub fn previous_revisions(&self, spec: &Graph) -> BTreeMap<String, PreviousRevision> {
        previous_revisions(spec, self.state().history.iter().rev().cloned())
    }

    /// Rolls a workload back, or ends its rollback. Rollbacks are in a file that every engine observes.
    pub fn set_rolled_back(&self, address: &str, rolled_back: Option<&RolledBack>) {
        let mut state = self.state();
        match rolled_back {
            Some(rolled_back) => {
                state.declared.rolled_back.insert(address.to_owned(), rolled_back.clone());
                state.rollbacks += 1;
            }
            None => drop(state.declared.rolled_back.remove(address)),
        }
        let declared = state.declared.clone();
        state.listeners.retain(|it| it.send(SpecChange::Declared(declared.clone())).is_ok());
        drop(state);
        self.note("undone", address, if rolled_back.is_some() { "rolls back" } else { "ends" });
    }

    /// Adds an event to the trace.
    pub fn note(&self, what: &str, about: &str, more: &str) {
        let at = self.time_ms();
        self.state().trace.note(at, what, about, more);
        self.check_no_secret(what, about);
        self.check_no_secret(what, more);
    }

    /// Adds a call to the hash of all calls, which contains no sentence: a change of wording leaves it unchanged.
    pub fn note_call(&self, what: &str, call: &str, on: &str) {
        let at = self.time_ms();
        let mut state = self.state();
        let hash = mix_all(state.trace.calls_hash, at, [what, call, on]);
        state.trace.calls_hash = hash;
    }

    /// Checks S10: a text that is stored or shown contains no secret.
    pub fn check_no_secret(&self, what: &str, text: &str) {
        if text.contains(CANARY) {
            self.violate("S10", format!("{what} contains a secret"));
        }
    }

    /// Records that a fault took effect.
    pub fn fire(&self, kind: Kind, about: &str) {
        let at = self.time_ms();
        let mut state = self.state();
        *state.fired.entry(kind).or_default() += 1;
        state.disturbed_ms = at;
        state.trace.note(at, "FAULT", kind.word(), about);
    }

    /// Records the violation of an invariant.
    pub fn violate(&self, invariant: &str, what: String) {
        let at = self.time_ms();
        let mut state = self.state();
        state.trace.note(at, "VIOLATION", invariant, &what);
        if state.violations.len() < MAX_VIOLATIONS {
            state.violations.push(format!("{invariant} at {at} ms: {what}"));
        }
    }
}

impl Trace {
    fn note(&mut self, at: i64, what: &str, about: &str, more: &str) {
        self.hash = mix_all(self.hash, at, [what, about, more]);
        if let Some(lines) = &mut self.lines {
            let seconds = at / 1_000;
            lines.push(format!("{seconds:>5}.{:03} {what:<9} {about} {more}", at % 1_000));
        }
    }

    /// Returns the hash of all events and their times.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// Returns `hash` with a moment and texts mixed in, by FNV-1a.
fn mix_all(hash: u64, at: i64, texts: [&str; 3]) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = at.to_le_bytes().into_iter().fold(hash, mix);
    texts.iter().fold(hash, |hash, text| mix(text.bytes().fold(hash, mix), 0xff))
}
