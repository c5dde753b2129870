//! A whole cluster over the lab: `specs/three-hosts`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tally_docker::{ExecuteOptions, Host, HostRead, connect, execute, observe};
use tally_graph::Graph;
use tally_reconcile::memory::Memory;
use tally_reconcile::observed::Observed;
use tally_reconcile::plan::Plan;
use tally_reconcile::{Options, reconcile};
use tally_tests::lab::{LabOptions, Way};
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
fn the_example_of_three_hosts_is_about_the_lab() {
    let graph = compiled(&spec());
    let written = graph.hosts().map(|host| (host.name.clone(), host.address.clone()));
    // As `make lab-up` has it where nothing else is said.
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
    async fn look(&self) -> Observed {
        let readers: Vec<Arc<dyn HostRead>> =
            self.hosts.values().map(|host| Arc::clone(host) as Arc<dyn HostRead>).collect();
        observe(&readers, "three").await
    }

    fn plan(&self, observed: &Observed) -> Plan {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now_ms = i64::try_from(now.as_millis()).unwrap();
        let options = Options { now_ms, ..Options::default() };
        reconcile(&self.graph, observed, &Memory::default(), &options)
    }
}

/// Full IDs by host and name.
fn ids(observed: &Observed) -> BTreeMap<(String, String), String> {
    let ready = observed.hosts.iter().filter_map(|(name, view)| Some((name, view.ready()?)));
    let containers = ready.flat_map(|(host, state)| {
        state.containers.iter().map(|one| ((host.clone(), one.name.clone()), one.id.clone()))
    });
    containers.collect()
}

#[test]
fn three_hosts_are_one_cluster_and_a_silent_one_moves_nothing() {
    let Some(borrowed) = lab(3) else { return };
    let lab = &borrowed.lab;
    lab.load(&["tally.local/hello:1", "tally.local/hello:2"]).expect("make images");
    run(async {
        let mut hosts = BTreeMap::new();
        for (host, way) in lab.hosts().iter().zip(WAYS) {
            let reached = connect(host.name(), &host.endpoint(way), &options()).await.unwrap();
            hosts.insert(host.name().to_owned(), reached);
        }
        let cluster = Cluster { graph: compiled(&spec()), hosts };
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
        // Unreachable is never absent.
        lab.hosts()[2].cut().unwrap();
        let observed = cluster.look().await;
        assert!(observed.hosts["gamma"].ready().is_none());
        let plan = cluster.plan(&observed);
        let planned: Vec<&str> = plan.operations.iter().map(|op| op.host.as_str()).collect();
        assert!(planned.is_empty(), "nothing is concluded from silence: {planned:?}");
        lab.hosts()[2].heal().unwrap();
        let mut observed = cluster.look().await;
        let began = std::time::Instant::now();
        while observed.hosts["gamma"].ready().is_none() {
            assert!(began.elapsed().as_secs() < 30, "gamma does not come back");
            observed = cluster.look().await;
        }
        assert!(cluster.plan(&observed).operations.is_empty(), "it is back, and nothing to do");
        assert_eq!(ids(&observed), before, "no container was touched");
    });
}
