//! Dependencies: the order of dependent pods, and the effect of a dependency that fails.

use crate::world::{World, both, calls, target};
use tally_reconcile::Options;

#[test]
fn a_pod_starts_when_its_dependencies_are_ready_or_completed() {
    both("order", |world: World| async move {
        let graph = world.graph(
            "pod job { restart never; container c image=\"tally.local/hello:1\" { command sh \"-c\" \"sleep 0.3\" } }\n\
             pod db { depends-on pod job until=completed\n\
                 container c image=\"tally.local/hello:1\" { readiness every=\"500ms\" { command \"true\" } } }\n\
             pod web { depends-on pod db; container c image=\"tally.local/hello:1\" }",
        );
        world.apply(&graph).await;
        let state = world.state().await;
        let started = |pod: &str| {
            let name = format!("{}.{pod}.c", world.cluster);
            let found = state.containers.iter().find(|c| c.name == name).unwrap();
            let details = found.details.clone().unwrap();
            (details.started_at_ms.unwrap(), details.finished_at_ms)
        };
        assert!(started("job").1.unwrap() <= started("db").0);
        assert!(started("db").0 + 400 <= started("web").0, "web waited until db was ready");
    });
}

#[test]
fn dependents_of_a_failed_pod_are_not_started_and_all_others_run() {
    both("blocked", |world: World| async move {
        let graph = world.graph(
            "pod bad { restart never; container c image=\"tally.local/hello:1\" { command sh \"-c\" \"exit 1\" } }\n\
             pod needs { depends-on pod bad until=completed; container c image=\"tally.local/hello:1\" }\n\
             pod free { container c image=\"tally.local/hello:1\" }",
        );
        let (_, report) = world.try_apply(&graph).await;
        assert!(!report.is_done());
        let names: Vec<String> = world.ids().await.into_keys().collect();
        assert!(names.contains(&format!("{}.free.c", world.cluster)));
        assert!(!names.contains(&format!("{}.needs.c", world.cluster)));
    });
}

#[test]
fn a_target_includes_its_dependencies_and_nothing_else() {
    both("target", |world: World| async move {
        let graph = world.graph(
            "pod db { container c image=\"tally.local/hello:1\" }\n\
             pod web { depends-on pod db; container c image=\"tally.local/hello:1\" }\n\
             pod other { container c image=\"tally.local/hello:1\" }",
        );
        let options = Options { target: target("pod/web"), ..Options::default() };
        let plan = world.plan_with(&graph, options).await;
        let pods: Vec<String> =
            calls(&plan).into_iter().filter(|call| call.starts_with("create ")).collect();
        assert_eq!(pods, ["create db/c", "create web/c"]);
    });
}
