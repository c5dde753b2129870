//! The end of each fault and of the effects of each action.

use tally_reconcile::memory::Declared;
use tally_simulator::Model;

use super::director::Director;
use super::repair::{GIVEN_UP_MS, Repair};
use crate::simulation::engine::Engine;
use crate::simulation::judge;
use crate::simulation::spec::IMAGE;
use crate::simulation::world::{Events, Station, Way};

impl Director {
    pub(super) fn heal(&self, station: &Station) {
        let back = station.weather().way == Way::Refused;
        if back {
            let _ = station.host.inject(|model, now_ms| model.daemon_begins(now_ms));
        }
        let until = self.world.time_ms() + GIVEN_UP_MS;
        let lost = {
            let mut state = self.world.state();
            let lost = state.declared.hosts.get(&station.name) == Some(&Declared::Lost);
            if lost {
                state.declared.hosts.remove(&station.name);
            }
            lost
        };
        let fenced = self.world.state().declared.hosts.contains_key(&station.name);
        let mut weather = station.weather();
        let grace =
            self.world.family.versions.iter().filter_map(|version| version.lost_after_ms).min();
        let over = weather
            .cut_ms
            .zip(grace)
            .is_some_and(|(since, grace)| self.world.time_ms() - since >= grace);
        weather.way = Way::Open;
        weather.was_cut_ms = weather.cut_ms.take().map(|since| (since, self.world.time_ms()));
        weather.given_up_ms = match (fenced, lost || over) {
            (true, _) => i64::MAX,
            (false, true) => until,
            (false, false) => weather.given_up_ms.min(until),
        };
        drop(weather);
        if over {
            self.repairs_all_of(&station.name);
        }
        let at = self.world.time_ms();
        self.world.state().disturbed_ms = at;
        self.world.note("mended", "host", &station.name);
        self.declared();
    }

    pub(super) fn repair(&mut self, repair: Repair) {
        let at = self.world.time_ms();
        self.world.state().disturbed_ms = at;
        match repair {
            Repair::Heal(host) => {
                if let Some(station) = self.named(&host).filter(|it| !it.weather().dead) {
                    self.heal(&station);
                }
            }
            Repair::Events(host) => {
                self.on(&host, |station| station.weather().events = Events::Tell)
            }
            Repair::Disk(host) => self.on(&host, |station| station.weather().full = false),
            Repair::Fast(host) => self.on(&host, |station| station.weather().slow_ms = 0),
            Repair::Inspect(host) => self.on(&host, |station| station.weather().hangs = None),
            Repair::Image => {
                for station in self.stations() {
                    let _ = station.host.inject(|model, _| model.set_present(IMAGE));
                }
            }
            Repair::Loose(host, id) => {
                self.on(&host, |it| drop(it.host.inject(|model, _| model.come_loose(&id))))
            }
            Repair::Healthy(host, id) => {
                self.on(&host, |it| drop(it.host.inject(|model, _| model.set_health(&id, None))));
            }
            Repair::CrashAgain(host, id, times) => self.crash_again(&host, id, times),
            Repair::Begin(number, kept) => {
                let engine = Engine::begin(&self.world, number, *kept);
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
                self.world.state().at_odds = false;
            }
            Repair::Unfreeze => {
                let mut state = self.world.state();
                state.declared.frozen = None;
                state.declared.paused.clear();
                drop(state);
                self.declared();
            }
            Repair::Store => self.world.depot.heals(),
            Repair::UpToDate(number) => {
                let version = {
                    let mut state = self.world.state();
                    state.lags.remove(&number);
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
                self.on(&host, |it| drop(it.host.inject(away)));
            }
        }
        judge::happened(&self.world);
    }

    fn on(&self, host: &str, act: impl FnOnce(&Station)) {
        if let Some(station) = self.world.stations.get(host) {
            act(station);
            self.world.note("mended", "", host);
        }
    }

    fn crash_again(&mut self, host: &str, id: String, times: u32) {
        let Some(station) = self.named(host) else { return };
        let runs = station.host.inspect(|model, _| model.each().any(|it| it.id == id && it.runs()));
        if runs == Ok(true) {
            let _ = station.host.inject(|model, now_ms| model.stop(&id, now_ms));
            self.world.note("crashes", "again", host);
        }
        if times > 1 {
            self.after(500, 4_000, Repair::CrashAgain(host.to_owned(), id, times - 1));
        }
    }
}
