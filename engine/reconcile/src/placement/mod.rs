//! Which host takes a pod: filters, then scores, then names. It is deterministic, knows nothing of
//! Docker, and costs a pod the logarithm of the number of hosts: the hosts of a workload stand in
//! an ordered set, and taking a pod moves one of them in it.

pub(crate) mod assign;
mod even;
mod gains;
mod reasons;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use tally_graph::{Place, Publish};

use crate::input::observed::PublishedPort;
use crate::plan::reason::Closed;

pub use even::Step;
pub use gains::{Level, Part};
pub use reasons::Reasons;

/// What a host offers.
#[derive(Debug, Clone)]
pub struct Offer<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its own labels, and those nobody writes.
    pub labels: &'a BTreeMap<String, String>,
    /// In thousandths of a core.
    pub cpu: u64,
    /// In bytes.
    pub memory: u64,
    /// Why it takes no pods, if so.
    pub closed: Option<Closed>,
}

/// What has been given to a host.
#[derive(Debug, Clone, Default)]
struct Load {
    cpu: u64,
    memory: u64,
    pods: u32,
    /// Who has a host port: those of pods given to it, and those that others hold.
    ports: BTreeMap<u16, Vec<PublishedPort>>,
}

/// What a pod needs; all pods of a workload need the same.
#[derive(Debug, Clone)]
pub struct PodRequest<'a> {
    /// The workload's number.
    pub workload: usize,
    /// Reserved, in thousandths of a core.
    pub cpu: u64,
    /// Reserved, in bytes.
    pub memory: u64,
    /// Host ports.
    pub ports: Vec<PublishedPort>,
    /// What the spec says about hosts.
    pub place: &'a Place,
    /// The only hosts it may be on, because its volumes are there.
    pub pinned: Option<usize>,
    /// Workloads whose pods it avoids, and those it likes to be near, by number.
    pub avoid: BTreeSet<usize>,
    /// See `avoid`.
    pub near: BTreeSet<usize>,
}

/// Why a host cannot take a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// It takes nothing.
    Closed,
    /// Its labels are not like that.
    Labels,
    /// The pod's volumes are elsewhere.
    Elsewhere,
    /// So many thousandths of a core are missing.
    Cpu(u64),
    /// So many bytes are missing.
    Memory(u64),
    /// Somebody has that host port.
    Port(u16),
}

/// How little a host is liked; the least is taken. In order: pods to avoid, pods to be near, the
/// preferred labels, pods of its own workload, how full it is in thousandths, pods in all, its
/// number.
type Score = (u32, Reverse<u32>, bool, u32, u64, u32, usize);

/// Where hosts with one value of the `spread` label stand: those without the label last, then by
/// pods of the workload there, then by their best host.
type DomainKey = (bool, u32, Score, usize);

/// Hosts, and what has been given to them.
#[derive(Debug, Clone)]
pub struct Capacity<'a> {
    offers: Vec<Offer<'a>>,
    loads: Vec<Load>,
    /// How many pods of a workload are on which hosts, by numbers.
    of: BTreeMap<usize, BTreeMap<usize, u32>>,
    /// For each label that pods are spread over: the domain of every host.
    spreads: BTreeMap<String, Domains>,
}

/// The domains that a label divides the hosts into.
#[derive(Debug, Clone, Default)]
struct Domains {
    /// By host.
    of: Vec<usize>,
    /// For each domain, whether it is that of the hosts without the label.
    unlabelled: Vec<bool>,
}

impl<'a> Capacity<'a> {
    /// Hosts to which nothing has been given yet. They stand by name, so that the last score is
    /// theirs.
    #[must_use]
    pub fn new(offers: Vec<Offer<'a>>) -> Self {
        let loads = vec![Load::default(); offers.len()];
        Self { offers, loads, of: BTreeMap::new(), spreads: BTreeMap::new() }
    }

    /// A host port that is held by what is not planned here.
    pub fn hold_port(&mut self, host: usize, port: PublishedPort) {
        if let Some(load) = self.loads.get_mut(host) {
            load.ports.entry(port.host.port).or_default().push(port);
        }
    }

    /// Gives a pod to a host.
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

    /// Whether a host could take a pod.
    ///
    /// # Errors
    /// The first thing that is in the way.
    pub fn fits(&self, host: usize, need: &PodRequest<'_>) -> Result<(), Lack> {
        self.suits(host, need)?;
        self.has_room(host, need)
    }

    /// What does not change while pods of one workload are given away.
    fn suits(&self, host: usize, need: &PodRequest<'_>) -> Result<(), Lack> {
        let Some(offer) = self.offers.get(host) else { return Err(Lack::Closed) };
        if offer.closed.is_some() {
            return Err(Lack::Closed);
        }
        if need.place.require.as_ref().is_some_and(|require| !require.matches(offer.labels)) {
            return Err(Lack::Labels);
        }
        match need.pinned {
            Some(pinned) if pinned != host => Err(Lack::Elsewhere),
            _ => Ok(()),
        }
    }

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

    /// Gives `count` pods of one workload to hosts, one after another; `None` for each that no
    /// host can take.
    pub fn give(&mut self, need: &PodRequest<'_>, count: usize) -> Vec<Option<usize>> {
        let mut candidates = Candidates::new(self, need);
        (0..count).map(|_| candidates.next(self, need)).collect()
    }
}

fn clash(held: &PublishedPort, protocol: tally_graph::Protocol, wanted: &Publish) -> bool {
    held.protocol == protocol && held.host.clashes(wanted)
}

/// The hosts that suit a workload, in the order in which they are asked.
struct Candidates {
    domains: Vec<Domain>,
    order: BTreeSet<DomainKey>,
}

#[derive(Default)]
struct Domain {
    unlabelled: bool,
    pods: u32,
    /// The least is the best, and stands on top.
    hosts: BinaryHeap<Reverse<Score>>,
}

impl Candidates {
    fn new(seats: &mut Capacity<'_>, need: &PodRequest<'_>) -> Self {
        let spread = need.place.spread.as_deref();
        seats.divide(spread);
        let divided = spread.and_then(|key| seats.spreads.get(key));
        let count = divided.map_or(1, |domains| domains.unlabelled.len());
        let mut hosts: Vec<Vec<Reverse<Score>>> = vec![Vec::new(); count];
        let domain_of =
            |host: usize| divided.and_then(|domains| domains.of.get(host)).copied().unwrap_or(0);
        for host in 0..seats.offers.len() {
            if seats.suits(host, need).is_ok()
                && let Some(domain) = hosts.get_mut(domain_of(host))
            {
                domain.push(Reverse(seats.score(host, need)));
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
        // Pods that are on a host of the domain count, whether or not that host suits.
        for (host, pods) in seats.of.get(&need.workload).into_iter().flatten() {
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

    fn key(&self, number: usize) -> Option<DomainKey> {
        let domain = self.domains.get(number)?;
        let Reverse(best) = domain.hosts.peek()?;
        Some((domain.unlabelled, domain.pods, *best, number))
    }

    fn next(&mut self, seats: &mut Capacity<'_>, need: &PodRequest<'_>) -> Option<usize> {
        while let Some((.., number)) = self.order.pop_first() {
            let domain = self.domains.get_mut(number)?;
            let Reverse(score) = domain.hosts.pop()?;
            let host = score.6;
            let fits = seats.has_room(host, need).is_ok();
            if fits {
                seats.take(host, need);
                domain.hosts.push(Reverse(seats.score(host, need)));
                if need.place.spread.is_some() {
                    domain.pods += 1;
                }
            }
            // A host without room will not have any later: only more is given away.
            self.order.extend(self.key(number));
            if fits {
                return Some(host);
            }
        }
        None
    }
}

impl Capacity<'_> {
    /// Divides the hosts by a label, once.
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
