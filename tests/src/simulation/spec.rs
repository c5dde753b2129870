//! Generated specs: one to five hosts, one to three workloads, and a few versions of each, as people edit them.
//! Compiling takes longer than many runs, so specs are families that seeds share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use tally_graph::{Container, Graph, MountSource, Replicas, Strategy, Template, Workload};
use tally_host::Secrets;
use tally_lang::MemoryLoader;

use super::rng::Rng;

/// The name of the cluster of every run.
pub const CLUSTER: &str = "sim";
/// The image of all containers.
pub const IMAGE: &str = "registry.example/app:1";
/// The start of every secret of a run: no text may contain it.
pub const CANARY: &str = "canary-41c7";
/// The number of families.
pub const FAMILIES: u64 = 1_024;
/// The number of versions of a family; one more is a spec without workloads.
pub const VERSIONS: usize = 3;

/// A spec and its versions.
pub struct Family {
    /// Names of the hosts.
    pub hosts: Vec<String>,
    /// The versions; the last one has no workloads.
    pub versions: Vec<Version>,
}

/// One version of a spec.
pub struct Version {
    /// Its text.
    pub text: String,
    /// The text, compiled.
    pub graph: Arc<Graph>,
    /// Its workloads' requirements, read from the graph without the planner.
    pub expected: Vec<ExpectedWorkload>,
    /// Hosts that are drained.
    pub drained: Vec<String>,
    /// The value of the secret `s`, and its keyed hash; `None` if no workload uses it.
    pub secrets: Secrets,
    /// The value of the environment variable `S` that contains the secret.
    pub secret_env: String,
    /// An unreachable host is lost after this duration in milliseconds, if the spec says so.
    pub lost_after_ms: Option<i64>,
    /// Whether one of its rollouts may be rolled back automatically.
    pub rolls_back: bool,
    /// Workloads whose program ends at once, so that their rollout is rolled back.
    pub bad: Vec<String>,
}

/// A version's requirements of one workload.
#[derive(Debug, Clone)]
pub struct ExpectedWorkload {
    /// `controller/w0`.
    pub address: String,
    /// The names of its pods; for one pod on each host, by host.
    pub pods: Pods,
    /// Maximum number of unavailable pods in a rollout.
    pub missing: usize,
    /// Maximum number of surge pods.
    pub surge: usize,
    /// Whether all pods are replaced at once.
    pub recreate: bool,
    /// Whether it has a named volume.
    pub stateful: bool,
    /// Whether it has a port of its host.
    pub bound: bool,
    /// Whether a container that exited with 0 is complete.
    pub may_end: bool,
    /// Whether an infra container holds its network.
    pub joined: bool,
    /// Whether it has secrets in memory, which a restarted daemon has lost.
    pub in_memory: bool,
    /// Its containers that have a secret in their environment.
    pub secret_env: Vec<String>,
    /// Names of its containers, with the value of `env V` of each.
    pub mains: Vec<(String, String)>,
    /// The number of containers of a pod.
    pub size: usize,
    /// The length of the longest chain of dependencies.
    pub depth: usize,
}

/// The pods of a workload.
#[derive(Debug, Clone)]
pub enum Pods {
    /// By ordinal.
    Named(Vec<String>),
    /// By host and name.
    PerHost(BTreeMap<String, String>),
}

impl ExpectedWorkload {
    /// Checks whether `pod` is one of its pods.
    #[must_use]
    pub fn has(&self, pod: &str) -> bool {
        match &self.pods {
            Pods::Named(names) => names.iter().any(|name| name == pod),
            Pods::PerHost(names) => names.values().any(|name| name == pod),
        }
    }

    /// Returns the number of its pods.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.pods {
            Pods::Named(names) => names.len(),
            Pods::PerHost(names) => names.len(),
        }
    }

    /// Checks whether `pod` is a surge pod.
    #[must_use]
    pub fn is_surge(&self, pod: &str) -> bool {
        let name = self.address.rsplit('/').next().unwrap_or_default();
        let mut extra = self.count()..self.count() + self.surge;
        matches!(self.pods, Pods::Named(_)) && extra.any(|n| format!("{name}-{n}") == pod)
    }
}

thread_local! {
    static FAMILIES_MADE: RefCell<BTreeMap<u64, Arc<Family>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Returns the family of a seed; created once per thread.
///
/// # Panics
/// If a generated spec does not compile: that is a bug of this module.
#[must_use]
pub fn family(seed: u64) -> Arc<Family> {
    let number = Rng::new(seed, 7).below(FAMILIES);
    FAMILIES_MADE.with(|made| {
        Arc::clone(made.borrow_mut().entry(number).or_insert_with(|| Arc::new(make(number))))
    })
}

#[expect(clippy::panic, reason = "a test that cannot continue panics")]
fn make(number: u64) -> Family {
    let mut rng = Rng::new(number, 1);
    let count = [1, 2, 2, 3, 3, 3, 4, 5][usize::try_from(rng.below(8)).unwrap_or(0)];
    let hosts: Vec<String> =
        ["a", "b", "c", "d", "e"][..count].iter().map(|h| (*h).to_owned()).collect();
    let mut kinds: Vec<WorkloadShape> =
        (0..rng.range(1, 4)).map(|n| WorkloadShape::draw(&mut rng, n, count)).collect();
    // Drawn separately, so that the other properties of a family do not depend on it.
    let mut chance = Rng::new(number, 9);
    for kind in &mut kinds {
        kind.rolls_back = chance.percent(50) && kind.controller;
    }
    let mut secret = Rng::new(number, 10);
    for kind in &mut kinds {
        (kind.secret_env, kind.secret_file) = (secret.percent(15), secret.percent(10));
    }
    let has_secret = kinds.iter().any(|kind| kind.secret_env || kind.secret_file);
    let lost_after_ms = rng.percent(20).then_some(60_000);
    let mut versions = Vec::new();
    for version in 0..=VERSIONS {
        let empty = version == VERSIONS;
        let drained = (count > 2 && version > 0 && !empty && rng.percent(12))
            .then(|| hosts[usize::try_from(rng.below(count as u64)).unwrap_or(0)].clone());
        let mut text = head(&hosts, drained.as_deref(), lost_after_ms);
        if has_secret {
            text.push_str("secret s env=S\n");
        }
        let held = secret.below(2);
        let value = format!("{CANARY}-{held}");
        let read = has_secret
            .then(|| ("s".to_owned(), value.clone().into_bytes(), format!("hash-of-{held}")));
        if !empty {
            for kind in &mut kinds {
                kind.bad = version > 0 && chance.percent(60) && kind.rolls_back;
            }
            let open = (hosts.len() - usize::from(drained.is_some())) as u64;
            body(&mut text, &kinds, version, open, &mut rng);
        }
        let compiled =
            tally_lang::compile("tally.kdl", &mut MemoryLoader::single("tally.kdl", &text));
        let Some(graph) = compiled.graph else {
            let options = tally_source::RenderOptions::default();
            let report =
                tally_source::render_people(&compiled.diagnostics, &compiled.sources, options);
            panic!("family {number}, version {version}:\n{text}\n{report}");
        };
        let drained: Vec<String> = drained.into_iter().collect();
        let open: Vec<&String> = hosts.iter().filter(|host| !drained.contains(host)).collect();
        let expected = graph.workloads().map(|workload| work(workload, &graph, &open)).collect();
        let rolls_back = kinds.iter().any(|kind| kind.rolls_back);
        let graph = Arc::new(graph);
        let bad = graph.workloads().map(|it| it.address().to_string());
        let is_bad = |address: &String| {
            kinds.iter().any(|kind| kind.bad && *address == format!("controller/{}", kind.name))
        };
        let bad = bad.filter(is_bad).collect();
        versions.push(Version {
            text,
            graph,
            expected,
            drained,
            secrets: Secrets::new(read),
            secret_env: format!("user:{value}"),
            lost_after_ms,
            rolls_back,
            bad,
        });
    }
    Family { hosts, versions }
}

fn head(hosts: &[String], drained: Option<&str>, lost_after_ms: Option<i64>) -> String {
    let mut text = format!("cluster {CLUSTER} {{\n");
    if let Some(after) = lost_after_ms {
        let _ = writeln!(text, "    lost-after \"{}s\"", after / 1_000);
    }
    for host in hosts {
        let drain = if drained == Some(host) { " { drain #true }" } else { "" };
        let _ = writeln!(text, "    host {host} \"sim:{host}\"{drain}");
    }
    text.push_str("}\n");
    text
}

/// The properties of a workload that are the same in all its versions.
struct WorkloadShape {
    name: String,
    controller: bool,
    per_host: bool,
    stateful: bool,
    port: Option<u64>,
    most: u64,
    update: &'static str,
    sidecar: bool,
    init: bool,
    ready: bool,
    own_volume: bool,
    file: bool,
    depends: bool,
    rolls_back: bool,
    bad: bool,
    secret_env: bool,
    secret_file: bool,
}

impl WorkloadShape {
    fn draw(rng: &mut Rng, number: u64, hosts: usize) -> Self {
        let shape = rng.below(10);
        let (controller, per_host) = (shape < 8, (6..8).contains(&shape));
        let stateful = !per_host && rng.percent(25);
        let port = (!per_host && !stateful && rng.percent(15)).then_some(8_000 + number);
        let updates = [
            "",
            "update max-unavailable=1",
            "update max-unavailable=2",
            "update max-surge=1 max-unavailable=0",
            "update max-surge=1",
            "update strategy=recreate",
        ];
        let update = updates[usize::try_from(rng.below(6)).unwrap_or(0)];
        Self {
            name: format!("w{number}"),
            controller,
            per_host,
            stateful,
            port,
            most: if port.is_some() { hosts.min(3) as u64 } else { 4 },
            update: if controller { update } else { "" },
            sidecar: rng.percent(25),
            init: rng.percent(20),
            ready: rng.percent(20),
            own_volume: rng.percent(20),
            file: rng.percent(20),
            depends: number > 0 && rng.percent(40),
            rolls_back: false,
            bad: false,
            secret_env: false,
            secret_file: false,
        }
    }
}

/// Writes the workloads of a version; `open` is the number of hosts that accept pods.
fn body(text: &mut String, kinds: &[WorkloadShape], version: usize, open: u64, rng: &mut Rng) {
    let kept: Vec<&WorkloadShape> = kinds
        .iter()
        .enumerate()
        .filter(|(number, _)| *number == 0 || version == 0 || rng.percent(85))
        .map(|(_, kind)| kind)
        .collect();
    if kept.iter().any(|kind| kind.stateful) {
        text.push_str("volume data\n");
    }
    let mut before: Option<&WorkloadShape> = None;
    for kind in kept {
        let replicas = match (kind.controller, kind.per_host) {
            (true, true) => " replicas=per-host".to_owned(),
            (true, false) => {
                let drawn = rng.range(1, kind.most + 1);
                // A fixed host port allows one pod per host that accepts pods.
                let count = if kind.port.is_some() { drawn.min(open) } else { drawn };
                format!(" replicas={count}")
            }
            (false, _) => String::new(),
        };
        let word = if kind.controller { "controller" } else { "pod" };
        let _ = writeln!(text, "{word} {}{replicas} {{", kind.name);
        // Some faults last longer than this deadline.
        let fails =
            if kind.rolls_back { " on-failure=rollback progress-deadline=\"5s\"" } else { "" };
        match (kind.update, fails) {
            ("", "") => {}
            ("", fails) => drop(writeln!(text, "    update{fails}")),
            (update, fails) => drop(writeln!(text, "    {update}{fails}")),
        }
        if let (true, Some(other)) = (kind.depends, before) {
            let word = if other.controller { "controller" } else { "pod" };
            let _ = writeln!(text, "    depends-on {word} {}", other.name);
        }
        containers(text, kind, rng.below(3));
        text.push_str("}\n");
        before = Some(kind);
    }
}

fn containers(text: &mut String, kind: &WorkloadShape, value: u64) {
    if kind.own_volume {
        text.push_str("    volume own\n");
    }
    if kind.init {
        let _ = writeln!(text, "    init i image=\"{IMAGE}\" {{ command \"true\" }}");
    }
    let _ = writeln!(text, "    container c image=\"{IMAGE}\" {{\n        env V={value}");
    if kind.bad {
        text.push_str("        command sh \"-c\" \"exit 3\"\n");
    }
    if kind.own_volume {
        text.push_str("        mount own \"/own\"\n");
    }
    if kind.stateful {
        text.push_str("        mount data \"/data\"\n");
    }
    if kind.ready {
        text.push_str("        readiness every=\"1s\" { command \"true\" }\n");
    }
    if kind.file {
        let _ = writeln!(text, "        file \"/etc/f\" text=\"{value}\" on-change=SIGHUP");
    }
    if kind.secret_env {
        text.push_str("        env S=\"user:${secret.s}\"\n");
    }
    if kind.secret_file {
        text.push_str("        file \"/run/s\" secret=s\n");
    }
    if let Some(port) = kind.port {
        let _ = writeln!(text, "        port http 8080 publish={port}");
    }
    text.push_str("    }\n");
    if kind.sidecar {
        let _ = writeln!(text, "    container side image=\"{IMAGE}\" {{ env V={} }}", value / 2);
    }
}

/// Reads a workload's requirements from the graph; `open` are the hosts that accept pods.
pub(super) fn work(workload: &Workload, graph: &Graph, open: &[&String]) -> ExpectedWorkload {
    let pods = match workload.replicas {
        Replicas::Count(count) => {
            Pods::Named((0..count).map(|ordinal| workload.pod_name(ordinal)).collect())
        }
        Replicas::PerHost => Pods::PerHost(
            open.iter().map(|host| ((*host).clone(), workload.pod_on(host))).collect(),
        ),
    };
    let count = match &pods {
        Pods::Named(names) => names.len(),
        Pods::PerHost(names) => names.len(),
    };
    let replicas = u32::try_from(count).unwrap_or(u32::MAX);
    let mains: Vec<(String, String)> = workload
        .containers
        .iter()
        .map(|container| {
            let value = container.env.get("V").and_then(Template::plain);
            (container.name.clone(), value.unwrap_or_default().to_owned())
        })
        .collect();
    let stateful = workload
        .containers
        .iter()
        .flat_map(|container| container.mount.values())
        .any(|mount| mount.source == MountSource::Spec);
    let bound = workload.containers.iter().any(|container| !container.port.is_empty());
    let in_memory = workload.containers.iter().any(Container::has_secret_files);
    let joined = workload.containers.len() > 1 || !workload.inits.is_empty() || in_memory;
    let surge = match workload.replicas {
        Replicas::Count(_) => workload.update.surge(replicas) as usize,
        Replicas::PerHost => 0,
    };
    ExpectedWorkload {
        address: workload.address().to_string(),
        // Without a surge pod one pod stops first.
        missing: if stateful || bound || surge == 0 {
            (workload.update.missing(replicas) as usize).max(1)
        } else {
            workload.update.missing(replicas) as usize
        },
        surge: if stateful { 0 } else { surge },
        recreate: workload.update.strategy == Strategy::Recreate,
        stateful,
        bound,
        may_end: workload.restart != tally_graph::Restart::Always,
        joined,
        in_memory,
        secret_env: workload
            .containers
            .iter()
            .filter(|container| container.env.values().any(|it| it.plain().is_none()))
            .map(|container| container.name.clone())
            .collect(),
        size: mains.len() + workload.inits.len() + usize::from(joined),
        mains,
        pods,
        depth: graph.workloads().count(),
    }
}
