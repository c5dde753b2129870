//! The end of each fault and of the effects of each action.

use tally_reconcile::memory::Declared;
use tally_simulator::Model;

use super::director::Director;
use super::repair::{PRESUMED_LOST_MS, Repair};
use crate::simulation::engine::Engine;
use crate::simulation::invariants;
use crate::simulation::spec::IMAGE;
use crate::simulation::world::{Events, Reachability, SimulatedHost};

impl Director {
    pub(super) fn heal(&self, sim_host: &SimulatedHost) {
        let back = sim_host.network().reachability == Reachability::Refused;
        if back {
            let _ = sim_host.daemon.inject(|model, now_ms| model.daemon_begins(now_ms));
        }
        let until = self.world.time_ms() + PRESUMED_LOST_MS;
        let lost = {
            let mut state = self.world.state();
            let lost = state.declared.hosts.get(&sim_host.name) == Some(&Declared::Lost);
            if lost {
                state.declared.hosts.remove(&sim_host.name);
            }
            lost
        };
        let fenced = self.world.state().declared.hosts.contains_key(&sim_host.name);
        let mut network = sim_host.network();
        let grace =
            self.world.family.versions.iter().filter_map(|version| version.lost_after_ms).min();
        let over = network
            .unreachable_since_ms
            .zip(grace)
            .is_some_and(|(since, grace)| self.world.time_ms() - since >= grace);
        network.reachability = Reachability::Open;
        network.last_outage_ms =
            network.unreachable_since_ms.take().map(|since| (since, self.world.time_ms()));
        network.presumed_lost_until_ms = match (fenced, lost || over) {
            (true, _) => i64::MAX,
            (false, true) => until,
            (false, false) => network.presumed_lost_until_ms.min(until),
        };
        drop(network);
        if over {
            self.allow_recreation_on(&sim_host.name);
        }
        let at = self.world.time_ms();
        self.world.state().disturbed_ms = at;
        self.world.note("repaired", "host", &sim_host.name);
        self.declared();
    }

    pub(super) fn repair(&mut self, repair: Repair) {
        let at = self.world.time_ms();
        self.world.state().disturbed_ms = at;
        match repair {
            Repair::Heal(host) => {
                if let Some(sim_host) = self.named(&host).filter(|it| !it.network().dead) {
                    self.heal(&sim_host);
                }
            }
            Repair::Events(host) => {
                self.on(&host, |sim_host| sim_host.network().events = Events::Tell)
            }
            Repair::Disk(host) => self.on(&host, |sim_host| sim_host.network().disk_full = false),
            Repair::Fast(host) => self.on(&host, |sim_host| sim_host.network().slow_ms = 0),
            Repair::Inspect(host) => {
                self.on(&host, |sim_host| sim_host.network().hanging_inspect = None)
            }
            Repair::Image => {
                for sim_host in self.sim_hosts() {
                    let _ = sim_host.daemon.inject(|model, _| model.set_present(IMAGE));
                }
            }
            Repair::Loose(host, id) => {
                self.on(&host, |it| drop(it.daemon.inject(|model, _| model.come_loose(&id))))
            }
            Repair::Healthy(host, id) => {
                self.on(&host, |it| drop(it.daemon.inject(|model, _| model.set_health(&id, None))));
            }
            Repair::CrashAgain(host, id, times) => self.crash_again(&host, id, times),
            Repair::Begin(number, kept) => {
                let engine = Engine::start(&self.world, number, *kept);
                self.engines.insert(number, engine);
            }
            Repair::GoOn(number) => {
                if let Some(engine) = self.engines.get(&number) {
                    engine.stall(false);
                }
            }
            Repair::SecondEnds => {
                if let Some(engine) = self.engines.remove(&2) {
                    engine.kill(&self.world);
                }
                self.world.state().uncoordinated = false;
            }
            Repair::Unfreeze => {
                let mut state = self.world.state();
                state.declared.frozen = None;
                state.declared.paused.clear();
                drop(state);
                self.declared();
            }
            Repair::Store => self.world.store.reset(),
            Repair::UpToDate(number) => {
                let version = {
                    let mut state = self.world.state();
                    state.outdated.remove(&number);
                    state.version
                };
                if let Some(engine) = self.engines.get(&number) {
                    self.tell_spec(engine, version);
                }
            }
            Repair::SpecBack(version) => self.follow(version),
            Repair::Stranger(host, id) => {
                let away = |model: &mut Model, now_ms| {
                    let _ = model.stop(&id, now_ms);
                    model.remove(&id, now_ms)
                };
                self.on(&host, |it| drop(it.daemon.inject(away)));
            }
        }
        invariants::check_state(&self.world);
    }

    fn on(&self, host: &str, act: impl FnOnce(&SimulatedHost)) {
        if let Some(sim_host) = self.world.sim_hosts.get(host) {
            act(sim_host);
            self.world.note("repaired", "", host);
        }
    }

    fn crash_again(&mut self, host: &str, id: String, times: u32) {
        let Some(sim_host) = self.named(host) else { return };
        let runs =
            sim_host.daemon.inspect(|model, _| model.each().any(|it| it.id == id && it.runs()));
        if runs == Ok(true) {
            let _ = sim_host.daemon.inject(|model, now_ms| model.stop(&id, now_ms));
            self.world.note("crashes", "again", host);
        }
        if times > 1 {
            self.after(500, 4_000, Repair::CrashAgain(host.to_owned(), id, times - 1));
        }
    }
}
