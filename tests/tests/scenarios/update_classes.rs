//! A change has the cost of its update class, and nothing else changes.

use tally_graph::schema::UpdateClass;
use tally_reconcile::plan::{Cause, ChangeKind, Plan};

use crate::world::{World, both, calls};

fn classes(plan: &Plan) -> Vec<UpdateClass> {
    plan.changes.iter().flat_map(|change| &change.fields).map(|field| field.class).collect()
}

#[test]
fn a_field_that_only_the_engine_uses_changes_no_container() {
    both("nothing", |world: World| async move {
        let spec = |grace: &str| {
            world.graph(&format!(
                "pod a {{ container c image=\"tally.local/hello:1\" pull=missing {{ stop grace=\"{grace}\" }} }}"
            ))
        };
        world.apply(&spec("3s")).await;
        let before = world.ids().await;
        let plan = world.plan(&spec("4s")).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        assert_eq!(world.ids().await, before);
    });
}

#[test]
fn a_changed_limit_is_updated_while_the_container_runs() {
    both("live", |world: World| async move {
        let spec = |memory: &str, restart: &str| {
            world.graph(&format!(
                "pod a {{ restart {restart}; container c image=\"tally.local/hello:1\" {{ resources memory=\"{memory}\" cpu=0.1 }} }}"
            ))
        };
        world.apply(&spec("32MiB", "always")).await;
        let before = world.ids().await;
        let plan = world.apply(&spec("64MiB", "on-failure")).await;
        assert_eq!(calls(&plan), ["update a/c"]);
        assert!(classes(&plan).iter().all(|class| *class == UpdateClass::Live));
        let plan = world.apply(&spec("24MiB", "always")).await;
        assert_eq!(calls(&plan), ["update a/c"]);
        assert_eq!(world.ids().await, before, "the container is the same");
        let state = world.state().await;
        let found =
            state.containers.iter().find(|c| before.values().any(|id| *id == c.id)).unwrap();
        assert_eq!(found.details.as_ref().unwrap().live.memory, 24 << 20);
    });
}

#[test]
fn removing_a_limit_restarts_nothing() {
    both("unlimit", |world: World| async move {
        world.apply(&world.graph(
            "pod a { container c image=\"tally.local/hello:1\" { resources memory=\"32MiB\" } }",
        )).await;
        let before = world.ids().await;
        let plan =
            world.apply(&world.graph("pod a { container c image=\"tally.local/hello:1\" }")).await;
        assert_eq!(calls(&plan), ["update a/c"]);
        assert_eq!(world.ids().await, before, "the container is the same");
    });
}

#[test]
fn a_changed_file_is_rewritten_in_place_with_a_signal_or_a_restart() {
    both("files", |world: World| async move {
        let spec = |reload: &str, restart: &str| {
            world.graph(&format!(
                "pod a {{ container c image=\"tally.local/hello:1\" {{\n\
                 command sh \"-c\" \"trap 'echo again' HUP; while true; do sleep 0.1; done\"\n\
                 stop grace=\"1s\"\n\
                 file \"/etc/reload.conf\" text=\"{reload}\" on-change=SIGHUP\n\
                 file \"/etc/restart.conf\" text=\"{restart}\" mode=\"0600\" owner=\"1000:1000\" }} }}"
            ))
        };
        world.apply(&spec("one", "one")).await;
        let before = world.ids().await;
        let plan = world.apply(&spec("two", "one")).await;
        assert_eq!(calls(&plan), ["write-files a/c", "signal a/c", "record-files a/c"]);
        assert_eq!(classes(&plan), [UpdateClass::Reload]);
        let plan = world.apply(&spec("two", "two")).await;
        assert_eq!(calls(&plan), ["stop a/c", "write-files a/c", "start a/c"]);
        assert_eq!(classes(&plan), [UpdateClass::Restart]);
        assert_eq!(world.ids().await, before, "the container is the same");
    });
}

#[test]
fn the_next_plan_detects_the_first_file_of_a_container() {
    both("first-file", |world: World| async move {
        let spec = |file: &str| {
            world.graph(&format!(
                "pod a {{ container c image=\"tally.local/hello:1\" {{ {file} }} }}"
            ))
        };
        world.apply(&spec("")).await;
        let plan = world.apply(&spec("file \"/etc/x\" text=one")).await;
        assert_eq!(classes(&plan), [UpdateClass::RecreateContainer]);
        let plan = world.apply(&spec("file \"/etc/x\" text=two")).await;
        assert_eq!(classes(&plan), [UpdateClass::Restart]);
    });
}

#[test]
fn a_changed_image_recreates_its_container_and_no_other() {
    both("recreate", |world: World| async move {
        let spec = |env: &str| {
            world.graph(&format!(
                "pod two {{ container a image=\"tally.local/hello:1\" {{ env X={env} }}\n\
                 container b image=\"tally.local/hello:1\" {{ command sh \"-c\" \"sleep 1000 & wait\"; stop signal=SIGKILL }} }}\n\
                 pod other {{ container c image=\"tally.local/hello:1\" }}"
            ))
        };
        world.apply(&spec("one")).await;
        let before = world.ids().await;
        let plan = world.apply(&spec("two")).await;
        let kinds: Vec<ChangeKind> = plan.changes.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Replace]);
        assert_eq!(classes(&plan), [UpdateClass::RecreateContainer]);
        let after = world.ids().await;
        let changed: Vec<&String> = before
            .iter()
            .filter(|(name, id)| after.get(*name) != Some(id))
            .map(|(n, _)| n)
            .collect();
        assert_eq!(changed, [&format!("{}.two.a", world.cluster)]);
    });
}

#[test]
fn a_changed_published_port_recreates_its_pod_and_no_other() {
    both("repod", |world: World| async move {
        let spec = |port: u16| {
            world.graph(&format!(
                "pod two {{ container a image=\"tally.local/hello:1\" {{ port http 8080 publish=\"127.0.0.1:{port}\" }}\n\
                 container b image=\"tally.local/hello:1\" {{ command sh \"-c\" \"sleep 1000 & wait\"; stop signal=SIGKILL }} }}\n\
                 pod other {{ container c image=\"tally.local/hello:1\" }}"
            ))
        };
        world.apply(&spec(28_181)).await;
        let before = world.ids().await;
        let plan = world.apply(&spec(28_182)).await;
        assert!(classes(&plan).contains(&UpdateClass::RecreatePod));
        let after = world.ids().await;
        let same: Vec<&String> = before
            .iter()
            .filter(|(name, id)| after.get(*name) == Some(id))
            .map(|(n, _)| n)
            .collect();
        assert_eq!(same, [&format!("{}.other.c", world.cluster)]);
        assert_eq!(before.len(), after.len());
    });
}

#[test]
fn drift_is_distinguished_from_a_spec_change_and_repaired() {
    both("drift", |world: World| async move {
        let graph = world.graph(
            "pod a { container c image=\"tally.local/hello:1\" { resources memory=\"32MiB\" } }",
        );
        world.apply(&graph).await;
        let id = world.id("a.c").await;
        let mut live = world
            .state()
            .await
            .containers
            .iter()
            .find(|c| c.id == id)
            .unwrap()
            .details
            .clone()
            .unwrap()
            .live;
        live.memory = 48 << 20;
        world.host.update(&id, &live).await.unwrap();
        let plan = world.plan(&graph).await;
        let causes: Vec<Cause> = plan.changes.iter().map(|change| change.cause).collect();
        assert_eq!(causes, [Cause::Drift]);
        world.apply(&graph).await;
        world.host.stop(&id, Some(std::time::Duration::from_secs(1))).await.unwrap();
        let plan = world.apply(&graph).await;
        assert_eq!(calls(&plan), ["start a/c"]);
        assert_eq!(plan.changes[0].cause, Cause::Drift);
        assert_eq!(world.id("a.c").await, id, "the container is the same");
    });
}
