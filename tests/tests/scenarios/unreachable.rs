//! Hosts that do not answer: an unreachable pod is not absent.

use tally_graph::Graph;
use tally_reconcile::memory::{Declared, Memory};
use tally_reconcile::plan::reason::BlockReason;
use tally_reconcile::plan::request::VolumeRequest;
use tally_reconcile::plan::{Change, ChangeKind};

use crate::many::{Many, blocked, run};
use crate::world::{calls, plan_errors};

const WEB: &str = "controller web replicas=3 { container c image=\"tally.local/hello:1\" }";
const TWO: &str = "controller web replicas=2 { container c image=\"tally.local/hello:1\"\n \
    container side image=\"tally.local/hello:1\" }";
const DB: &str =
    "volume data\npod db { container c image=\"tally.local/hello:1\" { mount data \"/d\" } }";

#[test]
fn an_unreachable_host_counts_neither_as_empty_nor_as_lost() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(WEB);
        many.apply(&graph).await;
        many.cut("b");
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        assert_eq!(plan_errors(&plan), Vec::<String>::new());
        assert_eq!(blocked(&plan), ["web-1: it was on `b`, which does not answer"]);
        many.heal("b");
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty() && plan.blocked.is_empty());
    });
}

#[test]
fn an_unreachable_host_blocks_nothing_on_the_others() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(WEB);
        many.apply(&graph).await;
        many.cut("b");
        let more =
            many.plain(&format!("{WEB}\npod new {{ container c image=\"tally.local/hello:1\" }}"));
        many.apply(&more).await;
        assert_eq!(many.hosts_of("new.c").await.len(), 1);
    });
}

#[test]
fn a_host_that_was_never_observed_may_have_any_pod() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        many.cut("b");
        let graph = many.plain(WEB);
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        assert_eq!(plan.blocked.len(), 3, "{:?}", blocked(&plan));
        many.declare("b", Declared::Lost);
        many.apply(&graph).await;
        assert_eq!(many.running().await.len(), 3);
    });
}

#[test]
fn pods_without_data_are_replaced_once_their_host_is_lost() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(WEB);
        many.apply(&graph).await;
        many.cut("b");
        many.declare("b", Declared::Lost);
        many.apply(&graph).await;
        assert_eq!(many.hosts_of("web-1.c").await.len(), 2, "one of them is out of reach");
        // The host returns: one pod of each ordinal is kept, without any declaration.
        many.heal("b");
        let plan = many.apply(&graph).await;
        let notes: Vec<&str> = plan.changes.iter().filter_map(|it| it.note.as_deref()).collect();
        assert_eq!(notes.len(), 1, "{:?}", plan.changes);
        assert!(notes[0].starts_with("also runs on "), "{notes:?}");
        assert_eq!(many.running().await.len(), 3);
        assert_eq!(many.hosts_of("web-1.c").await.len(), 1);
    });
}

/// Removes a container by hand, by the end of its name.
fn take_away(many: &Many, host: &str, name: &str) {
    let remove = |model: &mut tally_simulator::Model, now: i64| {
        let found = model.list().into_iter().find(|c| c.name.ends_with(name)).unwrap();
        model.stop(&found.id, now).unwrap();
        model.remove(&found.id, now).unwrap();
    };
    many.hosts[host].inject(remove).unwrap();
}

/// Returns the two hosts of a pod: the one that was lost and is back, and the one that got it meanwhile.
async fn replaced_and_back(many: &mut Many, graph: &Graph, container: &str) -> (String, String) {
    many.apply(graph).await;
    let first = many.hosts_of(container).await.remove(0);
    many.cut(&first);
    many.declare(&first, Declared::Lost);
    many.apply(graph).await;
    let second = many.hosts_of(container).await.into_iter().find(|host| *host != first).unwrap();
    many.heal(&first);
    (first, second)
}

/// Leaves a part of web-0 on a host that answers, and all of it on one that no longer does. Returns the latter.
async fn part_and_whole(many: &mut Many, graph: &Graph) -> String {
    let (first, second) = replaced_and_back(many, graph, "web-0.c").await;
    many.plan(graph).await;
    many.cut(&second);
    take_away(many, &first, "web-0.side");
    second
}

#[test]
fn the_healthy_copy_of_a_pod_is_kept() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(WEB);
        let (first, second) = replaced_and_back(&mut many, &graph, "web-1.c").await;
        // The host was rebooted: its copy does not run.
        let stop = |model: &mut tally_simulator::Model, now: i64| {
            let found = model.list().into_iter().filter(|c| c.name.ends_with("web-1.c"));
            for container in found {
                model.stop(&container.id, now).unwrap();
            }
        };
        many.hosts[&first].inject(stop).unwrap();
        many.apply(&graph).await;
        assert_eq!(many.hosts_of("web-1.c").await, [second]);
    });
}

#[test]
fn a_copy_without_its_infra_container_is_not_kept() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(TWO);
        let (first, second) = replaced_and_back(&mut many, &graph, "web-0.c").await;
        // All containers of the old copy still run, in the network of a removed container.
        take_away(&many, &first, "web-0");
        let plan = many.apply(&graph).await;
        let removed = |change: &Change| change.kind == ChangeKind::Remove;
        assert!(plan.changes.iter().all(removed), "{:?}", plan.changes);
        assert_eq!(many.hosts_of("web-0.c").await, [second]);
    });
}

#[test]
fn the_complete_copy_is_kept_and_copies_of_a_recreated_pod_do_not_wait_for_each_other() {
    const BOTH: &str = "controller web replicas=1 { update strategy=recreate\n\
        container c image=\"tally.local/hello:1\"\n container side image=\"tally.local/hello:1\" }";
    for broken in [&["side"][..], &["side", "c"][..]] {
        run(&["a", "b", "c"], |mut many: Many| async move {
            let graph = many.plain(BOTH);
            let (first, second) = replaced_and_back(&mut many, &graph, "web-0.c").await;
            // A container of the old copy was removed by hand, and then one of the new copy too.
            for (host, name) in [&first, &second].into_iter().zip(broken) {
                take_away(&many, host, name);
            }
            many.apply(&graph).await;
            let on = many.hosts_of("web-0.c").await;
            assert_eq!(on, many.hosts_of("web-0.side").await);
            assert_eq!(on.len(), 1, "{on:?}");
            if broken.len() == 1 {
                assert_eq!(on, [second], "the whole one");
            }
        });
    }
}

#[test]
fn a_host_is_lost_after_lost_after_and_not_before() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let hosts = format!("lost-after \"5m\"\n{}", many.host_lines());
        let graph = many.graph(&hosts, WEB);
        many.apply(&graph).await;
        many.cut("b");
        assert!(many.plan(&graph).await.is_empty(), "unreachable for the first time");
        tokio::time::advance(std::time::Duration::from_secs(299)).await;
        assert!(many.plan(&graph).await.is_empty(), "a second before");
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(!many.plan(&graph).await.is_empty());
    });
}

#[test]
fn pods_with_data_are_never_replaced_without_a_fence() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(DB);
        many.apply(&graph).await;
        let home = many.hosts_of("db.c").await.remove(0);
        many.cut(&home);
        let expected = format!("db: its volume `data` may be on `{home}`, which does not answer");
        assert_eq!(blocked(&many.plan(&graph).await), std::slice::from_ref(&expected));
        many.declare(&home, Declared::Lost);
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty());
        assert_eq!(blocked(&plan), std::slice::from_ref(&expected));
        // Not even without memory.
        many.memory = Memory::default();
        assert_eq!(blocked(&many.plan(&graph).await), [expected]);
        many.declare(&home, Declared::Fenced);
        many.apply(&graph).await;
        assert_eq!(many.hosts_of("db.c").await.len(), 2, "the fenced one is out of reach");
        // The fenced host returns: its copy is removed, its data stays.
        many.heal(&home);
        many.apply(&graph).await;
        let on = many.hosts_of("db.c").await;
        assert_eq!(on.len(), 1);
        assert_ne!(on[0], home);
        assert_eq!(many.state(&home).await.volumes.len(), 1);
    });
}

#[test]
fn a_fenced_host_that_answers_gets_no_pods_and_the_plan_says_so() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(&WEB.replace("replicas=3", "replicas=per-host"));
        many.apply(&graph).await;
        many.declare("b", Declared::Fenced);
        many.apply(&graph).await;
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty());
        let said: Vec<_> = plan.diagnostics.iter().map(|it| (it.code.0, &*it.headline)).collect();
        assert_eq!(said, [(1305, "host `b` is fenced, and answers")]);
        assert!(many.hosts_of("web-b.c").await.is_empty());
    });
}

#[test]
fn nothing_is_changed_if_most_hosts_are_unreachable() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(WEB);
        many.apply(&graph).await;
        many.cut("b");
        many.cut("c");
        let more = many.plain(&WEB.replace("replicas=3", "replicas=9"));
        let plan = many.plan(&more).await;
        assert_eq!(plan_errors(&plan), ["E1301 2 of 3 hosts do not answer, so nothing is changed"]);
        assert!(plan.operations.is_empty());
    });
}

#[test]
fn an_unobserved_pod_counts_as_missing_in_a_rollout() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        many.apply(&many.plain(WEB)).await;
        many.cut("b");
        let changed = many.plain(&WEB.replace("hello:1\"", "hello:1\" { env A=2 }"));
        let plan = many.plan(&changed).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        assert!(
            blocked(&plan).iter().any(|why| why.contains("no more of its pods may be unavailable")),
            "{:?}",
            blocked(&plan)
        );
    });
}

#[test]
fn dependents_of_an_unobserved_pod_are_neither_started_nor_changed() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = |extra: &str| {
            format!(
                "{DB}\ncontroller web replicas=2 {{ depends-on pod db; container c image=\"tally.local/hello:1\" }}\n{extra}"
            )
        };
        many.apply(&many.plain(&body(""))).await;
        let home = many.hosts_of("db.c").await.remove(0);
        many.cut(&home);
        let late = "pod late { depends-on pod db; container c image=\"tally.local/hello:1\" }";
        let plan = many.plan(&many.plain(&body(late))).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        assert!(plan.blocked.iter().all(|it| {
            matches!(it.reason, BlockReason::Dependency { .. }) || it.subject.is_of_pod("db")
        }));
        let why = "late: it waits for `db`, which cannot be observed or placed".to_owned();
        assert!(blocked(&plan).contains(&why), "{:?}", blocked(&plan));
    });
}

#[test]
fn a_surge_pod_that_may_run_on_an_unreachable_host_is_not_created_twice() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let spec = |replicas: u32, update: &str, number: u32| {
            format!(
                "controller web replicas={replicas} {{ place {{ spread by=host; }}; update {update}; \
                 container c image=\"tally.local/hello:1\" {{ env N={number}; }}; }}"
            )
        };
        let before = many.plain(&spec(3, "max-surge=1", 1));
        many.apply(&before).await;
        let host = many.hosts_of("web-2.c").await.remove(0);
        // Now it is a surplus pod, like a surge pod, and its host becomes unreachable.
        many.cut(&host);
        for update in ["max-surge=1 max-unavailable=0", "max-surge=1 max-unavailable=1"] {
            let after = many.plain(&spec(2, update, 2));
            let plan = many.plan(&after).await;
            let made = plan.operations.iter().filter(|op| op.subject.is_of_pod("web-2"));
            assert_eq!(made.count(), 0, "{update}: it may run on `{host}`");
            let may_be_missing = update.ends_with('1');
            assert_eq!(!plan.is_empty(), may_be_missing, "{update}: {:?}", plan.changes);
        }
    });
}

#[test]
fn an_incomplete_copy_is_not_changed_if_the_pod_may_also_run_on_an_unreachable_host() {
    for broken in [false, true] {
        run(&["a", "b", "c"], |mut many: Many| async move {
            let graph = many.plain(WEB);
            let (first, second) = replaced_and_back(&mut many, &graph, "web-1.c").await;
            // Both are observed, and then the host that got it meanwhile becomes unreachable.
            many.plan(&graph).await;
            many.cut(&second);
            if broken {
                take_away(&many, &first, "web-1.c");
            }
            let plan = many.plan(&graph).await;
            assert!(plan.is_empty(), "{:?}", plan.changes);
            let what = |why: String| why.starts_with("web-1: ");
            assert_eq!(blocked(&plan).into_iter().any(what), broken, "{:?}", blocked(&plan));
        });
    }
}

#[test]
fn an_incomplete_pod_that_may_be_complete_on_an_unreachable_host_is_not_completed() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(TWO);
        let second = part_and_whole(&mut many, &graph).await;
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        let why = format!("web-0: it may also be on `{second}`, which does not answer");
        assert!(blocked(&plan).contains(&why), "{:?}", blocked(&plan));
        // Once that host is declared lost nothing blocks the pod.
        many.declare(&second, Declared::Lost);
        assert!(!many.plan(&graph).await.is_empty());
    });
}

/// Seed 937333 of the simulation.
#[test]
fn if_the_pods_of_an_unreachable_host_are_unknown_an_incomplete_pod_is_not_completed() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(TWO);
        let second = part_and_whole(&mut many, &graph).await;
        many.memory = Memory::default();
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        let why = format!("web-0: it may also be on `{second}`, which does not answer");
        assert!(blocked(&plan).contains(&why), "{:?}", blocked(&plan));
    });
}

#[test]
fn if_the_pods_of_an_unreachable_host_are_unknown_a_stopped_pod_is_started() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(TWO);
        many.apply(&graph).await;
        let on = many.hosts_of("web-0.side").await.remove(0);
        let other = ["a", "b", "c"].into_iter().find(|host| **host != on).unwrap();
        many.cut(other);
        let stop = |model: &mut tally_simulator::Model, now: i64| {
            let found = model.list().into_iter().find(|c| c.name.ends_with("web-0.side")).unwrap();
            model.stop(&found.id, now).unwrap();
        };
        many.hosts[&on].inject(stop).unwrap();
        many.memory = Memory::default();
        let plan = many.plan(&graph).await;
        assert_eq!(calls(&plan).iter().filter(|call| call.starts_with("start ")).count(), 1);
    });
}

#[test]
fn a_pod_that_must_leave_its_host_is_not_created_while_it_may_run_on_an_unreachable_one() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let graph = many.plain(WEB);
        let (first, second) = replaced_and_back(&mut many, &graph, "web-1.c").await;
        many.plan(&graph).await;
        many.cut(&second);
        many.declare(&first, Declared::Fenced);
        let plan = many.plan(&graph).await;
        let made = plan.operations.iter().filter(|op| op.subject.is_of_pod("web-1"));
        assert_eq!(made.count(), 0, "{:?}", plan.changes);
        let why = format!("web-1: it may also be on `{second}`, which does not answer");
        assert!(blocked(&plan).contains(&why), "{:?}", blocked(&plan));
    });
}

#[test]
fn an_unobserved_pod_uses_only_one_unit_of_max_unavailable() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = |env: &str| {
            format!(
                "controller web replicas=3 {{ update max-unavailable=2\n\
                 container c image=\"tally.local/hello:1\" {{ {env} }} }}"
            )
        };
        many.apply(&many.plain(&body("env A=1"))).await;
        many.cut("c");
        let plan = many.plan(&many.plain(&body("env A=2"))).await;
        let begun = calls(&plan).into_iter().filter(|call| call.starts_with("stop "));
        assert_eq!(begun.collect::<Vec<_>>(), ["stop web-1/c"], "{:?}", blocked(&plan));
        let rest = "web-0: no more of its pods may be unavailable: 1 cannot be observed or placed";
        assert!(blocked(&plan).contains(&rest.to_owned()), "{:?}", blocked(&plan));
    });
}

#[test]
fn a_pod_with_two_volumes_on_several_hosts_stays_on_its_host() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = "volume data\npod db { container c image=\"tally.local/hello:1\" { mount data \"/d\" } }";
        let graph = many.plain(body);
        many.apply(&graph).await;
        let home = many.hosts_of("db.c").await.remove(0);
        let volumes = many.state(&home).await.volumes;
        let labels = volumes[0].labels.clone();
        let request = VolumeRequest { name: volumes[0].name.clone(), labels, in_memory: false };
        for other in ["a", "b", "c"].into_iter().filter(|other| *other != home) {
            let copied = many.hosts[other].inject(|model, _| model.create_volume(&request));
            copied.unwrap().unwrap();
        }
        let plan = many.plan(&graph).await;
        assert!(plan.is_empty() && plan.blocked.is_empty(), "{:?}", blocked(&plan));
    });
}

/// Moves the data of `db` from one host to another by a fence, and brings the first one back with its older data.
/// Returns that host, and the one that has the data.
async fn older_data_is_back(many: &mut Many, graph: &Graph, container: &str) -> (String, String) {
    many.apply(graph).await;
    let first = many.hosts_of(container).await.remove(0);
    many.cut(&first);
    many.declare(&first, Declared::Fenced);
    many.apply(graph).await;
    let second = many.hosts_of(container).await.into_iter().find(|host| *host != first).unwrap();
    many.heal(&first);
    many.apply(graph).await;
    many.memory.declared.hosts.remove(&first);
    assert!(many.plan(graph).await.is_empty());
    (first, second)
}

#[test]
fn older_data_is_not_used_because_a_host_is_lost() {
    let sharing = "volume data\ncontroller db replicas=2 { container c image=\"tally.local/hello:1\" { mount data \"/d\" } }";
    for (body, container) in [(DB, "db.c"), (sharing, "db-0.c")] {
        run(&["a", "b", "c"], |mut many: Many| async move {
            let graph = many.plain(body);
            let (first, second) = older_data_is_back(&mut many, &graph, container).await;
            many.cut(&second);
            many.declare(&second, Declared::Lost);
            // A host that never had the data does not help.
            let more = many.plain(&body.replace("replicas=2", "replicas=3"));
            let plan = many.plan(&more).await;
            assert!(plan.is_empty(), "{:?}", calls(&plan));
            let reason =
                BlockReason::OlderData { unreachable: second.clone(), older: Some(first.clone()) };
            assert!(!plan.blocked.is_empty());
            assert!(plan.blocked.iter().all(|it| it.reason == reason), "{:?}", blocked(&plan));
            // The same without memory.
            let memory = std::mem::take(&mut many.memory.learned.hosts);
            assert!(many.plan(&more).await.is_empty());
            many.memory.learned.hosts = memory;
            many.declare(&second, Declared::Fenced);
            many.apply(&graph).await;
            assert_eq!(many.hosts_of(container).await, [first, second], "one of them is cut off");
        });
    }
}
