//! The operator who applies by hand: one pass of `tally apply --rebalance`, with the rollbacks of failed rollouts.
//!
//! It drives the session of `tally apply` step by step: it stops after one pass, without the observation that
//! verifies it, so that the engines under test still find something to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use tally_control::convergence::{Actor, Convergence, Observer, PlanningResult, Request, Session};
use tally_control::{Current, Storage, Stored};
use tally_graph::Graph;
use tally_host::Progress;
use tally_reconcile::Options;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::memory::{Clocks, Memory};
use tally_reconcile::plan::Plan;
use tally_reconcile::rollback::PreviousRevision;
use tokio::sync::watch;

use crate::plan_equivalence;

use super::engine::{connections, now_ms};
use super::world::{HAND, World};

/// Applies the current version of the spec once, without the loop's guard on removals.
pub async fn apply_by_hand(world: Arc<World>, mut memory: Memory) -> Plan {
    let clocks = world.clocks(now_ms());
    memory.learned.take_up(Some(&clocks));
    let (rolls_back, secrets) = (world.version().rolls_back, world.version().secrets.clone());
    memory.history.previous = world.previous_revisions(&world.version().graph);
    let graph = Graph::clone(&world.followed());
    let storage = Arc::new(Folder { world: Arc::clone(&world) });
    let convergence = Convergence::new(Actor::Apply, graph, memory, secrets, storage);
    let request = Request {
        options: Options { rebalance: true, ..Options::default() },
        calls_per_host: 8,
        passes: 1,
        agreed: None,
        ended_rollbacks: Vec::new(),
        now_ms,
    };
    let mut session = Session::new(
        convergence,
        connections(&world, HAND),
        request,
        &CheckingObserver,
        Some(clocks),
    );
    let (_sender, cancel) = watch::channel(false);
    session.observe().await;
    let plan = session.plan();
    let report = session.execute(&plan, &cancel).await;
    if rolls_back {
        // A plan with errors ends it, as it ends `tally apply`: too many hosts are unreachable.
        let _ = session.roll_back_failed(&plan, &report, &cancel).await;
    }
    plan
}

/// Checks every plan.
struct CheckingObserver;

impl Observer for CheckingObserver {
    fn planned(&self, planned: &PlanningResult<'_>) {
        plan_equivalence::check(planned);
    }

    fn confirm(&self, _: &Plan) -> Option<watch::Receiver<bool>> {
        Some(watch::channel(false).1)
    }

    fn executing<'p>(&'p self, _: &'p Plan) -> Box<dyn Progress + 'p> {
        Box::new(())
    }
}

/// The folder of the spec: its history and declarations, which the engines share. The memory of the
/// operator is not kept.
struct Folder {
    world: Arc<World>,
}

#[async_trait]
impl Storage for Folder {
    fn remember(&self, _: &Memory, _: i64) -> Stored {
        Ok(())
    }

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

    fn clocks(&self, now_ms: i64) -> Option<Clocks> {
        Some(self.world.clocks(now_ms))
    }

    fn current(&self) -> Current {
        let declared = self.world.state().declared.clone();
        let secrets = self.world.version().secrets.clone();
        Current { declared: Some(declared), secrets: Some(secrets) }
    }
}
