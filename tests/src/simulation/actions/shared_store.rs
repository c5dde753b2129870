//! Faults of the store, and of the engines that share it. They have random numbers of their own, so that runs
//! without a store do not change.

use tally_reconcile::memory::Memory;

use super::director::Director;
use super::repair::Repair;
use crate::simulation::engine::Engine;
use crate::simulation::faults::Kind;

impl Director {
    /// Starts the other engines of a run in which they share a store.
    pub fn share(&mut self) {
        let most = 2 + u32::from(self.chance.percent(40));
        for number in 2..=most {
            let engine = Engine::start(&self.world, number, Memory::default());
            self.engines.insert(number, engine);
        }
    }

    /// Returns the number of the leader.
    #[must_use]
    pub fn leader(&self) -> Option<u32> {
        let leader = self.world.store.leader(self.world.time_ms())?;
        let state = self.world.state();
        let found = state.candidates.iter().find(|(_, (name, _))| *name == leader);
        found.map(|(number, _)| *number).filter(|number| self.engines.contains_key(number))
    }

    /// Injects a fault into the engines or the store; may do nothing.
    pub fn inject_store_fault(&mut self) {
        if self.chance.percent(40) {
            return;
        }
        let kind = self.chance.pick(Kind::OF_STORES).copied().unwrap_or(Kind::StoreDown);
        match kind {
            Kind::StoreDown => {
                self.world.store.set_down(self.chance.percent(50));
                self.after_by_chance(500, 60_000, Repair::Store);
            }
            Kind::StoreSlow => {
                self.world.store.set_slow(self.chance.range(500, 8_000));
                self.after_by_chance(5_000, 60_000, Repair::Store);
            }
            Kind::StoreLostReply => self.world.store.lose_replies(self.chance.range(1, 8)),
            Kind::LeaderStalls => {
                let at_take = self.chance.percent(40);
                let all: Vec<u32> = self.engines.keys().copied().collect();
                let any = self.chance.pick(&all).copied();
                let engine = if at_take { any } else { self.leader() };
                let Some(engine) = engine else { return };
                self.world.store.stall_engine(engine, self.chance.range(500, 90_000), at_take);
            }
            Kind::LeaderDies | Kind::LeaderEnds => self.leader_ends(kind),
            _ => self.outdated(),
        }
    }

    fn leader_ends(&mut self, kind: Kind) {
        let Some(leader) = self.leader() else { return };
        let Some(engine) = self.engines.remove(&leader) else { return };
        let kept = match kind {
            Kind::LeaderDies => engine.kill(&self.world),
            _ => engine.end(&self.world),
        };
        self.after_by_chance(1, 40_000, Repair::Begin(leader, Box::new(kept)));
        self.world.fire(kind, &leader.to_string());
    }

    /// Leaves the folder of a standby engine outdated for a while.
    fn outdated(&mut self) {
        let leader = self.leader();
        let others: Vec<u32> =
            self.engines.keys().copied().filter(|number| Some(*number) != leader).collect();
        let Some(number) = self.chance.pick(&others).copied() else { return };
        let version = self.world.state().version;
        self.world.state().outdated.entry(number).or_insert(version);
        self.after_by_chance(10_000, 120_000, Repair::UpToDate(number));
        self.world.note("will", Kind::EngineLags.word(), &number.to_string());
    }

    fn after_by_chance(&mut self, least: u64, most: u64, repair: Repair) {
        self.counted += 1;
        let after = i64::try_from(self.chance.range(least, most)).unwrap_or(0);
        self.pending.insert((self.world.time_ms() + after, self.counted), repair);
    }

    /// Confirms an engine's files, as a person does who sees that all engines wait; returns whether they did.
    pub fn supersede(&mut self) -> bool {
        let stuck = {
            let state = self.world.state();
            let mut all = self.engines.keys().filter_map(|number| state.candidates.get(number));
            all.all(|(_, board)| board.read().sharing.is_some_and(|shown| shown.aside))
        };
        if !stuck {
            return false;
        }
        let Some(engine) = self.engines.remove(&1) else { return false };
        let kept = engine.kill(&self.world);
        self.world.note("hand", "supersedes", "");
        let engine = Engine::start_superseding(&self.world, 1, kept);
        self.engines.insert(1, engine);
        true
    }
}
