//! The engines under test: the real control loop and the real executor. They can be killed at any call, suspended, and
//! started again with or without their stored memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tally_control::lease::Common;
use tally_control::{
    Connector, ControlLoop, Journal, JournalEntry, LoopOptions, Sharing, SpecChange, SpecSource,
    Storage, Stored,
};
use tally_graph::Graph;
use tally_host::{Host, HostError};
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::memory::{Declarations, Learned, Memory};
use tally_reconcile::plan::Plan;
use tally_reconcile::rollback::PreviousRevision;
use tally_simulator::Clock as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::pause::{PauseSwitch, pausable};
use crate::plan_equivalence;
use crate::spec_source::ChannelSpecSource;

use super::connection::Connection;
use super::lock::lock;
use super::shared_store::LEASE_DURATION;
use super::spec::CLUSTER;
use super::store_connection::StoreConnection;
use super::world::{JumpClock, Reachability, World};

thread_local! {
    static CLOCK: RefCell<Option<Arc<JumpClock>>> = const { RefCell::new(None) };
}

/// Sets the clock of this thread's engines.
pub fn set_clock(clock: &Arc<JumpClock>) {
    CLOCK.with(|slot| *slot.borrow_mut() = Some(Arc::clone(clock)));
}

pub(super) fn now_ms() -> i64 {
    CLOCK.with(|slot| slot.borrow().as_ref().map_or(0, |clock| clock.now_ms()))
}

/// A running engine.
pub struct Engine {
    /// Its number.
    pub number: u32,
    /// The sender of people's changes.
    pub spec_changes: mpsc::UnboundedSender<SpecChange>,
    /// Its stored memory.
    pub kept: Arc<Mutex<Memory>>,
    pause_switch: Arc<PauseSwitch>,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Engine {
    /// Starts an engine on its version of the spec, with the stored memory.
    #[must_use]
    pub fn start(world: &Arc<World>, number: u32, kept: Memory) -> Self {
        Self::start_with(world, number, kept, false)
    }

    /// Starts an engine as [`Self::start`] does; its files supersede the published spec.
    #[must_use]
    pub fn start_superseding(world: &Arc<World>, number: u32, kept: Memory) -> Self {
        Self::start_with(world, number, kept, true)
    }

    fn start_with(world: &Arc<World>, number: u32, kept: Memory, supersede: bool) -> Self {
        // Two engines in one folder are impossible: one that does not end is killed.
        if let Some(ending) = world.state().stopping.remove(&number) {
            ending.abort();
        }
        let version = world.version_of(number);
        let graph = Graph::clone(&version.graph);
        let mut memory = kept.clone();
        memory.learned.take_up(Some(&world.clocks(now_ms())));
        memory.declared = world.state().declared.clone();
        let kept = Arc::new(Mutex::new(kept));
        let connector = Arc::new(WorldConnector {
            world: Arc::clone(world),
            engine: number,
            kept: Arc::clone(&kept),
        });
        let options = LoopOptions {
            resync: Duration::from_secs(30),
            observation_deadline: Duration::from_secs(10),
            calls_per_host: 8,
            once: false,
            now_ms,
        };
        let journal = Arc::new(TraceJournal { world: Arc::clone(world), engine: number });
        let storage = Arc::clone(&connector);
        let control_loop = ControlLoop::new(graph, memory, connector, storage, journal, options);
        let mut control_loop = control_loop.with_secrets(version.secrets.clone());
        let (spec_changes, changes) = mpsc::unbounded_channel();
        world.state().listeners.push(spec_changes.clone());
        let (stop, stopped) = watch::channel(false);
        let pause_switch = Arc::new(PauseSwitch::default());
        let paused_by = Arc::clone(&pause_switch);
        if world.state().shared {
            control_loop = beside_others(world, number, control_loop, &pause_switch, supersede);
        }
        let mut changes =
            LatestSpec { changes: ChannelSpecSource(changes), world: Arc::clone(world) };
        let task = tokio::spawn(async move {
            let run = control_loop.run(&mut changes, stopped);
            pausable(paused_by, run).await;
        });
        world.note("engine", &format!("{number} begins"), "");
        let mut state = world.state();
        // Of the engines that share a store, one acts.
        state.engines = if state.shared { state.engines.max(1) } else { state.engines + 1 };
        drop(state);
        Self { number, spec_changes, kept, pause_switch, task, stop }
    }

    /// Kills it, between two calls or during some; returns its stored memory.
    pub fn kill(self, world: &World) -> Memory {
        self.task.abort();
        world.note("engine", &format!("{} is killed", self.number), "");
        let mut state = world.state();
        state.engines -= usize::from(!state.shared);
        drop(state);
        lock(&self.kept).clone()
    }

    /// Asks it to end: calls in flight finish, then it gives its lease back; returns its stored memory.
    pub fn end(self, world: &World) -> Memory {
        let _ = self.stop.send(true);
        world.note("engine", &format!("{} is asked to end", self.number), "");
        let kept = lock(&self.kept).clone();
        let Self { number, task, stop, spec_changes, .. } = self;
        world.state().stopping.insert(number, task.abort_handle());
        tokio::spawn(async move {
            // It ends by itself.
            let _ = task.await;
            drop((stop, spec_changes));
        });
        kept
    }

    /// Suspends or resumes it, as SIGSTOP and SIGCONT do.
    pub fn stall(&self, paused: bool) {
        self.pause_switch.stall(paused);
    }
}

/// Makes an engine share the store with the others.
fn beside_others(
    world: &Arc<World>,
    number: u32,
    control_loop: ControlLoop,
    pause_switch: &Arc<PauseSwitch>,
    supersede: bool,
) -> ControlLoop {
    let mut state = world.state();
    state.started += 1;
    let name = format!("e{number}.{}", state.started);
    let common = state.common.get(&number).cloned().unwrap_or_default();
    let store = Arc::new(StoreConnection::new(world, number, pause_switch));
    let slept_ms = || 0;
    let sharing =
        Sharing { store, name: name.clone(), lasts: LEASE_DURATION, supersede, common, slept_ms };
    let control_loop = control_loop.with_store(sharing);
    state.candidates.insert(number, (name, control_loop.board()));
    control_loop
}

/// The spec changes, complete at the time of reading: declarations are in a file.
struct LatestSpec {
    changes: ChannelSpecSource,
    world: Arc<World>,
}

#[async_trait]
impl SpecSource for LatestSpec {
    async fn changed(&mut self) -> SpecChange {
        match self.changes.changed().await {
            SpecChange::Declared(_) if self.world.state().shared => {
                SpecChange::Declared(self.world.state().declared.clone())
            }
            spec_changes => spec_changes,
        }
    }
}

/// Connects to the hosts of a run.
struct WorldConnector {
    world: Arc<World>,
    engine: u32,
    kept: Arc<Mutex<Memory>>,
}

#[async_trait]
impl Connector for WorldConnector {
    async fn connect(&self, _: &Graph, host: &str) -> Result<Arc<dyn Host>, HostError> {
        let unreachable = |reason: &str| HostError::Unreachable {
            address: format!("sim:{host}"),
            reason: reason.to_owned(),
        };
        let sim_host = self.world.sim_hosts.get(host).ok_or_else(|| unreachable("unknown"))?;
        let reachability = sim_host.network().reachability;
        match reachability {
            Reachability::Open => Ok(Arc::new(Connection::new(&self.world, sim_host, self.engine))),
            Reachability::Refused => Err(unreachable("connection refused")),
            Reachability::Dropped => {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Err(unreachable("timed out"))
            }
        }
    }

    fn hosts(&self, graph: &Graph) -> Vec<String> {
        graph.hosts().map(|host| host.name.clone()).collect()
    }
}

#[async_trait]
impl Storage for WorldConnector {
    fn settled(&self, graph: &Graph, workloads: &BTreeSet<String>, _: i64) -> Stored {
        self.world.settled(graph, workloads);
        Ok(())
    }

    fn previous_revisions(&self, spec: &Graph) -> BTreeMap<String, PreviousRevision> {
        self.world.previous_revisions(spec)
    }

    fn rolled_back(&self, address: &str, rolled_back: Option<&RolledBack>) -> Stored {
        self.world.set_rolled_back(address, rolled_back);
        Ok(())
    }

    fn shared(&self, common: &Common, _: &Declarations) -> Stored {
        self.world.state().common.insert(self.engine, common.clone());
        Ok(())
    }

    fn remember(&self, memory: &Memory, now_ms: i64) -> Stored {
        let clocks = Some(self.world.clocks(now_ms));
        let memory = Memory {
            learned: Learned { written: clocks, ..memory.learned.clone() },
            ..memory.clone()
        };
        // The stored memory must not contain operations in flight.
        let written = serde_json::to_string(&memory).unwrap_or_default();
        self.world.check_no_secret("the stored memory", &written);
        *lock(&self.kept) = serde_json::from_str(&written).unwrap_or_default();
        Ok(())
    }
}

/// Records the events of an engine.
struct TraceJournal {
    world: Arc<World>,
    engine: u32,
}

impl Journal for TraceJournal {
    fn entry(&self, entry: &JournalEntry) {
        let about = format!("{} {} {} {}", self.engine, entry.kind.word(), entry.host, entry.pod);
        self.world.note("says", &about, &entry.what);
    }
}

/// Returns connections to all hosts, for the operator who applies by hand.
#[must_use]
pub fn connections(world: &Arc<World>, engine: u32) -> BTreeMap<String, Arc<dyn Host>> {
    let connect = |(name, sim_host): (&String, &Arc<_>)| {
        (name.clone(), Arc::new(Connection::new(world, sim_host, engine)) as Arc<dyn Host>)
    };
    world.sim_hosts.iter().map(connect).collect()
}

/// Returns the plan for the true state of all hosts, as an engine with `memory` would compute it. A host that will not
/// come back is unreachable.
/// come back is unreachable.
#[must_use]
pub fn plan_of_actual_state(world: &World, memory: &Memory, without_waits: bool) -> Plan {
    let observed = super::convergence::actual_state(world);
    // The leader has received the memory of the earlier leaders.
    let mut memory = memory.clone();
    memory.learned.shared = false;
    memory.learned.take_up(Some(&world.clocks(now_ms())));
    memory.declared = world.state().declared.clone();
    memory.learn(CLUSTER, &observed, now_ms());
    let options = tally_reconcile::Options {
        now_ms: now_ms(),
        without_waits,
        guard_removals: true,
        secrets: world.version().secrets.hashes().clone(),
        ..Default::default()
    };
    plan_equivalence::plan_checked(&world.followed(), &observed, &memory, &options)
}
