//! What runs, as a tree of workloads, pods and containers, and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use tally_graph::Graph;
use tally_reconcile::found::{Found, Inventory};
use tally_reconcile::labels::Role;
use tally_reconcile::observed::{ContainerState, Health};
use tally_reconcile::plan::ReadyRule;
use tally_reconcile::realise::{Surroundings, realise};

use crate::show::terminal::{Style, Terminal};
use crate::show::values::count;

/// The state of a cluster.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The cluster.
    pub cluster: String,
    /// Its host.
    pub host: String,
    /// Its pods and controllers; those that the spec no longer has are last.
    pub workloads: Vec<WorkloadStatus>,
}

/// One pod or controller.
#[derive(Debug, Serialize)]
pub struct WorkloadStatus {
    /// `controller/web`.
    pub address: String,
    /// How many pods the spec asks for; 0 when it has no such workload.
    pub wanted: u32,
    /// How many are ready.
    pub ready: u32,
    /// Its pods.
    pub pods: Vec<PodStatus>,
}

/// One pod.
#[derive(Debug, Serialize)]
pub struct PodStatus {
    /// Its name.
    pub name: String,
    /// Whether all its containers are ready.
    pub ready: bool,
    /// Published addresses.
    pub published: Vec<String>,
    /// Its containers.
    pub containers: Vec<ContainerStatus>,
}

/// One container.
#[derive(Debug, Serialize)]
pub struct ContainerStatus {
    /// Its name in the pod.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it runs.
    pub image: String,
    /// Docker's state; `missing` when there is none.
    pub state: String,
    /// What its health check says.
    pub health: Option<Health>,
    /// Whether it is ready.
    pub ready: bool,
    /// How it ended.
    pub exit_code: Option<i64>,
    /// Restarts by Docker's policy.
    pub restarts: u32,
    /// Full ID.
    pub id: Option<String>,
    /// Since when it is so, in milliseconds since 1970.
    pub since_ms: Option<i64>,
}

/// Brings spec and inventory together.
#[must_use]
pub fn status(graph: &Graph, host: &str, inventory: &Inventory<'_>, now_ms: i64) -> Status {
    let cluster = graph.cluster().map(|c| c.name.clone()).unwrap_or_default();
    let around = Surroundings {
        cluster: &cluster,
        volumes: graph.volumes().map(|v| (v.name.as_str(), v)).collect(),
    };
    let mut left: BTreeMap<&String, _> = inventory.pods.iter().collect();
    let mut workloads = Vec::new();
    for workload in graph.workloads() {
        let wanted = workload.replicas.pods(1);
        let mut pods = Vec::new();
        for ordinal in 0..wanted {
            let pod = realise(workload, ordinal, &around);
            let found = left.remove(&pod.name);
            let containers: Vec<ContainerStatus> = pod
                .containers
                .iter()
                .filter(|desired| desired.role != Role::Infra)
                .map(|desired| {
                    let key = (desired.role, desired.name.clone());
                    let found = found.and_then(|found| found.get(&key));
                    container(
                        &desired.name,
                        desired.role,
                        &desired.request.image,
                        found,
                        &desired.ready,
                        now_ms,
                    )
                })
                .collect();
            let mains = containers.iter().filter(|c| c.role == Role::Container);
            let ready = mains.clone().count() > 0 && mains.clone().all(|c| c.ready);
            let published = pod
                .containers
                .iter()
                .flat_map(|desired| tally_reconcile::realise::published(&desired.applied))
                .map(|port| format!("{}/{}", port.host, port.protocol))
                .collect();
            pods.push(PodStatus { name: pod.name, ready, published, containers });
        }
        let ready = pods.iter().filter(|pod| pod.ready).count();
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        workloads.push(WorkloadStatus {
            address: workload.address().to_string(),
            wanted,
            ready,
            pods,
        });
    }
    workloads.extend(unasked(&left, now_ms));
    Status { cluster, host: host.to_owned(), workloads }
}

/// Pods that run and that the spec does not ask for.
fn unasked(
    left: &BTreeMap<&String, &BTreeMap<(Role, String), Found<'_>>>,
    now_ms: i64,
) -> Vec<WorkloadStatus> {
    let rule = ReadyRule { healthy: false, running_ms: 0, may_end: true, deadline_ms: 0 };
    let mut workloads: BTreeMap<String, Vec<PodStatus>> = BTreeMap::new();
    for (name, found) in left {
        let address = found.values().next().map(|f| f.identity.workload.clone());
        let containers: Vec<ContainerStatus> = found
            .values()
            .filter(|found| found.identity.role != Role::Infra)
            .map(|f| {
                let image = &f.identity.applied.image;
                container(&f.identity.name, f.identity.role, image, Some(f), &rule, now_ms)
            })
            .collect();
        let pod = PodStatus {
            name: (*name).clone(),
            ready: containers.iter().all(|c| c.ready),
            published: Vec::new(),
            containers,
        };
        workloads.entry(address.unwrap_or_default()).or_default().push(pod);
    }
    workloads
        .into_iter()
        .map(|(address, pods)| WorkloadStatus { address, wanted: 0, ready: 0, pods })
        .collect()
}

fn container(
    name: &str,
    role: Role,
    image: &str,
    found: Option<&Found<'_>>,
    rule: &ReadyRule,
    now_ms: i64,
) -> ContainerStatus {
    ContainerStatus {
        name: name.to_owned(),
        role,
        image: image.to_owned(),
        state: found.map_or("missing", |f| state_word(f.container.state)).to_owned(),
        health: found.map(|f| f.details.health).filter(|health| *health != Health::None),
        ready: found.is_some_and(|f| match role {
            Role::Init => f.has_ended_well(),
            _ => f.is_ready(rule, now_ms),
        }),
        exit_code: found
            .filter(|f| f.container.state == ContainerState::Exited)
            .and_then(|f| f.details.exit_code),
        restarts: found.map_or(0, |f| f.details.restart_count),
        id: found.map(|f| f.container.id.clone()),
        since_ms: found.and_then(|f| match f.container.state {
            ContainerState::Running | ContainerState::Paused => f.details.started_at_ms,
            _ => f.details.finished_at_ms,
        }),
    }
}

fn state_word(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Restarting => "restarting",
        ContainerState::Removing => "removing",
        ContainerState::Exited => "exited",
        ContainerState::Dead => "dead",
    }
}

/// The tree for people.
#[must_use]
pub fn people(status: &Status, now_ms: i64, terminal: &Terminal) -> String {
    let mut out = format!("{} on {}\n", terminal.paint(Style::Bold, &status.cluster), status.host);
    for workload in &status.workloads {
        let (style, words) = match (workload.wanted, workload.ready) {
            (0, _) => (Style::Remove, "not in the spec".to_owned()),
            (wanted, ready) if wanted == ready => (Style::Add, format!("{ready}/{wanted} ready")),
            (wanted, ready) => (Style::Change, format!("{ready}/{wanted} ready")),
        };
        let name = terminal.paint(Style::Bold, &workload.address);
        out.push_str(&format!("\n{name}  {}\n", terminal.paint(style, &words)));
        for (i, pod) in workload.pods.iter().enumerate() {
            let last = i + 1 == workload.pods.len();
            pod_lines(pod, last, now_ms, terminal, &mut out);
        }
    }
    if status.workloads.is_empty() {
        out.push_str("\nnothing runs\n");
    }
    out
}

fn pod_lines(pod: &PodStatus, last: bool, now_ms: i64, terminal: &Terminal, out: &mut String) {
    let (fork, corner, bar) = match terminal.unicode {
        true => ("├─ ", "└─ ", "│  "),
        false => ("|- ", "`- ", "|  "),
    };
    let published = match pod.published.is_empty() {
        true => String::new(),
        false => format!("  published {}", pod.published.join(", ")),
    };
    let branch = if last { corner } else { fork };
    let stem = if last { "   " } else { bar };
    out.push_str(&format!("{branch}{}{published}\n", pod.name));
    let width = pod.containers.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    for (i, container) in pod.containers.iter().enumerate() {
        let branch = if i + 1 == pod.containers.len() { corner } else { fork };
        let (style, words) = container_words(container, now_ms);
        let words = terminal.paint(style, &words);
        out.push_str(&format!(
            "{stem}{branch}{:width$}  {words}  {}\n",
            container.name,
            terminal.paint(Style::Dim, &container.image)
        ));
    }
}

fn container_words(container: &ContainerStatus, now_ms: i64) -> (Style, String) {
    let mut words = container.state.clone();
    match container.health {
        Some(Health::Healthy) => words.push_str(", healthy"),
        Some(Health::Starting) => words.push_str(", health not known yet"),
        Some(Health::Unhealthy) => words.push_str(", unhealthy"),
        Some(Health::None) | None => {}
    }
    if let Some(code) = container.exit_code {
        words = match (container.role, code) {
            (Role::Init, 0) => "done".to_owned(),
            _ => format!("{words} with code {code}"),
        };
    }
    if let Some(since) = container.since_ms {
        words.push_str(&format!(" for {}", ago(now_ms.saturating_sub(since))));
    }
    if container.restarts > 0 {
        let number = usize::try_from(container.restarts).unwrap_or(usize::MAX);
        words.push_str(&format!(", {}", count(number, "restart", "restarts")));
    }
    let style = match (container.ready, container.state.as_str()) {
        (true, _) => Style::Add,
        (false, "missing" | "exited" | "dead") => Style::Remove,
        (false, _) => Style::Change,
    };
    (style, words)
}

/// A time span in its largest unit, as people say it: `3m`, `2h`.
fn ago(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m", seconds / 60),
        3600..=86399 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}
