//! Secrets: they reach only the containers that use them, a change costs no more than their use does, and secrets
//! in memory are written again after all of a pod was down.

use futures_util::StreamExt as _;
use tally_graph::schema::UpdateClass;
use tally_host::ExecRequest;
use tally_reconcile::plan::{Cause, Plan};
use tally_reconcile::reconcile;

use crate::world::{World, both, calls, only_real, only_simulated};

const CANARY: &str = "canary-4711";

/// A pod that uses one secret in every way.
const ALL: &str = "secret db env=DB\n\
    pod a {\n\
        init prepare image=\"tally.local/hello:1\" { command \"true\"; file \"/run/init\" text=\"init ${secret.db}\" }\n\
        container c image=\"tally.local/hello:1\" {\n\
            stop grace=\"1s\"\n\
            env URL=\"postgres://app:${secret.db}@db\" PLAIN=x\n\
            file \"/run/secrets/db\" secret=db mode=\"0400\"\n\
            file \"/etc/app.conf\" text=\"password = ${secret.db}\"\n\
            file \"/etc/plain\" text=plain } }";

/// A pod whose secret is only in a file.
fn in_a_file(more: &str) -> String {
    format!(
        "secret db env=DB\npod a {{ container c image=\"tally.local/hello:1\" {{\n\
         command sh \"-c\" \"trap 'echo again' HUP; while true; do sleep 0.1; done\"\n\
         stop grace=\"1s\"; file \"/run/secrets/db\" secret=db {more} }} }}"
    )
}

fn classes(plan: &Plan) -> Vec<UpdateClass> {
    plan.changes.iter().flat_map(|change| &change.fields).map(|field| field.class).collect()
}

async fn read(world: &World, container: &str, path: &str) -> String {
    let command = vec!["cat".to_owned(), path.to_owned()];
    output(world, container, command).await
}

async fn output(world: &World, container: &str, command: Vec<String>) -> String {
    let request = ExecRequest { command, tty: false, stdin: false, size: None };
    let mut session = world.host.exec(&world.id(container).await, &request).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(Ok(chunk)) = session.output.next().await {
        bytes.extend(chunk.bytes);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn no_plan_and_no_label_contains_a_secret() {
    both("secret-hidden", |world: World| async move {
        world.set_secret("db", CANARY);
        let graph = world.graph(ALL);
        let plan = world.apply(&graph).await;
        let shown = format!("{plan:?}{}", serde_json::to_string(&plan.operations).unwrap());
        assert!(!shown.contains(CANARY), "{shown}");
        let state = world.state().await;
        let seen = serde_json::to_string(&state).unwrap();
        assert!(seen.contains("secret-env"), "the labels say that there is one: {seen}");
        assert!(!seen.contains(CANARY), "{seen}");
    });
}

#[test]
fn a_container_sees_its_secrets() {
    only_real("secret-seen", "a simulated command reads no file", |world: World| async move {
        world.set_secret("db", &format!("{CANARY}\n"));
        world.apply(&world.graph(ALL)).await;
        assert_eq!(read(&world, "a.c", "/run/secrets/db").await, format!("{CANARY}\n"));
        assert_eq!(read(&world, "a.c", "/etc/app.conf").await, format!("password = {CANARY}"));
        assert_eq!(read(&world, "a.c", "/etc/plain").await, "plain");
        let env = output(&world, "a.c", vec!["env".to_owned()]).await;
        assert!(env.contains(&format!("URL=postgres://app:{CANARY}@db\n")), "{env}");
        let mounts = read(&world, "a.c", "/proc/mounts").await;
        assert!(mounts.contains("tmpfs /.tally/secrets tmpfs ro"), "in memory: {mounts}");
        let mode =
            vec!["stat".into(), "-L".into(), "-c".into(), "%a".into(), "/run/secrets/db".into()];
        assert_eq!(output(&world, "a.c", mode).await, "400\n");
    });
}

#[test]
fn only_a_changed_secret_changes_the_containers_that_use_it() {
    both("secret-env", |world: World| async move {
        let graph = world.graph(
            "secret db env=DB\nsecret other env=OTHER\n\
             pod a { container c image=\"tally.local/hello:1\" { env A=\"${secret.db}\" } }\n\
             pod b { container c image=\"tally.local/hello:1\" { env A=\"${secret.other}\" } }",
        );
        world.apply(&graph).await;
        let before = world.ids().await;
        world.set_secret("db", "another");
        let plan = world.apply(&graph).await;
        assert_eq!(classes(&plan), [UpdateClass::RecreateContainer]);
        let steps =
            ["rename a/c", "create a/c", "update a/c", "stop a/c", "start a/c", "remove a/c"];
        assert_eq!(calls(&plan), steps);
        let field = plan.changes.iter().flat_map(|change| &change.fields).next().unwrap();
        assert_eq!(field.path.to_string(), "env.A");
        let after = world.ids().await;
        let moved: Vec<&String> =
            before.keys().filter(|name| before[*name] != after[*name]).collect();
        assert_eq!(moved, [&format!("{}.a.c", world.cluster)]);
    });
}

#[test]
fn a_changed_secret_rewrites_its_file_with_a_signal_or_a_restart() {
    both("secret-file", |world: World| async move {
        let restarting = world.graph(&in_a_file(""));
        let reloading = world.graph(&in_a_file("on-change=SIGHUP"));
        world.apply(&restarting).await;
        let before = world.ids().await;
        world.set_secret("db", "two");
        let plan = world.apply(&restarting).await;
        assert_eq!(calls(&plan), ["stop a/c", "write-secrets a/c", "write-files a/c", "start a/c"]);
        assert_eq!(classes(&plan), [UpdateClass::Restart]);
        world.set_secret("db", "three");
        let plan = world.apply(&reloading).await;
        let expected = ["write-secrets", "write-files", "signal", "record-secrets", "record-files"];
        assert_eq!(calls(&plan), expected.map(|call| format!("{call} a/c")));
        assert_eq!(classes(&plan), [UpdateClass::Reload]);
        assert_eq!(world.ids().await, before, "the containers are the same");
        if world.real {
            assert_eq!(read(&world, "a.c", "/run/secrets/db").await, "three");
        }
    });
}

#[test]
fn secrets_in_memory_are_written_again_after_the_whole_pod_was_down() {
    both("secret-lost", |world: World| async move {
        let graph = world.graph(ALL);
        world.apply(&graph).await;
        let before = world.ids().await;
        for name in ["a.c", "a"] {
            let id = world.id(name).await;
            world.host.stop(&id, Some(std::time::Duration::from_secs(1))).await.unwrap();
        }
        let plan = world.apply(&graph).await;
        assert_eq!(calls(&plan), ["start a/(infra)", "write-secrets a/c", "start a/c"]);
        assert!(plan.changes.iter().all(|change| change.cause == Cause::Drift));
        assert_eq!(world.ids().await, before, "nothing is recreated");
        if world.real {
            assert_eq!(read(&world, "a.c", "/run/secrets/db").await, "value of db");
        }
    });
}

#[test]
fn a_container_that_started_without_its_secrets_is_restarted_with_them() {
    both("secret-began", |world: World| async move {
        let graph = world.graph(&in_a_file(""));
        world.apply(&graph).await;
        // As the daemon does after a reboot: both are started again, and the memory is empty.
        for name in ["a.c", "a"] {
            let id = world.id(name).await;
            world.host.stop(&id, Some(std::time::Duration::from_secs(1))).await.unwrap();
        }
        for name in ["a", "a.c"] {
            world.host.start(&world.id(name).await).await.unwrap();
        }
        let plan = world.apply(&graph).await;
        assert_eq!(calls(&plan), ["stop a/c", "write-secrets a/c", "start a/c"]);
    });
}

#[test]
fn a_secret_that_was_not_read_counts_as_unchanged() {
    both("secret-unread", |world: World| async move {
        let graph = world.graph(ALL);
        world.apply(&graph).await;
        let options = tally_reconcile::Options { now_ms: world.now_ms(), ..Default::default() };
        let observed = world.observe().await;
        let plan =
            reconcile(&graph, &observed, &tally_reconcile::memory::Memory::default(), &options);
        assert!(plan.is_empty(), "{:?}", plan.changes);
    });
}

#[test]
fn an_in_memory_volume_is_removed_with_its_pod() {
    both("secret-gone", |world: World| async move {
        let volumes = async || {
            let volumes = world.state().await.volumes.into_iter().map(|volume| volume.name);
            let prefix = format!("{}.", world.cluster);
            volumes
                .filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned))
                .collect::<Vec<_>>()
        };
        world.apply(&world.graph(&in_a_file(""))).await;
        assert_eq!(volumes().await, ["a.c.secrets"]);
        let without = "pod a { container c image=\"tally.local/hello:1\" }";
        world.apply(&world.graph(without)).await;
        assert_eq!(volumes().await, Vec::<String>::new());
        assert_eq!(world.ids().await.len(), 1, "and with it the infra container");
    });
}

#[test]
fn an_apply_interrupted_anywhere_is_continued_by_the_next_one() {
    only_simulated("secret-crash", "each call is one run", |world: World| async move {
        world.set_secret("db", "one");
        let graph = world.graph(ALL);
        let count = world.plan(&graph).await.operations.len();
        assert!(count > 8);
        for first in [false, true] {
            for calls_made in 0..count {
                world.destroy(&graph, true).await;
                if !first {
                    world.set_secret("db", "one");
                    world.apply(&graph).await;
                    world.set_secret("db", "two");
                }
                let mut plan = world.plan(&graph).await;
                // The numbers are in a valid order of execution.
                plan.operations.truncate(calls_made);
                world.execute(&graph, &plan).await;
                world.apply(&graph).await;
                let state = world.state().await;
                let lost = state.containers.iter().filter_map(|container| {
                    let details = container.details.as_ref()?;
                    let wanted = container.name.ends_with("a.c");
                    (wanted && details.secrets.is_none()).then_some(&container.name)
                });
                assert_eq!(lost.count(), 0, "after {calls_made} calls");
            }
        }
    });
}
