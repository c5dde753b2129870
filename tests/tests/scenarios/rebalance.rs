//! Moves that only rebalance: on request, few, within the limits of placement and updates.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use tally_graph::Graph;
use tally_reconcile::Options;
use tally_reconcile::memory::{Backoff, Declared};
use tally_reconcile::plan::Plan;

use crate::many::{Many, blocked, run};
use crate::recorded;
use crate::world::plan_errors;

const ONE: &str = "container c image=\"tally.local/hello:1\"";

fn asked() -> Options {
    Options { rebalance: true, ..Options::default() }
}

fn hosts(names: &[&str]) -> String {
    names.iter().map(|name| format!("host {name} \"sim:{name}\"\n")).collect()
}

/// Returns `web-1 a b` for each move.
fn moves(plan: &Plan) -> Vec<String> {
    let moves = plan.balance.iter().flat_map(|balance| &balance.moves);
    moves.map(|it| format!("{} {} {}", it.subject.pod().unwrap(), it.from, it.to)).collect()
}

/// Returns why workloads stay.
fn fixed(plan: &Plan) -> Vec<String> {
    let fixed = plan.balance.iter().flat_map(|balance| &balance.fixed);
    fixed.map(|it| format!("{}: {}", it.workload, it.reason)).collect()
}

/// Requests moves, executes them as `apply --rebalance` does, and checks that no moves or changes are left.
/// Returns the first plan, and the minimum and the maximum number of containers of `workload`.
async fn rebalance(many: &mut Many, graph: &Graph, workload: &str) -> (Plan, usize, usize) {
    let plan = many.plan_with(graph, asked()).await;
    assert_eq!(plan_errors(&plan), Vec::<String>::new());
    let (least, most) = many.watched(graph, &plan, workload).await;
    settled(many, graph, &plan).await;
    (plan, least, most)
}

/// Checks that no moves or changes are left.
async fn settled(many: &mut Many, graph: &Graph, plan: &Plan) {
    if !many.plan(graph).await.is_empty() {
        // Surge pods are removed.
        many.apply(graph).await;
    }
    let unaided = |it: &String| it.contains("no host has capacity for a surge pod");
    if !plan.blocked.is_empty() || fixed(plan).iter().any(unaided) {
        // Pods without capacity may have found some since, which creates a new imbalance.
        return;
    }
    let again = many.plan_with(graph, asked()).await;
    assert!(again.is_empty(), "{:?} {:?}", moves(&again), again.changes);
    assert_eq!(moves(&again), Vec::<String>::new());
}

async fn counts(many: &Many) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for key in many.running().await.keys() {
        let host = key.split_once('/').map_or(key.as_str(), |(host, _)| host);
        *counts.entry(host.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn a_new_host_gets_the_fewest_pods_and_nothing_else_moves() {
    run(&["a", "b", "c", "d"], |mut many: Many| async move {
        let body = format!("controller web replicas=12 {{ {ONE} }}");
        many.apply(&many.graph(&hosts(&["a", "b", "c"]), &body)).await;
        let before = many.running().await;
        let graph = many.plain(&body);
        assert!(many.plan(&graph).await.is_empty(), "never unasked");
        let (plan, least, most) = rebalance(&mut many, &graph, "web").await;
        assert_eq!(moves(&plan), ["web-9 a d", "web-10 b d", "web-11 c d"]);
        let reasons: Vec<&str> =
            plan.balance.iter().flat_map(|b| &b.moves).map(|it| it.reason.as_str()).collect();
        assert_eq!(reasons[0], "its pods on a: 4 to 3, on d: 0 to 3");
        assert_eq!((least, most), (11, 12), "one at a time");
        let after = many.running().await;
        let stayed = before.iter().filter(|(name, id)| after.get(*name) == Some(id)).count();
        assert_eq!((after.len(), stayed), (12, 9));
        assert!(counts(&many).await.values().all(|pods| *pods == 3));
        assert!(many.plan(&graph).await.is_empty());
    });
}

#[test]
fn if_no_pod_may_be_missing_a_surge_pod_is_created_first() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body =
            format!("controller web replicas=4 {{ update max-unavailable=0 max-surge=1; {ONE} }}");
        many.apply(&many.graph(&hosts(&["a", "b"]), &body)).await;
        let graph = many.plain(&body);
        let (plan, least, most) = rebalance(&mut many, &graph, "web").await;
        assert_eq!(moves(&plan), ["web-2 a c"]);
        let disruption = plan.balance.unwrap().moves[0].disruption;
        assert_eq!((disruption.at_once, disruption.ready, disruption.stand_ins), (1, 4, 1));
        assert_eq!((least, most), (4, 5));
        assert_eq!(many.running().await.len(), 4);
    });
}

#[test]
fn without_capacity_for_a_surge_pod_nothing_moves() {
    run(&["a", "b"], |mut many: Many| async move {
        let lines = "host a \"sim:a\" { capacity cpu=2 }\nhost b \"sim:b\" { capacity cpu=1 }";
        let body = |update: &str| {
            format!(
                "controller web replicas=2 {{ {update}; container c image=\"tally.local/hello:1\" {{ resources cpu=1 }} }}"
            )
        };
        many.apply(&many.graph("host a \"sim:a\" { capacity cpu=2 }", &body("update"))).await;
        let graph = many.graph(lines, &body("update max-unavailable=0 max-surge=1"));
        let plan = many.plan_with(&graph, asked()).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        let graph = many.graph(lines, &body("update"));
        assert_eq!(moves(&many.plan_with(&graph, asked()).await), ["web-1 a b"]);
    });
}

#[test]
fn pods_with_data_on_their_host_and_per_host_pods_stay() {
    run(&["a", "b"], |mut many: Many| async move {
        let image = "container c image=\"tally.local/hello:1\"";
        let body = format!(
            "volume data\nvolume shared host-path=\"/srv\"\n\
             controller db replicas=4 {{ {image} {{ mount data \"/d\" }} }}\n\
             controller own replicas=4 {{ volume scratch; {image} {{ mount scratch \"/d\" }} }}\n\
             controller srv replicas=4 {{ {image} {{ mount shared \"/d\" }} }}\n\
             controller agent replicas=per-host {{ {image} }}"
        );
        many.apply(&many.graph(&hosts(&["a"]), &body)).await;
        let before = many.running().await;
        let graph = many.plain(&body);
        // The agent of the new host.
        many.apply(&graph).await;
        let plan = many.plan_with(&graph, asked()).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        let expected = [
            "controller/db: its volume `data` is where it is",
            "controller/own: its own volume `scratch` would be lost",
            "controller/srv: it uses `/srv` of its host",
        ];
        let mut fixed = fixed(&plan);
        fixed.sort();
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(fixed, expected);
        let after = many.running().await;
        assert!(before.iter().all(|(name, id)| after.get(name) == Some(id)));
    });
}

#[test]
fn unreachable_drained_and_fenced_hosts_get_no_pods_and_unobserved_pods_keep_others_in_place() {
    run(&["a", "b", "c", "d", "e"], |mut many: Many| async move {
        let body = format!(
            "controller web replicas=6 {{ {ONE} }}\ncontroller api replicas=4 {{ place {{ require host=a }}; {ONE} }}"
        );
        many.apply(&many.graph(&hosts(&["a", "b"]), &body)).await;
        let free = body.replace("place { require host=a }; ", "");
        let lines = format!("{}host e \"sim:e\" {{ drain #true }}\n", hosts(&["a", "b", "c", "d"]));
        let graph = many.graph(&lines, &free);
        // Both have been observed, so that their pods are known.
        many.plan(&graph).await;
        many.cut("d");
        many.declare("c", Declared::Fenced);
        let plan = many.plan_with(&graph, asked()).await;
        assert_eq!(moves(&plan), ["api-2 a b", "api-3 a b"], "{:?}", plan.diagnostics);
        // Now one pod of `web` is unobserved: a better host for it cannot be determined.
        many.heal("d");
        many.memory.declared.hosts.clear();
        many.cut("b");
        let plan = many.plan_with(&graph, asked()).await;
        assert!(moves(&plan).iter().all(|it| it.starts_with("api")), "{:?}", moves(&plan));
        assert_eq!(fixed(&plan), ["controller/web: not all of its pods can be seen and placed"]);
        let goes_there = |host: &str| plan.operations.iter().any(|it| it.host == host);
        assert!(!goes_there("b") && !goes_there("e"));
    });
}

#[test]
fn paused_and_frozen_workloads_are_not_moved() {
    run(&["a", "b"], |mut many: Many| async move {
        let own = format!("{ONE} {{ resources cpu=0.1 memory=\"64MiB\" }}");
        let body = format!("controller web replicas=4 {{ {own} }}");
        many.apply(&many.graph(&hosts(&["a"]), &body)).await;
        let graph = many.plain(&body);
        many.memory.declared.paused.insert("controller/web".to_owned(), "friday".to_owned());
        let plan = many.plan_with(&graph, asked()).await;
        assert!(plan.is_empty() && moves(&plan).is_empty());
        assert_eq!(fixed(&plan), ["controller/web: its rollout is paused"]);
        many.memory.declared.paused.clear();
        many.memory.declared.frozen = Some("friday".to_owned());
        let plan = many.plan_with(&graph, asked()).await;
        assert!(plan.is_empty() && moves(&plan).is_empty());
        for pod in ["web-2", "web-3"] {
            assert!(blocked(&plan).contains(&format!("{pod}: the cluster is frozen: friday")));
        }
        let balance = plan.balance.unwrap();
        assert!(balance.hosts.iter().all(|load| load.pods_before == load.pods_after));
        assert!(balance.hosts.iter().all(|load| load.cpu.before == load.cpu.after));
        assert!(balance.hosts.iter().all(|load| load.memory.before == load.memory.after));
    });
}

#[test]
fn a_pod_in_backoff_is_not_moved() {
    run(&["a", "b"], |mut many: Many| async move {
        let body = format!("controller web replicas=4 {{ {ONE} }}");
        many.apply(&many.graph(&hosts(&["a"]), &body)).await;
        let graph = many.plain(&body);
        let later = many.now_ms() + 60_000;
        let backoff = Backoff { until_ms: later, crashes: 3, ..Backoff::default() };
        many.memory
            .learned
            .backoff
            .entry("a".to_owned())
            .or_default()
            .insert("web-3".to_owned(), backoff);
        let plan = many.plan_with(&graph, asked()).await;
        assert_eq!(moves(&plan), ["web-1 a b", "web-2 a b"]);
    });
}

#[test]
fn moves_meet_requirements_and_free_a_host_port_before_it_is_used() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let lines = "host a \"sim:a\" { label disk=ssd }\nhost b \"sim:b\" { label disk=ssd }\nhost c \"sim:c\"";
        let ported = "container c image=\"tally.local/hello:1\" { port http 8080 publish=8080; resources memory=\"1GiB\" }";
        let body = |pin: &str| {
            format!(
                "pod front {{ {pin}; {ported} }}\n\
                 controller web replicas=4 {{ place {{ require disk=ssd }}; container c image=\"tally.local/hello:1\" {{ resources memory=\"1GiB\" }} }}"
            )
        };
        let first = many.graph(lines, &body("place { require host=a }"));
        many.apply(&first).await;
        let graph = many.graph(lines, &body("place"));
        let (plan, ..) = rebalance(&mut many, &graph, "web").await;
        assert_eq!(moves(&plan), ["front a c"]);
        assert_eq!(plan.balance.unwrap().moves[0].disruption.ready, 0, "it interrupts front");
        assert!(counts(&many).await["c"] == 1);
    });
}

#[test]
fn with_a_target_only_its_pods_move() {
    run(&["a", "b"], |mut many: Many| async move {
        let big = "container c image=\"tally.local/hello:1\" { resources memory=\"2GiB\" }";
        let body = format!("pod web {{ {big} }}\npod api {{ {big} }}");
        many.apply(&many.graph(&hosts(&["a"]), &body)).await;
        let graph = many.plain(&body);
        let plan = many.plan_with(&graph, asked()).await;
        assert_eq!(moves(&plan), ["web a b"], "either would do, and the first is taken");
        let target = tally_graph::Address::parse("pod/api");
        let plan = many.plan_with(&graph, Options { target, ..asked() }).await;
        assert_eq!(moves(&plan), ["api a b"]);
    });
}

#[test]
fn moves_and_a_rollout_together_stay_within_the_limits_of_update() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = |env: u32| {
            format!(
                "controller web replicas=6 {{ container c image=\"tally.local/hello:1\" {{ env A={env} }} }}"
            )
        };
        many.apply(&many.graph(&hosts(&["a", "b"]), &body(1))).await;
        let graph = many.plain(&body(2));
        let (plan, least, most) = rebalance(&mut many, &graph, "web").await;
        assert_eq!((moves(&plan).len(), least, most), (2, 5, 6));
        assert!(counts(&many).await.values().all(|pods| *pods == 2));
    });
}

#[test]
fn a_plan_that_assumes_a_lost_host_can_rebalance() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = format!("controller web replicas=6 {{ {ONE} }}");
        many.apply(&many.graph(&hosts(&["a", "c"]), &body)).await;
        let graph = many.plain(&body);
        let without = ["c".to_owned()].into();
        let plan = many.plan_with(&graph, Options { without, ..asked() }).await;
        assert!(plan.operations.iter().all(|operation| operation.host != "c"));
        let pods: Vec<usize> =
            plan.balance.iter().flat_map(|it| &it.hosts).map(|load| load.pods_after).collect();
        assert_eq!(pods, [3, 3]);
    });
}

#[test]
fn moves_interrupted_at_any_time_are_completed_by_a_plain_apply() {
    for ms in (0..400).step_by(10) {
        run(&["a", "b", "c"], |mut many: Many| async move {
            let body = format!(
                "controller web replicas=4 {{ {ONE} }}\n\
                 controller api replicas=4 {{ update max-unavailable=0 max-surge=1; {ONE} }}"
            );
            many.apply(&many.graph(&hosts(&["a", "b"]), &body)).await;
            let graph = many.plain(&body);
            let plan = many.plan_with(&graph, asked()).await;
            assert_eq!(moves(&plan).len(), 2);
            many.memory.intend(&plan);
            tokio::select! {
                _ = many.execute(&graph, &plan) => {}
                () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            }
            many.apply(&graph).await;
            let running = many.running().await;
            let mut pods: Vec<&str> =
                running.keys().filter_map(|key| Some(key.split_once('/')?.1)).collect();
            pods.sort_unstable();
            let expected: Vec<String> = ["api", "web"]
                .iter()
                .flat_map(|name| (0..4).map(move |n| format!("{name}-{n}.c")))
                .collect();
            assert_eq!(pods, expected, "each runs once after {ms} ms");
        });
    }
}

/// A generated controller.
#[derive(Debug, Clone)]
struct Drawn {
    replicas: u32,
    /// In MiB.
    memory: u64,
    kind: u8,
    /// The maximum number of missing pods; 0 with a surge pod.
    missing: u32,
}

impl Drawn {
    fn text(&self, number: usize) -> String {
        let (place, port, mount, volume) = match self.kind {
            0 => ("place { require disk=ssd };", "", "", ""),
            1 => ("place { spread by=zone };", "", "", ""),
            2 => ("place { prefer disk=ssd };", "", "", ""),
            // A host has each port only once.
            3 if number < 2 => ("", "port http 8080 publish=8080;", "", ""),
            4 => ("", "", "mount data \"/d\";", "volume data\n"),
            _ => ("", "", "", ""),
        };
        let volume = volume.replace("data", &format!("data{number}"));
        let mount = mount.replace("data", &format!("data{number}"));
        let replicas = if self.kind == 3 { self.replicas.min(2) } else { self.replicas };
        let update = match self.missing {
            0 => "update max-unavailable=0 max-surge=1;".to_owned(),
            missing => format!("update max-unavailable={missing};"),
        };
        let memory = match self.memory {
            0 => String::new(),
            memory => format!("resources memory=\"{memory}MiB\";"),
        };
        format!(
            "{volume}controller w{number} replicas={replicas} {{ {place} {update} container c image=\"tally.local/hello:1\" {{ {port} {mount} {memory} }} }}\n"
        )
    }
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let one = (1..5u32, 0..4u64, 0..8u8, 0..3u32).prop_map(|(replicas, memory, kind, missing)| {
        Drawn { replicas, memory: memory * 300, kind, missing }
    });
    proptest::collection::vec(one, 1..5)
}

/// Executes a plan, and checks meanwhile that no pod runs twice, that no host exceeds its capacity, and that no
/// controller has more pods missing than before and than allowed.
async fn guarded(many: &Many, graph: &Graph, plan: &Plan, drawn: &[Drawn], sizes: &[u32]) {
    let ready = |running: &BTreeMap<String, String>, number: usize| {
        running.keys().filter(|key| key.contains(&format!("/w{number}-"))).count()
    };
    let before = many.running().await;
    let work = many.execute(graph, plan);
    tokio::pin!(work);
    loop {
        let running = many.running().await;
        let pods: BTreeSet<&str> = running.keys().filter_map(|key| key.split('/').nth(1)).collect();
        assert_eq!(pods.len(), running.len(), "twice: {running:?}");

        for (number, it) in drawn.iter().enumerate() {
            let (now, then) = (ready(&running, number), ready(&before, number));
            assert!(now + it.missing as usize >= then, "{number}: {now} of {then}: {running:?}");
        }
        for (host, size) in ["a", "b", "c", "d"].iter().zip(sizes) {
            let on = running.keys().filter_map(|key| key.strip_prefix(&format!("{host}/w")));
            let number = |pod: &str| pod.split('-').next().unwrap().parse::<usize>().unwrap();
            let taken: u64 = on.map(|pod| drawn[number(pod)].memory).sum();
            assert!(taken <= u64::from(*size) * 1024, "{host}: {running:?}");
        }
        tokio::select! {
            report = &mut work => {
                assert!(report.is_done());
                return;
            }
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
}

#[test]
fn surge_pods_fit_beside_all_current_and_planned_pods() {
    run(&["a", "c"], |mut many: Many| async move {
        let lines = |drain: &str| {
            let host = |name: &str, drain: &str| {
                format!("host {name} \"sim:{name}\" {{ {drain} capacity memory=\"4GiB\" }}\n")
            };
            host("a", "") + &host("c", drain)
        };
        let of = |number: usize, replicas: u32, update: &str, memory: u32| {
            format!(
                "controller w{number} replicas={replicas} {{ {update} container c image=\"tally.local/hello:1\" {{ resources memory=\"{memory}MiB\" }} }}\n"
            )
        };
        let body = of(0, 2, "update max-unavailable=0 max-surge=1;", 900)
            + &of(1, 2, "", 900)
            + &of(2, 4, "", 600);
        many.apply(&many.graph(&lines("drain #true;"), &body)).await;
        let graph = many.graph(&lines(""), &body);
        many.apply(&graph).await;
        let plan = many.plan_with(&graph, asked()).await;
        assert_eq!(blocked(&plan), Vec::<String>::new());
        assert_eq!(fixed(&plan), ["controller/w0: no host has capacity for a surge pod now"]);
        assert!(!moves(&plan).is_empty());
    });
}

#[test]
fn a_pod_moves_only_after_its_capacity_was_freed() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let host = |name: &str, disk: &str| {
            format!(
                "host {name} \"sim:{name}\" {{ label disk={disk}; capacity memory=\"2GiB\" }}\n"
            )
        };
        let lines = host("a", "none") + &host("b", "ssd") + &host("c", "hdd");
        let body = |first: &str, second: &str| {
            let of = |number: usize, place: &str| {
                format!(
                    "controller w{number} {{ place {{ {place} }}; container c image=\"tally.local/hello:1\" {{ resources memory=\"1500MiB\" }} }}\n"
                )
            };
            of(0, first) + &of(1, second)
        };
        many.apply(&many.graph(&lines, &body("require host=a", "require host=b"))).await;
        let graph = many.graph(&lines, &body("prefer disk=ssd", "prefer disk=hdd"));
        let plan = many.plan_with(&graph, asked()).await;
        assert_eq!(moves(&plan), ["w0-0 a b", "w1-0 b c"]);
        let drawn = Drawn { replicas: 1, memory: 1500, kind: 9, missing: 1 };
        guarded(&many, &graph, &plan, &[drawn.clone(), drawn], &[2, 2, 2]).await;
        // It did not stop earlier: its stop waits for the other's removal.
        let op = |pod: &str, word: &str| {
            plan.operations
                .iter()
                .find(|it| it.subject.is_of_pod(pod) && it.action.word() == word)
                .unwrap()
        };
        assert!(op("w0-0", "stop").after.contains(&op("w1-0", "remove-container").id));
        settled(&mut many, &graph, &plan).await;
        assert_eq!(
            (many.hosts_of("w0-0.c").await, many.hosts_of("w1-0.c").await),
            (vec!["b".to_owned()], vec!["c".to_owned()])
        );
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_clusters_are_rebalanced_once(drawn in drawn(), sizes in proptest::collection::vec(2..5u32, 4)) {
        run(&["a", "b", "c", "d"], |mut many: Many| async move {
            // The generated cases differ from run to run.
            recorded::end();
            let line = |drained: &str, (at, name): (usize, &&str)| {
                let (disk, zone) = (["ssd", "hdd"][at % 2], ["x", "y"][at / 2]);
                let drain = if drained.contains(name) { "drain #true;" } else { "" };
                let size = sizes[at];
                format!("host {name} \"sim:{name}\" {{ {drain} label disk={disk} zone={zone}; capacity memory=\"{size}GiB\" }}\n")
            };
            let hosts = |drained: &str| -> String {
                ["a", "b", "c", "d"].iter().enumerate().map(|it| line(drained, it)).collect()
            };
            let body: String = drawn.iter().enumerate().map(|(at, it)| it.text(at)).collect();
            many.apply(&many.graph(&hosts("cd"), &body)).await;
            let graph = many.graph(&hosts(""), &body);
            many.apply(&graph).await;
            let before = many.running().await;
            let plan = many.plan_with(&graph, asked()).await;
            assert_eq!(plan_errors(&plan), Vec::<String>::new());
            guarded(&many, &graph, &plan, &drawn, &sizes).await;
            let after = many.running().await;
            let changed = before.iter().filter(|(name, id)| after.get(*name) != Some(id)).count();
            assert_eq!(changed, moves(&plan).len(), "{:?}", moves(&plan));
            settled(&mut many, &graph, &plan).await;
        });
    }
}

#[test]
fn a_host_without_an_image_that_is_never_pulled_gets_no_pods() {
    run(&["a", "b"], |mut many: Many| async move {
        let own = "container c image=\"tally.local/own:1\" { pull never }";
        let have = |many: &Many, host: &str| {
            many.hosts[host].inject(|model, _| model.pull("tally.local/own:1").unwrap()).unwrap();
        };
        have(&many, "a");
        let body = format!("controller web replicas=4 {{ {own} }}");
        many.apply(&many.graph(&hosts(&["a"]), &body)).await;
        let graph = many.plain(&body);
        let plan = many.plan_with(&graph, asked()).await;
        assert!(plan.is_empty() && moves(&plan).is_empty(), "{:?}", moves(&plan));
        have(&many, "b");
        let plan = many.plan_with(&graph, asked()).await;
        assert_eq!(moves(&plan), ["web-2 a b", "web-3 a b"]);
    });
}

#[test]
fn the_disruption_of_a_move_follows_from_update() {
    // Each row: the text of `update`, the number of pods that move at once, that stay ready, and of surge pods.
    let rows = [
        ("update max-unavailable=2", (2, 4, 0)),
        ("update max-unavailable=2 max-surge=1", (3, 4, 1)),
        ("update max-unavailable=0 max-surge=1", (1, 6, 1)),
        ("update max-unavailable=9", (6, 0, 0)),
        ("update strategy=recreate", (6, 0, 0)),
    ];
    for (update, expected) in rows {
        run(&["a", "b"], |mut many: Many| async move {
            let body = format!("controller web replicas=6 {{ {update}; {ONE} }}");
            many.apply(&many.graph(&hosts(&["a"]), &body)).await;
            let plan = many.plan_with(&many.plain(&body), asked()).await;
            let disruption = plan.balance.unwrap().moves[0].disruption;
            let found = (disruption.at_once, disruption.ready, disruption.stand_ins);
            assert_eq!((found, disruption.replicas), (expected, 6), "{update}");
        });
    }
}
