//! Controllers: scaling, and changes that go a few pods at a time and stop at the first bad one.

use crate::world::{World, both, calls, only_simulated};

#[test]
fn the_highest_ordinals_go_first_when_scaling_down() {
    both("scale", |world: World| async move {
        let spec = |replicas: u32| {
            world.graph(&format!(
                "controller web replicas={replicas} {{ container c image=\"tally.local/hello:1\" }}"
            ))
        };
        world.apply(&spec(3)).await;
        let before = world.ids().await;
        let plan = world.apply(&spec(1)).await;
        assert_eq!(
            calls(&plan),
            ["stop web-2/c", "remove web-2/c", "stop web-1/c", "remove web-1/c"]
        );
        let after = world.ids().await;
        let name = format!("{}.web-0.c", world.cluster);
        assert_eq!(after.len(), 1);
        assert_eq!(after[&name], before[&name]);
        world.apply(&spec(2)).await;
        assert_eq!(world.ids().await.len(), 2);
    });
}

#[test]
fn a_rollout_stops_at_the_first_pod_that_does_not_get_ready() {
    both("badroll", |world: World| async move {
        let spec = |command: &str| {
            world.graph(&format!(
                "controller web replicas=4 {{ restart never; update max-unavailable=1\n\
                 container c image=\"tally.local/hello:1\" {{ command sh \"-c\" \"{command}\"; stop signal=SIGKILL }} }}"
            ))
        };
        world.apply(&spec("sleep 1000 & wait")).await;
        let before = world.ids().await;
        let (plan, report) = world.try_apply(&spec("exit 3")).await;
        assert_eq!(report.failures().count(), 1, "{:?}", report.failures().collect::<Vec<_>>());
        let after = world.ids().await;
        let kept = before.iter().filter(|(name, id)| after.get(*name) == Some(id)).count();
        assert_eq!(kept, 3, "three of four still serve");
        assert!(plan.operations.len() > 8);
        // And back: the bad one is replaced, the good ones are not touched.
        world.apply(&spec("sleep 1000 & wait")).await;
        let last = world.ids().await;
        assert_eq!(before.iter().filter(|(name, id)| last.get(*name) == Some(id)).count(), 3);
    });
}

#[test]
fn never_more_than_max_unavailable_are_missing() {
    only_simulated(
        "budget",
        "every moment is looked at, not only the end",
        |world: World| async move {
            for (replicas, missing) in [(1, 1), (3, 1), (5, 2), (7, 3), (4, 9)] {
                let spec = |env: u32| {
                    world.graph(&format!(
                        "controller web replicas={replicas} {{ update max-unavailable={missing}\n\
                     container c image=\"tally.local/hello:1\" {{ env X={env} }} }}"
                    ))
                };
                world.apply(&spec(1)).await;
                let plan = world.plan(&spec(2)).await;
                let most = crate::purity::most_missing(&plan);
                assert!(most <= missing, "{most} of {replicas} at once, {missing} allowed");
                world.apply(&spec(2)).await;
                world.destroy(&spec(2), true).await;
            }
        },
    );
}
