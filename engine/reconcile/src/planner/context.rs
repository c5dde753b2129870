//! The inputs of planning a cluster, and the state that planning carries from workload to workload.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Cluster, Graph, Workload};

use crate::desired::realise::RealiseContext;
use crate::input::needs::Needs;
use crate::input::options::Options;
use crate::inventory::containers::Containers;
use crate::inventory::host_status::Hosts;
use crate::inventory::patterns::Patterns;
use crate::memory::Memory;
use crate::plan::pod_plan::PodPlan;
use crate::plan::{Action, OpId};
use crate::planner::images::Choices;

/// The planner of one cluster, with its inputs.
pub(crate) struct Planner<'a> {
    pub graph: &'a Graph,
    pub cluster: &'a Cluster,
    pub hosts: &'a Hosts<'a>,
    pub memory: &'a Memory,
    pub options: &'a Options,
    /// The context for realising pods.
    pub around: RealiseContext<'a>,
    /// The patterns of up-to-date pods.
    pub patterns: &'a Patterns,
    pub needs: &'a Needs<'a>,
    /// Workloads on which other workloads depend.
    pub awaited: BTreeSet<&'a str>,
}

/// A pod that is or will be on a host.
pub(crate) struct PlannedPod<'a> {
    pub workload: &'a Workload,
    pub name: String,
    /// The index of its ready host.
    pub host: usize,
    /// The operation that starts the container that publishes its ports.
    pub start: Option<OpId>,
}

/// The existing pods that are already planned: one flag for each pod of each ready host.
#[derive(Default)]
pub(crate) struct PlannedPods(Vec<Vec<bool>>);

impl PlannedPods {
    /// Creates the set without any planned pod.
    pub fn new(hosts: &Hosts<'_>) -> Self {
        Self(hosts.ready.iter().map(|host| vec![false; host.inventory.pods.len()]).collect())
    }

    /// Marks a pod of a host as planned.
    pub fn insert(&mut self, host: usize, pod: &Containers<'_>) {
        if let Some(planned) = self.0.get_mut(host).and_then(|pods| pods.get_mut(pod.number)) {
            *planned = true;
        }
    }

    /// Checks whether a pod of a host is already planned.
    pub fn contains(&self, host: usize, pod: &Containers<'_>) -> bool {
        self.0.get(host).and_then(|pods| pods.get(pod.number)).is_some_and(|planned| *planned)
    }
}

/// The state of planning, apart from the operations.
#[derive(Default)]
pub(crate) struct PlanningProgress<'a> {
    /// The planned pods that later steps need.
    pub planned: Vec<PlannedPod<'a>>,
    /// The existing pods that are already planned.
    pub existing: PlannedPods,
    /// The operation that stops each container, by host and full ID.
    pub stops: BTreeMap<(usize, String), OpId>,
    /// For each workload, the operations that a surplus pod's removal waits for.
    pub after: BTreeMap<String, Vec<OpId>>,
    /// Workloads that need a surge pod but have no room for one.
    pub no_surge_room: BTreeSet<&'a str>,
    /// The images chosen so far.
    pub choices: Choices,
    /// The pod plans of each workload that later steps need.
    pub plans: BTreeMap<&'a str, Vec<PodPlan>>,
    /// The hosts of the workload that is being planned, in the order of its pods.
    pub pod_hosts: Vec<usize>,
    /// The index of that workload's pattern.
    pub pattern: Option<u32>,
    /// Whether that workload's pods have host ports.
    pub asks_ports: bool,
}

impl PlanningProgress<'_> {
    /// Returns the plan of a workload's pod, by slot index.
    pub fn plan(&self, workload: &str, slot: usize) -> Option<&PodPlan> {
        self.plans.get(workload)?.get(slot)
    }
}

/// Checks whether an action removes a container.
pub(crate) fn removes(action: &Action) -> bool {
    matches!(action, Action::RemoveContainer { .. })
}
