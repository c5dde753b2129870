//! The context of planning a cluster, and its progress from workload to workload.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Cluster, Graph, Workload};

use crate::desired::realise::Surroundings;
use crate::input::needs::Needs;
use crate::input::options::Options;
use crate::inventory::containers::Containers;
use crate::inventory::host_status::Hosts;
use crate::inventory::patterns::Patterns;
use crate::memory::Memory;
use crate::plan::pod_plan::PodPlan;
use crate::plan::{Action, OpId};
use crate::planner::images::Choices;

pub(crate) struct Planner<'a> {
    pub graph: &'a Graph,
    pub cluster: &'a Cluster,
    pub hosts: &'a Hosts<'a>,
    pub memory: &'a Memory,
    pub options: &'a Options,
    /// What realising a pod needs to know beside it.
    pub around: Surroundings<'a>,
    /// What pods look like that are as they shall be.
    pub patterns: &'a Patterns,
    pub needs: &'a Needs<'a>,
    /// Workloads that others wait for.
    pub awaited: BTreeSet<&'a str>,
}

/// A pod that is or will be on a host.
pub(crate) struct Planned<'a> {
    pub workload: &'a Workload,
    pub name: String,
    /// The ready host it is on.
    pub host: usize,
    /// The start of the container that holds its ports.
    pub start: Option<OpId>,
}

/// Pods that are there and are dealt with: for each ready host one word for each of its pods.
#[derive(Default)]
pub(crate) struct Settled(Vec<Vec<bool>>);

impl Settled {
    pub fn of(hosts: &Hosts<'_>) -> Self {
        Self(hosts.ready.iter().map(|host| vec![false; host.inventory.pods.len()]).collect())
    }

    /// Settles a pod of a host.
    pub fn insert(&mut self, host: usize, pod: &Containers<'_>) {
        if let Some(word) = self.0.get_mut(host).and_then(|pods| pods.get_mut(pod.number)) {
            *word = true;
        }
    }

    /// Whether a pod of a host is settled.
    pub fn has(&self, host: usize, pod: &Containers<'_>) -> bool {
        self.0.get(host).and_then(|pods| pods.get(pod.number)).is_some_and(|word| *word)
    }
}

/// What has been planned so far, beside the operations.
#[derive(Default)]
pub(crate) struct Progress<'a> {
    pub planned: Vec<Planned<'a>>,
    pub settled: Settled,
    /// What stops each container, by host and full ID.
    pub stops: BTreeMap<(usize, String), OpId>,
    /// Pods beyond the number of a workload that go once these are ready.
    pub after: BTreeMap<String, Vec<OpId>>,
    /// Workloads for whose pods nothing can stand in, and none of which may be missing.
    pub unaided: BTreeSet<&'a str>,
    /// Which images were chosen so far.
    pub choices: Choices,
    /// What was planned for the pods of each workload that others ask about.
    pub plans: BTreeMap<&'a str, Vec<PodPlan>>,
    /// The hosts of the workload that is being planned, in the order of its pods.
    pub seats: Vec<usize>,
    /// Its number among the patterns.
    pub pattern: Option<u32>,
    /// Whether its pods have host ports.
    pub asks_ports: bool,
}

impl Progress<'_> {
    /// What was planned for a pod of a workload, by its place there.
    pub fn plan(&self, workload: &str, slot: usize) -> Option<&PodPlan> {
        self.plans.get(workload)?.get(slot)
    }
}

/// Whether an operation removes a container.
pub(crate) fn removes(action: &Action) -> bool {
    matches!(action, Action::RemoveContainer { .. })
}
