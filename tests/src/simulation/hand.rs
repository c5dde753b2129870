//! Who applies by hand: one `tally apply --rebalance`, with what it does when a rollout fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use tally_graph::{Address, Graph};
use tally_host::{ExecuteOptions, Host, HostRead, Report, execute, failed_versions, observe};
use tally_reconcile::Options;
use tally_reconcile::input::observed::Observed;
use tally_reconcile::memory::{Clocks, Memory};
use tally_reconcile::plan::Plan;
use tally_reconcile::rollback::{Decision, decide};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::closely;

use super::engine::{HAND, doors, now_ms};
use super::spec::CLUSTER;
use super::world::World;

/// One apply: looks, plans without the guard of the loop, and carries the plan out; what failed and
/// goes back is brought back.
pub async fn apply_by_hand(world: Arc<World>, mut memory: Memory) -> Plan {
    let clocks = world.clocks(now_ms());
    memory.take_up(Some(&clocks));
    let mut hand = Hand { doors: doors(&world, HAND), memory, clocks, world };
    let goes_back = hand.world.version().goes_back;
    let spec = Arc::clone(&hand.world.version().graph);
    hand.memory.former = hand.world.formers(&spec);
    let graph = hand.world.followed();
    let observed = hand.look().await;
    let plan = hand.plan(&graph, &observed, None);
    let report = hand.execute(&graph, &plan).await;
    if goes_back {
        hand.take_back(&graph, &plan, &report).await;
    }
    plan
}

struct Hand {
    world: Arc<World>,
    doors: BTreeMap<String, Arc<dyn Host>>,
    memory: Memory,
    clocks: Clocks,
}

impl Hand {
    async fn look(&mut self) -> Observed {
        let readers: Vec<Arc<dyn HostRead>> =
            self.doors.values().map(|door| Arc::clone(door) as Arc<dyn HostRead>).collect();
        let begun = Instant::now();
        let observed = observe(&readers, CLUSTER).await;
        let clocks = self.world.clocks(now_ms());
        self.memory.set_clock(Some(&self.clocks), Some(&clocks));
        self.memory.declared = self.world.state().declared.clone();
        self.memory.looked(CLUSTER, &observed, begun.elapsed(), clocks.now_ms);
        self.clocks = clocks;
        observed
    }

    fn plan(&self, graph: &Graph, observed: &Observed, target: Option<Address>) -> Plan {
        let rebalance = target.is_none();
        let secrets = self.world.version().secrets.hashes().clone();
        let options =
            Options { now_ms: now_ms(), rebalance, target, secrets, ..Options::default() };
        closely::plan(graph, observed, &self.memory, &options)
    }

    async fn execute(&self, graph: &Graph, plan: &Plan) -> Report {
        let (_sender, cancel) = watch::channel(false);
        let secrets = self.world.version().secrets.clone();
        let options = ExecuteOptions { secrets, ..ExecuteOptions::default() };
        execute(plan, graph, &self.doors, &(), cancel, &options).await
    }

    /// Keeps what came to be, and brings back what failed.
    async fn take_back(&mut self, graph: &Graph, plan: &Plan, report: &Report) {
        let observed = self.look().await;
        self.world.settled(graph, &self.plan(graph, &observed, None).settled());
        for (address, failed) in failed_versions(plan, report, "apply", now_ms()) {
            let decision = decide(graph, &observed, &self.memory, &address, failed);
            let Some(Decision::Back(back)) = decision else { continue };
            self.world.set_undone(&address, Some(&back));
            let followed = self.world.followed();
            let observed = self.look().await;
            let plan = self.plan(&followed, &observed, Address::parse(&address));
            self.execute(&followed, &plan).await;
        }
    }
}
