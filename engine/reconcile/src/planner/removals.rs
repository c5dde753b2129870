//! Plans the removal of pods and objects that the spec no longer contains.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Replicas, Workload};

use crate::desired::realise::{own_volumes, workload_ports};
use crate::input::observed::{ObservedVolume, PublishedPort};
use crate::inventory::classify::owns;
use crate::inventory::containers::Containers;
use crate::labels::{self, Role};
use crate::plan::builder::{About, Builder};
use crate::plan::reason::{BlockReason, Blocked};
use crate::plan::subject::Subject;
use crate::plan::{Action, Cause, ChangeKind, OpId, Precondition};
use crate::planner::context::{Planner, PlanningProgress, removes};
use crate::planner::pod::{removal_subject, remove_container};

/// A pod that is removed from a host.
pub(crate) struct Removed {
    host: usize,
    pod: String,
    /// The operations that remove it.
    operations: Vec<OpId>,
}

/// Why a pod is removed, and the operations that the removal waits for.
pub(crate) struct RemovalContext {
    pub cause: Cause,
    /// A note for users, one line.
    pub note: Option<String>,
    pub after: Vec<OpId>,
}

/// Checks whether a pod holds a host port that a starting pod on the same host needs. Such a pod must not wait
/// for the starting one, since both would wait for each other.
fn blocks_port(host: usize, containers: &Containers<'_>, progress: &PlanningProgress<'_>) -> bool {
    let held = || containers.values().flat_map(|found| &found.container.published);
    let clashes = |port: PublishedPort| {
        held().any(|held| held.protocol == port.protocol && held.host.clashes(&port.host))
    };
    let mut starting = progress.planned.iter().filter(|it| it.host == host && it.start.is_some());
    held().next().is_some() && starting.any(|it| workload_ports(it.workload).any(clashes))
}

impl Planner<'_> {
    /// Removes pods that the spec no longer contains, highest ordinal first. With a target, removes only pods of
    /// the target. Surge pods are removed once the workload's other pods are ready.
    pub fn remove_surplus(
        &self,
        progress: &mut PlanningProgress<'_>,
        builder: &mut Builder,
    ) -> Vec<Removed> {
        let target = self.options.target.as_ref().map(ToString::to_string);
        let mut pods: Vec<(usize, &str, &Containers<'_>)> = Vec::new();
        for (number, host) in self.hosts.ready.iter().enumerate() {
            for (name, found) in &host.inventory.pods {
                let wanted = progress.existing.contains(number, found);
                if !wanted && (target.is_none() || target.as_deref() == found.workload()) {
                    pods.push((number, name, found));
                }
            }
        }
        pods.sort_by_key(|(host, name, _)| (std::cmp::Reverse(ordinal_key(name)), *host));
        let mut removed = Vec::new();
        for (number, name, containers) in pods {
            let Some(host) = self.hosts.ready.get(number) else { continue };
            let stays = self.is_surge_pod(containers) && !blocks_port(number, containers, progress);
            let after = if stays {
                containers.workload().and_then(|w| progress.after.get(w)).cloned()
            } else {
                None
            };
            let why =
                RemovalContext { cause: Cause::Gone, note: None, after: after.unwrap_or_default() };
            let operations = self.take_down(number, containers, &why, progress, builder);
            self.block_busy(name, host.name, &operations, builder);
            removed.push(Removed { host: number, pod: name.to_owned(), operations });
        }
        self.guard(&removed, builder);
        self.report_unreachable(builder);
        removed
    }

    /// Stops and removes all containers of a pod on one host, joiners before the infra container. Returns all
    /// operations: unpausing, stopping, removing.
    pub fn take_down(
        &self,
        host: usize,
        containers: &Containers<'_>,
        why: &RemovalContext,
        progress: &mut PlanningProgress<'_>,
        builder: &mut Builder,
    ) -> Vec<OpId> {
        let name = self.hosts.ready.get(host).map_or("", |host| host.name);
        let first = builder.plan.operations.len();
        let mut stops: Vec<OpId> = Vec::new();
        // The sort order of roles puts joiners before the infra container.
        for found in containers.with_previous() {
            let about = About { cause: why.cause, ..removal_subject(found, name, None) };
            let mut after = why.after.clone();
            if found.identity.role == Role::Infra {
                after.extend(&stops);
            }
            let cluster = &self.cluster.name;
            let (stop, remove) = remove_container(found, &about, cluster, None, &after, builder);
            if let Some(stop) = stop {
                progress.stops.insert((host, found.container.id.clone()), stop);
                stops.push(stop);
            }
            let done = stop.into_iter().chain([remove]).collect();
            builder.change(&about, ChangeKind::Remove, Vec::new(), why.note.clone(), done);
        }
        let made = builder.plan.operations.iter().skip(first);
        made.map(|operation| operation.id).collect()
    }

    /// Blocks a removal while operations on the pod are running. Their effects appear only in the next
    /// observation of the host; until then the operations would be repeated.
    fn block_busy(&self, pod: &str, host: &str, operations: &[OpId], builder: &mut Builder) {
        if self.memory.in_flight.busy.contains(pod) {
            let blocked = Blocked {
                subject: Subject::Pod { workload: String::new(), pod: pod.to_owned() },
                host: Some(host.to_owned()),
                reason: BlockReason::UnderWay,
                origin: None,
            };
            builder.block(operations, blocked);
        }
    }

    /// Checks whether a pod is a surge pod: its ordinal is just beyond its controller's replicas.
    fn is_surge_pod(&self, containers: &Containers<'_>) -> bool {
        let Some(found) = containers.values().next() else { return false };
        let identity = &found.identity;
        self.graph.workload_at(identity.workload).is_some_and(|workload| {
            let Replicas::Count(count) = workload.replicas else { return false };
            (count..count.saturating_add(self.max_surge(workload, count)))
                .any(|ordinal| workload.pod_name(ordinal) == identity.pod)
        })
    }

    /// Blocks removals of more than a fifth of all containers, unless a user has confirmed them.
    fn guard(&self, removed: &[Removed], builder: &mut Builder) {
        if !self.options.guard_removals || removed.is_empty() {
            return;
        }
        let of = |host: usize, pod: &str| self.hosts.ready.get(host)?.inventory.pods.get(pod);
        let asked: Vec<(&Removed, &Containers<'_>)> = removed
            .iter()
            .filter_map(|removed| Some((removed, of(removed.host, &removed.pod)?)))
            .filter(|(_, containers)| !self.is_surge_pod(containers))
            .collect();
        let pods = self.hosts.ready.iter().flat_map(|host| host.inventory.pods.values());
        let all: usize = pods.map(Containers::len).sum();
        let going: usize = asked.iter().map(|(_, containers)| containers.len()).sum();
        if going <= (all / 5).max(1) {
            return;
        }
        for (removed, _) in asked {
            let reason = BlockReason::Removals { removed: going, total: all };
            builder.block(&removed.operations, self.blocked_cluster(reason));
        }
    }

    /// Reports the unreachable hosts, whose objects `destroy` cannot remove.
    fn report_unreachable(&self, builder: &mut Builder) {
        if !self.options.destroy {
            return;
        }
        for host in self.hosts.unreachable.iter().filter(|host| !host.fenced) {
            builder.plan.blocked.push(Blocked {
                subject: Subject::Host(host.name.to_owned()),
                host: Some(host.name.to_owned()),
                reason: BlockReason::HostUnreachable,
                origin: host.span,
            });
        }
    }

    /// Removes volumes and networks: a pod's own volumes together with the pod, named volumes only with `destroy`
    /// and its flag, the network once `destroy` has removed everything else.
    pub fn remove_objects(
        &self,
        removed: &[Removed],
        progress: &PlanningProgress<'_>,
        builder: &mut Builder,
    ) {
        let mut by_pod: BTreeMap<(String, String), Vec<OpId>> = BTreeMap::new();
        let removals = builder.plan.operations.iter().filter(|op| op.undo.is_none());
        for operation in removals.filter(|op| removes(&op.action)) {
            let pod = operation.subject.pod().unwrap_or_default().to_owned();
            let key = (operation.host.clone(), pod);
            by_pod.entry(key).or_default().push(operation.id);
        }
        let mut by_host: BTreeMap<usize, BTreeMap<&str, &Workload>> = BTreeMap::new();
        for planned in &progress.planned {
            let Some(host) = self.hosts.ready.get(planned.host) else { continue };
            if !host.state.volumes.is_empty() {
                let pods = by_host.entry(planned.host).or_default();
                pods.insert(&planned.name, planned.workload);
            }
        }
        for (number, host) in self.hosts.ready.iter().enumerate() {
            let own = removed.iter().filter(|removed| removed.host == number);
            let gone: BTreeSet<&str> = own.clone().map(|removed| removed.pod.as_str()).collect();
            let all: Vec<OpId> = own.flat_map(|r| r.operations.iter().copied()).collect();
            let nothing = BTreeMap::new();
            let planned = by_host.get(&number).unwrap_or(&nothing);
            let mut volumes: Vec<&ObservedVolume> = host.state.volumes.iter().collect();
            volumes.sort_unstable_by_key(|volume| &volume.name);
            for volume in volumes {
                let cluster = self.cluster.name.as_str();
                let pod_volume = owns(cluster, Role::PodVolume, &volume.labels);
                let named = owns(cluster, Role::Volume, &volume.labels);
                let (goes, after): (bool, &[OpId]) = if pod_volume {
                    // `cluster.pod.volume`
                    let pod = volume.name.split('.').nth(1).unwrap_or_default();
                    let wanted = match planned.get(pod) {
                        Some(workload) => own_volumes(workload)
                            .any(|own| labels::is_joined_of(&volume.name, &[cluster, pod, &own])),
                        // The volume of a pod that cannot be placed elsewhere stays.
                        None => {
                            let found = host.inventory.pods.get(pod);
                            found.is_some_and(|found| progress.existing.contains(number, found))
                        }
                    };
                    let orphan = self.options.target.is_none() && !wanted;
                    // Docker refuses to remove a volume that a container uses.
                    let key = (host.name.to_owned(), pod.to_owned());
                    let after = by_pod.get(&key).map(Vec::as_slice).unwrap_or_default();
                    (gone.contains(pod) || orphan, after)
                } else {
                    (named && self.options.destroy && self.options.remove_volumes, &all)
                };
                if !goes {
                    continue;
                }
                let action = Action::RemoveVolume { name: volume.name.clone() };
                let label = |key| volume.labels.get(key).map(String::as_str);
                let pod = label(labels::POD);
                let owner = label(labels::WORKLOAD).unwrap_or_default();
                let subject = Subject::from_labels(owner, pod);
                let name = volume.labels.get(labels::NAME).unwrap_or(&volume.name);
                let note = format!("volume {name}");
                let removal = self.remove_object(host.name, subject, action, note, after, builder);
                self.block_busy(pod.unwrap_or_default(), host.name, &removal, builder);
            }
            self.remove_network(number, &all, builder);
        }
    }

    /// Removes the cluster's network from a host, with `destroy` without a target.
    fn remove_network(&self, host: usize, after: &[OpId], builder: &mut Builder) {
        let nothing_left = self.options.destroy && self.options.target.is_none();
        let Some(host) = self.hosts.ready.get(host).filter(|_| nothing_left) else { return };
        let cluster = self.cluster.name.as_str();
        let ours = host.state.networks.iter().filter(|network| {
            network.name == cluster && owns(cluster, Role::Network, &network.labels)
        });
        let mut ours: Vec<_> = ours.collect();
        ours.sort_unstable_by_key(|network| &network.id);
        for network in ours {
            let action = Action::RemoveNetwork { id: network.id.clone() };
            let subject = Subject::Cluster(cluster.to_owned());
            let note = format!("network {cluster}");
            self.remove_object(host.name, subject, action, note, after, builder);
        }
    }

    /// Removes a volume or a network.
    fn remove_object(
        &self,
        host: &str,
        subject: Subject,
        action: Action,
        note: String,
        after: &[OpId],
        builder: &mut Builder,
    ) -> Vec<OpId> {
        let about = About { host: host.to_owned(), subject, cause: Cause::Gone, origin: None };
        let cluster = self.cluster.name.clone();
        let key = match &action {
            Action::RemoveVolume { name } => name.clone(),
            Action::RemoveNetwork { id } => id.clone(),
            _ => return Vec::new(),
        };
        let precondition = Precondition::OwnedObject { key, cluster };
        let id = builder.op(&about, action, precondition, after);
        builder.change(&about, ChangeKind::Remove, Vec::new(), Some(note), vec![id]);
        vec![id]
    }
}

/// Returns a sort key that puts `web-10` behind `web-9`.
fn ordinal_key(pod: &str) -> (String, u64) {
    match pod.rsplit_once('-').and_then(|(name, n)| Some((name, n.parse().ok()?))) {
        Some((name, ordinal)) => (name.to_owned(), ordinal),
        None => (pod.to_owned(), 0),
    }
}
