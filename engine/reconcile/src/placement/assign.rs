//! Assigns a host to each pod. A running pod stays on its host unless the spec, the host's status or
//! a user requires a move. Missing pods are placed. A pod that may run on an unreachable host is not
//! placed a second time.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Graph, Replicas, Selector, Workload, WorkloadKind};

use crate::desired::realise::{mounted_volumes, workload_ports};
use crate::input::observed::PublishedPort;
use crate::inventory::classify::owns;
use crate::inventory::containers::{Containers, Found};
use crate::inventory::host_status::{Hosts, ReadyHost, UnreachableHostStatus};
use crate::inventory::patterns::Patterns;
use crate::inventory::pod_index::PodIndex;
use crate::labels::{self, Role};
use crate::placement::{HostCapacity, Offer, PodRequest};
use crate::plan::reason::{BlockReason, Presence};

/// One pod of a workload and its host.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    /// The pod's name.
    pub name: String,
    /// The index of the ready host that the pod is assigned to, or the reason why it has none.
    pub assigned: Result<usize, BlockReason>,
    /// Other ready hosts that have the pod: it moves away from there, or is a duplicate.
    pub elsewhere: Vec<usize>,
    /// The host and its containers, if exactly one ready host has the pod.
    pub found: Option<(usize, &'a Containers<'a>)>,
}

/// The initial reason of a pod. Placing the pod replaces it with a host or another reason.
const NOT_PLACED: BlockReason = BlockReason::NoHost { lacks: Vec::new(), more: 0, way_out: None };

/// The pods of all workloads, by workload name.
pub(crate) struct Assignment<'a> {
    pub slots: BTreeMap<&'a str, Vec<Slot<'a>>>,
    pub capacity: HostCapacity<'a>,
    needs: BTreeMap<&'a str, PodRequest<'a>>,
}

impl<'a> Assignment<'a> {
    /// Returns the request of each pod of a workload.
    pub fn need(&self, workload: &str) -> Option<&PodRequest<'a>> {
        self.needs.get(workload)
    }

    /// Assigns hosts to `count` surge pods of a workload. Returns `None` for each that no host can take.
    pub fn surge(&mut self, workload: &str, count: usize) -> Vec<Option<usize>> {
        match self.needs.get(workload) {
            Some(need) => self.capacity.give(need, count),
            None => vec![None; count],
        }
    }
}

/// Assigns a host to every pod of the spec.
pub(crate) fn assign<'a>(
    graph: &'a Graph,
    cluster: &str,
    hosts: &'a Hosts<'a>,
    patterns: &Patterns,
) -> Assignment<'a> {
    let offers = hosts.ready.iter().map(|host| Offer {
        name: host.name,
        labels: &host.labels,
        cpu: host.cpu,
        memory: host.memory,
        cores: Some(host.state.engine.cpus).filter(|cores| *cores > 0),
        closed: host.closed,
    });
    let mut assigner = Assigner {
        graph,
        hosts,
        capacity: HostCapacity::new(offers.collect()),
        volumes: volumes(cluster, hosts),
        groups: groups(graph),
        selectable: graph.workloads().map(|w| w.selectable_labels(cluster)).collect(),
        found: PodIndex::new(graph, hosts, patterns),
    };
    assigner.hold_unmanaged_ports();
    assigner.join_volumes();
    let mut all: Vec<(&Workload, PodRequest<'a>, Vec<Slot<'a>>)> = Vec::new();
    for (number, workload) in graph.workloads().enumerate() {
        let need = assigner.need(number, workload);
        all.push((workload, need, assigner.slots(workload)));
    }
    // Existing pods first, so that a new pod never takes the room of an existing one.
    for (workload, need, slots) in &mut all {
        assigner.keep(workload, need, slots);
    }
    for (workload, need, slots) in &mut all {
        assigner.place(workload, need, slots);
    }
    let mut assignment =
        Assignment { slots: BTreeMap::new(), capacity: assigner.capacity, needs: BTreeMap::new() };
    for (workload, need, slots) in all {
        assignment.slots.insert(&workload.name, slots);
        assignment.needs.insert(&workload.name, need);
    }
    assignment
}

/// Returns the ready hosts that have each named volume of the cluster.
fn volumes(cluster: &str, hosts: &Hosts<'_>) -> BTreeMap<String, Vec<usize>> {
    let mut all: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, host) in hosts.ready.iter().enumerate() {
        for volume in &host.state.volumes {
            if owns(cluster, Role::Volume, &volume.labels)
                && let Some(name) = volume.labels.get(labels::NAME)
                && volume.name == labels::volume_name(cluster, name)
            {
                all.entry(name.clone()).or_default().push(number);
            }
        }
    }
    all
}

/// Returns the groups of named volumes that must be on one host, because a pod mounts several of them
/// or pods share them. Each volume is in exactly one group.
fn groups(graph: &Graph) -> Vec<BTreeSet<&str>> {
    let mut groups: Vec<BTreeSet<&str>> = Vec::new();
    let each = graph.workloads().map(|workload| named_volumes(graph, workload));
    for volumes in each.filter(|volumes| !volumes.is_empty()) {
        let mut group: BTreeSet<&str> = volumes.into_iter().collect();
        groups.retain(|other| {
            let apart = other.is_disjoint(&group);
            if !apart {
                group.extend(other);
            }
            apart
        });
        groups.push(group);
    }
    groups
}

struct Assigner<'a> {
    graph: &'a Graph,
    hosts: &'a Hosts<'a>,
    capacity: HostCapacity<'a>,
    /// The ready hosts that have each named volume, or on which it will be created.
    volumes: BTreeMap<String, Vec<usize>>,
    /// Groups of named volumes that must be on one host.
    groups: Vec<BTreeSet<&'a str>>,
    /// The labels of each workload that selectors match against, by workload index.
    selectable: Vec<BTreeMap<String, String>>,
    /// The ready hosts that have each pod.
    found: PodIndex<'a>,
}

impl<'a> Assigner<'a> {
    /// Marks the host ports of containers that are not part of this cluster as used. With a single
    /// host there is no alternative; there the plan reports the container that holds the port.
    fn hold_unmanaged_ports(&mut self) {
        let hosts = self.hosts;
        if hosts.ready.len() + hosts.unreachable.len() == 1 {
            return;
        }
        for (number, host) in hosts.ready.iter().enumerate() {
            let unmanaged = host.inventory.others.values();
            for port in unmanaged.flat_map(|(container, _)| &container.published) {
                self.capacity.hold_port(number, port.clone());
            }
        }
    }

    /// Returns the request of a workload's pods.
    fn need(&self, number: usize, workload: &'a Workload) -> PodRequest<'a> {
        let matching = |selector: &Option<Selector>| match selector {
            Some(selector) => (0..self.selectable.len())
                .filter(|other| self.selectable.get(*other).is_some_and(|l| selector.matches(l)))
                .collect(),
            None => BTreeSet::new(),
        };
        let reserved = |of: fn(&tally_graph::Container) -> u64| {
            let together: u64 = workload.containers.iter().map(of).sum();
            // Init containers run one after another, before the others.
            together.max(workload.inits.iter().map(of).max().unwrap_or(0))
        };
        PodRequest {
            workload: number,
            cpu: reserved(|c| c.resources.cpu.map_or(0, |cpu| u64::from(cpu.0))),
            memory: reserved(|c| c.resources.memory.map_or(0, |memory| memory.0)),
            max_cpu: max_cpu(workload),
            ports: workload_ports(workload).collect::<Vec<PublishedPort>>(),
            place: &workload.place,
            pinned: None,
            avoid: matching(&workload.place.avoid),
            near: matching(&workload.place.near),
        }
    }

    /// Assigns missing volumes to the host that has the other volumes of their group.
    fn join_volumes(&mut self) {
        let is_open = |host: &&usize| self.hosts.ready.get(**host).is_some_and(|host| !host.fenced);
        let home = |group: &BTreeSet<&'a str>| {
            let known = group.iter().filter_map(|volume| self.volumes.get(*volume));
            let on: BTreeSet<usize> = known.flatten().filter(is_open).copied().collect();
            let host = *on.first().filter(|_| on.len() == 1)?;
            Some((*group.first()?, host))
        };
        let homes: Vec<(&str, usize)> = self.groups.iter().filter_map(home).collect();
        for (volume, host) in homes {
            self.record_new_volume(volume, host);
        }
    }

    /// Records the host on which a missing volume and its group will be created.
    fn record_new_volume(&mut self, volume: &str, host: usize) {
        // A volume that no ready host has may exist on an unreachable host.
        if self.hosts.unreachable.iter().any(|host| !host.fenced) {
            return;
        }
        for other in self.groups.iter().filter(|group| group.contains(volume)).flatten() {
            self.volumes.entry((*other).to_owned()).or_insert_with(|| vec![host]);
        }
    }

    /// Returns the pods of a workload, with the ready hosts that have them.
    fn slots(&self, workload: &Workload) -> Vec<Slot<'a>> {
        let slot = |(name, assigned): (String, Result<usize, BlockReason>)| {
            let elsewhere = self.found.hosts(&name);
            Slot { name, assigned, elsewhere, found: None }
        };
        let count = match (workload.replicas, workload.kind) {
            (Replicas::Count(count), WorkloadKind::Controller) => count,
            (Replicas::Count(_), WorkloadKind::Pod) => {
                return vec![slot((workload.pod_name(0), Err(NOT_PLACED)))];
            }
            (Replicas::PerHost, _) => {
                return self.per_host(workload).into_iter().map(slot).collect();
            }
        };
        let row = self.found.row(&workload.name);
        let counted = (0..count).map(|ordinal| {
            let seen = row.of(ordinal);
            let found = match seen {
                [(_, host, found)] => Some((*host, *found)),
                _ => None,
            };
            let elsewhere = seen.iter().map(|(_, host, _)| *host).collect();
            let (name, assigned) = (workload.pod_name(ordinal), Err(NOT_PLACED));
            Slot { name, assigned, elsewhere, found }
        });
        counted.collect()
    }

    /// Returns one pod for each matching host. The pod of an unreachable host may still run, so it keeps
    /// its slot.
    fn per_host(&self, workload: &Workload) -> Vec<(String, Result<usize, BlockReason>)> {
        let require = workload.place.require.as_ref();
        let ready = self.hosts.ready.iter().enumerate().filter(|(_, host)| {
            host.closed.is_none() && require.is_none_or(|require| require.matches(&host.labels))
        });
        let ready = ready.map(|(number, host)| (workload.pod_on(host.name), Ok(number)));
        let unreachable = self.hosts.unreachable.iter().filter(|host| !host.lost);
        let unreachable = unreachable.map(|host| {
            let pod = workload.pod_on(host.name);
            let reason = may_run(host, &pod);
            (pod, Err(reason))
        });
        ready.chain(unreachable).collect()
    }

    /// Keeps pods on their hosts where they may stay.
    fn keep(&mut self, workload: &'a Workload, need: &mut PodRequest<'a>, slots: &mut [Slot]) {
        self.pin(workload, need, slots);
        for number in self.order(need, slots) {
            let Some(slot) = slots.get_mut(number) else { continue };
            if workload.replicas == Replicas::PerHost {
                if let Ok(host) = slot.assigned {
                    slot.assigned = match self.capacity.fits(host, need) {
                        Ok(()) => {
                            self.capacity.take(host, need);
                            Ok(host)
                        }
                        // The pod belongs to this host, so the shortages of other hosts do not matter.
                        Err(lack) => {
                            Err(BlockReason::HostFull(self.capacity.host_lack(host, &lack, need)))
                        }
                    };
                    slot.elsewhere.retain(|other| *other != host);
                }
                continue;
            }
            let Some(host) = self.keeper(need, slot) else { continue };
            if self.may_be_better_elsewhere(workload, slot, host) {
                continue;
            }
            self.capacity.take(host, need);
            slot.assigned = Ok(host);
            slot.elsewhere.retain(|other| *other != host);
        }
    }

    /// Returns the order in which pods may stay: by ordinal. Pods with a host port exclude each other on
    /// a host, so of those the running ones come first: the others could not start beside them.
    fn order(&self, need: &PodRequest<'_>, slots: &[Slot]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..slots.len()).collect();
        if !need.ports.is_empty() {
            let best = |number: &usize| {
                let slot = slots.get(*number)?;
                let hosts = slot.elsewhere.iter().filter_map(|host| self.hosts.ready.get(*host));
                hosts.map(|host| health(host, &slot.name)).max()
            };
            order.sort_by_key(|number| std::cmp::Reverse(best(number)));
        }
        order
    }

    /// Returns the host that keeps a pod, of all hosts that have it: one where it may stay, the healthiest
    /// first, then by name.
    fn keeper(&self, need: &PodRequest<'_>, slot: &Slot) -> Option<usize> {
        let mut fitting =
            slot.elsewhere.iter().filter(|host| self.capacity.fits(**host, need).is_ok());
        if slot.elsewhere.len() == 1 {
            return fitting.next().copied();
        }
        let health = |number: &usize| {
            let host = self.hosts.ready.get(*number)?;
            Some(health(host, &slot.name))
        };
        fitting.copied().min_by_key(|number| (std::cmp::Reverse(health(number)), *number))
    }

    /// Checks whether a host has only part of a pod while an unreachable host may have the rest.
    ///
    /// If the pod was observed on the unreachable host too, either copy may be the one that serves, so an
    /// incomplete copy is not completed. If the pods of the unreachable host are unknown, existing
    /// containers are repaired but no container is created.
    fn may_be_better_elsewhere(&self, workload: &Workload, slot: &Slot, host: usize) -> bool {
        let ready = self.hosts.ready.get(host);
        let is_whole = || {
            let (level, running) = ready.map_or((0, 0), |host| health(host, &slot.name));
            level == ALL_RUNS && running >= workload.containers.len()
        };
        let lacks = || {
            let found = ready.and_then(|host| host.inventory.pods.get(slot.name.as_str()));
            let has = |name: &str| found.is_some_and(|it| it.get(Role::Container, name).is_some());
            workload.containers.iter().any(|container| !has(&container.name))
        };
        if self.hosts.was_seen_unreachable(&slot.name) {
            !is_whole()
        } else {
            self.hosts.may_have(&slot.name).is_some() && lacks()
        }
    }

    /// Places the pods that no host has, or that must leave their host.
    fn place(&mut self, workload: &'a Workload, need: &mut PodRequest<'a>, slots: &mut [Slot]) {
        if workload.replicas == Replicas::PerHost {
            return;
        }
        let volumes = named_volumes(self.graph, workload);
        // Placing another workload may have decided where a volume is created.
        if need.pinned.is_none() && !volumes.is_empty() {
            self.pin(workload, need, slots);
        }
        let mut open: Vec<usize> = Vec::new();
        for (number, slot) in slots.iter_mut().enumerate() {
            if slot.assigned.is_ok() {
                continue;
            }
            match self.blocked(workload, need, slot) {
                Some(why) => slot.assigned = Err(why),
                None => open.push(number),
            }
        }
        // The first pod with a new volume decides where the volume is created, and thereby the host of
        // the other pods.
        while !open.is_empty() {
            let batch = if need.pinned.is_none() && !volumes.is_empty() { 1 } else { open.len() };
            let rest = open.split_off(batch);
            for (number, host) in open.iter().zip(self.capacity.give(need, batch)) {
                let Some(slot) = slots.get_mut(*number) else { continue };
                slot.assigned = match host {
                    Some(host) => Ok(host),
                    None => Err(self.capacity.no_host(need)),
                };
                // All volumes of a pod are in one group.
                if let (Some(host), Some(volume)) = (host, volumes.first()) {
                    self.record_new_volume(volume, host);
                    need.pinned = Some(host);
                }
            }
            open = rest;
        }
    }

    /// Returns why a pod that no ready host has, or that must leave its host, may not be placed.
    fn blocked(
        &self,
        workload: &Workload,
        need: &PodRequest<'_>,
        slot: &Slot,
    ) -> Option<BlockReason> {
        let stateful = named_volumes(self.graph, workload);
        if !stateful.is_empty() && need.pinned.is_none() {
            return self.volume_blocked(&stateful);
        }
        if slot.elsewhere.is_empty()
            && let Some(why) = self.older_data(&stateful, need)
        {
            return Some(why);
        }
        let may_have = self.hosts.may_have(&slot.name)?;
        Some(if slot.elsewhere.is_empty() {
            may_run(may_have, &slot.name)
        } else {
            BlockReason::PodUnreachable {
                host: may_have.name.to_owned(),
                presence: Presence::Second,
            }
        })
    }

    /// Returns why a pod may not start with the volumes of a ready host: their last user was observed on an
    /// unreachable host, so the data on the ready host may be older. Marking a host as lost does not release
    /// its data; only fencing does.
    fn older_data(&self, volumes: &[&str], need: &PodRequest<'_>) -> Option<BlockReason> {
        let mut unreachable = self.hosts.unreachable.iter().filter(|host| !host.fenced).peekable();
        unreachable.peek().filter(|_| !volumes.is_empty())?;
        let shares = |it: &&Workload| {
            named_volumes(self.graph, it).iter().any(|volume| volumes.contains(volume))
        };
        let users: Vec<&Workload> = self.graph.workloads().filter(shares).collect();
        let is_user = |pod: &str| users.iter().any(|workload| is_pod_of(workload, pod));
        let host = unreachable
            .find(|host| host.memory.is_none_or(|memory| memory.may_have_one(is_user)))?;
        let older = need.pinned.and_then(|host| self.hosts.ready.get(host));
        Some(BlockReason::OlderData {
            unreachable: host.name.to_owned(),
            older: older.map(|host| host.name.to_owned()),
        })
    }

    /// Returns why a pod whose named volumes no ready host has may not be placed. An empty volume must never
    /// silently replace existing data.
    fn volume_blocked(&self, volumes: &[&str]) -> Option<BlockReason> {
        for volume in volumes {
            match self.volumes.get(*volume).map(Vec::as_slice) {
                Some([_]) => {}
                Some([first, second, ..]) => {
                    let name = |n: &usize| self.hosts.ready.get(*n).map_or("?", |host| host.name);
                    return Some(BlockReason::VolumeOnSeveralHosts {
                        volume: (*volume).to_owned(),
                        hosts: [first, second].map(|number| name(number).to_owned()),
                    });
                }
                _ => {
                    if let Some(host) = self.hosts.unreachable.iter().find(|host| !host.fenced) {
                        return Some(BlockReason::VolumeUnreachable {
                            volume: (*volume).to_owned(),
                            host: host.name.to_owned(),
                        });
                    }
                }
            }
        }
        let on: BTreeSet<usize> =
            volumes.iter().filter_map(|v| self.volumes.get(*v)).flatten().copied().collect();
        (on.len() > 1).then_some(BlockReason::VolumesApart)
    }

    /// Pins a workload to the host that has its volumes, if there is exactly one.
    fn pin(&self, workload: &Workload, need: &mut PodRequest<'a>, slots: &[Slot]) {
        let volumes = named_volumes(self.graph, workload);
        let mut on: Option<BTreeSet<usize>> = None;
        for volume in &volumes {
            if let Some(hosts) = self.volumes.get(*volume) {
                let hosts: BTreeSet<usize> = hosts.iter().copied().collect();
                on = Some(match on {
                    Some(on) => on.intersection(&hosts).copied().collect(),
                    None => hosts,
                });
            }
        }
        let Some(on) = on else { return };
        let suits = |host: &&usize| {
            let Some(ready) = self.hosts.ready.get(**host) else { return false };
            let require = workload.place.require.as_ref();
            !ready.fenced && require.is_none_or(|require| require.matches(&ready.labels))
        };
        let suiting: Vec<usize> = on.iter().filter(suits).copied().collect();
        let with_pod = |host: &&usize| slots.iter().any(|slot| slot.elsewhere.contains(host));
        need.pinned = match (suiting.as_slice(), on.len()) {
            ([one], _) => Some(*one),
            ([], 1) => on.first().copied(),
            (several, _) => match several.iter().filter(with_pod).collect::<Vec<_>>()[..] {
                [one] => Some(*one),
                _ => None,
            },
        };
    }
}

/// Returns the reason of a pod that may run on an unreachable host.
fn may_run(host: &UnreachableHostStatus<'_>, pod: &str) -> BlockReason {
    let seen = host.memory.is_some_and(|memory| memory.had(pod));
    let presence = if seen { Presence::Seen } else { Presence::Possible };
    BlockReason::PodUnreachable { host: host.name.to_owned(), presence }
}

/// Checks whether a pod name belongs to a workload. `per-host` workloads are not considered, because they
/// have no named volumes.
fn is_pod_of(workload: &Workload, pod: &str) -> bool {
    let rest = pod.strip_prefix(workload.name.as_str());
    rest.is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix('-').and_then(crate::inventory::patterns::ordinal).is_some()
    })
}

/// Returns the named volumes that bind a workload's pods to one host.
pub(crate) fn named_volumes<'g>(graph: &'g Graph, workload: &'g Workload) -> Vec<&'g str> {
    let mounted = mounted_volumes(graph, workload).into_iter();
    let binding = mounted.filter(|volume| volume.host_path.is_none() && !volume.per_host);
    binding.map(|volume| volume.name.as_str()).collect()
}

/// The [`health`] level of a pod whose containers all run.
const ALL_RUNS: u8 = 3;

/// Returns the health of a pod on a host: a level (all, some or none of its existing containers run), then
/// the number of running containers, since missing containers do not lower the level. A container that
/// still runs in a removed network does not count as running.
pub(crate) fn health(host: &ReadyHost<'_>, pod: &str) -> (u8, usize) {
    let Some(found) = host.inventory.pods.get(pod) else { return (0, 0) };
    let infra = found.get(Role::Infra, "");
    let mains = || found.values().filter(|found| found.identity.role == Role::Container);
    let runs = |found: &Found<'_>| {
        found.container.state == crate::input::observed::ContainerState::Running
            && found.details.health != crate::input::observed::Health::Unhealthy
            && !found.is_cut_off(infra)
    };
    let running = mains().filter(|found| runs(found)).count();
    match (running == mains().count(), running) {
        (_, 0) => (1, 0),
        (false, _) => (2, running),
        (true, _) => (ALL_RUNS, running),
    }
}

/// Returns the highest `max-cpu` of a workload's containers, in thousandths of a core.
fn max_cpu(workload: &Workload) -> u64 {
    let all = workload.inits.iter().chain(&workload.containers);
    let limits = all.filter_map(|container| container.resources.max_cpu);
    limits.map(|cpu| u64::from(cpu.0)).max().unwrap_or(0)
}
