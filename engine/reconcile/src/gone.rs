//! What the spec no longer asks for.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::Replicas;

use crate::builder::{About, Builder};
use crate::classify::owns;
use crate::found::Found;
use crate::labels::{self, Role};
use crate::plan::{Action, Cause, ChangeKind, Held, OpId, Precondition, Subject, Why};
use crate::planner::{Planner, Progress, UNDER_WAY, removes};
use crate::pods::{gone, remove_container};

/// A pod that goes.
pub(crate) struct Removed {
    host: usize,
    pod: String,
    operations: Vec<OpId>,
}

impl Planner<'_> {
    /// Pods that the spec no longer has, highest ordinal first. With a target only its own. Pods
    /// beyond a controller's number go once the others are ready: they stood in for them.
    pub fn remove_gone(&self, progress: &mut Progress<'_>, builder: &mut Builder) -> Vec<Removed> {
        let target = self.options.target.as_ref().map(ToString::to_string);
        let mut pods: Vec<(usize, &String, Vec<&Found<'_>>)> = Vec::new();
        for (number, host) in self.hosts.ready.iter().enumerate() {
            for (name, found) in &host.inventory.pods {
                let workload = found.values().next().map(|found| &found.identity.workload);
                let wanted = progress.settled.contains(&(number, name.clone()));
                if !wanted && (target.is_none() || target.as_ref() == workload) {
                    pods.push((number, name, found.values().collect()));
                }
            }
        }
        pods.sort_by_key(|(host, name, _)| (std::cmp::Reverse(ordinal_key(name)), *host));
        let mut removed = Vec::new();
        for (number, name, containers) in pods {
            let Some(host) = self.hosts.ready.get(number) else { continue };
            let (mut operations, mut stops) = (Vec::new(), Vec::<OpId>::new());
            // Joiners before the infra container: roles sort that way.
            for found in containers {
                let about = gone(found, host.name, None);
                let mut after: Vec<OpId> = match found.identity.role {
                    Role::Infra => stops.clone(),
                    _ => Vec::new(),
                };
                if self.stood_in(found) {
                    let others = progress.after.get(&found.identity.workload);
                    after.extend(others.into_iter().flatten());
                }
                let cluster = &self.cluster.name;
                let (stop, remove) =
                    remove_container(found, &about, cluster, None, &after, builder);
                if let Some(stop) = stop {
                    progress.stops.insert((number, found.container.id.clone()), stop);
                    stops.push(stop);
                }
                operations.push(remove);
                let done = stop.into_iter().chain([remove]).collect();
                builder.change(&about, ChangeKind::Remove, Vec::new(), None, done);
            }
            if self.memory.busy.contains(name) {
                let why = Why { reason: UNDER_WAY.to_owned(), help: None };
                let subject = Subject {
                    workload: String::new(),
                    pod: name.clone(),
                    container: String::new(),
                };
                let all = all_of(&operations, builder);
                let host = host.name.to_owned();
                builder.hold(&all, Held { subject, host, why, origin: None });
            }
            removed.push(Removed { host: number, pod: name.clone(), operations });
        }
        self.guard(&removed, builder);
        self.unseen(builder);
        removed
    }

    /// Whether a pod has an ordinal just beyond its controller's number, as stand-ins have.
    fn stood_in(&self, found: &Found<'_>) -> bool {
        let identity = &found.identity;
        self.graph.workloads().any(|workload| {
            let Replicas::Count(count) = workload.replicas else { return false };
            workload.address().to_string() == identity.workload
                && (count..count.saturating_add(workload.update.surge(count)))
                    .any(|ordinal| workload.pod_name(ordinal) == identity.pod)
        })
    }

    /// Too much goes at once for nobody to have read it.
    fn guard(&self, removed: &[Removed], builder: &mut Builder) {
        if !self.options.guard_removals {
            return;
        }
        let of = |found: &BTreeMap<_, _>| found.len();
        let all: usize =
            self.hosts.ready.iter().flat_map(|h| h.inventory.pods.values()).map(of).sum();
        let going: usize = removed
            .iter()
            .filter(|removed| !self.is_stand_in(removed))
            .map(|removed| removed.operations.len())
            .sum();
        if going <= (all / 5).max(1) {
            return;
        }
        for removed in removed.iter().filter(|removed| !self.is_stand_in(removed)) {
            let held = Held {
                subject: Subject {
                    workload: format!("cluster/{}", self.cluster.name),
                    pod: String::new(),
                    container: String::new(),
                },
                host: String::new(),
                why: Why {
                    reason: format!(
                        "{going} of {all} containers would be removed at once, which a person must confirm"
                    ),
                    help: Some("Read `tally plan`, then `tally apply` removes them.".to_owned()),
                },
                origin: Some(self.cluster.span),
            };
            let all = all_of(&removed.operations, builder);
            builder.hold(&all, held);
        }
    }

    fn is_stand_in(&self, removed: &Removed) -> bool {
        let host = self.hosts.ready.get(removed.host);
        let found = host.and_then(|host| host.inventory.pods.get(&removed.pod));
        found.is_some_and(|found| found.values().any(|found| self.stood_in(found)))
    }

    /// `destroy` cannot take away what is on a silent host.
    fn unseen(&self, builder: &mut Builder) {
        if !self.options.destroy {
            return;
        }
        for host in self.hosts.silent.iter().filter(|host| !host.fenced) {
            builder.plan.held.push(Held {
                subject: Subject {
                    workload: format!("host/{}", host.name),
                    pod: String::new(),
                    container: String::new(),
                },
                host: host.name.to_owned(),
                why: Why {
                    reason: "it does not answer: what is there stays".to_owned(),
                    help: Some("`tally destroy` again when it answers.".to_owned()),
                },
                origin: host.span,
            });
        }
    }

    /// Pods' own volumes go with their pods; named volumes only when both `destroy` and its flag
    /// ask for it; the network when nothing is left.
    pub fn remove_objects(
        &self,
        removed: &[Removed],
        progress: &Progress<'_>,
        builder: &mut Builder,
    ) {
        let mut by_pod: BTreeMap<(String, String), Vec<OpId>> = BTreeMap::new();
        for operation in builder.plan.operations.iter().filter(|op| removes(&op.action)) {
            let key = (operation.host.clone(), operation.subject.pod.clone());
            by_pod.entry(key).or_default().push(operation.id);
        }
        let mut by_host: BTreeMap<usize, BTreeMap<&str, &BTreeMap<String, String>>> =
            BTreeMap::new();
        for planned in &progress.planned {
            let pods = by_host.entry(planned.host).or_default();
            pods.insert(&planned.pod.name, &planned.pod.volumes);
        }
        for (number, host) in self.hosts.ready.iter().enumerate() {
            let own = removed.iter().filter(|removed| removed.host == number);
            let gone: BTreeSet<&str> = own.clone().map(|removed| removed.pod.as_str()).collect();
            let all: Vec<OpId> = own.flat_map(|r| r.operations.iter().copied()).collect();
            let nothing = BTreeMap::new();
            let planned = by_host.get(&number).unwrap_or(&nothing);
            for volume in &host.state.volumes {
                let cluster = self.cluster.name.as_str();
                let pod_volume = owns(cluster, Role::PodVolume, &volume.labels);
                let named = owns(cluster, Role::Volume, &volume.labels);
                let (goes, after): (bool, &[OpId]) = if pod_volume {
                    // `cluster.pod.volume`
                    let pod = volume.name.split('.').nth(1).unwrap_or_default();
                    let wanted = match planned.get(pod) {
                        Some(volumes) => volumes.values().any(|name| *name == volume.name),
                        // One that cannot be placed elsewhere stays as it is.
                        None => progress.settled.contains(&(number, pod.to_owned())),
                    };
                    let orphan = self.options.target.is_none() && !wanted;
                    // Docker keeps a volume while a container has it.
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
                let label = |key| volume.labels.get(key).cloned().unwrap_or_default();
                let subject = Subject {
                    workload: label(labels::WORKLOAD),
                    pod: label(labels::POD),
                    container: String::new(),
                };
                let name = volume.labels.get(labels::NAME).unwrap_or(&volume.name);
                let note = format!("volume {name}");
                self.remove_object(host.name, subject, action, note, after, builder);
            }
            self.remove_network(number, &all, builder);
        }
    }

    fn remove_network(&self, host: usize, after: &[OpId], builder: &mut Builder) {
        let nothing_left = self.options.destroy && self.options.target.is_none();
        let Some(host) = self.hosts.ready.get(host).filter(|_| nothing_left) else { return };
        let cluster = self.cluster.name.as_str();
        let ours = host.state.networks.iter().filter(|network| {
            network.name == cluster && owns(cluster, Role::Network, &network.labels)
        });
        for network in ours {
            let action = Action::RemoveNetwork { id: network.id.clone() };
            let subject = Subject {
                workload: format!("cluster/{cluster}"),
                pod: String::new(),
                container: String::new(),
            };
            let note = format!("network {cluster}");
            self.remove_object(host.name, subject, action, note, after, builder);
        }
    }

    fn remove_object(
        &self,
        host: &str,
        subject: Subject,
        action: Action,
        note: String,
        after: &[OpId],
        builder: &mut Builder,
    ) {
        let about = About { host: host.to_owned(), subject, cause: Cause::Gone, origin: None };
        let cluster = self.cluster.name.clone();
        let key = match &action {
            Action::RemoveVolume { name } => name.clone(),
            Action::RemoveNetwork { id } => id.clone(),
            _ => return,
        };
        let precondition = Precondition::OwnedObject { key, cluster };
        let id = builder.op(&about, action, precondition, after);
        builder.change(&about, ChangeKind::Remove, Vec::new(), Some(note), vec![id]);
    }
}

/// Removals, with what stops and unpauses before them.
fn all_of(removals: &[OpId], builder: &Builder) -> Vec<OpId> {
    let mut all = removals.to_vec();
    let mut open = removals.to_vec();
    while let Some(id) = open.pop() {
        let Some(operation) = builder.plan.operation(id) else { continue };
        for before in &operation.after {
            let takes_down = builder.plan.operation(*before).is_some_and(|op| {
                matches!(op.action, Action::Stop { .. } | Action::Unpause { .. })
            });
            if takes_down && !all.contains(before) {
                all.push(*before);
                open.push(*before);
            }
        }
    }
    all
}

/// `web-10` behind `web-9`.
fn ordinal_key(pod: &str) -> (String, u64) {
    match pod.rsplit_once('-').and_then(|(name, n)| Some((name, n.parse().ok()?))) {
        Some((name, ordinal)) => (name.to_owned(), ordinal),
        None => (pod.to_owned(), 0),
    }
}
