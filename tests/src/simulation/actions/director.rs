//! The faults and the actions of people in one run.

use std::collections::BTreeMap;
use std::sync::Arc;

use tally_control::SpecChange;
use tally_reconcile::input::observed::Health;
use tally_reconcile::memory::{Declarations, Declared, Memory};
use tally_simulator::Model;

use super::repair::{PRESUMED_LOST_MS, Repair};
use crate::simulation::convergence::differences;
use crate::simulation::engine::Engine;
use crate::simulation::faults::Kind;
use crate::simulation::invariants;
use crate::simulation::lock::lock;
use crate::simulation::manual_apply::apply_by_hand;
use crate::simulation::rng::Rng;
use crate::simulation::spec::{IMAGE, VERSIONS};
use crate::simulation::world::{Events, PendingFault, Reachability, SimulatedHost, World};

/// A host that is reachable for less than this may have been reachable between two observations, in milliseconds: ten
/// seconds until a failed observation times out, and ten until the next one. It then counts as still unreachable.
const UNSEEN_MS: i64 = 20_500;

/// Injects the faults and performs the actions of a run.
pub struct Director {
    /// The run.
    pub world: Arc<World>,
    /// Random numbers of faults and actions.
    pub rng: Rng,
    /// Random numbers of faults of the store and of the engines that share it.
    pub chance: Rng,
    /// The engines by number.
    pub engines: BTreeMap<u32, Engine>,
    pub(super) pending: BTreeMap<(i64, u64), Repair>,
    pub(super) counted: u64,
    /// Number of changes of the spec.
    pub edits: u64,
}

impl Director {
    /// Starts a run with one engine.
    #[must_use]
    pub fn new(world: Arc<World>, rng: Rng, chance: Rng) -> Self {
        let first = Engine::start(&world, 1, Memory::default());
        let engines = BTreeMap::from([(1, first)]);
        Self { world, rng, chance, engines, pending: BTreeMap::new(), counted: 0, edits: 0 }
    }

    /// Returns when the next fault ends, in simulated time.
    #[must_use]
    pub fn next_repair_ms(&self) -> Option<i64> {
        self.pending.keys().next().map(|(at, _)| *at)
    }

    /// Ends the faults that are due.
    pub fn repair_due(&mut self) {
        let now = self.world.time_ms();
        while let Some(entry) = self.pending.first_entry().filter(|entry| entry.key().0 <= now) {
            let repair = entry.remove();
            self.repair(repair);
        }
    }

    /// Ends all faults.
    pub fn repair_all(&mut self) {
        while let Some((_, repair)) = self.pending.pop_first() {
            self.repair(repair);
        }
        self.world.store.reset();
        for sim_host in self.sim_hosts() {
            let mut network = sim_host.network();
            network.pending_faults.clear();
            if network.reachability != Reachability::Open && !network.dead {
                drop(network);
                self.heal(&sim_host);
            }
        }
        self.world.fire(Kind::SpecEdit, "the quiet begins");
    }

    pub(super) fn after(&mut self, least: u64, most: u64, repair: Repair) {
        self.counted += 1;
        let after = i64::try_from(self.rng.range(least, most)).unwrap_or(0);
        self.pending.insert((self.world.time_ms() + after, self.counted), repair);
    }

    pub(super) fn sim_hosts(&self) -> Vec<Arc<SimulatedHost>> {
        self.world.sim_hosts.values().cloned().collect()
    }

    pub(super) fn sim_host(&mut self) -> Option<Arc<SimulatedHost>> {
        let all = self.sim_hosts();
        self.rng.pick(&all).cloned()
    }

    pub(super) fn named(&self, host: &str) -> Option<Arc<SimulatedHost>> {
        self.world.sim_hosts.get(host).cloned()
    }

    /// Returns a managed container: its host, its full ID, its pod, and whether it is of the kind `fits`.
    pub(super) fn container(
        &mut self,
        fits: impl Fn(&invariants::ManagedContainer<'_>) -> bool,
    ) -> Option<(Arc<SimulatedHost>, String, String)> {
        let mut all = Vec::new();
        invariants::each_managed(&self.world, |sim_host, _, found| {
            if fits(found) {
                all.push((sim_host.name.clone(), found.shown.id.to_owned(), found.pod.to_owned()));
            }
        });
        let (host, id, pod) = self.rng.pick(&all).cloned()?;
        Some((self.named(&host)?, id, pod))
    }

    /// Notifies all engines of people's changes.
    pub(super) fn tell(&self, change: impl Fn() -> SpecChange) {
        for engine in self.engines.values() {
            // A killed engine receives nothing.
            let _ = engine.spec_changes.send(change());
        }
    }

    /// Injects a fault or performs an action; does nothing without a target.
    pub fn act(&mut self, kind: Kind) {
        match kind {
            Kind::LostRequest
            | Kind::LostReply
            | Kind::HangNotApplied
            | Kind::HangApplied
            | Kind::LateWrite
            | Kind::Refused500
            | Kind::Refused409
            | Kind::Refused404
            | Kind::Refused429
            | Kind::CallUnreachable
            | Kind::BrokenList => self.fault_on_call(kind),
            Kind::InspectHangs
            | Kind::Slow
            | Kind::HostDropped
            | Kind::DaemonDown
            | Kind::DaemonRestart
            | Kind::EventsSilent
            | Kind::EventsEnd
            | Kind::EventsThrice
            | Kind::DiskFull
            | Kind::ImageMissing
            | Kind::HostClockJumps
            | Kind::EngineClockJumps => self.fault_on_host(kind),
            Kind::Stuck | Kind::Crash | Kind::CrashLoop | Kind::HealthFlaps => {
                self.fault_on_container(kind)
            }
            Kind::HandStop | Kind::HandRemove | Kind::HandPause | Kind::HandRename => {
                self.by_hand(kind)
            }
            Kind::Unmanaged | Kind::Forged => self.unmanaged_container(kind),
            Kind::SpecEdit | Kind::SpecBroken | Kind::SpecEmptied => self.spec(kind),
            Kind::Freeze | Kind::PauseRollout | Kind::DeclareLost | Kind::Fence => {
                self.declare(kind)
            }
            Kind::EngineCrash
            | Kind::MemoryLost
            | Kind::EngineStalls
            | Kind::SecondEngine
            | Kind::HandApply => self.engine(kind),
            Kind::DeadForGood
            | Kind::StoreDown
            | Kind::StoreSlow
            | Kind::StoreLostReply
            | Kind::LeaderStalls
            | Kind::LeaderDies
            | Kind::LeaderEnds
            | Kind::EngineLags => {}
        }
        invariants::check_state(&self.world);
    }

    /// Makes the next matching call fail; the fault counts when that call is made.
    pub(super) fn fault_on_call(&mut self, kind: Kind) {
        let Some(sim_host) = self.sim_host() else { return };
        let any = self.rng.percent(60);
        let call = match kind {
            Kind::Refused429 => Some("pull"),
            Kind::BrokenList => Some(
                ["containers", "volumes", "images", "networks"]
                    [usize::try_from(self.rng.below(4)).unwrap_or(0)],
            ),
            _ if any => None,
            _ => {
                let calls = [
                    "create_container",
                    "start",
                    "stop",
                    "remove_container",
                    "create_volume",
                    "restart",
                ];
                self.rng.pick(&calls).copied()
            }
        };
        let times = self.rng.range(1, 4);
        let mut network = sim_host.network();
        for _ in 0..times {
            network.pending_faults.push_back(PendingFault { call, kind });
        }
        drop(network);
        self.world.note("will", kind.word(), &sim_host.name);
        // The image is removed, so that there is a call to reject.
        if kind == Kind::Refused429 {
            let _ = sim_host.daemon.inject(|model, _| model.remove_image(IMAGE));
        }
    }

    pub(super) fn fault_on_host(&mut self, kind: Kind) {
        let Some(sim_host) = self.sim_host() else { return };
        let name = sim_host.name.clone();
        if sim_host.network().reachability != Reachability::Open
            && !matches!(kind, Kind::EngineClockJumps | Kind::HostClockJumps)
        {
            return;
        }
        match kind {
            Kind::InspectHangs => {
                let Some((sim_host, id, _)) = self.container(|_| true) else { return };
                sim_host.network().hanging_inspect = Some(id);
                self.after(2_000, 60_000, Repair::Inspect(sim_host.name.clone()));
                return;
            }
            Kind::Slow => {
                sim_host.network().slow_ms = self.rng.range(100, 3_000);
                self.after(2_000, 60_000, Repair::Fast(name.clone()));
            }
            Kind::HostDropped => {
                self.cut(&sim_host, Reachability::Dropped);
                self.after(500, 200_000, Repair::Heal(name.clone()));
            }
            Kind::DaemonDown => {
                let _ = sim_host.daemon.inject(|model, now_ms| model.daemon_ends(now_ms));
                self.forgets();
                self.cut(&sim_host, Reachability::Refused);
                self.after(2_000, 120_000, Repair::Heal(name.clone()));
            }
            Kind::DaemonRestart => {
                let again = |model: &mut Model, now_ms| {
                    model.daemon_ends(now_ms);
                    model.daemon_begins(now_ms);
                };
                let _ = sim_host.daemon.inject(again);
                self.forgets();
            }
            Kind::EventsSilent | Kind::EventsEnd | Kind::EventsThrice => {
                sim_host.network().events = match kind {
                    Kind::EventsSilent => Events::Silent,
                    Kind::EventsEnd => Events::End,
                    _ => Events::Thrice,
                };
                self.after(5_000, 120_000, Repair::Events(name));
                // The fault counts when an event is sent.
                return;
            }
            Kind::DiskFull => {
                sim_host.network().disk_full = true;
                self.after(2_000, 120_000, Repair::Disk(name));
                return;
            }
            Kind::ImageMissing => {
                for sim_host in self.sim_hosts() {
                    let gone = |model: &mut Model, _| {
                        model.remove_image(IMAGE);
                        model.set_missing(IMAGE);
                    };
                    let _ = sim_host.daemon.inject(gone);
                }
                self.after(5_000, 120_000, Repair::Image);
            }
            Kind::HostClockJumps => {
                let by = i64::try_from(self.rng.below(10_000)).unwrap_or(0) - 5_000;
                sim_host.clock.jump(by);
            }
            Kind::EngineClockJumps => {
                let by = i64::try_from(self.rng.below(7_200_000)).unwrap_or(0) - 3_600_000;
                self.world.clock.jump(by);
            }
            _ => {}
        }
        self.world.fire(kind, &name);
    }

    pub(super) fn cut(&self, sim_host: &SimulatedHost, reachability: Reachability) {
        let at = self.world.time_ms();
        let mut network = sim_host.network();
        network.reachability = reachability;
        let check_not_running_elsewhere =
            network.last_outage_ms.filter(|(_, until)| at - until < UNSEEN_MS);
        let since = check_not_running_elsewhere.map_or(at, |(since, _)| since);
        network.unreachable_since_ms.get_or_insert(since);
    }

    pub(super) fn fault_on_container(&mut self, kind: Kind) {
        let running =
            |found: &invariants::ManagedContainer<'_>| found.shown.runs() && found.role != "init";
        let Some((sim_host, id, pod)) = self.container(running) else { return };
        let name = sim_host.name.clone();
        match kind {
            Kind::Stuck => {
                let _ = sim_host.daemon.inject(|model, now_ms| model.get_stuck(&id, now_ms));
                self.repairs(&pod);
                self.after(1_000, 90_000, Repair::Loose(name.clone(), id));
            }
            Kind::Crash => {
                let code = self.rng.pick(&[0, 1, 137]).copied().unwrap_or(1);
                let _ = sim_host.daemon.inject(|model, now_ms| model.crash(&id, code, now_ms));
            }
            Kind::CrashLoop => {
                let _ = sim_host.daemon.inject(|model, now_ms| model.stop(&id, now_ms));
                let times = u32::try_from(self.rng.range(2, 8)).unwrap_or(2);
                self.after(500, 2_000, Repair::CrashAgain(name.clone(), id, times));
            }
            _ => {
                let bad = Some(Health::Unhealthy);
                let _ = sim_host.daemon.inject(|model, _| model.set_health(&id, bad));
                self.after(1_000, 40_000, Repair::Healthy(name.clone(), id));
            }
        }
        self.world.fire(kind, &format!("{pod} on {name}"));
    }

    /// Allows one more creation of each container of a pod.
    pub(super) fn repairs(&self, pod: &str) {
        let versions = self.world.family.versions.iter();
        let expected = versions.flat_map(|version| &version.expected);
        let sizes =
            expected.filter(|work| work.has(pod) || work.is_surge(pod)).map(|work| work.size);
        self.world.state().repairs += sizes.max().unwrap_or(4) as u64;
    }

    /// Restarts a daemon, which has lost everything in memory. Containers that are started again for that may have a
    /// surge pod meanwhile.
    pub(super) fn forgets(&self) {
        let expected = self.world.family.versions.iter().flat_map(|version| &version.expected);
        let stand_ins = expected.filter(|work| work.in_memory).map(|work| work.surge);
        self.world.state().repairs += stand_ins.sum::<usize>() as u64;
    }

    /// Allows the repair of all pods of a host.
    pub(super) fn allow_recreation_on(&self, host: &str) {
        let mut pods = Vec::new();
        invariants::each_managed(&self.world, |other, _, found| {
            if other.name == host {
                pods.push(found.pod.to_owned());
            }
        });
        pods.iter().for_each(|pod| self.repairs(pod));
    }

    /// Makes a version of the spec the current one.
    pub(super) fn follow(&mut self, version: usize) {
        let at = self.world.time_ms();
        {
            let mut state = self.world.state();
            state.before = state.version;
            state.version = version;
            state.edited_ms = at;
        }
        self.edits += 1;
        self.world.note("spec", &format!("version {version}"), "");
        let outdated = self.world.state().outdated.clone();
        for number in outdated.keys().filter(|number| self.engines.contains_key(*number)) {
            self.world.fire(Kind::EngineLags, &number.to_string());
        }
        for engine in self.engines.values().filter(|engine| !outdated.contains_key(&engine.number))
        {
            self.tell_spec(engine, version);
        }
    }

    pub(super) fn tell_spec(&self, engine: &Engine, version: usize) {
        let version = &self.world.family.versions[version];
        let graph = Box::new(tally_graph::Graph::clone(&version.graph));
        // A killed engine receives nothing.
        let _ =
            engine.spec_changes.send(SpecChange::SpecWithSecrets(graph, version.secrets.clone()));
    }

    pub(super) fn spec(&mut self, kind: Kind) {
        let now = self.world.state().version;
        match kind {
            Kind::SpecBroken => self.tell(|| SpecChange::Broken("a report".to_owned())),
            Kind::SpecEmptied if now != VERSIONS => {
                self.follow(VERSIONS);
                self.after(2_000, 60_000, Repair::SpecBack(now));
            }
            Kind::SpecEdit if now != VERSIONS => {
                let other = (now + 1 + usize::try_from(self.rng.below(2)).unwrap_or(0)) % VERSIONS;
                if !self.can_go_back_from(other) {
                    return;
                }
                let disturbed = self.world.state().disturbed_ms;
                self.world.fire(kind, "");
                // An edit is no fault: the observations of the hosts stay valid.
                self.world.state().disturbed_ms = disturbed;
                self.follow(other);
                return;
            }
            _ => return,
        }
        self.world.fire(kind, "");
    }

    /// Checks whether a failed version is rolled back to the current one: it has been rolled out, and is known to be.
    pub(super) fn can_go_back_from(&self, version: usize) -> bool {
        let (now, next) = (self.world.version(), &self.world.family.versions[version]);
        if next.bad.is_empty() {
            return true;
        }
        let came_to_be = |address: &String| {
            let state = self.world.state();
            let newest = state.history.iter().rev().find_map(|entry| entry.settled.get(address));
            let work = now.graph.workload_at(address);
            work.map(|work| work.fingerprint()).as_ref() == newest && newest.is_some()
        };
        let left = differences(&self.world);
        let is_mixed = left.values().any(|why| why.contains("of an older version"));
        now.bad.is_empty() && next.bad.iter().all(came_to_be) && !is_mixed
    }

    pub(super) fn declare(&mut self, kind: Kind) {
        match kind {
            Kind::Freeze => {
                self.world.state().declared.frozen = Some("sim".to_owned());
                self.after(2_000, 60_000, Repair::Unfreeze);
            }
            Kind::PauseRollout => {
                let expected = &self.world.version().expected;
                let Some(work) = self.rng.pick(expected) else { return };
                let address = work.address.clone();
                self.world.state().declared.paused.insert(address, "sim".to_owned());
                self.after(2_000, 60_000, Repair::Unfreeze);
            }
            _ => {
                let silent: Vec<Arc<SimulatedHost>> = self
                    .sim_hosts()
                    .into_iter()
                    .filter(|it| it.network().reachability != Reachability::Open)
                    .collect();
                let Some(sim_host) = self.rng.pick(&silent).cloned() else { return };
                let name = sim_host.name.clone();
                let declared = match kind {
                    Kind::DeclareLost => Declared::Lost,
                    _ => Declared::Fenced,
                };
                let before = self.world.state().declared.hosts.insert(name.clone(), declared);
                if before == Some(Declared::Fenced) {
                    self.world.state().declared.hosts.insert(name, Declared::Fenced);
                    return;
                }
                sim_host.network().presumed_lost_until_ms = i64::MAX;
                if declared == Declared::Fenced {
                    // A fenced host is switched off.
                    let _ = sim_host.daemon.inject(|model, now_ms| model.daemon_ends(now_ms));
                    sim_host.network().reachability = Reachability::Refused;
                }
                self.allow_recreation_on(&name);
            }
        }
        self.world.fire(kind, "");
        self.declared();
    }

    pub(super) fn declared(&self) {
        let declared = self.world.state().declared.clone();
        self.tell(|| SpecChange::Declared(declared.clone()));
    }

    /// Withdraws all declarations; a fence too, once no objects are left behind it.
    pub fn withdraw_declarations(&self) {
        {
            let mut state = self.world.state();
            // A rollback is no declaration of a person.
            let rolled_back = std::mem::take(&mut state.declared.rolled_back);
            state.declared = Declarations { rolled_back, ..Declarations::default() };
        }
        let until = self.world.time_ms() + PRESUMED_LOST_MS;
        for sim_host in self.sim_hosts() {
            let mut network = sim_host.network();
            network.presumed_lost_until_ms = network.presumed_lost_until_ms.min(until);
        }
        self.declared();
    }

    pub(super) fn engine(&mut self, kind: Kind) {
        match kind {
            Kind::EngineCrash | Kind::MemoryLost => {
                let Some(engine) = self.engines.remove(&1) else { return };
                let kept = engine.kill(&self.world);
                let kept = if kind == Kind::EngineCrash { kept } else { Memory::default() };
                self.after(1, 20_000, Repair::Begin(1, Box::new(kept)));
            }
            Kind::EngineStalls => {
                let Some(engine) = self.engines.get(&1) else { return };
                engine.stall(true);
                self.after(500, 90_000, Repair::GoOn(1));
            }
            Kind::SecondEngine => {
                if self.engines.contains_key(&2) || self.world.state().shared {
                    return;
                }
                let second = Engine::start(&self.world, 2, Memory::default());
                self.engines.insert(2, second);
                // Two engines that see the hosts differently may place a pod without data twice.
                let version = self.world.version();
                let all: usize = version.expected.iter().map(|work| work.count() * work.size).sum();
                {
                    let mut state = self.world.state();
                    state.repairs += all as u64;
                    state.uncoordinated = true;
                }
                self.after(2_000, 90_000, Repair::SecondEnds);
            }
            _ => self.apply(),
        }
        self.world.fire(kind, "");
    }

    /// Applies by hand, as a person does.
    pub fn apply(&mut self) {
        let at = self.world.time_ms();
        let world = Arc::clone(&self.world);
        let memory = match self.engines.get(&1) {
            Some(engine) => lock(&engine.kept).clone(),
            None => Memory::default(),
        };
        {
            let mut state = world.state();
            state.confirmed_ms = at;
            state.engines += 1;
            state.repairs += 4;
        }
        tokio::spawn(async move {
            apply_by_hand(Arc::clone(&world), memory).await;
            let at = world.time_ms();
            let mut state = world.state();
            state.engines -= 1;
            state.disturbed_ms = at;
        });
    }

    /// Makes a host unreachable permanently.
    pub fn stop_permanently(&mut self) {
        let Some(sim_host) = self.sim_host() else { return };
        if sim_host.network().reachability == Reachability::Open {
            self.cut(&sim_host, Reachability::Dropped);
        }
        sim_host.network().dead = true;
        self.world.fire(Kind::DeadForGood, &sim_host.name);
    }
}
