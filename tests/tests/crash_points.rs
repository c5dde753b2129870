//! An apply that is killed at each of its calls: before the call is sent, after it took effect and before the
//! answer arrived, and after the answer. The next apply has the same result as one that was never killed: no
//! duplicates, nothing left behind.

use std::sync::Arc;

use tally_reconcile::memory::Memory;
use tally_tests::simulation::convergence::differences;
use tally_tests::simulation::engine::{plan_of_actual_state, set_clock};
use tally_tests::simulation::manual_apply::apply_by_hand;
use tally_tests::simulation::spec::{self, Family};
use tally_tests::simulation::world::{Death, World};

/// The number of scenarios, each with a first apply and an apply of a changed spec.
const SCENARIOS: usize = 24;
/// The number of scenarios with a rollout that fails and is rolled back.
const BACK_SCENARIOS: usize = 6;
/// Larger scenarios show nothing new.
const MOST_CALLS: u64 = 36;
/// The maximum number of applies until the plan is empty. Each rolls back the workloads that failed in it, and the
/// next one starts the operations that waited for them.
const MOST_APPLIES: usize = 6;

#[expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]
fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

/// Applies until the plan is empty; returns whether that happened.
async fn converges(world: &Arc<World>) -> bool {
    for _ in 0..MOST_APPLIES {
        if apply_by_hand(Arc::clone(world), Memory::default()).await.is_empty() {
            return true;
        }
    }
    false
}

/// Returns all objects, by name.
fn names(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for sim_host in world.sim_hosts.values() {
        let listed = sim_host.daemon.inspect(|model, _| {
            let containers = model.list().into_iter().map(|it| it.name);
            let volumes = model.list_volumes().into_iter().map(|it| format!("volume {}", it.name));
            containers.chain(volumes).collect::<Vec<_>>()
        });
        all.extend(listed.into_iter().flatten());
    }
    all.sort();
    all
}

/// Runs version 0, then version 1, and kills the second apply at call `death`. Returns the calls of that apply and
/// the final objects.
fn killed(family: &Arc<Family>, first: bool, death: Option<(u64, Death)>) -> (u64, Vec<String>) {
    paused(async {
        let world = World::new(1, Arc::clone(family), false);
        // A person who applies has read the plan, including its removals.
        world.state().confirmed_ms = i64::MAX / 2;
        set_clock(&world.clock);
        if !first {
            assert!(converges(&world).await);
            world.state().version = 1;
        }
        let before = world.state().changes;
        let at = death.map(|(call, how)| (before + call, how));
        world.state().dies = at;
        let work = apply_by_hand(Arc::clone(&world), Memory::default());
        tokio::select! {
            biased;
            () = world.died.notified() => {}
            _ = work => {}
        }
        let calls = world.state().changes - before;
        world.state().dies = None;
        // Calls that were sent before the death take effect meanwhile, or later.
        let converged = converges(&world).await;
        let left = differences(&world);
        let plan = plan_of_actual_state(&world, &Memory::default(), false);
        let violations = world.state().violations.clone();
        assert!(
            converged && left.is_empty() && plan.is_empty() && violations.is_empty(),
            "killed {death:?}: {converged} {left:?} {violations:?} {:?}\n{}\n{}",
            plan.changes,
            family.versions[0].text,
            family.versions[1].text
        );
        (calls, names(&world))
    })
}

/// Kills the apply of a family at each of its calls, unless it has too many. Returns the number of calls.
fn each_point(seed: u64, family: &Arc<Family>, first: bool) -> Option<usize> {
    let (calls, expected) = killed(family, first, None);
    if calls == 0 || calls > MOST_CALLS {
        return None;
    }
    for call in 1..=calls {
        for how in [Death::Before, Death::Unacknowledged, Death::Acknowledged] {
            let (_, names) = killed(family, first, Some((call, how)));
            assert_eq!(names, expected, "seed {seed}, call {call}, {how:?}");
        }
    }
    usize::try_from(calls * 3).ok()
}

#[test]
fn an_apply_killed_at_any_call_is_completed_by_the_next_one() {
    let (mut scenarios, mut points) = (0, 0);
    for seed in 1.. {
        if scenarios >= SCENARIOS {
            break;
        }
        let family = spec::family(seed);
        for first in [true, false] {
            if let Some(more) = each_point(seed, &family, first) {
                scenarios += 1;
                points += more;
            }
        }
    }
    assert!(scenarios >= 20 && points >= 500, "{scenarios} scenarios, {points} crash points");
}

#[test]
fn a_rollback_killed_at_any_call_ends_like_an_uninterrupted_one() {
    // On hosts that start no pods the failing pods were never started, and then nothing is rolled back.
    let fails = |family: &Arc<Family>| !family.versions[1].bad.is_empty();
    let families = (1_u64..).map(|seed| (seed, spec::family(seed))).filter(|(_, it)| fails(it));
    let points = families.filter_map(|(seed, family)| each_point(seed, &family, false));
    let points: usize = points.take(BACK_SCENARIOS).sum();
    assert!(points >= 100, "{points} crash points");
}
