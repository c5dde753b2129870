//! The blocked operations of a plan: each has its kind, its reason, a remedy, and its position in the spec.

use tally_graph::Graph;
use tally_reconcile::Options;
use tally_reconcile::memory::{Backoff, Declared};
use tally_reconcile::plan::Plan;
use tally_reconcile::plan::reason::{Awaits, BlockReason, Blocked, BlockedBy};
use tally_reconcile::plan::request::VolumeRequest;
use tally_simulator::Model;

use crate::many::{Many, blocked, run};
use crate::world::calls;

const WEB: &str = "controller web replicas=2 { container c image=\"tally.local/hello:1\" }";
const CHANGED: &str =
    "controller web replicas=2 { container c image=\"tally.local/hello:1\" { env A=1 } }";

/// Returns the blocked entries of one kind.
fn of(plan: &Plan, by: BlockedBy) -> Vec<&Blocked> {
    plan.blocked.iter().filter(|it| it.reason.by() == by).collect()
}

#[test]
fn a_busy_pod_gets_no_operations() {
    run(&["a", "b"], |mut many: Many| async move {
        many.apply(&many.plain(WEB)).await;
        many.memory.in_flight.busy.insert("web-0".to_owned());
        let plan = many.plan(&many.plain(CHANGED)).await;
        assert_eq!(blocked(&plan)[0], "web-0: an operation on it is under way");
        assert_eq!(of(&plan, BlockedBy::Busy)[0].reason.awaits(), Awaits::Work);
        assert!(!calls(&plan).iter().any(|call| call.contains("web-0")), "{:?}", calls(&plan));
        // A busy pod that is to be removed gets no operations either.
        let other = many.plain("pod other { container c image=\"tally.local/hello:1\" }");
        let plan = many.plan(&other).await;
        assert!(!calls(&plan).iter().any(|call| call.contains("web-0")), "{:?}", calls(&plan));
        assert!(calls(&plan).contains(&"stop web-1/c".to_owned()), "{:?}", calls(&plan));
    });
}

#[test]
fn a_crash_looping_pod_gets_no_operations_until_its_backoff_ends() {
    run(&["a"], |mut many: Many| async move {
        many.apply(&many.plain(WEB)).await;
        let until_ms = many.now_ms() + 10_000;
        let pause = Backoff { until_ms, ..Backoff::default() };
        many.memory
            .learned
            .backoff
            .entry("a".to_owned())
            .or_default()
            .insert("web-1".to_owned(), pause);
        let graph = many.plain(CHANGED);
        let plan = many.plan(&graph).await;
        let paused = of(&plan, BlockedBy::Backoff);
        assert_eq!(paused[1].subject.pod(), Some("web-1"), "and the other one waits for it");
        assert!(plan.is_empty(), "{:?}", calls(&plan));
        assert_eq!(paused[1].reason, BlockReason::Backoff { pod: "web-1".to_owned() });
        assert!(paused[1].origin.is_some());
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
        assert_eq!(many.plan(&graph).await.blocked, []);
    });
}

#[test]
fn a_plan_without_waits_reports_the_pods_that_are_not_ready() {
    let body = "pod db { container c image=\"tally.local/hello:1\" }\n\
        pod job { restart never; container c image=\"tally.local/hello:1\" }\n\
        pod web { depends-on pod db; container c image=\"tally.local/hello:1\" }\n\
        pod late { depends-on pod job until=completed; container c image=\"tally.local/hello:1\" }";
    run(&["a"], |mut many: Many| async move {
        let graph = many.plain(body);
        let options = Options { without_waits: true, ..Options::default() };
        let plan = many.plan_with(&graph, options).await;
        assert_eq!(
            blocked(&plan),
            [
                "late: it waits for job: it has not ended yet",
                "web: it waits for db: it is not ready yet"
            ]
        );
        assert!(plan.blocked.iter().all(|it| it.reason.awaits() == Awaits::Readiness));
        assert!(plan.blocked.iter().all(|it| it.reason.by() == BlockedBy::NotReady));
        assert!(plan.blocked.iter().all(|it| it.subject.container().is_none()), "whole pods wait");
    });
}

/// Creates a pod with two volumes and removes it; the volumes are left. Returns the host that has them, and the
/// other host.
async fn volumes_are_left(many: &mut Many) -> (Graph, String, String) {
    let body = "volume one\nvolume two\npod db { container c image=\"tally.local/hello:1\" { mount one \"/1\"; mount two \"/2\" } }";
    let graph = many.plain(body);
    many.apply(&graph).await;
    let home = many.hosts_of("db.c").await.remove(0);
    let away = if home == "a" { "b" } else { "a" }.to_owned();
    let other = "pod other { container c image=\"tally.local/hello:1\" }";
    many.apply(&many.plain(&format!("volume one\nvolume two\n{other}"))).await;
    (many.plain(&format!("{body}\n{other}")), home, away)
}

/// Copies a volume from one host to another by hand, with its labels.
async fn copy_volume(many: &Many, name: &str, from: &str, to: &str) {
    let volumes = many.state(from).await.volumes;
    let labels = volumes.iter().find(|volume| volume.name == name).unwrap().labels.clone();
    let request = VolumeRequest { name: name.to_owned(), labels, in_memory: false };
    many.hosts[to].inject(|model, _| model.create_volume(&request)).unwrap().unwrap();
}

#[test]
fn a_volume_on_two_hosts_is_blocked_until_a_person_chooses_one() {
    run(&["a", "b"], |mut many: Many| async move {
        let (graph, home, other) = volumes_are_left(&mut many).await;
        for volume in ["many.one", "many.two"] {
            copy_volume(&many, volume, &home, &other).await;
        }
        let plan = many.plan(&graph).await;
        assert_eq!(blocked(&plan), ["db: its volume `one` is on `a` and on `b`"]);
        let reason = &of(&plan, BlockedBy::Volume)[0].reason;
        assert!(matches!(reason, BlockReason::VolumeOnSeveralHosts { .. }), "{reason:?}");
        assert!(plan.is_empty(), "{:?}", calls(&plan));
    });
}

#[test]
fn a_pod_whose_volumes_are_on_different_hosts_is_not_created() {
    run(&["a", "b"], |mut many: Many| async move {
        let (graph, home, other) = volumes_are_left(&mut many).await;
        copy_volume(&many, "many.one", &home, &other).await;
        many.hosts[&home].inject(|model, _| model.remove_volume("many.one")).unwrap().unwrap();
        let plan = many.plan(&graph).await;
        assert_eq!(blocked(&plan), ["db: its volumes are on different hosts"]);
        assert_eq!(of(&plan, BlockedBy::Volume).len(), 1);
        assert!(plan.is_empty(), "{:?}", calls(&plan));
    });
}

#[test]
fn destroy_reports_the_pods_on_unreachable_hosts() {
    run(&["a", "b"], |mut many: Many| async move {
        let graph = many.plain(WEB);
        many.apply(&graph).await;
        many.cut("b");
        let destroy = Options { destroy: true, ..Options::default() };
        let plan = many.plan_with(&graph, destroy.clone()).await;
        let silent = of(&plan, BlockedBy::Unreachable);
        assert_eq!(blocked(&plan), ["host/b: it does not answer: its containers are not changed"]);
        assert_eq!(silent[0].reason, BlockReason::HostUnreachable);
        assert_eq!(silent[0].host.as_deref(), Some("b"));
        // A fenced host is not reported.
        many.declare("b", Declared::Fenced);
        assert_eq!(many.plan_with(&graph, destroy).await.blocked, []);
    });
}

#[test]
fn dependents_of_a_pod_that_cannot_be_placed_are_not_started() {
    let body = "pod db { container c image=\"tally.local/hello:1\" { resources memory=\"100GiB\" } }\n\
        pod web { depends-on pod db; container c image=\"tally.local/hello:1\" }";
    run(&["a"], |mut many: Many| async move {
        let plan = many.plan(&many.plain(body)).await;
        let waits = of(&plan, BlockedBy::Dependency);
        assert_eq!(waits[0].reason, BlockReason::Dependency { on: "db".to_owned() });
        assert_eq!(of(&plan, BlockedBy::NoRoom).len(), 1);
        assert!(calls(&plan).is_empty(), "{:?}", calls(&plan));
    });
}

#[test]
fn dependents_of_a_pod_that_docker_is_removing_are_not_started() {
    let body = |env: u32| {
        format!(
            "controller web replicas=2 {{ container c image=\"tally.local/hello:1\" {{ env A={env} }} }}\n\
             pod late {{ depends-on controller web; container c image=\"tally.local/hello:1\" {{ env A={env} }} }}"
        )
    };
    run(&["a"], |mut many: Many| async move {
        many.apply(&many.plain(&body(1))).await;
        let get_stuck = |model: &mut Model, now: i64| {
            let found = model.list().into_iter().find(|it| it.name.ends_with("web-0.c")).unwrap();
            model.get_stuck(&found.id, now).unwrap();
        };
        many.hosts["a"].inject(get_stuck).unwrap();
        let plan = many.plan(&many.plain(&body(2))).await;
        let wait = plan.operations.iter().find(|it| it.subject.is_of_pod("web-0")).unwrap();
        assert_eq!(wait.action.word(), "await-ready");
        let first_of = |pod: &str| {
            plan.operations
                .iter()
                .find(|it| it.subject.is_of_pod(pod) && it.action.mutates())
                .unwrap()
        };
        assert!(first_of("web-1").after.contains(&wait.id), "{:?}", calls(&plan));
        assert!(!first_of("late").after.is_empty());
    });
}

#[test]
fn a_surplus_pod_frees_its_port_before_another_pod_uses_it() {
    let body = |count: u32, place: &str| {
        format!(
            "controller web replicas={count} {{ {place}\n update max-surge=1 max-unavailable=0\n \
             container c image=\"tally.local/hello:1\" {{ port http 8080 publish=8080 }} }}"
        )
    };
    run(&["a", "b"], |mut many: Many| async move {
        many.apply(&many.plain(&body(2, ""))).await;
        let first = many.hosts_of("web-0.c").await.remove(0);
        let other = many.hosts_of("web-1.c").await.remove(0);
        assert_ne!(first, other);
        // The pod that stays must be on the host where the other pod uses the port.
        let place = format!("place {{ require host={other} }}");
        many.apply(&many.plain(&body(1, &place))).await;
        assert_eq!(many.hosts_of("web-0.c").await, [other]);
        assert_eq!(many.running().await.len(), 1);
    });
    // If another host is free, a surge pod is created there first.
    run(&["a", "b", "c"], |mut many: Many| async move {
        let hosts = |names: &[&str]| -> String {
            let good = |name: &str| if name == "a" { "no" } else { "yes" };
            let line = |name: &&str| {
                format!("host {name} \"sim:{name}\" {{ label good={} }}\n", good(name))
            };
            names.iter().map(line).collect()
        };
        let (two, all) = (hosts(&["a", "b"]), hosts(&["a", "b", "c"]));
        many.apply(&many.graph(&two, &body(2, ""))).await;
        let graph = many.graph(&all, &body(1, "place { require good=yes; prefer host=b }"));
        let plan = many.plan(&graph).await;
        assert_eq!(many.watched(&graph, &plan, "web").await, (1, 2), "{:?}", calls(&plan));
        many.apply(&graph).await;
        assert_eq!(many.hosts_of("web-0.c").await, ["b"]);
        assert_eq!(many.running().await.len(), 1);
    });
}

/// Seeds 937964 and 950281 of the simulation.
#[test]
fn an_operation_in_flight_that_belongs_to_no_pod_is_not_started_again() {
    run(&["a", "b"], |mut many: Many| async move {
        let graph = many.plain(WEB);
        let on = |plan: &Plan, host: &str| {
            let words = plan.operations.iter().filter(|op| op.host == host);
            words.map(|op| op.action.word()).collect::<Vec<_>>()
        };
        let whole = many.plan(&graph).await;
        assert!(on(&whole, "b").contains(&"create-network"), "{:?}", on(&whole, "b"));
        let own = whole.operations.iter().filter(|op| op.host == "b");
        let network = own.filter(|op| op.action.word() == "create-network").map(|op| op.lock_key());
        many.memory.in_flight.busy = network.map(|own| own.into_owned()).collect();
        let rest = many.plan(&graph).await;
        assert_eq!(on(&rest, "b"), Vec::<&str>::new(), "what needs it waits");
        assert_eq!(on(&rest, "a"), on(&whole, "a"));
        assert!(rest.blocked.iter().all(|it| it.reason.is_passing()));
    });
}
