//! Placement: chooses the host of each pod. Filters come first, then scores, then host names.
//!
//! Placement is deterministic and does not depend on Docker. The candidate hosts of a workload are
//! kept in an ordered set, so placing one pod costs O(log n) for n hosts.

pub(crate) mod assign;
mod gains;
mod reasons;
mod rebalance;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use tally_graph::{Place, Publish};

use crate::input::observed::PublishedPort;
use crate::plan::reason::Closed;

pub use gains::{Level, RebalancedWorkload};
pub use reasons::Reasons;
pub use rebalance::MoveStep;

/// The capacity and labels of a host.
#[derive(Debug, Clone)]
pub struct Offer<'a> {
    /// The host's name.
    pub name: &'a str,
    /// The host's labels, including the built-in ones.
    pub labels: &'a BTreeMap<String, String>,
    /// CPU capacity, in thousandths of a core.
    pub cpu: u64,
    /// Memory capacity, in bytes.
    pub memory: u64,
    /// The number of its cores, which limits the `max-cpu` of a container; `None` if unknown.
    pub cores: Option<u32>,
    /// Why the host accepts no pods, if it is closed.
    pub closed: Option<Closed>,
}

/// The pods and reservations that are assigned to a host.
#[derive(Debug, Clone, Default)]
struct Load {
    cpu: u64,
    memory: u64,
    pods: u32,
    /// Host ports in use, by port number: those of assigned pods and those of other containers.
    ports: BTreeMap<u16, Vec<PublishedPort>>,
}

/// The resources and constraints of a pod. They are the same for all pods of a workload.
#[derive(Debug, Clone)]
pub struct PodRequest<'a> {
    /// The index of the workload in the graph.
    pub workload: usize,
    /// Reserved CPU, in thousandths of a core.
    pub cpu: u64,
    /// Reserved memory, in bytes.
    pub memory: u64,
    /// The highest `max-cpu` of its containers, in thousandths of a core.
    pub max_cpu: u64,
    /// Host ports that the pod publishes.
    pub ports: Vec<PublishedPort>,
    /// The placement rules of the spec.
    pub place: &'a Place,
    /// The only host the pod may run on, because its volumes are there.
    pub pinned: Option<usize>,
    /// Indexes of the workloads whose pods it avoids.
    pub avoid: BTreeSet<usize>,
    /// Indexes of the workloads whose pods it prefers to share a host with.
    pub near: BTreeSet<usize>,
}

/// Why a host cannot take a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// The host accepts no pods.
    Closed,
    /// The host's labels do not match `require`.
    Labels,
    /// The pod's volumes are on another host.
    Elsewhere,
    /// The host has only this number of cores: Docker refuses a higher `max-cpu`.
    Cores(u32),
    /// Missing CPU, in thousandths of a core.
    Cpu(u64),
    /// Missing memory, in bytes.
    Memory(u64),
    /// The host port is in use.
    Port(u16),
}

/// The score of a host; the lowest score wins. In order of importance: the number of pods to avoid,
/// the number of pods to be near, whether the preferred labels are missing, the number of pods of the
/// same workload, the utilisation in thousandths, the number of all pods, the host's index.
type Score = (u32, Reverse<u32>, bool, u32, u64, u32, usize);

/// The sort key of the hosts with one value of the `spread` label: hosts without the label come last,
/// then by the workload's pods in the domain, then by the score of the best host.
type DomainKey = (bool, u32, Score, usize);

/// The hosts, and the pods that are assigned to them.
#[derive(Debug, Clone)]
pub struct HostCapacity<'a> {
    offers: Vec<Offer<'a>>,
    loads: Vec<Load>,
    /// The number of pods, by workload index and host index.
    of: BTreeMap<usize, BTreeMap<usize, u32>>,
    /// For each `spread` label, the domain of every host.
    spreads: BTreeMap<String, Domains>,
}

/// The topology domains into which a label divides the hosts.
#[derive(Debug, Clone, Default)]
struct Domains {
    /// The domain of each host, by host index.
    of: Vec<usize>,
    /// For each domain, whether it contains the hosts without the label.
    unlabelled: Vec<bool>,
}

impl<'a> HostCapacity<'a> {
    /// Returns the hosts without any pods. `offers` must be sorted by name, so that the host index
    /// breaks ties between scores by name.
    #[must_use]
    pub fn new(offers: Vec<Offer<'a>>) -> Self {
        let loads = vec![Load::default(); offers.len()];
        Self { offers, loads, of: BTreeMap::new(), spreads: BTreeMap::new() }
    }

    /// Marks a host port as used by a container that this plan does not manage.
    pub fn hold_port(&mut self, host: usize, port: PublishedPort) {
        if let Some(load) = self.loads.get_mut(host) {
            load.ports.entry(port.host.port).or_default().push(port);
        }
    }

    /// Assigns a pod to a host.
    pub fn take(&mut self, host: usize, need: &PodRequest<'_>) {
        let Some(load) = self.loads.get_mut(host) else { return };
        load.cpu += need.cpu;
        load.memory += need.memory;
        load.pods += 1;
        *self.of.entry(need.workload).or_default().entry(host).or_default() += 1;
        for port in &need.ports {
            load.ports.entry(port.host.port).or_default().push(port.clone());
        }
    }

    /// Checks whether a host can take a pod.
    ///
    /// # Errors
    /// The first reason why it cannot.
    pub fn fits(&self, host: usize, need: &PodRequest<'_>) -> Result<(), Lack> {
        self.suits(host, need)?;
        self.has_room(host, need)
    }

    /// Checks the constraints that do not change while pods of one workload are assigned.
    fn suits(&self, host: usize, need: &PodRequest<'_>) -> Result<(), Lack> {
        let Some(offer) = self.offers.get(host) else { return Err(Lack::Closed) };
        if offer.closed.is_some() {
            return Err(Lack::Closed);
        }
        if need.place.require.as_ref().is_some_and(|require| !require.matches(offer.labels)) {
            return Err(Lack::Labels);
        }
        if let Some(cores) = offer.cores.filter(|cores| need.max_cpu > u64::from(*cores) * 1000) {
            return Err(Lack::Cores(cores));
        }
        match need.pinned {
            Some(pinned) if pinned != host => Err(Lack::Elsewhere),
            _ => Ok(()),
        }
    }

    /// Checks whether a host has enough free CPU, memory and host ports for a pod.
    fn has_room(&self, host: usize, need: &PodRequest<'_>) -> Result<(), Lack> {
        let (Some(offer), Some(load)) = (self.offers.get(host), self.loads.get(host)) else {
            return Err(Lack::Closed);
        };
        let lacking = |asked: u64, used: u64, all: u64| match asked {
            0 => 0,
            asked => (used + asked).saturating_sub(all),
        };
        match lacking(need.cpu, load.cpu, offer.cpu) {
            0 => {}
            missing => return Err(Lack::Cpu(missing)),
        }
        match lacking(need.memory, load.memory, offer.memory) {
            0 => {}
            missing => return Err(Lack::Memory(missing)),
        }
        for port in &need.ports {
            let held = load.ports.get(&port.host.port).into_iter().flatten();
            if held.into_iter().any(|held| clash(held, port.protocol, &port.host)) {
                return Err(Lack::Port(port.host.port));
            }
        }
        Ok(())
    }

    /// Returns the score of a host for a pod.
    fn score(&self, host: usize, need: &PodRequest<'_>) -> Score {
        let none = Load::default();
        let load = self.loads.get(host).unwrap_or(&none);
        let on = |workload: &usize| self.of.get(workload).and_then(|of| of.get(&host)).copied();
        let count = |of: &BTreeSet<usize>| -> u32 { of.iter().filter_map(on).sum() };
        let (mut full, mut unlike) = (0, false);
        if let Some(offer) = self.offers.get(host) {
            let part = |used: u64, all: u64| used.saturating_mul(1000) / all.max(1);
            full = part(load.cpu + need.cpu, offer.cpu)
                .max(part(load.memory + need.memory, offer.memory));
            unlike = need.place.prefer.as_ref().is_some_and(|like| !like.matches(offer.labels));
        }
        let own = on(&need.workload).unwrap_or(0);
        (count(&need.avoid), Reverse(count(&need.near)), unlike, own, full, load.pods, host)
    }

    /// Assigns `count` pods of one workload to hosts, one after another. Returns the host of each pod,
    /// `None` where no host can take it.
    pub fn give(&mut self, need: &PodRequest<'_>, count: usize) -> Vec<Option<usize>> {
        let mut candidates = Candidates::new(self, need);
        (0..count).map(|_| candidates.next(self, need)).collect()
    }
}

/// Checks whether a used host port conflicts with a wanted one.
fn clash(held: &PublishedPort, protocol: tally_graph::Protocol, wanted: &Publish) -> bool {
    held.protocol == protocol && held.host.clashes(wanted)
}

/// The hosts that satisfy a workload's constraints, in the order in which they are tried.
struct Candidates {
    domains: Vec<Domain>,
    order: BTreeSet<DomainKey>,
}

#[derive(Default)]
struct Domain {
    unlabelled: bool,
    pods: u32,
    /// The host with the lowest score, which is the best one, is on top.
    hosts: BinaryHeap<Reverse<Score>>,
}

impl Candidates {
    fn new(capacity: &mut HostCapacity<'_>, need: &PodRequest<'_>) -> Self {
        let spread = need.place.spread.as_deref();
        capacity.divide(spread);
        let divided = spread.and_then(|key| capacity.spreads.get(key));
        let count = divided.map_or(1, |domains| domains.unlabelled.len());
        let mut hosts: Vec<Vec<Reverse<Score>>> = vec![Vec::new(); count];
        let domain_of =
            |host: usize| divided.and_then(|domains| domains.of.get(host)).copied().unwrap_or(0);
        for host in 0..capacity.offers.len() {
            if capacity.suits(host, need).is_ok()
                && let Some(domain) = hosts.get_mut(domain_of(host))
            {
                domain.push(Reverse(capacity.score(host, need)));
            }
        }
        let mut domains: Vec<Domain> = hosts
            .into_iter()
            .enumerate()
            .map(|(number, hosts)| Domain {
                unlabelled: divided.and_then(|d| d.unlabelled.get(number)).copied() == Some(true),
                pods: 0,
                hosts: hosts.into(),
            })
            .collect();
        // Pods on any host of the domain count, even if that host does not satisfy the constraints.
        for (host, pods) in capacity.of.get(&need.workload).into_iter().flatten() {
            if let (true, Some(domain)) = (spread.is_some(), domains.get_mut(domain_of(*host))) {
                domain.pods += pods;
            }
        }
        let mut all = Self { domains, order: BTreeSet::new() };
        for number in 0..all.domains.len() {
            all.order.extend(all.key(number));
        }
        all
    }

    /// Returns the sort key of a domain, `None` when it has no candidate left.
    fn key(&self, number: usize) -> Option<DomainKey> {
        let domain = self.domains.get(number)?;
        let Reverse(best) = domain.hosts.peek()?;
        Some((domain.unlabelled, domain.pods, *best, number))
    }

    /// Assigns one pod to the best host that has room for it.
    fn next(&mut self, capacity: &mut HostCapacity<'_>, need: &PodRequest<'_>) -> Option<usize> {
        while let Some((.., number)) = self.order.pop_first() {
            let domain = self.domains.get_mut(number)?;
            let Reverse(score) = domain.hosts.pop()?;
            let host = score.6;
            let fits = capacity.has_room(host, need).is_ok();
            if fits {
                capacity.take(host, need);
                domain.hosts.push(Reverse(capacity.score(host, need)));
                if need.place.spread.is_some() {
                    domain.pods += 1;
                }
            }
            // A host without room stays full, because pods are only added.
            self.order.extend(self.key(number));
            if fits {
                return Some(host);
            }
        }
        None
    }
}

impl HostCapacity<'_> {
    /// Divides the hosts into domains by a label, if that is not done yet.
    fn divide(&mut self, spread: Option<&str>) {
        let Some(key) = spread.filter(|key| !self.spreads.contains_key(*key)) else { return };
        let mut numbers: BTreeMap<Option<&String>, usize> = BTreeMap::new();
        let mut domains = Domains::default();
        for offer in &self.offers {
            let value = offer.labels.get(key);
            let domain = *numbers.entry(value).or_insert_with(|| {
                domains.unlabelled.push(value.is_none());
                domains.unlabelled.len() - 1
            });
            domains.of.push(domain);
        }
        self.spreads.insert(key.to_owned(), domains);
    }
}
