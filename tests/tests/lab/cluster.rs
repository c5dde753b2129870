//! A whole cluster over the lab: `specs/three-hosts`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tally_docker::connect;
use tally_graph::Graph;
use tally_host::{ExecuteOptions, Host, HostRead, execute, observe};
use tally_reconcile::input::observed::Observed;
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::Plan;
use tally_reconcile::{Options, reconcile};
use tally_tests::lab::{Lab, LabOptions, Way};
use tokio::sync::watch;

use crate::{lab, options, run};

/// In the order of the spec.
const WAYS: [Way; 3] = [Way::Unix, Way::Tls, Way::Ssh];

fn spec() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/three-hosts/tally.kdl");
    std::fs::read_to_string(path).unwrap()
}

fn compiled(text: &str) -> Graph {
    let mut loader = tally_lang::MemoryLoader::single("tally.kdl", text);
    let compiled = tally_lang::compile("tally.kdl", &mut loader);
    assert_eq!(compiled.diagnostics, []);
    compiled.graph.unwrap()
}

#[test]
fn the_example_with_three_hosts_uses_the_hosts_of_the_lab() {
    let graph = compiled(&spec());
    let written = graph.hosts().map(|host| (host.name.clone(), host.address.clone()));
    // The sizes that `make lab-up` uses by default.
    let folder = PathBuf::from("/var/lib/tally-lab");
    let usual = LabOptions { folder, ..LabOptions::named("lab", 0, 3) };
    let lab = usual.members().into_iter().zip(WAYS);
    let lab = lab.map(|(host, way)| (host.name().to_owned(), host.address(way)));
    assert_eq!(written.collect::<Vec<_>>(), lab.collect::<Vec<_>>());
}

struct Cluster {
    graph: Graph,
    hosts: BTreeMap<String, Arc<dyn Host>>,
}

impl Cluster {
    /// Returns all hosts of a lab, each by its transport; the fourth uses TLS like the second.
    async fn over(lab: &Lab, graph: Graph) -> Self {
        let mut hosts = BTreeMap::new();
        for (host, way) in lab.hosts().iter().zip(WAYS.into_iter().chain([Way::Tls])) {
            let reached = connect(host.name(), &host.endpoint(way), &options()).await.unwrap();
            hosts.insert(host.name().to_owned(), reached);
        }
        Self { graph, hosts }
    }

    /// Plans and applies until the plan is empty, as the loop does if a step waits for the previous one. Returns
    /// the final objects.
    async fn settle(&self) -> Observed {
        for _ in 0..20 {
            let plan = self.plan(&self.look().await);
            if plan.operations.is_empty() {
                return self.look().await;
            }
            let (_never, cancel) = watch::channel(false);
            let options = ExecuteOptions::default();
            let report = execute(&plan, &self.graph, &self.hosts, &(), cancel, &options).await;
            assert!(report.is_done(), "{:?}", report.outcomes);
        }
        panic!("it does not reach a steady state");
    }

    async fn look(&self) -> Observed {
        let readers: Vec<Arc<dyn HostRead>> =
            self.hosts.values().map(|host| Arc::clone(host) as Arc<dyn HostRead>).collect();
        observe(&readers, "three").await
    }

    fn plan(&self, observed: &Observed) -> Plan {
        self.plan_with(observed, Options::default())
    }

    fn plan_with(&self, observed: &Observed, options: Options) -> Plan {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now_ms = i64::try_from(now.as_millis()).unwrap();
        let options = Options { now_ms, ..options };
        reconcile(&self.graph, observed, &Memory::default(), &options)
    }
}

/// Returns full IDs by host and name.
fn ids(observed: &Observed) -> BTreeMap<(String, String), String> {
    let ready = observed.hosts.iter().filter_map(|(name, view)| Some((name, view.ready()?)));
    let containers = ready.flat_map(|(host, state)| {
        state.containers.iter().map(|one| ((host.clone(), one.name.clone()), one.id.clone()))
    });
    containers.collect()
}

#[test]
fn three_hosts_form_a_cluster_and_an_unreachable_one_moves_no_pod() {
    let Some(borrowed) = lab(3) else { return };
    let lab = &borrowed.lab;
    lab.load(&["tally.local/hello:1", "tally.local/hello:2"]).expect("make images");
    run(async {
        let cluster = Cluster::over(lab, compiled(&spec())).await;
        let plan = cluster.plan(&cluster.look().await);
        assert!(!plan.is_empty());
        let (_never, cancel) = watch::channel(false);
        let options = ExecuteOptions::default();
        let report = execute(&plan, &cluster.graph, &cluster.hosts, &(), cancel, &options).await;
        assert!(report.is_done(), "{:?}", report.outcomes);
        let observed = cluster.look().await;
        assert!(
            cluster.plan(&observed).operations.is_empty(),
            "applied twice, the second is empty"
        );
        let before = ids(&observed);
        let on = |host: &str, part: &str| {
            before.keys().filter(|(at, name)| at == host && name.contains(part)).count()
        };
        for host in ["alpha", "beta", "gamma"] {
            assert_eq!(on(host, ".web-"), 2, "spread: {host}");
            assert_eq!(on(host, ".watch-"), 3, "one pod of three containers: {host}");
        }
        assert_eq!(on("alpha", ".store-0."), 1, "where the fast disk is");
        // An unreachable pod is not absent.
        lab.hosts()[2].cut().unwrap();
        let observed = cluster.look().await;
        assert!(observed.hosts["gamma"].ready().is_none());
        let plan = cluster.plan(&observed);
        let planned: Vec<&str> = plan.operations.iter().map(|op| op.host.as_str()).collect();
        assert!(planned.is_empty(), "an unreachable host causes no change: {planned:?}");
        lab.hosts()[2].heal().unwrap();
        let mut observed = cluster.look().await;
        let began = std::time::Instant::now();
        while observed.hosts["gamma"].ready().is_none() {
            assert!(began.elapsed().as_secs() < 30, "gamma does not come back");
            observed = cluster.look().await;
        }
        // On a busy machine a probe may be late, and the plan then waits for it.
        let plan = cluster.plan(&observed);
        let changes: Vec<_> = plan.operations.iter().filter(|op| op.action.mutates()).collect();
        assert!(changes.is_empty(), "it is back, and nothing to do: {changes:?}");
        assert_eq!(ids(&observed), before, "no container was touched");
    });
}

/// Returns when each container was started, by name, on all hosts.
fn started(observed: &Observed) -> BTreeMap<String, i64> {
    let ready = observed.hosts.values().filter_map(|view| view.ready());
    let containers = ready.flat_map(|state| &state.containers);
    let time = |one: &tally_reconcile::input::observed::ObservedContainer| {
        Some((one.name.clone(), one.details.as_ref()?.started_at_ms?))
    };
    containers.filter_map(time).collect()
}

#[test]
fn adding_and_draining_a_host_moves_no_other_pod() {
    let Some(borrowed) = lab(4) else { return };
    let lab = &borrowed.lab;
    lab.load(&["tally.local/hello:1", "tally.local/hello:2"]).expect("make images");
    let three = spec();
    let fourth = |more: &str| {
        let line = lab.hosts()[3].line(Way::Tls);
        let line = line.replace(" { tls", &format!(" {{ label zone=d; {more} tls"));
        three.replacen("cluster three {", &format!("cluster three {{\n    {line}"), 1)
    };
    run(async {
        let cluster = Cluster::over(lab, compiled(&three)).await;
        let first = cluster.settle().await;
        let before = ids(&first);
        // Dependencies work across hosts: `store` is on alpha, `web` on every host, `front` waits for both.
        let times = started(&first);
        let of = |part: &'static str| times.iter().filter(move |(name, _)| name.contains(part));
        let store = times["three.store-0.store"];
        let front = times["three.front.front"];
        assert!(of(".web-").all(|(_, at)| store < *at && *at < front), "{times:?}");
        assert!(of(".watch-").all(|(_, at)| *at < front), "{times:?}");

        let wider = Cluster { graph: compiled(&fourth("")), hosts: cluster.hosts };
        let added = wider.settle().await;
        let with_fourth = ids(&added);
        assert!(before.iter().all(|(key, id)| with_fourth.get(key) == Some(id)), "nothing moves");
        let new: Vec<&str> = with_fourth
            .keys()
            .filter(|key| !before.contains_key(*key))
            .map(|(host, name)| {
                assert_eq!(host, "delta");
                name.as_str()
            })
            .collect();
        let watch = ["three.watch-delta", "three.watch-delta.page", "three.watch-delta.writer"];
        assert_eq!(new, watch, "one on every host, also on those that come later");

        // A rebalance moves some of the running pods to the new host, only on request, and changes no others.
        let asked = || Options { rebalance: true, ..Options::default() };
        let plan = wider.plan_with(&added, asked());
        let moves = &plan.balance.as_ref().unwrap().moves;
        let of_web = moves.iter().filter(|it| it.subject.address() == "controller/web").count();
        assert!(of_web > 0 && moves.iter().all(|it| it.to == "delta"), "{moves:?}");
        let (_never, cancel) = watch::channel(false);
        let options = ExecuteOptions::default();
        let report = execute(&plan, &wider.graph, &wider.hosts, &(), cancel, &options).await;
        assert!(report.is_done(), "{:?}", report.outcomes);
        let evened = wider.settle().await;
        assert!(wider.plan_with(&evened, asked()).is_empty(), "once is enough");
        let moved = |name: &str| moves.iter().any(|it| name.split('.').nth(1) == it.subject.pod());
        let stays = with_fourth.iter().filter(|((_, name), _)| !moved(name));
        let evened = ids(&evened);
        assert!(stays.into_iter().all(|(key, id)| evened.get(key) == Some(id)), "only those move");
        let with_fourth = evened;

        // More pods, some of them on the empty host; then that host is drained.
        let more = |text: String| text.replace("replicas=6", "replicas=8");
        let grown = Cluster { graph: compiled(&more(fourth(""))), hosts: wider.hosts };
        let with_more = ids(&grown.settle().await);
        assert!(with_fourth.iter().all(|(key, id)| with_more.get(key) == Some(id)));
        let on_delta = |all: &BTreeMap<(String, String), String>, part: &str| {
            all.keys().filter(|(host, name)| host == "delta" && name.contains(part)).count()
        };
        assert_eq!(on_delta(&with_more, ".web-"), 2, "{with_more:?}");
        let drained =
            Cluster { graph: compiled(&more(fourth("drain #true;"))), hosts: grown.hosts };
        let after = ids(&drained.settle().await);
        assert_eq!(on_delta(&after, ""), 0, "{after:?}");
        let elsewhere = |(host, _): &&(String, String)| host != "delta";
        for key in with_more.keys().filter(elsewhere) {
            assert_eq!(after.get(key), with_more.get(key), "{key:?} was touched");
        }
        let web = |all: &BTreeMap<(String, String), String>| {
            all.keys().filter(|(_, name)| name.contains(".web-")).count()
        };
        assert_eq!(web(&after), 8, "its pods are elsewhere");
    });
}
