//! A container is replaced without an outage: the old one is removed once the new one has started, and if that cannot
//! be created or started, the old one runs on.

use std::collections::BTreeMap;

use tally_graph::Graph;
use tally_host::Report;
use tally_reconcile::input::observed::{ContainerState, ObservedContainer};
use tally_reconcile::labels;

use crate::world::{World, both, calls, only_simulated};

/// A server that ends on SIGTERM.
const SERVER: &str = "command sh \"-c\" \"trap exit TERM; while :; do sleep 0.2; done\"";

/// A path that the host does not have.
const NO_PATH: &str = "volume h host-path=\"/missing/none-such\"";

/// Returns what failed.
fn failures(report: &Report) -> Vec<String> {
    report.failures().map(|(_, failure)| failure.kind.to_string()).collect()
}

/// Returns the containers that run, by name, each with its ID and its restart policy.
async fn running(world: &World) -> BTreeMap<String, (String, String)> {
    let state = world.state().await;
    let own = format!("{}.", world.cluster);
    let runs =
        |it: &&ObservedContainer| it.state == ContainerState::Running && it.name.starts_with(&own);
    let of = |it: &ObservedContainer| {
        let policy = it.details.as_ref().map(|details| details.live.restart.clone());
        (it.name.clone(), (it.id.clone(), policy.unwrap_or_default()))
    };
    state.containers.iter().filter(runs).map(of).collect()
}

/// Declares the volumes that a change mounts.
fn volumes(rest: &str) -> String {
    let path = if rest.contains("mount h") { NO_PATH } else { "" };
    format!("volume v; {path}")
}

fn one(world: &World, rest: &str) -> Graph {
    let volumes = volumes(rest);
    world.graph(&format!(
        "pod a {{ {volumes}\n\
         container c image=\"tally.local/hello:1\" pull=missing {{ {SERVER}; mount v \"/v\"; {rest} }} }}"
    ))
}

fn two(world: &World, rest: &str) -> Graph {
    let volumes = volumes(rest);
    world.graph(&format!(
        "secret db env=DB\n\
         pod a {{ {volumes}\n\
         container c image=\"tally.local/hello:1\" pull=missing {{ {SERVER}; mount v \"/v\"; {rest} }}\n\
         container side image=\"tally.local/hello:1\" pull=missing {{\n\
         {SERVER}; file \"/run/secrets/db\" secret=db\n}} }}"
    ))
}

/// Changes that Docker refuses: to create, or to start.
const REFUSED: [&str; 3] = ["mount v \"/\"", "mount h \"/srv\"", "entrypoint \"/none-such\""];

#[test]
fn an_old_container_runs_on_when_docker_refuses_its_successor() {
    both("refused", |world: World| async move {
        world.set_secret("db", "one");
        for build in [one, two] {
            for refused in REFUSED {
                let good = build(&world, "env A=1");
                world.apply(&good).await;
                let before = running(&world).await;
                let bad = build(&world, refused);
                let (_, report) = world.try_apply(&bad).await;
                assert_eq!(failures(&report).len(), 1, "{refused}: {:?}", failures(&report));
                assert_eq!(running(&world).await, before, "{refused}");
                // Nothing is left over, and the spec from before has nothing to do.
                world.assert_empty(&good).await;
                world.destroy(&good, true).await;
            }
        }
    });
}

#[test]
fn a_limit_above_the_cores_of_the_host_is_blocked_by_the_plan() {
    both("cores", |world: World| async move {
        let good = one(&world, "env A=1");
        world.apply(&good).await;
        let before = running(&world).await;
        let (plan, _) = world.try_apply(&one(&world, "resources max-cpu=512")).await;
        assert!(plan.is_empty(), "{:?}", plan.operations);
        let blocked: Vec<String> = plan.blocked.iter().map(|it| it.reason.to_string()).collect();
        assert!(
            blocked.len() == 1 && blocked[0].ends_with("cores, fewer than `max-cpu` 512"),
            "{blocked:?}"
        );
        assert_eq!(running(&world).await, before);
    });
}

#[test]
fn a_whole_pod_runs_on_when_its_new_infra_container_cannot_start() {
    both("refused-pod", |world: World| async move {
        let spec = |rest: &str, port: u16| {
            world.graph(&format!(
                "pod a {{\n container c image=\"tally.local/hello:1\" pull=missing {{\n\
                 port web 80 publish=\"127.0.0.1:{port}\"\n {SERVER}; {rest} }}\n\
                 container side image=\"tally.local/hello:1\" pull=missing {{ {SERVER} }} }}"
            ))
        };
        let good = spec("env A=1", 18_431);
        world.apply(&good).await;
        let before = running(&world).await;
        assert_eq!(before.len(), 3);
        // The last container of the pod fails, when the others already run.
        let (_, report) = world.try_apply(&spec("entrypoint \"/none-such\"", 18_432)).await;
        let failed = failures(&report);
        assert!(failed.len() == 1 && failed[0].contains("/none-such"), "{failed:?}");
        assert_eq!(running(&world).await, before);
        world.assert_empty(&good).await;
    });
}

#[test]
fn an_old_container_is_not_started_again_after_an_init_has_run() {
    both("refused-init", |world: World| async move {
        let spec = |code: u8| {
            world.graph(&format!(
                "pod a {{\n init i image=\"tally.local/hello:1\" pull=missing {{ \
                 command sh \"-c\" \"exit {code}\" }}\n\
                 container c image=\"tally.local/hello:1\" pull=missing {{ {SERVER} }} }}"
            ))
        };
        world.apply(&spec(0)).await;
        let (_, report) = world.try_apply(&spec(3)).await;
        assert!(!report.is_done());
        let name = labels::infra_name(&world.cluster, "a");
        let now: Vec<String> = running(&world).await.into_keys().collect();
        assert_eq!(now, [name], "the old container may not understand the data any more");
        world.apply(&spec(0)).await;
    });
}

#[test]
fn a_replacement_stops_the_old_container_last_and_removes_it_once_the_new_one_runs() {
    both("steps", |world: World| async move {
        world.apply(&one(&world, "env A=1")).await;
        let plan = world.apply(&one(&world, "env A=2")).await;
        let steps =
            ["rename a/c", "create a/c", "update a/c", "stop a/c", "start a/c", "remove a/c"];
        assert_eq!(calls(&plan), steps);
        assert_eq!(world.ids().await.len(), 1);
    });
}

#[test]
fn an_interrupted_replacement_is_continued_or_undone_by_the_next_apply() {
    only_simulated("interrupted", "each call is one run", |world: World| async move {
        world.set_secret("db", "one");
        for build in [one, two] {
            let specs = ["env A=1", "env A=2", "env A=3", "entrypoint \"/none-such\""];
            let [first, second, third, broken] = specs.map(|rest| build(&world, rest));
            world.apply(&first).await;
            let count = world.plan(&second).await.operations.len();
            world.destroy(&first, true).await;
            for calls_made in 0..count {
                for next in [&first, &second, &third] {
                    world.apply(&first).await;
                    let mut plan = world.plan(&second).await;
                    plan.operations.truncate(calls_made);
                    world.execute(&second, &plan).await;
                    world.apply(next).await;
                    let left = world.state().await;
                    let left = left.containers.iter().filter(|it| it.name.ends_with("_previous"));
                    assert_eq!(left.count(), 0, "after {calls_made} calls");
                    world.destroy(next, true).await;
                }
                // A successor that cannot start, after an interruption.
                world.apply(&first).await;
                let pods = running(&world).await.len();
                let mut plan = world.plan(&broken).await;
                plan.operations.truncate(calls_made);
                world.execute(&broken, &plan).await;
                let (_, report) = world.try_apply(&broken).await;
                assert!(!report.is_done());
                assert_eq!(running(&world).await.len(), pods, "after {calls_made} calls");
                world.destroy(&broken, true).await;
            }
        }
    });
}
