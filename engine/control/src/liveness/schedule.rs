//! When containers with a liveness are probed, and which have failed too often. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Graph, Probe, ProbeAction};
use tally_reconcile::input::observed::{ContainerState, HostState};
use tally_reconcile::labels;

/// A probe of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbeRequest {
    pub host: String,
    /// Full ID.
    pub id: String,
    pub pod: String,
    /// `controller/web`.
    pub workload: String,
    pub container: String,
    pub command: Vec<String>,
    pub timeout_ms: u64,
}

/// One container.
#[derive(Debug)]
struct ProbeState {
    request: ProbeRequest,
    probe: Probe,
    /// Its last start: the count of failures starts again with each.
    started_at_ms: Option<i64>,
    /// On the loop's own clock.
    due_ms: u64,
    in_progress: bool,
    failures: u32,
}

/// All containers with a liveness, by full ID.
#[derive(Debug, Default)]
pub(crate) struct ProbeSchedule {
    all: BTreeMap<String, ProbeState>,
}

impl ProbeSchedule {
    /// Takes in the containers of a host, at `clock_ms` on the loop's own clock.
    pub fn observed(
        &mut self,
        graph: &Graph,
        cluster: &str,
        host: &str,
        state: &HostState,
        clock_ms: u64,
    ) {
        let probes = probes(graph);
        let mut there: BTreeSet<&str> = BTreeSet::new();
        for container in &state.containers {
            let label = |key: &str| container.labels.get(key).map(String::as_str);
            let (Some(of), Some(pod), Some(name)) =
                (label(labels::WORKLOAD), label(labels::POD), label(labels::NAME))
            else {
                continue;
            };
            let running = container.state == ContainerState::Running;
            let probe = probes.get(&(of.to_owned(), name)).filter(|_| running);
            let (Some((probe, command)), Some(details), true) =
                (probe, &container.details, label(labels::CLUSTER) == Some(cluster))
            else {
                continue;
            };
            there.insert(&container.id);
            let known = self.all.get(&container.id);
            if known.is_some_and(|k| k.started_at_ms == details.started_at_ms && k.probe == **probe)
            {
                continue;
            }
            let request = ProbeRequest {
                host: host.to_owned(),
                id: container.id.clone(),
                pod: pod.to_owned(),
                workload: of.to_owned(),
                container: name.to_owned(),
                command: (*command).clone(),
                timeout_ms: probe.timeout.0,
            };
            let probed = ProbeState {
                request,
                probe: (*probe).clone(),
                started_at_ms: details.started_at_ms,
                due_ms: clock_ms + probe.delay.0.max(probe.every.0),
                in_progress: false,
                failures: 0,
            };
            self.all.insert(container.id.clone(), probed);
        }
        self.all.retain(|id, probed| probed.request.host != host || there.contains(id.as_str()));
    }

    /// Returns the probes that are due, at most `most` of them; they count as in progress.
    pub fn due(&mut self, clock_ms: u64, most: usize) -> Vec<ProbeRequest> {
        let due = self.all.values_mut().filter(|one| !one.in_progress && one.due_ms <= clock_ms);
        due.take(most)
            .map(|probed| {
                probed.in_progress = true;
                probed.request.clone()
            })
            .collect()
    }

    /// Takes in the result of a probe; returns whether the container has now failed as often as it may.
    pub fn probed(&mut self, id: &str, good: bool, clock_ms: u64) -> bool {
        let Some(probed) = self.all.get_mut(id) else { return false };
        probed.in_progress = false;
        probed.due_ms = clock_ms + probed.probe.every.0.max(100);
        probed.failures = if good { 0 } else { probed.failures.saturating_add(1) };
        probed.failures >= probed.probe.failures.max(1)
    }

    /// Returns when the next probe is due.
    pub fn next_ms(&self) -> Option<u64> {
        self.all.values().filter(|one| !one.in_progress).map(|one| one.due_ms).min()
    }
}

/// A probe and its command, by the workload's address and the container's name.
type Probes<'g> = BTreeMap<(String, &'g str), (&'g Probe, &'g Vec<String>)>;

fn probes(graph: &Graph) -> Probes<'_> {
    let mut all = Probes::new();
    for workload in graph.workloads() {
        for container in &workload.containers {
            if let Some(probe) = &container.liveness
                && let ProbeAction::Command(command) = &probe.action
            {
                let key = (workload.address().to_string(), container.name.as_str());
                all.insert(key, (probe, command));
            }
        }
    }
    all
}
