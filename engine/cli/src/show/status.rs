//! The state of a cluster: a tree of workloads, pods and containers, and JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use tally_graph::{Graph, Replicas, Workload};
use tally_reconcile::desired::realise::{RealiseContext, realise};
use tally_reconcile::input::observed::{ContainerState, Health, HostView, Observed};
use tally_reconcile::inventory::collect::inventory;
use tally_reconcile::inventory::containers::{Containers, Found, Inventory};
use tally_reconcile::labels::Role;
use tally_reconcile::memory::{Declared, Memory};
use tally_reconcile::plan::ReadyRule;
use tally_reconcile::rollback::rolled_back;

use crate::show::terminal::{Style, Terminal, clean};
use crate::show::values::count;

/// The state of a cluster.
#[derive(Debug, Serialize)]
pub struct ClusterStatus {
    /// The cluster.
    pub cluster: String,
    /// The reason why changes are forbidden, if the cluster is frozen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
    /// Its hosts.
    pub hosts: Vec<ShownHost>,
    /// Its pods and controllers; those that are no longer in the spec are last.
    pub workloads: Vec<WorkloadStatus>,
}

/// One host.
#[derive(Debug, Serialize)]
pub struct ShownHost {
    /// Its name.
    pub name: String,
    /// The version of its engine; `None` if it is unreachable.
    pub engine: Option<String>,
    /// Whether it is simulated.
    pub simulated: bool,
    /// The reason why it is unreachable.
    pub silent: Option<String>,
    /// Its declaration by `tally host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<Declared>,
}

/// One pod or controller.
#[derive(Debug, Serialize)]
pub struct WorkloadStatus {
    /// `controller/web`.
    pub address: String,
    /// Number of pods in the spec; 0 if the workload is not in the spec.
    pub wanted: u32,
    /// Number of ready pods.
    pub ready: u32,
    /// The reason of a paused rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// The rollback of its last change, with the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<String>,
    /// Its pods.
    pub pods: Vec<PodStatus>,
}

/// One pod.
#[derive(Debug, Serialize)]
pub struct PodStatus {
    /// Its name.
    pub name: String,
    /// Its host, or the host that it was last seen on if that is unreachable; `None` if it is on none.
    pub host: Option<String>,
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
    /// Its role.
    pub role: Role,
    /// The image in the spec.
    pub image: String,
    /// The image that it was created from, which differs from the spec until a change has reached it; `None` if the
    /// container does not exist.
    pub made_from: Option<String>,
    /// Docker's state; `missing` if it does not exist, `unknown` if its host is unreachable.
    pub state: String,
    /// The result of its health check.
    pub health: Option<Health>,
    /// Whether it is ready.
    pub ready: bool,
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// Restarts by Docker's policy.
    pub restarts: u32,
    /// Full ID.
    pub id: Option<String>,
    /// The time of its last change of state, in milliseconds since 1970.
    pub since_ms: Option<i64>,
}

/// Combines spec and inventory; the spec with rollbacks applied.
#[must_use]
pub fn status(graph: &Graph, observed: &Observed, memory: &Memory, now_ms: i64) -> ClusterStatus {
    let cluster = graph.cluster().map(|c| c.name.clone()).unwrap_or_default();
    let secrets = BTreeMap::new();
    let around = RealiseContext::new(graph, &cluster, &secrets);
    let ready = observed.hosts.iter().filter_map(|(name, view)| Some((name, view.ready()?)));
    let inventories: Vec<(&String, Inventory<'_>)> =
        ready.map(|(name, state)| (name, inventory(&cluster, state))).collect();
    let mut left: BTreeMap<(&str, &String), _> = inventories
        .iter()
        .flat_map(|(host, all)| all.pods.iter().map(move |(pod, found)| ((*pod, *host), found)))
        .collect();
    let hosts: Vec<&str> = observed.hosts.keys().map(String::as_str).collect();
    let failed = rolled_back(graph, memory);
    let mut workloads = Vec::new();
    for workload in graph.workloads() {
        let names = match workload.replicas {
            Replicas::Count(count) => (0..count).map(|n| workload.pod_name(n)).collect(),
            Replicas::PerHost => hosts_of(workload, &hosts, &left),
        };
        let wanted = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let mut pods = Vec::new();
        for name in names {
            let pod = realise(workload, name, &around);
            let at = left.keys().find(|(of, _)| *of == pod.name).copied();
            let found = at.and_then(|at| left.remove(&at));
            // A container on a host that has become unreachable may still exist.
            let silent = if found.is_none() { last_on(&pod.name, observed, memory) } else { None };
            let containers: Vec<ContainerStatus> = pod
                .containers
                .iter()
                .filter(|desired| desired.role != Role::Infra)
                .map(|desired| {
                    let of = |role, name| found.and_then(|found| found.get(role, name));
                    let mut shown = container(
                        &desired.name,
                        desired.role,
                        &desired.applied.image,
                        of(desired.role, &desired.name),
                        of(Role::Infra, ""),
                        &desired.ready,
                        now_ms,
                    );
                    if silent.is_some() {
                        shown.state = UNKNOWN.to_owned();
                    }
                    shown
                })
                .collect();
            let mains = containers.iter().filter(|c| c.role == Role::Container);
            let ready = mains.clone().count() > 0 && mains.clone().all(|c| c.ready);
            let published = pod
                .containers
                .iter()
                .flat_map(|desired| tally_reconcile::desired::realise::published(&desired.applied))
                .map(|port| format!("{}/{}", port.host, port.protocol))
                .collect();
            let host = at.map(|(_, host)| host).or(silent).cloned();
            pods.push(PodStatus { name: pod.name, host, ready, published, containers });
        }
        let ready = pods.iter().filter(|pod| pod.ready).count();
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        let address = workload.address().to_string();
        workloads.push(WorkloadStatus {
            paused: memory.declared.paused.get(&address).cloned(),
            rolled_back: failed.get(&address).map(|failed| failed.words(&address)),
            address,
            wanted,
            ready,
            pods,
        });
    }
    workloads.extend(unasked(&left, now_ms));
    let hosts = observed.hosts.iter().map(|(name, view)| host_status(name, view, memory)).collect();
    ClusterStatus { cluster, frozen: memory.declared.frozen.clone(), hosts, workloads }
}

/// The state of containers that were last seen on a host that is now unreachable.
const UNKNOWN: &str = "unknown";

/// Returns the unreachable host on which a pod was last seen, or on which its creation was started.
fn last_on<'o>(pod: &str, observed: &'o Observed, memory: &Memory) -> Option<&'o String> {
    let silent = observed.hosts.iter().filter(|(_, view)| view.ready().is_none());
    let was_on = |name: &String| {
        let pods = memory.learned.hosts.get(name).and_then(|host| host.pods.as_ref());
        pods.is_some_and(|pods| pods.contains(pod))
    };
    silent.map(|(name, _)| name).find(|name| was_on(name))
}

/// Returns the pods of a controller with one on each host: the existing ones, and those that reachable hosts will
/// get.
fn hosts_of<T>(
    workload: &Workload,
    hosts: &[&str],
    left: &BTreeMap<(&str, &String), T>,
) -> Vec<String> {
    let names = hosts.iter().map(|host| workload.pod_on(host));
    if workload.place.require.is_none() {
        return names.collect();
    }
    // The planner decides which hosts satisfy it; here existing pods count.
    names.filter(|name| left.keys().any(|(pod, _)| *pod == name)).collect()
}

fn host_status(name: &str, view: &HostView, memory: &Memory) -> ShownHost {
    let (engine, simulated, silent) = match view {
        HostView::Ready(state) => {
            (Some(state.engine.version.clone()), state.engine.simulated, None)
        }
        HostView::Unknown { reason, .. } => (None, false, Some(reason.clone())),
    };
    let declared = memory.declared.hosts.get(name).copied();
    ShownHost { name: name.to_owned(), engine, simulated, silent, declared }
}

/// Returns the running pods that are not in the spec.
fn unasked(left: &BTreeMap<(&str, &String), &Containers<'_>>, now_ms: i64) -> Vec<WorkloadStatus> {
    let rule = ReadyRule { healthy: false, running_ms: 0, may_end: true, deadline_ms: 0 };
    let mut workloads: BTreeMap<String, Vec<PodStatus>> = BTreeMap::new();
    for ((name, host), found) in left {
        let address = found.workload().unwrap_or_default().to_owned();
        let containers: Vec<ContainerStatus> = found
            .values()
            .filter(|found| found.identity.role != Role::Infra)
            .map(|f| {
                let image = f.identity.applied().image;
                let infra = found.get(Role::Infra, "");
                container(f.identity.name, f.identity.role, &image, Some(f), infra, &rule, now_ms)
            })
            .collect();
        let pod = PodStatus {
            name: (*name).to_owned(),
            host: Some((*host).clone()),
            ready: containers.iter().all(|c| c.ready),
            published: Vec::new(),
            containers,
        };
        workloads.entry(address).or_default().push(pod);
    }
    workloads
        .into_iter()
        .map(|(address, pods)| WorkloadStatus {
            address,
            wanted: 0,
            ready: 0,
            paused: None,
            rolled_back: None,
            pods,
        })
        .collect()
}

fn container(
    name: &str,
    role: Role,
    image: &str,
    found: Option<&Found<'_>>,
    infra: Option<&Found<'_>>,
    rule: &ReadyRule,
    now_ms: i64,
) -> ContainerStatus {
    ContainerStatus {
        name: name.to_owned(),
        role,
        image: image.to_owned(),
        made_from: found.map(|f| f.identity.applied().image),
        state: found.map_or("missing", |f| state_word(f.container.state)).to_owned(),
        health: found.map(|f| f.details.health).filter(|health| *health != Health::None),
        ready: found.is_some_and(|f| match role {
            Role::Init => f.has_ended_well(),
            _ => f.serves(rule, infra, now_ms),
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

/// Returns the tree for people.
#[must_use]
pub fn people(status: &ClusterStatus, now_ms: i64, terminal: &Terminal) -> String {
    let hosts: Vec<String> = status.hosts.iter().map(host_words).collect();
    let name = terminal.paint(Style::Bold, &status.cluster);
    let mut out = format!("{name} on {}\n", hosts.join(", "));
    if let Some(why) = &status.frozen {
        let what = format!("frozen: {}", clean(why));
        out.push_str(&format!("{}\n", terminal.paint(Style::Change, &what)));
    }
    let several = status.hosts.len() > 1;
    for workload in &status.workloads {
        let (style, words) = match (workload.wanted, workload.ready) {
            (0, _) => (Style::Remove, "not in the spec".to_owned()),
            (wanted, ready) if wanted == ready => (Style::Add, format!("{ready}/{wanted} ready")),
            (wanted, ready) => (Style::Change, format!("{ready}/{wanted} ready")),
        };
        let name = terminal.paint(Style::Bold, &workload.address);
        out.push_str(&format!("\n{name}  {}\n", terminal.paint(style, &words)));
        if let Some(why) = &workload.paused {
            let what = format!("its rollout is paused: {}", clean(why));
            out.push_str(&format!("{}\n", terminal.paint(Style::Change, &what)));
        }
        if let Some(rolled_back) = &workload.rolled_back {
            out.push_str(&format!("{}\n", terminal.paint(Style::Change, &clean(rolled_back))));
        }
        for (i, pod) in workload.pods.iter().enumerate() {
            let last = i + 1 == workload.pods.len();
            pod_lines(pod, (last, several), now_ms, terminal, &mut out);
        }
    }
    if status.workloads.is_empty() {
        out.push_str("\nnothing runs\n");
    }
    out
}

fn host_words(host: &ShownHost) -> String {
    let what = match (&host.engine, host.simulated) {
        (Some(_), true) => "SIMULATED".to_owned(),
        (Some(version), false) => format!("Docker {version}"),
        (None, _) => "does not answer".to_owned(),
    };
    let declared = match host.declared {
        Some(Declared::Lost) => ", declared lost",
        Some(Declared::Fenced) => ", fenced",
        None => "",
    };
    format!("{} ({what}{declared})", host.name)
}

fn pod_lines(
    pod: &PodStatus,
    (last, several): (bool, bool),
    now_ms: i64,
    terminal: &Terminal,
    out: &mut String,
) {
    let (fork, corner, bar) =
        if terminal.unicode { ("├─ ", "└─ ", "│  ") } else { ("|- ", "`- ", "|  ") };
    let published = if pod.published.is_empty() {
        String::new()
    } else {
        format!("  published {}", pod.published.join(", "))
    };
    let branch = if last { corner } else { fork };
    let stem = if last { "   " } else { bar };
    let host = match (&pod.host, several) {
        (Some(host), true) => format!("  on {host}"),
        _ => String::new(),
    };
    out.push_str(&format!("{branch}{}{host}{published}\n", pod.name));
    let width = pod.containers.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    for (i, container) in pod.containers.iter().enumerate() {
        let branch = if i + 1 == pod.containers.len() { corner } else { fork };
        let (style, words) = container_words(container, now_ms);
        let words = terminal.paint(style, &words);
        out.push_str(&format!(
            "{stem}{branch}{:width$}  {words}  {}\n",
            container.name,
            terminal.paint(Style::Dim, &image_words(container))
        ));
    }
}

/// Returns the running image, and the image of the spec if it differs.
fn image_words(container: &ContainerStatus) -> String {
    match &container.made_from {
        Some(runs) if *runs != container.image => format!("{runs} (spec: {})", container.image),
        _ => container.image.clone(),
    }
}

fn container_words(container: &ContainerStatus, now_ms: i64) -> (Style, String) {
    let mut words = match (container.role, container.exit_code) {
        (Role::Init, Some(0)) => "done".to_owned(),
        (_, Some(code)) => format!("{} with code {code}", container.state),
        (_, None) => container.state.clone(),
    };
    if let Some(since) = container.since_ms {
        words.push_str(&format!(" for {}", ago(now_ms.saturating_sub(since))));
    }
    // The last health status of a container that has ended is irrelevant.
    match container.health.filter(|_| container.state == "running") {
        Some(Health::Healthy) => words.push_str(", healthy"),
        Some(Health::Starting) => words.push_str(", health not known yet"),
        Some(Health::Unhealthy) => words.push_str(", unhealthy"),
        Some(Health::None) | None => {}
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

/// Returns a duration in its largest unit: `3m`, `2h`.
fn ago(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m", seconds / 60),
        3600..=86399 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_told_in_words() {
        let healthy = Some(Health::Healthy);
        for (role, state, health, exit_code, restarts, expected) in [
            (Role::Container, "running", healthy, None, 0, "running for 1m, healthy"),
            (Role::Container, "running", None, None, 2, "running for 1m, 2 restarts"),
            // Docker keeps the last health status of a container that has ended.
            (Role::Container, "exited", healthy, Some(137), 0, "exited with code 137 for 1m"),
            (Role::Init, "exited", None, Some(0), 0, "done for 1m"),
            (Role::Init, "exited", None, Some(1), 0, "exited with code 1 for 1m"),
        ] {
            let container = ContainerStatus {
                name: "c".to_owned(),
                role,
                image: "i".to_owned(),
                made_from: None,
                state: state.to_owned(),
                health,
                ready: false,
                exit_code,
                restarts,
                id: None,
                since_ms: Some(0),
            };
            assert_eq!(container_words(&container, 60_000).1, expected);
        }
    }
}
