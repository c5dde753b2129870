//! How what each fault and each deed did is mended.

use tally_reconcile::memory::{Declared, Memory};
use tally_simulator::Model;

use super::{Director, GIVEN_UP_MS};
use crate::simulation::engine::Engine;
use crate::simulation::judge;
use crate::simulation::spec::IMAGE;
use crate::simulation::world::{Events, Station, Way};

/// What ends a fault.
pub(super) enum Mend {
    Heal(String),
    Events(String),
    Disk(String),
    Fast(String),
    Inspect(String),
    Image,
    Loose(String, String),
    Healthy(String, String),
    CrashAgain(String, String, u32),
    Begin(u32, Box<Memory>),
    GoOn(u32),
    SecondEnds,
    Unfreeze,
    SpecBack(usize),
    Stranger(String, String),
    Store,
    UpToDate(u32),
}

impl Director {
    pub(super) fn heal(&self, station: &Station) {
        let back = station.weather().way == Way::Refused;
        if back {
            let _ = station.host.meddle(|model, now_ms| model.daemon_begins(now_ms));
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

    pub(super) fn mend(&mut self, mend: Mend) {
        let at = self.world.time_ms();
        self.world.state().disturbed_ms = at;
        match mend {
            Mend::Heal(host) => {
                if let Some(station) = self.named(&host).filter(|it| !it.weather().dead) {
                    self.heal(&station);
                }
            }
            Mend::Events(host) => self.on(&host, |station| station.weather().events = Events::Tell),
            Mend::Disk(host) => self.on(&host, |station| station.weather().full = false),
            Mend::Fast(host) => self.on(&host, |station| station.weather().slow_ms = 0),
            Mend::Inspect(host) => self.on(&host, |station| station.weather().hangs = None),
            Mend::Image => {
                for station in self.stations() {
                    let _ = station.host.meddle(|model, _| model.set_present(IMAGE));
                }
            }
            Mend::Loose(host, id) => {
                self.on(&host, |it| drop(it.host.meddle(|model, _| model.come_loose(&id))))
            }
            Mend::Healthy(host, id) => {
                self.on(&host, |it| drop(it.host.meddle(|model, _| model.set_health(&id, None))));
            }
            Mend::CrashAgain(host, id, times) => self.crash_again(&host, id, times),
            Mend::Begin(number, kept) => {
                let engine = Engine::begin(&self.world, number, *kept);
                self.engines.insert(number, engine);
            }
            Mend::GoOn(number) => {
                if let Some(engine) = self.engines.get(&number) {
                    engine.stall(false);
                }
            }
            Mend::SecondEnds => {
                if let Some(engine) = self.engines.remove(&2) {
                    engine.kill(&self.world);
                }
                self.world.state().at_odds = false;
            }
            Mend::Unfreeze => {
                let mut state = self.world.state();
                state.declared.frozen = None;
                state.declared.paused.clear();
                drop(state);
                self.declared();
            }
            Mend::Store => self.world.depot.heals(),
            Mend::UpToDate(number) => {
                let version = {
                    let mut state = self.world.state();
                    state.lags.remove(&number);
                    state.version
                };
                if let Some(engine) = self.engines.get(&number) {
                    self.tell_spec(engine, version);
                }
            }
            Mend::SpecBack(version) => self.follow(version),
            Mend::Stranger(host, id) => {
                let away = |model: &mut Model, now_ms| {
                    let _ = model.stop(&id, now_ms);
                    model.remove(&id, now_ms)
                };
                self.on(&host, |it| drop(it.host.meddle(away)));
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
        let runs = station.host.look(|model, _| model.each().any(|it| it.id == id && it.runs()));
        if runs == Ok(true) {
            let _ = station.host.meddle(|model, now_ms| model.stop(&id, now_ms));
            self.world.note("crashes", "again", host);
        }
        if times > 1 {
            self.after(500, 4_000, Mend::CrashAgain(host.to_owned(), id, times - 1));
        }
    }
}
