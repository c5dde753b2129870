//! One run: a time with faults and actions, then a time without, and the checks of the result.

use std::collections::BTreeMap;
use std::time::Duration;

use tally_reconcile::memory::{Declarations, Memory};
use tally_reconcile::plan::reason::{Blocked, BlockedBy};
use tally_simulator::Clock as _;

use super::actions::Director;
use super::convergence::{check_determinism, differences, shown, unexplained};
use super::engine::{plan_of_actual_state, set_clock};
use super::faults::Kind;
use super::lock::lock;
use super::rng::Rng;
use super::spec;
use super::world::World;

/// The cluster must have converged after this duration without faults, in simulated milliseconds:
/// twice the longest pause of the backoff, with room for late writes.
const PATIENCE_MS: i64 = 700_000;

/// Percentage of runs in which several engines share a store.
const SHARED_PERCENT: u64 = 25;
/// After this duration without a new call no call is in flight, in simulated milliseconds.
const SETTLED_MS: i64 = 75_000;
/// After this duration a person withdraws the declarations about hosts that are reachable again.
const FENCE_MS: i64 = 100_000;

/// Settings of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Whether each line of the trace is kept.
    pub verbose: bool,
    /// Whether the converged cluster is checked over a hundred ticks instead of two.
    pub deep: bool,
}

/// The outcome of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// The hash of all events, with their times.
    pub hash: u64,
    /// The hash of all calls that changed something, with their times.
    pub calls_hash: u64,
    /// The violations of invariants.
    pub violations: Vec<String>,
    /// The number of times that each kind of fault took effect.
    pub fired: BTreeMap<Kind, u64>,
    /// The trace, if it was requested.
    pub lines: Vec<String>,
    /// Its duration in simulated milliseconds.
    pub simulated_ms: i64,
    /// Number of calls.
    pub calls: u64,
    /// Number of rollbacks.
    pub rollbacks: u64,
}

/// Runs a seed.
///
/// # Panics
/// If no runtime can be created.
#[must_use]
#[expect(clippy::expect_used, reason = "a test that cannot continue panics")]
pub fn run(seed: u64, settings: Settings) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(one(seed, settings))
}

async fn one(seed: u64, settings: Settings) -> Outcome {
    let world = World::new(seed, spec::family(seed), settings.verbose);
    set_clock(&world.clock);
    let mut rng = Rng::new(seed, 2);
    if rng.percent(20) {
        // Clocks never agree exactly.
        for sim_host in world.sim_hosts.values() {
            sim_host.clock.jump(i64::try_from(rng.below(2_000)).unwrap_or(0) - 1_000);
        }
    }
    let events = rng.range(2, 14);
    let mut chance = Rng::new(seed, 5);
    let shared = chance.percent(SHARED_PERCENT);
    world.state().shared = shared;
    let mut director = Director::new(std::sync::Arc::clone(&world), rng, chance);
    if shared {
        director.share();
    }
    for _ in 0..events {
        let gap = match director.rng.below(10) {
            0..5 => director.rng.range(1, 400),
            5..8 => director.rng.range(400, 4_000),
            _ => director.rng.range(4_000, 60_000),
        };
        pass(&mut director, gap).await;
        let kind = director.rng.pick(Kind::OF_ALL_RUNS).copied().unwrap_or(Kind::Crash);
        director.act(kind);
        if shared {
            director.inject_store_fault();
        }
    }
    let gap = director.rng.range(1, 20_000);
    pass(&mut director, gap).await;
    if world.sim_hosts.len() > 1 && director.rng.percent(8) {
        director.stop_permanently();
    }
    director.repair_all();
    wait_for_convergence(&mut director, settings).await;
    finish(seed, &world)
}

/// Lets time pass, and ends the faults that are due meanwhile.
async fn pass(director: &mut Director, millis: u64) {
    let until = director.world.time_ms() + i64::try_from(millis).unwrap_or(0);
    loop {
        let now = director.world.time_ms();
        let next = director.next_repair_ms().map_or(until, |at| at.min(until));
        if now < next {
            sleep(next - now).await;
        }
        director.repair_due();
        if director.world.time_ms() >= until {
            return;
        }
    }
}

async fn sleep(millis: i64) {
    tokio::time::sleep(Duration::from_millis(u64::try_from(millis).unwrap_or(0))).await;
}

/// Waits until the cluster has converged after the faults, and checks that it stays so.
async fn wait_for_convergence(director: &mut Director, settings: Settings) {
    let world = std::sync::Arc::clone(&director.world);
    let dead = world.sim_hosts.values().any(|sim_host| sim_host.network().dead);
    let began = world.time_ms();
    // A host that is unreachable for long enough counts as lost: this is noticed late, after the longest call, by an
    // observation that starts then.
    let grace_ms = world.version().lost_after_ms.map_or(0, |grace| grace + 60_000);
    let still_ms = 120_000 + grace_ms;
    let mut asked = began + 40_000;
    let mut stable = (world.state().changes, began);
    // The time since when a person maintains the cluster: objects behind a fence are removed some time after it.
    let mut kept = began;
    loop {
        let now = world.time_ms();
        let changes = world.state().changes;
        if changes != stable.0 {
            stable = (changes, now);
        }
        let left = differences(&world);
        // With a host that never comes back the cluster may not converge: then no more calls are made.
        let over = if dead {
            now - stable.1 > still_ms && !pauses(&current_plan(director))
        } else {
            // A call may be in flight for as long as the latest write takes.
            left.is_empty() && now - stable.1 > SETTLED_MS && current_plan(director).is_empty()
        };
        if over {
            break;
        }
        if now - began > PATIENCE_MS {
            let plan = current_plan(director);
            let held = blocked_in_words(&plan);
            let changes =
                plan.changes.iter().map(|c| format!("{:?} {:?}", c.kind, c.subject.pod()));
            let changes: Vec<String> = changes.collect();
            let seen: Vec<_> = left.keys().flat_map(|pod| shown(&world, pod)).collect();
            let what = format!("still differs: {left:?}; blocked {held:?}; {changes:?}; {seen:?}");
            world.violate("L1", what);
            return;
        }
        if now > asked {
            asked = now + 60_000;
            if world.state().shared && director.supersede() {
                // There was no leader until now: the absence of calls proves nothing.
                stable.1 = now;
                kept = now;
            }
            if now - kept > FENCE_MS && !dead && !world.state().declared.hosts.is_empty() {
                director.withdraw_declarations();
            }
            let plan = current_plan(director);
            if plan.blocked.iter().any(|it| it.reason.by() == BlockedBy::Removals) {
                // A person reads the plan, and confirms it.
                world.note("hand", "confirms", "");
                director.apply();
            }
        }
        sleep(5_000).await;
    }
    check_convergence(director, settings, dead).await;
}

fn current_plan(director: &Director) -> tally_reconcile::plan::Plan {
    let leader = director.leader().unwrap_or(1);
    let memory = director.engines.get(&leader).map(|engine| lock(&engine.kept).clone());
    plan_of_actual_state(&director.world, &memory.unwrap_or_default(), true)
}

async fn check_convergence(director: &mut Director, settings: Settings, dead: bool) {
    let world = std::sync::Arc::clone(&director.world);
    world.note("quiet", "as the spec says", "");
    // Operations in flight finish: an observation, a signal.
    sleep(3_000).await;
    stays(&world, settings).await;
    let declared = world.state().declared.clone();
    if declared
        != (Declarations { rolled_back: declared.rolled_back.clone(), ..Default::default() })
        && !dead
    {
        director.withdraw_declarations();
        sleep(40_000).await;
    }
    let now_ms = world.clock.now_ms();
    let left = differences(&world);
    if dead {
        let plan = current_plan(director);
        let unexplained_pods = unexplained(&left, &plan, &world.expected());
        if !unexplained_pods.is_empty() {
            world.violate("L6", format!("no reason for {unexplained_pods:?}"));
        }
        if !plan.is_empty() {
            let held = blocked_in_words(&plan);
            world.violate(
                "L3",
                format!("changes left: {:?}; blocked {held:?}", first_changes(&plan)),
            );
        }
    } else {
        // L2: a plan without memory has no operations either.
        let plan = plan_of_actual_state(&world, &Memory::default(), false);
        if !plan.is_empty() || !left.is_empty() {
            world.violate("L2", format!("{left:?}, {:?}", first_changes(&plan)));
        }
        within_bounds(director);
    }
    check_determinism(&world, now_ms, &mut director.rng);
}

/// Checks whether the plan waits for a backoff.
fn pauses(plan: &tally_reconcile::plan::Plan) -> bool {
    plan.blocked.iter().any(|it| it.reason.by() == BlockedBy::Backoff)
}

/// Checks L1: that a converged cluster is not changed.
async fn stays(world: &World, settings: Settings) {
    let before = world.state().changes;
    // The longest time between two observations is 36 s.
    sleep(if settings.deep { 3_600_000 } else { 80_000 }).await;
    let after = world.state().changes;
    if after != before {
        world.violate("L1", format!("{} calls after the cluster had converged", after - before));
    }
}

fn first_changes(plan: &tally_reconcile::plan::Plan) -> Vec<String> {
    let all = plan.changes.iter().take(4);
    all.map(|c| format!("{:?} {:?} {:?}", c.kind, c.subject, c.note)).collect()
}

fn blocked_in_words(plan: &tally_reconcile::plan::Plan) -> Vec<String> {
    let words = |it: &Blocked| {
        let host = it.host.as_deref().unwrap_or_default();
        format!("{} {host}: {}", it.subject.pod().unwrap_or_default(), it.reason)
    };
    plan.blocked.iter().map(words).collect()
}

/// Checks L5: that no more containers are created than the specs and the faults require.
fn within_bounds(director: &Director) {
    let world = &director.world;
    let versions = &world.family.versions;
    let size = |version: &spec::Version| -> usize {
        version.expected.iter().map(|work| (work.count() + work.surge) * work.size).sum()
    };
    let most = versions.iter().map(size).max().unwrap_or(0) as u64;
    // A repair may recreate a pod, and the surge pod of its rollout.
    let expected = versions.iter().flat_map(|version| &version.expected);
    let pod = expected.map(|work| work.size).max().unwrap_or(1) as u64;
    let state = world.state();
    let bound = most * (director.edits + state.rollbacks + 1) + state.repairs * 2 * pod;
    let made = state.made;
    drop(state);
    if made > bound {
        world.violate("L5", format!("{made} containers created, at most {bound} were needed"));
    }
}

fn finish(seed: u64, world: &World) -> Outcome {
    let simulated_ms = world.time_ms();
    let mut state = world.state();
    Outcome {
        seed,
        hash: state.trace.hash(),
        calls_hash: state.trace.calls_hash,
        rollbacks: state.rollbacks,
        violations: std::mem::take(&mut state.violations),
        fired: std::mem::take(&mut state.fired),
        lines: state.trace.lines.take().unwrap_or_default(),
        simulated_ms,
        calls: state.calls,
    }
}
