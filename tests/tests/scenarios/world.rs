//! One cluster on one host, simulated or real, that is removed when the test ends.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use tally_graph::{Address, Graph, HostAddress};
use tally_host::{ExecuteOptions, Failure, Host, HostRead, Report, Secrets, execute, observe};
use tally_lang::MemoryLoader;
use tally_reconcile::input::observed::{HostState, Observed};
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::Plan;
use tally_reconcile::{LOCAL_HOST, Options};
use tally_simulator::Clock;
use tally_tests::plan_equivalence;
use tokio::sync::watch;

use crate::recorded;

/// The image that every scenario uses.
pub const HELLO: &str = "tally.local/hello:1";

pub struct World {
    pub cluster: String,
    pub host: Arc<dyn Host>,
    pub real: bool,
    /// The simulator's time, which waits advance immediately; the real engine uses the machine's time.
    clock: Option<Arc<dyn Clock>>,
    /// The values of secrets that a test has set; the default is `value of NAME`.
    secrets: Arc<Mutex<BTreeMap<String, String>>>,
}

/// Runs a scenario on the simulator and, if there is one, on the real engine.
pub fn both<F: Future<Output = ()>>(name: &str, scenario: impl Fn(World) -> F) {
    run_simulated(name, &scenario);
    match real(name) {
        Some(world) => run(&runtime(), world, &scenario),
        None => skipped(name),
    }
}

/// Runs a scenario on the simulator only; `why` is the reason.
pub fn only_simulated<F: Future<Output = ()>>(
    name: &str,
    _why: &str,
    scenario: impl Fn(World) -> F,
) {
    run_simulated(name, &scenario);
}

/// Runs a scenario on the real engine only; `why` is the reason.
pub fn only_real<F: Future<Output = ()>>(name: &str, _why: &str, scenario: impl Fn(World) -> F) {
    match real(name) {
        Some(world) => run(&runtime(), world, &scenario),
        None => skipped(name),
    }
}

fn skipped(name: &str) {
    eprintln!("SKIPPED on the real engine: {name} (TALLY_TEST_DOCKER is not 1)");
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn run_simulated<F: Future<Output = ()>>(name: &str, scenario: &impl Fn(World) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let world = runtime.block_on(async { World::simulated(name, 1) });
    run(&runtime, world, scenario);
    recorded::compare();
}

fn run<F: Future<Output = ()>>(
    runtime: &tokio::runtime::Runtime,
    world: World,
    scenario: &impl Fn(World) -> F,
) {
    let again = World {
        cluster: world.cluster.clone(),
        host: world.host.clone(),
        real: world.real,
        clock: world.clock.clone(),
        secrets: Arc::default(),
    };
    runtime.block_on(again.clear());
    if !world.real {
        recorded::begin();
    }
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(scenario(world));
    }));
    recorded::end();
    runtime.block_on(again.clear());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a scenario on the engine with other defaults, which `TALLY_TEST_OTHER_DOCKER` names.
pub fn other_engine<F: Future<Output = ()>>(name: &str, scenario: impl Fn(World) -> F) {
    match std::env::var("TALLY_TEST_OTHER_DOCKER") {
        Ok(socket) if !socket.is_empty() => run(&runtime(), connected(name, socket), &scenario),
        _ => eprintln!("SKIPPED: {name} (TALLY_TEST_OTHER_DOCKER names no socket)"),
    }
}

fn real(name: &str) -> Option<World> {
    if std::env::var("TALLY_TEST_DOCKER").as_deref() != Ok("1") {
        return None;
    }
    let socket = std::env::var("DOCKER_HOST").unwrap_or_default();
    let socket = socket.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned();
    Some(connected(name, socket))
}

fn connected(name: &str, socket: String) -> World {
    let options = tally_docker::ConnectOptions::default();
    let address = HostAddress::Unix(socket);
    let host = runtime().block_on(tally_docker::connect(LOCAL_HOST, &address, &options)).unwrap();
    // A name for this run: the leftovers of a former one (Docker 20.10 sometimes keeps a network forever that it
    // believes to be in use) must not fail this run.
    let cluster = format!("t-{name}-{:x}", std::process::id());
    World { cluster, host, real: true, clock: None, secrets: Arc::default() }
}

impl World {
    /// Creates a cluster on a simulated host in memory. Must be called inside the runtime whose time it shares.
    pub fn simulated(name: &str, seed: u64) -> Self {
        let clock = tally_simulator::tokio_clock();
        let options = tally_simulator::SimOptions::new(seed, Arc::clone(&clock));
        let host = Arc::new(tally_simulator::SimHost::new(LOCAL_HOST, options));
        Self {
            cluster: format!("t-{name}"),
            host,
            real: false,
            clock: Some(clock),
            secrets: Arc::default(),
        }
    }

    /// Compiles a spec and adds its cluster line; there are no other files unless given.
    pub fn graph(&self, body: &str) -> Graph {
        self.graph_with(body, &[])
    }

    pub fn graph_with(&self, body: &str, files: &[(&str, &str)]) -> Graph {
        self.compile(&format!("cluster {}\n{body}", self.cluster), files)
    }

    /// Compiles a whole spec.
    pub fn compile(&self, text: &str, files: &[(&str, &str)]) -> Graph {
        let mut loader = MemoryLoader::single("tally.kdl", text);
        for (path, content) in files {
            loader = loader.with(path, content);
        }
        let compiled = tally_lang::compile("tally.kdl", &mut loader);
        compiled.graph.unwrap_or_else(|| {
            let options = tally_source::RenderOptions::default();
            let text =
                tally_source::render_people(&compiled.diagnostics, &compiled.sources, options);
            panic!("{text}")
        })
    }

    pub async fn observe(&self) -> Observed {
        let reader = Arc::clone(&self.host) as Arc<dyn HostRead>;
        let mut observed = observe(&[reader], &self.cluster).await;
        // Whatever name the spec gives its one host, it is this host.
        let view = observed.hosts.remove(self.host.name()).unwrap();
        observed.hosts.insert(LOCAL_HOST.to_owned(), view);
        observed
    }

    pub async fn state(&self) -> HostState {
        self.observe().await.hosts.remove(LOCAL_HOST).unwrap().ready().cloned().unwrap()
    }

    pub async fn plan(&self, graph: &Graph) -> Plan {
        self.plan_with(graph, Options::default()).await
    }

    pub async fn plan_with(&self, graph: &Graph, options: Options) -> Plan {
        self.plan_remembering(graph, &Memory::default(), options).await
    }

    pub async fn plan_remembering(&self, graph: &Graph, memory: &Memory, options: Options) -> Plan {
        let now_ms = self.now_ms();
        let secrets = self.secrets(graph).hashes().clone();
        let options = Options { now_ms, secrets, ..options };
        let plan = plan_equivalence::plan_checked(graph, &self.observe().await, memory, &options);
        if !self.real {
            recorded::plan(graph, &plan, now_ms);
        }
        plan
    }

    /// Sets the value of a secret.
    pub fn set_secret(&self, name: &str, value: &str) {
        self.secrets.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// Returns the values of the secrets of a spec.
    fn secrets(&self, graph: &Graph) -> Secrets {
        let known = self.secrets.lock().unwrap();
        Secrets::new(graph.secrets().map(|secret| {
            let value = known.get(&secret.name).cloned();
            let value = value.unwrap_or_else(|| format!("value of {}", secret.name));
            // Tests have no key on disk.
            let hash = tally_graph::sha256(value.as_bytes());
            (secret.name.clone(), value.into_bytes(), hash)
        }))
    }

    pub fn now_ms(&self) -> i64 {
        if let Some(clock) = &self.clock {
            return clock.now_ms();
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_millis()).unwrap()
    }

    pub async fn execute(&self, graph: &Graph, plan: &Plan) -> Report {
        let hosts = BTreeMap::from([(LOCAL_HOST.to_owned(), Arc::clone(&self.host))]);
        let (_sender, cancel) = watch::channel(false);
        let secrets = self.secrets(graph);
        let options = ExecuteOptions { secrets, ..ExecuteOptions::default() };
        execute(plan, graph, &hosts, &(), cancel, &options).await
    }

    /// Plans and executes; returns the plan.
    pub async fn try_apply(&self, graph: &Graph) -> (Plan, Report) {
        let plan = self.plan(graph).await;
        assert_eq!(plan_errors(&plan), Vec::<String>::new());
        let report = self.execute(graph, &plan).await;
        (plan, report)
    }

    /// Applies, and checks that nothing failed and that the next plan is empty.
    pub async fn apply(&self, graph: &Graph) -> Plan {
        let (plan, report) = self.try_apply(graph).await;
        let failures: Vec<String> = report
            .failures()
            .map(|(id, failure)| {
                format!(
                    "{:?}: {} {:?}",
                    plan.operation(id).unwrap().subject,
                    failure.kind,
                    failure.last_lines
                )
            })
            .collect();
        assert!(report.is_done(), "{}: {failures:#?}", self.kind());
        self.assert_empty(graph).await;
        plan
    }

    pub async fn assert_empty(&self, graph: &Graph) {
        let again = self.plan(graph).await;
        let left: Vec<String> = again.changes.iter().map(|change| format!("{change:?}")).collect();
        assert!(again.is_empty(), "{}: the second plan is not empty: {left:#?}", self.kind());
        assert_eq!(plan_errors(&again), Vec::<String>::new());
    }

    pub async fn destroy(&self, graph: &Graph, remove_volumes: bool) {
        let options = Options { destroy: true, remove_volumes, ..Options::default() };
        let plan = self.plan_with(graph, options).await;
        let report = self.execute(graph, &plan).await;
        // Docker 20.10 sometimes keeps an endpoint of a removed container, and then its network until it is
        // restarted. Tally can only report this; everything else must be removed.
        let is_kept = |failure: &Failure| {
            let what = failure.kind.to_string();
            self.real && what.contains("the engine has kept a record of one that is gone")
        };
        let (kept, failures): (Vec<_>, Vec<_>) =
            report.failures().partition(|(_, failure)| is_kept(failure));
        if !kept.is_empty() {
            eprintln!("THE ENGINE KEEPS A NETWORK OF {}: {kept:?}", self.cluster);
        }
        assert!(failures.is_empty() && (report.is_done() || !kept.is_empty()), "{failures:?}");
    }

    /// Ensures that the host has the image, for containers that tests create without a plan.
    pub async fn have_image(&self) {
        if !self.state().await.images.contains_key(HELLO) {
            self.host.pull(HELLO, &|_| {}).await.unwrap();
        }
    }

    fn kind(&self) -> &'static str {
        if self.real { "real engine" } else { "simulator" }
    }

    /// Returns the full IDs of this cluster's containers, by name.
    pub async fn ids(&self) -> BTreeMap<String, String> {
        let ours = self
            .state()
            .await
            .containers
            .into_iter()
            .filter(|container| container.labels.get("tally.cluster") == Some(&self.cluster));
        ours.map(|container| (container.name, container.id)).collect()
    }

    /// Returns the full ID of `cluster.pod.container`.
    pub async fn id(&self, rest: &str) -> String {
        let name = format!("{}.{rest}", self.cluster);
        self.ids().await.remove(&name).unwrap_or_else(|| panic!("no container {name}"))
    }

    /// Removes all objects of this cluster, of this test or of a former run.
    async fn clear(&self) {
        let kdl = format!("cluster {}\npod none {{ container c image=\"{HELLO}\" }}", self.cluster);
        let graph = self.compile(&kdl, &[]);
        let options = Options { destroy: true, remove_volumes: true, ..Options::default() };
        let plan = self.plan_with(&graph, options).await;
        self.execute(&graph, &plan).await;
        for container in self.state().await.containers {
            // Unmanaged objects that a test created carry the test's own label.
            if container.labels.get("test.cluster") == Some(&self.cluster) {
                let _ = self.host.stop(&container.id, Some(std::time::Duration::ZERO)).await;
                let _ = self.host.remove_container(&container.id).await;
            }
        }
        let state = self.state().await;
        for volume in state.volumes {
            if volume.labels.get("test.cluster") == Some(&self.cluster) {
                let _ = self.host.remove_volume(&volume.name).await;
            }
        }
        for network in state.networks {
            if network.labels.get("test.cluster") == Some(&self.cluster) {
                let _ = self.host.remove_network(&network.id).await;
            }
        }
    }
}

pub fn plan_errors(plan: &Plan) -> Vec<String> {
    plan.diagnostics
        .iter()
        .filter(|found| found.severity == tally_source::Severity::Error)
        .map(|found| format!("{} {}", found.code, found.headline))
        .collect()
}

/// Returns the changing calls of a plan, one word each with their object, in the plan's order; without those that undo
/// others.
pub fn calls(plan: &Plan) -> Vec<String> {
    plan.operations
        .iter()
        .filter(|operation| operation.action.mutates() && operation.undo.is_none())
        .map(|operation| {
            // Pulls and creates have no object to name.
            let word = operation.action.word();
            let word = word.trim_end_matches("-image").trim_end_matches("-container");
            let subject = &operation.subject;
            match subject.pod() {
                None => word.to_owned(),
                Some(pod) => format!("{word} {pod}/{}", subject.container().unwrap_or_default()),
            }
        })
        .collect()
}

pub fn target(text: &str) -> Option<Address> {
    Address::parse(text)
}
