//! Several simulated hosts that share one clock.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tally_graph::Graph;
use tally_host::{ExecuteOptions, Host, HostRead, Report, ResolvedTags, execute, observe};
use tally_lang::MemoryLoader;
use tally_reconcile::Options;
use tally_reconcile::input::observed::{ContainerState, HostState, Observed};
use tally_reconcile::memory::{Declared, Memory};
use tally_reconcile::plan::Plan;
use tally_simulator::{Clock, Fault, FaultKind, FaultPlan, SimHost, SimOptions, When};
use tally_tests::plan_equivalence;
use tokio::sync::watch;

use crate::recorded;
use crate::world::plan_errors;

/// A cluster of simulated hosts, and the engine's memory of it.
pub struct Many {
    pub hosts: BTreeMap<String, Arc<SimHost>>,
    pub memory: Memory,
    cluster: String,
    clock: Arc<dyn Clock>,
}

/// Runs a scenario in simulated time.
pub fn run<F: Future<Output = ()>>(hosts: &[&str], scenario: impl FnOnce(Many) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    recorded::begin();
    runtime.block_on(async { scenario(Many::new(hosts)).await });
    recorded::compare();
}

impl Many {
    pub fn new(names: &[&str]) -> Self {
        let clock = tally_simulator::tokio_clock();
        let host = |(number, name): (usize, &&str)| {
            let mut options = SimOptions::new(number as u64 + 1, Arc::clone(&clock));
            // Long enough for `watched` to observe between two calls.
            options.latency = Duration::from_millis(20);
            ((*name).to_owned(), Arc::new(SimHost::new(name, options)))
        };
        let hosts = names.iter().enumerate().map(host).collect();
        Self { hosts, memory: Memory::default(), cluster: "many".to_owned(), clock }
    }

    /// Creates another cluster on the same hosts.
    pub fn beside(other: &Self, cluster: &str) -> Self {
        let (hosts, clock) = (other.hosts.clone(), other.clock());
        Self { hosts, memory: Memory::default(), cluster: cluster.to_owned(), clock }
    }

    /// Compiles a spec of the cluster, `many` by default; `hosts` is the further content of its block.
    pub fn graph(&self, hosts: &str, body: &str) -> Graph {
        let text = format!("cluster {} {{\n{hosts}\n}}\n{body}", self.cluster);
        let mut loader = MemoryLoader::single("tally.kdl", &text);
        let compiled = tally_lang::compile("tally.kdl", &mut loader);
        compiled.graph.unwrap_or_else(|| {
            let options = tally_source::RenderOptions::default();
            panic!(
                "{}",
                tally_source::render_people(&compiled.diagnostics, &compiled.sources, options)
            )
        })
    }

    /// Compiles a spec with the hosts of the cluster and their defaults.
    pub fn plain(&self, body: &str) -> Graph {
        self.graph(&self.host_lines(), body)
    }

    pub fn host_lines(&self) -> String {
        self.hosts.keys().map(|name| format!("host {name} \"sim:{name}\"\n")).collect()
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub async fn observe(&self) -> Observed {
        let readers: Vec<Arc<dyn HostRead>> =
            self.hosts.values().map(|host| Arc::clone(host) as Arc<dyn HostRead>).collect();
        observe(&readers, &self.cluster).await
    }

    pub async fn plan(&mut self, graph: &Graph) -> Plan {
        self.plan_with(graph, Options::default()).await
    }

    pub async fn plan_with(&mut self, graph: &Graph, options: Options) -> Plan {
        let observed = self.observe().await;
        let now_ms = self.now_ms();
        self.memory.learn(&self.cluster, &observed, now_ms);
        let plan = plan_equivalence::plan_checked(
            graph,
            &observed,
            &self.memory,
            &Options { now_ms, ..options },
        );
        recorded::plan(graph, &plan, now_ms);
        plan
    }

    pub async fn execute(&self, graph: &Graph, plan: &Plan) -> Report {
        self.execute_with(graph, plan, ResolvedTags::default()).await
    }

    /// Executes a plan beside others that share the resolved images of tags.
    pub async fn execute_with(
        &self,
        graph: &Graph,
        plan: &Plan,
        resolved_tags: ResolvedTags,
    ) -> Report {
        let hosts: BTreeMap<String, Arc<dyn Host>> = self
            .hosts
            .iter()
            .map(|(name, host)| (name.clone(), Arc::clone(host) as Arc<dyn Host>))
            .collect();
        let (_sender, cancel) = watch::channel(false);
        let options = ExecuteOptions { resolved_tags, ..ExecuteOptions::default() };
        execute(plan, graph, &hosts, &(), cancel, &options).await
    }

    /// Plans and executes until the plan is empty; returns the first plan.
    pub async fn apply(&mut self, graph: &Graph) -> Plan {
        let first = self.plan(graph).await;
        assert_eq!(plan_errors(&first), Vec::<String>::new());
        let mut plan = first.clone();
        for _ in 0..3 {
            self.memory.intend(&plan);
            let report = self.execute(graph, &plan).await;
            let failures: Vec<String> = report
                .failures()
                .map(|(id, f)| format!("{:?}: {}", plan.operation(id).unwrap().subject, f.kind))
                .collect();
            assert!(report.is_done(), "{failures:#?}");
            plan = self.plan(graph).await;
            if plan.is_empty() {
                return first;
            }
        }
        panic!("still differs: {:#?}", plan.changes);
    }

    /// Cuts the host off: no packet reaches it.
    pub fn cut(&self, host: &str) {
        let fault = Fault { call: None, when: When::Always, kind: FaultKind::Unreachable };
        self.hosts[host].set_faults(FaultPlan { seed: 1, rules: vec![fault] });
    }

    /// Makes the host answer again.
    pub fn heal(&self, host: &str) {
        self.hosts[host].set_faults(FaultPlan::default());
    }

    pub fn declare(&mut self, host: &str, declared: Declared) {
        self.memory.declared.hosts.insert(host.to_owned(), declared);
    }

    /// Returns the true state of a host, whether or not it answers.
    pub async fn state(&self, host: &str) -> HostState {
        let model = self.hosts[host].inject(|model, _| model.clone()).unwrap();
        let copy = SimHost::with_model(host, model, SimOptions::new(0, Arc::clone(&self.clock)));
        let reader: Arc<dyn HostRead> = Arc::new(copy);
        let mut observed = observe(&[reader], &self.cluster).await;
        observed.hosts.remove(host).unwrap().ready().cloned().unwrap()
    }

    /// Returns the running containers: `host/pod.container` with their full IDs.
    pub async fn running(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for host in self.hosts.keys() {
            for container in self.state(host).await.containers {
                if container.state == ContainerState::Running {
                    let name = container.name.trim_start_matches("many.").to_owned();
                    all.insert(format!("{host}/{name}"), container.id);
                }
            }
        }
        all
    }

    /// Returns the hosts on which a container runs.
    pub async fn hosts_of(&self, container: &str) -> Vec<String> {
        let running = self.running().await;
        let on = running.keys().filter_map(|key| key.split_once('/'));
        on.filter(|(_, name)| *name == container).map(|(host, _)| host.to_owned()).collect()
    }

    /// Executes a plan, and returns the minimum and the maximum number of containers of `workload` that ran at any
    /// moment.
    pub async fn watched(&self, graph: &Graph, plan: &Plan, workload: &str) -> (usize, usize) {
        let prefix = format!("/{workload}-");
        let (mut least, mut most) = (usize::MAX, 0);
        let work = self.execute(graph, plan);
        tokio::pin!(work);
        loop {
            let running = self.running().await;
            let now = running.keys().filter(|key| key.contains(&prefix)).count();
            (least, most) = (least.min(now), most.max(now));
            tokio::select! {
                report = &mut work => {
                    let failures: Vec<_> = report.failures().collect();
                    assert!(report.is_done(), "{failures:?}");
                    return (least, most);
                }
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    }
}

/// Returns the reasons of a plan's blocked operations, with the pods.
pub fn blocked(plan: &Plan) -> Vec<String> {
    plan.blocked
        .iter()
        .map(|it| match it.subject.pod() {
            None => format!("{}: {}", it.subject.address(), it.reason),
            Some(pod) => format!("{pod}: {}", it.reason),
        })
        .collect()
}
