//! Controllers: scaling, and changes of a few pods at a time that stop at the first failed pod.

use tally_reconcile::plan::{Action, Cause, Operation};

use crate::many::{Many, blocked, run};
use crate::world::{World, both, calls, only_simulated};

#[test]
fn scaling_down_removes_the_highest_ordinals_first() {
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
        // After a revert the bad pod is replaced, and the good ones are not changed.
        world.apply(&spec("sleep 1000 & wait")).await;
        let last = world.ids().await;
        assert_eq!(before.iter().filter(|(name, id)| last.get(*name) == Some(id)).count(), 3);
    });
}

#[test]
fn a_surge_pod_created_late_is_not_started_beside_the_running_one() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let spec = |value: u32| {
            format!(
                "controller web replicas=2 {{ update max-surge=1 max-unavailable=0\n\
                 container c image=\"tally.local/hello:1\" {{ env A={value} }} }}"
            )
        };
        many.apply(&many.plain(&spec(1))).await;
        // The surge pod of the change, created on b, and by a call that was delayed for long on a.
        let changed = many.plain(&spec(2));
        let made =
            many.plan(&changed).await.operations.into_iter().find_map(|op| match op.action {
                Action::CreateContainer(request) if op.subject.is_of_pod("web-2") => Some(*request),
                _ => None,
            });
        let request = made.expect("a surge pod");
        for (host, starts) in [("a", false), ("b", true)] {
            let place = |model: &mut tally_simulator::Model, now: i64| {
                model.pull("tally.local/hello:1").unwrap();
                let id = model.create(&request, now).unwrap();
                if starts {
                    model.start(&id, now).unwrap();
                }
            };
            many.hosts[host].inject(place).unwrap();
        }
        let plan = many.plan(&changed).await;
        let started = |op: &&Operation| {
            op.subject.is_of_pod("web-2") && matches!(op.action, Action::Start { .. })
        };
        assert_eq!(plan.operations.iter().filter(started).count(), 0, "{:?}", calls(&plan));
        many.apply(&changed).await;
        assert_eq!(many.running().await.len(), 2);
        assert!(many.plan(&changed).await.is_empty());
    });
}

#[test]
fn a_rollout_stays_within_max_unavailable() {
    only_simulated(
        "budget",
        "every moment is checked, not only the end",
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

#[test]
fn pods_serve_until_their_turn_when_a_readiness_probe_is_added_or_removed() {
    run(&["a"], |mut many: Many| async move {
        let spec = |readiness: &str| {
            format!(
                "controller web replicas=3 {{ {HELLO} {{ env A={}; {readiness} }} }}",
                readiness.len()
            )
        };
        let with = "readiness every=\"1s\" { command \"true\" }";
        many.apply(&many.plain(&spec(""))).await;
        for readiness in [with, ""] {
            let graph = many.plain(&spec(readiness));
            let plan = many.plan(&graph).await;
            assert_eq!(many.watched(&graph, &plan, "web").await, (2, 3), "{readiness}");
            many.apply(&graph).await;
        }
    });
}

const HELLO: &str = "container c image=\"tally.local/hello:1\"";

#[test]
fn a_surge_pod_serves_during_a_rollout_and_is_removed_afterwards() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let spec = |env: u32| {
            format!(
                "controller web replicas=3 {{ update max-surge=1 max-unavailable=0; {HELLO} {{ env A={env} }} }}"
            )
        };
        many.apply(&many.plain(&spec(1))).await;
        let graph = many.plain(&spec(2));
        let plan = many.plan(&graph).await;
        assert_eq!(many.watched(&graph, &plan, "web").await, (3, 4));
        many.apply(&graph).await;
        let names: Vec<String> = many.running().await.into_keys().collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.iter().all(|name| !name.contains("web-3")), "{names:?}");
    });
}

#[test]
fn with_a_fixed_host_port_the_surge_pod_is_on_another_host() {
    run(&["a", "b", "c", "d"], |mut many: Many| async move {
        let spec = |env: u32| {
            format!(
                "controller web replicas=3 {{ update max-surge=1 max-unavailable=0; {HELLO} {{ env A={env}; port http 8080 publish=8080 }} }}"
            )
        };
        many.apply(&many.plain(&spec(1))).await;
        let graph = many.plain(&spec(2));
        let plan = many.plan(&graph).await;
        assert_eq!(many.watched(&graph, &plan, "web").await, (3, 4));
    });
}

#[test]
fn without_capacity_for_a_surge_pod_a_pod_stops_first_and_the_plan_says_so() {
    run(&["a", "b"], |mut many: Many| async move {
        let spec = |env: u32| {
            format!(
                "controller web replicas=2 {{ update max-surge=1 max-unavailable=0; {HELLO} {{ env A={env}; port http 8080 publish=8080 }} }}"
            )
        };
        many.apply(&many.plain(&spec(1))).await;
        let graph = many.plain(&spec(2));
        let plan = many.plan(&graph).await;
        assert!(
            plan.diagnostics.iter().any(|found| found.code.0 == 1302),
            "{:?}",
            plan.diagnostics
        );
        assert_eq!(many.watched(&graph, &plan, "web").await, (1, 2));
    });
}

#[test]
fn recreate_stops_all_pods_before_any_is_created() {
    run(&["a", "b"], |mut many: Many| async move {
        let spec = |env: u32| {
            format!(
                "controller web replicas=4 {{ update strategy=recreate; {HELLO} {{ env A={env} }} }}"
            )
        };
        many.apply(&many.plain(&spec(1))).await;
        let graph = many.plain(&spec(2));
        let plan = many.plan(&graph).await;
        assert_eq!(many.watched(&graph, &plan, "web").await, (0, 4));
        assert!(many.plan(&graph).await.is_empty());
    });
}

#[test]
fn a_paused_rollout_does_not_continue_and_pods_are_still_repaired() {
    run(&["a", "b"], |mut many: Many| async move {
        let spec = |env: u32| format!("controller web replicas=3 {{ {HELLO} {{ env A={env} }} }}");
        many.apply(&many.plain(&spec(1))).await;
        many.memory.declared.paused.insert("controller/web".to_owned(), "wait for Ann".to_owned());
        let graph = many.plain(&spec(2));
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        assert!(
            blocked(&plan)[0].contains("its rollout is paused: wait for Ann"),
            "{:?}",
            blocked(&plan)
        );
        let on = many.hosts_of("web-1.c").await.remove(0);
        let remove = |model: &mut tally_simulator::Model, now: i64| {
            let found = model.list().into_iter().find(|c| c.name.ends_with("web-1.c")).unwrap();
            model.stop(&found.id, now).unwrap();
            model.remove(&found.id, now).unwrap();
        };
        many.hosts[&on].inject(remove).unwrap();
        many.apply(&graph).await;
        assert_eq!(many.running().await.len(), 3);
    });
}

#[test]
fn a_frozen_cluster_is_not_changed_and_the_plan_says_why() {
    run(&["a", "b"], |mut many: Many| async move {
        let spec = |env: u32| format!("controller web replicas=3 {{ {HELLO} {{ env A={env} }} }}");
        many.apply(&many.plain(&spec(1))).await;
        many.memory.declared.frozen = Some("release freeze until Monday".to_owned());
        let plan = many.plan(&many.plain(&spec(2))).await;
        assert!(plan.is_empty());
        assert!(blocked(&plan).iter().all(|why| why.contains("release freeze until Monday")));
    });
}

#[test]
fn removing_more_than_a_fifth_waits_for_a_person() {
    run(&["a", "b"], |mut many: Many| async move {
        let spec = |replicas: u32| format!("controller web replicas={replicas} {{ {HELLO} }}");
        many.apply(&many.plain(&spec(10))).await;
        let guarded = || tally_reconcile::Options {
            guard_removals: true,
            ..tally_reconcile::Options::default()
        };
        let graph = many.plain(&spec(8));
        assert!(!many.plan_with(&graph, guarded()).await.is_empty(), "two of ten are a fifth");
        let graph = many.plain(&spec(7));
        let plan = many.plan_with(&graph, guarded()).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        assert!(
            blocked(&plan).iter().any(|why| why.contains("3 of 10 containers")),
            "{:?}",
            blocked(&plan)
        );
        assert!(!many.plan(&graph).await.is_empty(), "a person may");
    });
}

#[test]
fn a_surplus_pod_with_a_named_volume_is_no_surge_pod() {
    run(&["a", "b"], |mut many: Many| async move {
        let spec = |replicas: u32| {
            format!(
                "volume data\ncontroller web replicas={replicas} {{ update max-surge=1\n\
                 container c image=\"tally.local/hello:1\" {{ mount data \"/d\" }} }}"
            )
        };
        many.apply(&many.plain(&spec(3))).await;
        let guard_removals = true;
        let guarded = tally_reconcile::Options { guard_removals, ..Default::default() };
        let plan = many.plan_with(&many.plain(&spec(1)), guarded).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        let blocked = blocked(&plan);
        assert!(blocked.iter().any(|why| why.contains("2 of 3 containers")), "{blocked:?}");
    });
}

#[test]
fn a_requested_restart_is_done_once_and_one_pod_at_a_time() {
    run(&["a", "b"], |mut many: Many| async move {
        let body = "controller web replicas=2 { container c image=\"tally.local/hello:1\" }\n\
            pod other { container c image=\"tally.local/hello:1\" }";
        let graph = many.plain(body);
        many.apply(&graph).await;
        let before = many.running().await;
        let mut asked = std::collections::BTreeMap::new();
        for host in ["a", "b"] {
            for container in many.state(host).await.containers {
                let started_at_ms = container.details.unwrap().started_at_ms.unwrap();
                if container.name.contains(".web-") {
                    asked.insert(container.id, started_at_ms);
                }
            }
        }
        assert_eq!(asked.len(), 2);
        many.memory.declared.restarts.insert("controller/web".to_owned(), asked);
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
        let plan = many.plan(&graph).await;
        assert_eq!(calls(&plan), ["restart web-0/c", "restart web-1/c"]);
        assert!(plan.changes.iter().all(|change| change.cause == Cause::Needed), "nobody's drift");
        let restarts = |op: &&Operation| matches!(op.action, Action::Restart { .. });
        let gated = plan.operations.iter().filter(restarts).filter(|op| !op.after.is_empty());
        assert_eq!(gated.count(), 1, "the second one waits for the first");
        assert!(many.execute(&graph, &plan).await.is_done());
        assert!(many.plan(&graph).await.is_empty(), "once");
        assert_eq!(many.running().await, before, "the same containers");
    });
}
