//! Computes the gain or cost of moving one pod, in the order in which placement scores hosts.

use std::collections::{BTreeMap, BTreeSet};

use super::{HostCapacity, PodRequest};

/// A workload as rebalancing sees it.
#[derive(Debug, Clone)]
pub struct RebalancedWorkload<'a> {
    /// The request of each of its pods.
    pub need: PodRequest<'a>,
    /// The number of pods that may leave each host, by host index; empty if none may.
    pub free: BTreeMap<usize, u32>,
    /// Whether a move interrupts its service.
    pub interrupts: bool,
    /// Whether a surge pod must run while a pod moves, so that there must be room for it.
    pub needs_surge_pod: bool,
    /// Hosts that would have to pull an image for its pods.
    pub lacking: BTreeSet<usize>,
    /// Hosts to which its pods must not move.
    pub barred: BTreeSet<usize>,
}

/// The goals of rebalancing, the most important first. The order is that of placement's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Pods run on hosts that have their `spread` label.
    Labelled,
    /// Pods are spread over the values of that label.
    Domains,
    /// Pods do not share a host with pods that they avoid.
    Avoid,
    /// Pods share a host with a pod that they prefer to be near.
    Near,
    /// Pods run on hosts with preferred labels.
    Prefer,
    /// Pods of one workload are on different hosts.
    Apart,
    /// Hosts have equal utilisation.
    Full,
    /// Hosts have equal numbers of pods.
    Count,
}

/// The utilisation of a full host. The unit is small enough for every reservation to count.
pub(super) const WHOLE: u64 = 1_000_000_000;

/// The levels that concern preferences of pods. The other two compare the loads of hosts.
pub(super) const WISHES: [Level; 6] =
    [Level::Labelled, Level::Domains, Level::Avoid, Level::Near, Level::Prefer, Level::Apart];

/// The state by which moves are judged.
#[derive(Debug, Clone)]
pub(super) struct View<'a, 'p> {
    pub capacity: HostCapacity<'a>,
    pub parts: &'p [RebalancedWorkload<'a>],
    /// For each workload, the number of its pods in each domain of its `spread` label.
    domains: Vec<Vec<u32>>,
    /// For each workload, the workloads that avoid its pods.
    avoided_by: Vec<Vec<usize>>,
    /// For each workload, the workloads that prefer to be near its pods.
    liked_by: Vec<Vec<usize>>,
}

impl<'a, 'p> View<'a, 'p> {
    /// Creates the view of a state. `parts` are indexed by workload.
    pub fn new(mut capacity: HostCapacity<'a>, parts: &'p [RebalancedWorkload<'a>]) -> Self {
        let mut avoided_by = vec![Vec::new(); parts.len()];
        let mut liked_by = vec![Vec::new(); parts.len()];
        let mut domains = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let spread = part.need.place.spread.as_deref();
            capacity.divide(spread);
            let all = spread.and_then(|key| capacity.spreads.get(key));
            let mut pods = vec![0; all.map_or(0, |all| all.unlabelled.len())];
            for (host, count) in capacity.of.get(&number).into_iter().flatten() {
                let domain = all.and_then(|all| all.of.get(*host)).copied();
                if let Some(known) = domain.and_then(|domain| pods.get_mut(domain)) {
                    *known += count;
                }
            }
            domains.push(pods);
            for (of, by) in [(&part.need.avoid, &mut avoided_by), (&part.need.near, &mut liked_by)]
            {
                for other in of {
                    by.get_mut(*other).into_iter().for_each(|all: &mut Vec<_>| all.push(number));
                }
            }
        }
        Self { capacity, parts, domains, avoided_by, liked_by }
    }

    /// Moves one pod.
    pub fn shift(&mut self, part: usize, from: usize, to: usize) {
        let Some(of) = self.parts.get(part) else { return };
        self.capacity.give_back(from, &of.need);
        self.capacity.take(to, &of.need);
        for (host, more) in [(from, false), (to, true)] {
            let domain = self.domain(&of.need, host).map(|(domain, _)| domain);
            let pods = domain.zip(self.domains.get_mut(part));
            if let Some(pods) = pods.and_then(|(domain, pods)| pods.get_mut(domain)) {
                *pods = if more { *pods + 1 } else { pods.saturating_sub(1) };
            }
        }
    }

    /// Returns the domain of a host, and whether it contains the hosts without the label.
    fn domain(&self, need: &PodRequest<'_>, host: usize) -> Option<(usize, bool)> {
        let all = self.capacity.spreads.get(need.place.spread.as_deref()?)?;
        let domain = *all.of.get(host)?;
        Some((domain, all.unlabelled.get(domain).copied() == Some(true)))
    }

    /// Returns the number of a workload's pods in the domain of a host.
    pub fn in_domain(&self, part: usize, host: usize) -> u32 {
        let need = self.parts.get(part).map(|part| &part.need);
        let domain = need.and_then(|need| self.domain(need, host));
        let pods = domain.zip(self.domains.get(part));
        pods.and_then(|((domain, _), pods)| pods.get(domain).copied()).unwrap_or(0)
    }

    /// Returns the number of a workload's pods on a host.
    pub fn on(&self, part: usize, host: usize) -> i64 {
        let on = self.capacity.of.get(&part).and_then(|of| of.get(&host));
        on.copied().map_or(0, i64::from)
    }

    /// Checks whether no preference other than [`Level::Apart`] concerns the workload's pods.
    pub fn is_plain(&self, part: usize) -> bool {
        let Some(of) = self.parts.get(part) else { return true };
        let none = |by: &[Vec<usize>]| by.get(part).is_none_or(Vec::is_empty);
        of.need.place.spread.is_none()
            && of.need.place.prefer.is_none()
            && of.need.avoid.is_empty()
            && of.need.near.is_empty()
            && none(&self.avoided_by)
            && none(&self.liked_by)
    }

    /// Returns by how much a move worsens one of the [`WISHES`]; a negative value is an improvement.
    pub fn change(&self, level: Level, part: usize, from: usize, to: usize) -> i64 {
        let Some(need) = self.parts.get(part).map(|part| &part.need) else { return 0 };
        let differ = |of: &dyn Fn(usize) -> bool| i64::from(of(to)) - i64::from(of(from));
        match level {
            Level::Labelled => {
                differ(&|host| self.domain(need, host).is_some_and(|(_, unlabelled)| unlabelled))
            }
            Level::Domains => {
                let domain = |host| self.domain(need, host).map(|(domain, _)| domain);
                let pods = |host| i64::from(self.in_domain(part, host));
                if domain(from) == domain(to) { 0 } else { squares(pods(from), pods(to)) }
            }
            Level::Avoid => {
                let by = self.avoided_by.get(part).map(Vec::as_slice).unwrap_or_default();
                let pairs = |other: usize| {
                    self.on(other, to) - self.on(other, from) + i64::from(other == part)
                };
                need.avoid.iter().chain(by).map(|other| pairs(*other)).sum()
            }
            Level::Near => self.lonely(part, from, to),
            Level::Prefer => {
                let unlike = |host: usize| {
                    let labels = self.capacity.offers.get(host).map(|offer| offer.labels);
                    let prefer = need.place.prefer.as_ref();
                    prefer.zip(labels).is_some_and(|(prefer, labels)| !prefer.matches(labels))
                };
                differ(&unlike)
            }
            _ => squares(self.on(part, from), self.on(part, to)),
        }
    }

    /// Returns by how much a move changes the number of pods without any pod that they prefer to be near.
    fn lonely(&self, part: usize, from: usize, to: usize) -> i64 {
        // The number of pods that a pod of `of` on this host is near to, without itself.
        let seen = |of: usize, host: usize| -> i64 {
            let near = self.parts.get(of).map(|part| &part.need.near);
            let all: i64 = near.into_iter().flatten().map(|other| self.on(*other, host)).sum();
            all - i64::from(near.is_some_and(|near| near.contains(&of)))
        };
        let mut more = 0;
        if self.parts.get(part).is_some_and(|part| !part.need.near.is_empty()) {
            let itself = self.parts.get(part).is_some_and(|p| p.need.near.contains(&part));
            let there = seen(part, to) + i64::from(itself);
            more += i64::from(there == 0) - i64::from(seen(part, from) == 0);
        }
        for other in self.liked_by.get(part).into_iter().flatten() {
            let own = i64::from(*other == part);
            if seen(*other, from) == 1 {
                more += self.on(*other, from) - own;
            }
            if seen(*other, to) == 0 {
                more -= self.on(*other, to);
            }
        }
        more
    }

    /// Returns the utilisation of a host as a part of [`WHOLE`], without the pod `less` and with the pod
    /// `more`.
    pub fn full(
        &self,
        host: usize,
        less: Option<&PodRequest<'_>>,
        more: Option<&PodRequest<'_>>,
    ) -> u64 {
        let (Some(offer), Some(load)) =
            (self.capacity.offers.get(host), self.capacity.loads.get(host))
        else {
            return 0;
        };
        let part = |used: u64, all: u64, of: fn(&PodRequest<'_>) -> u64| {
            share((used + more.map_or(0, of)).saturating_sub(less.map_or(0, of)), all)
        };
        part(load.cpu, offer.cpu, |need| need.cpu)
            .max(part(load.memory, offer.memory, |need| need.memory))
    }

    /// Returns the share of a host that a pod uses, as a part of [`WHOLE`].
    pub fn fills(&self, host: usize, need: &PodRequest<'_>) -> u64 {
        let offer = self.capacity.offers.get(host);
        offer.map_or(0, |of| share(need.cpu, of.cpu).max(share(need.memory, of.memory)))
    }

    /// Returns the number of pods on a host.
    pub fn pods(&self, host: usize) -> i64 {
        self.capacity.loads.get(host).map_or(0, |load| i64::from(load.pods))
    }
}

/// Returns the ratio `part / all`, scaled to [`WHOLE`].
fn share(part: u64, all: u64) -> u64 {
    let share = u128::from(part) * u128::from(WHOLE) / u128::from(all.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Returns the growth of the sum of squares when one pod moves from a group of `from` pods to one of `to`.
fn squares(from: i64, to: i64) -> i64 {
    2 * (to - from + 1)
}

#[cfg(test)]
mod tests {
    use tally_graph::{Place, Selector};

    use super::*;
    use crate::placement::Offer;

    const ZONE: &str = "zone";

    /// The pods on each host, with all levels computed from scratch. [`View::change`] of a move must equal the
    /// difference of these totals.
    struct Counted<'a> {
        labels: &'a [BTreeMap<String, String>],
        needs: &'a [PodRequest<'a>],
        pods: Vec<Vec<i64>>,
    }

    impl Counted<'_> {
        fn total(&self, level: Level) -> i64 {
            (0..self.needs.len()).map(|part| self.of(level, part)).sum()
        }

        fn of(&self, level: Level, part: usize) -> i64 {
            let (need, pods) = (&self.needs[part], &self.pods[part]);
            let on = |part: usize, host: usize| self.pods[part][host];
            let hosts = 0..self.labels.len();
            let pods_where = |is: &dyn Fn(usize) -> bool| -> i64 {
                hosts.clone().filter(|host| is(*host)).map(|host| pods[host]).sum()
            };
            match level {
                Level::Labelled => match &need.place.spread {
                    Some(key) => pods_where(&|host| !self.labels[host].contains_key(key)),
                    None => 0,
                },
                Level::Domains => {
                    let Some(key) = &need.place.spread else { return 0 };
                    let mut domains: BTreeMap<Option<&String>, i64> = BTreeMap::new();
                    for host in hosts {
                        *domains.entry(self.labels[host].get(key)).or_default() += pods[host];
                    }
                    domains.values().map(|pods| pods * pods).sum()
                }
                Level::Avoid => {
                    let beside = |other: usize, host: usize| {
                        pods[host] * (on(other, host) - i64::from(other == part))
                    };
                    let all = need.avoid.iter();
                    all.map(|other| hosts.clone().map(|host| beside(*other, host)).sum::<i64>())
                        .sum()
                }
                Level::Near if need.near.is_empty() => 0,
                Level::Near => pods_where(&|host| {
                    let near = need.near.iter();
                    near.map(|other| on(*other, host) - i64::from(*other == part)).sum::<i64>() == 0
                }),
                Level::Prefer => {
                    let prefer = need.place.prefer.as_ref();
                    prefer.map_or(0, |it| pods_where(&|host| !it.matches(&self.labels[host])))
                }
                _ => hosts.map(|host| pods[host] * pods[host]).sum(),
            }
        }
    }

    /// A deterministic pseudo-random generator (splitmix64).
    struct Random(u64);

    impl Random {
        fn below(&mut self, most: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ (mixed >> 31)) % most
        }

        fn some(&mut self, of: usize) -> BTreeSet<usize> {
            (0..of).filter(|_| self.below(3) == 0).collect()
        }
    }

    const HOSTS: usize = 4;
    const PARTS: usize = 3;

    #[test]
    fn the_change_of_a_move_equals_the_difference_of_the_totals() {
        let mut random = Random(7);
        for case in 0..400 {
            let labels: Vec<BTreeMap<String, String>> = (0..HOSTS)
                .map(|_| match random.below(3) {
                    0 => BTreeMap::new(),
                    zone => [(ZONE.to_owned(), zone.to_string())].into(),
                })
                .collect();
            let places: Vec<Place> = (0..PARTS)
                .map(|_| {
                    let all = [(ZONE.to_owned(), "1".to_owned())].into();
                    let prefer = Selector { all, ..Selector::default() };
                    Place {
                        spread: (random.below(2) == 0).then(|| ZONE.to_owned()),
                        prefer: (random.below(2) == 0).then_some(prefer),
                        ..Place::default()
                    }
                })
                .collect();
            let needs: Vec<PodRequest<'_>> = places
                .iter()
                .enumerate()
                .map(|(workload, place)| PodRequest {
                    workload,
                    cpu: 0,
                    memory: 0,
                    max_cpu: 0,
                    ports: Vec::new(),
                    place,
                    pinned: None,
                    avoid: random.some(PARTS),
                    near: random.some(PARTS),
                })
                .collect();
            let offer =
                |labels| Offer { name: "h", labels, cpu: 0, memory: 0, cores: None, closed: None };
            let mut capacity = HostCapacity::new(labels.iter().map(offer).collect());
            let mut pods = vec![vec![0; HOSTS]; PARTS];
            for (part, need) in needs.iter().enumerate() {
                for host in (0..HOSTS).flat_map(|host| vec![host; random.below(3) as usize]) {
                    capacity.take(host, need);
                    pods[part][host] += 1;
                }
            }
            let all: Vec<RebalancedWorkload<'_>> = needs
                .iter()
                .map(|need| RebalancedWorkload {
                    need: need.clone(),
                    free: BTreeMap::new(),
                    interrupts: false,
                    needs_surge_pod: false,
                    lacking: BTreeSet::new(),
                    barred: BTreeSet::new(),
                })
                .collect();
            let mut view = View::new(capacity, &all);
            let mut counted = Counted { labels: &labels, needs: &needs, pods };
            for _ in 0..6 {
                let [part, from, to] =
                    [PARTS, HOSTS, HOSTS].map(|most| random.below(most as u64) as usize);
                if from == to || counted.pods[part][from] == 0 {
                    continue;
                }
                let reported = WISHES.map(|level| view.change(level, part, from, to));
                let before = WISHES.map(|level| counted.total(level));
                view.shift(part, from, to);
                counted.pods[part][from] -= 1;
                counted.pods[part][to] += 1;
                for (at, level) in WISHES.into_iter().enumerate() {
                    let differ = counted.total(level) - before[at];
                    assert_eq!(
                        reported[at], differ,
                        "case {case}: {level:?} of {part}, {from} to {to}"
                    );
                }
                assert!((0..HOSTS).all(|host| view.on(part, host) == counted.pods[part][host]));
            }
        }
    }
}
