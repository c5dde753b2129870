//! Pods: infra containers, inits, shared volumes, and which objects are removed and which never are.

use tally_graph::Graph;
use tally_reconcile::input::observed::{ContainerState, HostView, Observed};
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::{Action, ChangeKind, Operation};
use tally_reconcile::{Options, reconcile};
use tally_simulator::{Fault, FaultKind, FaultPlan, Model, When};

use crate::many::{Many, run};
use crate::world::{World, both, calls};

const SIDECAR: &str = "pod p { volume v\n\
    container a image=\"tally.local/hello:1\" { mount v \"/v\" }\n\
    container b image=\"tally.local/hello:1\" { command sh \"-c\" \"sleep 1000 & wait\"; stop signal=SIGKILL; mount v \"/v\" } }";

/// A pod whose program gets a signal if its file changes.
fn signalled(many: &Many, text: &str) -> Graph {
    many.plain(&format!(
        "pod web {{ container c image=\"tally.local/hello:1\" {{ \
         file \"/etc/f\" text=\"{text}\" on-change=SIGHUP }} }}"
    ))
}

#[test]
fn a_signal_that_was_not_delivered_is_sent_by_the_next_apply() {
    run(&["a"], |mut many: Many| async move {
        let (before, after) = (signalled(&many, "one"), signalled(&many, "two"));
        many.apply(&before).await;
        let deaf = Fault {
            call: Some("signal".to_owned()),
            when: When::Always,
            kind: FaultKind::Refuse { status: 500, message: "no signals".to_owned() },
        };
        many.hosts["a"].set_faults(FaultPlan { seed: 1, rules: vec![deaf] });
        let plan = many.plan(&after).await;
        assert!(!many.execute(&after, &plan).await.is_done());
        many.heal("a");
        let plan = many.plan(&after).await;
        let signals = |op: &&Operation| matches!(op.action, Action::Signal { .. });
        assert_eq!(plan.operations.iter().filter(signals).count(), 1, "{:?}", plan.changes);
        assert!(many.execute(&after, &plan).await.is_done());
        assert!(many.plan(&after).await.is_empty());
    });
}

#[test]
fn a_container_in_removal_is_waited_for() {
    run(&["a"], |mut many: Many| async move {
        let graph = many.plain("pod web { container c image=\"tally.local/hello:1\" }");
        many.apply(&graph).await;
        let stick = |model: &mut tally_simulator::Model, now: i64| {
            let found = model.list().into_iter().find(|c| c.name.ends_with("web.c")).unwrap();
            model.get_stuck(&found.id, now).unwrap();
        };
        many.hosts["a"].inject(stick).unwrap();
        let plan = many.plan(&graph).await;
        assert!(plan.changes.is_empty(), "{:?}", plan.changes);
        let said: Vec<&str> = plan.diagnostics.iter().map(|it| it.headline.as_str()).collect();
        assert_eq!(said, ["pod `web` waits: Docker is removing `many.web.c`"]);
    });
}

#[test]
fn a_container_that_can_never_start_is_recreated() {
    run(&["a"], |mut many: Many| async move {
        let graph = many.plain("pod web { container c image=\"tally.local/hello:1\" }");
        many.apply(&graph).await;
        let mut observed = many.observe().await;
        let Some(HostView::Ready(state)) = observed.hosts.get_mut("a") else { panic!() };
        let container = state.containers.first_mut().unwrap();
        let details = container.details.as_mut().unwrap();
        (container.state, details.started_at_ms) = (ContainerState::Created, None);
        let options = Options { now_ms: many.now_ms(), ..Options::default() };
        for (error, expected) in [
            (format!("task {}: already exists: unknown", container.id), ChangeKind::Replace),
            (format!("task {}: already exists: unknown", "0".repeat(64)), ChangeKind::Update),
            ("exec: \"none\": executable file not found".to_owned(), ChangeKind::Update),
        ] {
            let Some(HostView::Ready(state)) = observed.hosts.get_mut("a") else { panic!() };
            let container = state.containers.first_mut().unwrap();
            container.details.as_mut().unwrap().error = Some(error.clone());
            let plan = reconcile(&graph, &observed, &many.memory, &options);
            let kinds: Vec<ChangeKind> = plan.changes.iter().map(|it| it.kind).collect();
            assert_eq!(kinds, [expected], "{error}");
        }
    });
}

#[test]
fn joiners_of_an_exited_infra_container_are_not_ready() {
    run(&["a"], |mut many: Many| async move {
        let graph = many.plain(
            "pod web { container c image=\"tally.local/hello:1\"\n container side image=\"tally.local/hello:1\" }",
        );
        many.apply(&graph).await;
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let options = Options { now_ms: many.now_ms(), ..Options::default() };
        let mut observed = many.observe().await;
        let ready = |observed: &Observed| {
            reconcile(&graph, observed, &Memory::default(), &options).pods["pod/web"].ready
        };
        assert_eq!(ready(&observed), 1);
        let Some(HostView::Ready(state)) = observed.hosts.get_mut("a") else { panic!() };
        let infra = state.containers.iter_mut().find(|c| c.name.ends_with(".web")).unwrap();
        infra.details.as_mut().unwrap().started_at_ms = Some(many.now_ms() - 30_000);
        assert_eq!(ready(&observed), 0);
    });
}

#[test]
fn joiners_of_a_removed_infra_container_are_recreated() {
    run(&["a"], |mut many: Many| async move {
        let graph = many.plain(
            "pod web { container c image=\"tally.local/hello:1\"\n container side image=\"tally.local/hello:1\" }",
        );
        many.apply(&graph).await;
        let mut observed = many.observe().await;
        let Some(HostView::Ready(state)) = observed.hosts.get_mut("a") else { panic!() };
        let side = state.containers.iter_mut().find(|c| c.name.ends_with(".side")).unwrap();
        side.details.as_mut().unwrap().joined = Some("0".repeat(64));
        let options = Options { now_ms: many.now_ms(), ..Options::default() };
        let plan = reconcile(&graph, &observed, &many.memory, &options);
        let changes: Vec<_> = plan
            .changes
            .iter()
            .map(|it| (it.kind, it.subject.container().unwrap_or_default()))
            .collect();
        assert_eq!(changes, [(ChangeKind::Replace, "side")]);
    });
}

#[test]
fn a_pod_with_one_container_has_no_infra_container() {
    both("single", |world: World| async move {
        world.apply(&world.graph("pod p { container c image=\"tally.local/hello:1\" }")).await;
        let names: Vec<String> = world.ids().await.into_keys().collect();
        assert_eq!(names, [format!("{}.p.c", world.cluster)]);
    });
}

#[test]
fn a_stopped_joiner_is_started_and_nothing_else_changes() {
    both("joiner", |world: World| async move {
        let graph = world.graph(SIDECAR);
        world.apply(&graph).await;
        let before = world.ids().await;
        assert_eq!(before.len(), 3, "an infra container holds the network");
        let b = world.id("p.b").await;
        world.host.stop(&b, Some(std::time::Duration::ZERO)).await.unwrap();
        let plan = world.apply(&graph).await;
        assert_eq!(calls(&plan), ["start p/b"]);
        assert_eq!(world.ids().await, before);
    });
}

#[test]
fn joiners_of_a_restarted_infra_container_are_restarted() {
    both("stale", |world: World| async move {
        let graph = world.graph(SIDECAR);
        world.apply(&graph).await;
        let before = world.ids().await;
        let infra = before[&format!("{}.p", world.cluster)].clone();
        world.host.restart(&infra, Some(std::time::Duration::from_secs(2))).await.unwrap();
        let plan = world.apply(&graph).await;
        let mut made = calls(&plan);
        made.sort();
        assert_eq!(made, ["restart p/a", "restart p/b"], "`running` proves nothing");
        assert_eq!(world.ids().await, before);
    });
}

#[test]
fn a_pod_with_an_exited_infra_container_is_repaired_without_a_surge_pod() {
    both("deadnet", |world: World| async move {
        let graph = world.graph(
            "controller web replicas=1 { update max-surge=1 max-unavailable=0\n\
             container a image=\"tally.local/hello:1\"\n\
             container b image=\"tally.local/hello:1\" { command sh \"-c\" \"sleep 1000 & wait\"; \
             stop signal=SIGKILL } }",
        );
        world.apply(&graph).await;
        let before = world.ids().await;
        let infra = before[&format!("{}.web-0", world.cluster)].clone();
        world.host.stop(&infra, Some(std::time::Duration::ZERO)).await.unwrap();
        let plan = world.plan(&graph).await;
        // Its joiners still run without serving: no surge pod is needed for it.
        assert!(
            plan.operations.iter().all(|op| !op.subject.is_of_pod("web-1")),
            "{:?}",
            calls(&plan)
        );
        world.apply(&graph).await;
        assert_eq!(world.ids().await, before, "all are the same");
        assert!(world.plan(&graph).await.is_empty());
    });
}

#[test]
fn a_pod_without_its_infra_container_is_recreated() {
    both("noinfra", |world: World| async move {
        let graph = world.graph(SIDECAR);
        world.apply(&graph).await;
        let before = world.ids().await;
        let infra = before[&format!("{}.p", world.cluster)].clone();
        world.host.stop(&infra, Some(std::time::Duration::ZERO)).await.unwrap();
        world.host.remove_container(&infra).await.unwrap();
        world.apply(&graph).await;
        let after = world.ids().await;
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        assert!(before.iter().all(|(name, id)| after[name] != *id));
    });
}

#[test]
fn inits_run_in_order_and_once() {
    both("inits", |world: World| async move {
        let spec = |env: &str, init: &str| {
            world.graph(&format!(
                "pod p {{ volume v\n\
                 init one image=\"tally.local/hello:1\" {{ command sh \"-c\" \"echo one >> /v/log {init}\"; mount v \"/v\" }}\n\
                 init two image=\"tally.local/hello:1\" {{ command sh \"-c\" \"echo two >> /v/log\"; mount v \"/v\" }}\n\
                 container c image=\"tally.local/hello:1\" {{ env X={env}; mount v \"/v\" }} }}"
            ))
        };
        world.apply(&spec("a", "")).await;
        let before = world.ids().await;
        // Another container is no reason to run the inits again; another init is.
        let plan = world.apply(&spec("b", "")).await;
        assert!(calls(&plan).iter().all(|call| call.ends_with("p/c")), "{:?}", calls(&plan));
        let after = world.ids().await;
        let one = format!("{}.p.one", world.cluster);
        assert_eq!(before[&one], after[&one]);
        world.apply(&spec("b", "again")).await;
        assert_ne!(world.ids().await[&one], after[&one]);
    });
}

#[test]
fn an_apply_interrupted_after_the_inits_continues_with_the_containers() {
    let body = "pod web { init one image=\"tally.local/hello:1\" { command \"true\" }\n\
        container c image=\"tally.local/hello:1\" }";
    for (exit_code, expected) in [
        (0, &["start web/c"][..]),
        // A failed init is run once more first.
        (3, &["start web/one", "start web/c"][..]),
    ] {
        run(&["a"], |mut many: Many| async move {
            let graph = many.plain(body);
            let plan = many.plan(&graph).await;
            let interrupted = |model: &mut Model, now: i64| {
                for operation in &plan.operations {
                    match &operation.action {
                        Action::PullImage { image } => model.pull(image).unwrap(),
                        Action::LoadInfraImage => model.load_infra_image(),
                        Action::CreateNetwork(request) => {
                            model.create_network(request).unwrap();
                        }
                        Action::CreateContainer(request) => {
                            let id = model.create(request, now).unwrap();
                            let container = operation.subject.container().unwrap_or_default();
                            if container != "c" {
                                model.start(&id, now).unwrap();
                            }
                            if container == "one" {
                                model.crash(&id, exit_code, now);
                            }
                        }
                        _ => {}
                    }
                }
            };
            many.hosts["a"].inject(interrupted).unwrap();
            let plan = many.plan(&graph).await;
            assert_eq!(calls(&plan), expected, "{exit_code}");
            many.apply(&graph).await;
        });
    }
}

#[test]
fn a_changed_file_of_an_init_runs_it_again() {
    both("initfile", |world: World| async move {
        let spec = |text: &str| {
            world.graph(&format!(
                "pod p {{ init one image=\"tally.local/hello:1\" {{ command \"true\"; file \"/x\" text={text} }}\n\
                 container c image=\"tally.local/hello:1\" }}"
            ))
        };
        world.apply(&spec("a")).await;
        let before = world.ids().await;
        world.apply(&spec("b")).await;
        let after = world.ids().await;
        assert!(before.iter().all(|(name, id)| after[name] != *id), "a new pod");
    });
}

#[test]
fn a_pods_own_volume_is_removed_with_it_and_a_named_one_only_on_request() {
    both("volumes", |world: World| async move {
        let with = world.graph(
            "volume data\npod keep { container c image=\"tally.local/hello:1\" }\n\
             pod p { volume own; container c image=\"tally.local/hello:1\" { mount data \"/data\"; mount own \"/own\" } }",
        );
        world.apply(&with).await;
        let names = |state: tally_reconcile::input::observed::HostState, cluster: &str| {
            let ours = state.volumes.into_iter().filter(|v| v.name.starts_with(cluster));
            let mut names: Vec<String> = ours.map(|volume| volume.name).collect();
            names.sort();
            names
        };
        let (data, own) = (format!("{}.data", world.cluster), format!("{}.p.own", world.cluster));
        assert_eq!(names(world.state().await, &world.cluster), [data.clone(), own]);
        let without = world.graph("pod keep { container c image=\"tally.local/hello:1\" }");
        world.apply(&without).await;
        assert_eq!(names(world.state().await, &world.cluster).join(" "), data);
        world.destroy(&without, false).await;
        assert_eq!(names(world.state().await, &world.cluster), [data], "never deleted unasked");
        assert!(world.ids().await.is_empty());
        assert!(world.state().await.networks.iter().all(|n| n.name != world.cluster));
        world.destroy(&without, true).await;
        assert!(names(world.state().await, &world.cluster).is_empty());
    });
}

#[test]
fn an_interrupted_apply_is_continued_by_the_next_one() {
    both("resume", |world: World| async move {
        let graph = world.graph(SIDECAR);
        let plan = world.plan(&graph).await;
        // Only the first operations are executed, for each number of them: the next apply then finishes the
        // others. On the real engine, where each takes seconds, a sample is enough.
        let step = if world.real { 4 } else { 1 };
        for length in (1..plan.operations.len()).step_by(step) {
            let mut cut = world.plan(&graph).await;
            cut.operations.truncate(length);
            let report = world.execute(&graph, &cut).await;
            assert!(report.is_done(), "after {length}");
            world.apply(&graph).await;
            let names = world.ids().await;
            assert_eq!(names.len(), 3, "no duplicate, no orphan after {length}");
            world.destroy(&graph, true).await;
        }
        let created = plan
            .operations
            .iter()
            .filter(|o| matches!(o.action, Action::CreateContainer(_)))
            .count();
        assert_eq!(created, 3);
    });
}

#[test]
fn a_failed_container_with_restart_never_stays_stopped() {
    run(&["a"], |mut many: Many| async move {
        let graph = many.plain(
            "pod job { restart never; init i image=\"tally.local/hello:1\" { command \"true\" }\n\
             container c image=\"tally.local/hello:1\" }",
        );
        many.apply(&graph).await;
        let end = |model: &mut Model, now: i64| {
            let found = model.list().into_iter().find(|it| it.name == "many.job.c").unwrap();
            model.crash(&found.id, 3, now);
        };
        many.hosts["a"].inject(end).unwrap();
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty(), "{:?}", calls(&plan));
    });
}

#[test]
fn an_infra_container_is_restarted_regardless_of_the_restart_policy() {
    run(&["a"], |mut many: Many| async move {
        let one = "container c image=\"tally.local/hello:1\"";
        let graph = many
            .plain(&format!("pod job {{ restart never; {one}; {} }}", one.replace(" c ", " d ")));
        let plan = many.plan(&graph).await;
        let policies = plan.operations.iter().filter_map(|operation| match &operation.action {
            Action::CreateContainer(request) => {
                Some((request.name.as_str(), request.live.restart.as_str()))
            }
            _ => None,
        });
        let policies: Vec<_> = policies.collect();
        assert_eq!(policies, [("many.job", "always"), ("many.job.c", "no"), ("many.job.d", "no")]);
    });
}

/// Changes the container of that name.
fn harm(many: &Many, name: &str, deed: impl Fn(&mut Model, &str, i64)) {
    let deed = |model: &mut Model, now: i64| {
        let id = model.list().into_iter().find(|it| it.name == name).unwrap().id;
        deed(model, &id, now);
    };
    many.hosts["a"].inject(deed).unwrap();
}

#[test]
fn a_stopped_container_with_a_changed_file_is_started_and_not_signalled() {
    run(&["a"], |mut many: Many| async move {
        let (before, after) = (signalled(&many, "one"), signalled(&many, "two"));
        many.apply(&before).await;
        harm(&many, "many.web.c", |model, id, now| model.stop(id, now).unwrap());
        let plan = many.plan(&after).await;
        assert_eq!(calls(&plan), ["write-files web/c", "start web/c"]);
    });
}

#[test]
fn each_replacement_has_its_own_generation_and_the_infra_image_is_loaded_once() {
    run(&["a"], |mut many: Many| async move {
        let two = "container c image=\"tally.local/hello:1\" { env A=1 }\ncontainer d image=\"tally.local/hello:1\"";
        many.apply(&many.plain(&format!("pod web {{ {two} }}"))).await;
        for (env, generation) in [("A=2", "2"), ("A=3", "3")] {
            let changed = two.replace("A=1", env);
            let plan = many.apply(&many.plain(&format!("pod web {{ {changed} }}"))).await;
            assert!(!calls(&plan).iter().any(|call| call.contains("infra")), "{:?}", calls(&plan));
            let found = many.state("a").await.containers;
            let own = found.iter().find(|it| it.name == "many.web.c").unwrap();
            assert_eq!(own.labels["tally.generation"], generation);
        }
        let another = many
            .plain(&format!("pod web {{ {} }}\npod more {{ {two} }}", two.replace("A=1", "A=3")));
        let plan = many.plan(&another).await;
        let loads = plan.operations.iter().filter(|it| it.action.word() == "load-infra-image");
        assert_eq!(loads.count(), 0, "it is there");
    });
}

#[test]
fn host_access_of_a_pod_is_reported_when_it_is_created() {
    run(&["a"], |mut many: Many| async move {
        let spec = |cpu: &str| {
            many.plain(&format!(
                "pod tool {{ volume d host-path=\"/var/run/docker.sock\"; container c image=\"tally.local/hello:1\" {{ \
                 mount d \"/var/run/docker.sock\"; resources cpu={cpu} }} }}"
            ))
        };
        let (before, after) = (spec("0.1"), spec("0.2"));
        assert_eq!(many.apply(&before).await.host_access.len(), 1);
        let plan = many.plan(&after).await;
        assert_eq!(calls(&plan), ["update tool/c"]);
        assert_eq!(plan.host_access, Vec::<String>::new(), "it could before");
    });
}
