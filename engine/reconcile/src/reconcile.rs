//! The one door: graph and observation to plan.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Address, Edge, Graph, Node, PodVolumeSource, Until, Workload};
use tally_source::{Code, Diagnostic, Severity, Span};

use crate::builder::{About, Builder};
use crate::classify::owns;
use crate::found::{Found, Inventory, inventory};
use crate::labels::{self, Role};
use crate::objects::Objects;
use crate::observed::{HostState, HostView, Observed, ObservedContainer, PublishedPort};
use crate::plan::{
    Action, Cause, Change, ChangeKind, OpId, Plan, Precondition, Reachable, Subject,
};
use crate::pods::{Context, PodPlan, gone, plan_pod, remove_container};
use crate::realise::{DesiredPod, Surroundings, named_published, realise};
use crate::rollout::{gates, stagger};
use crate::unsupported::unsupported;

/// The host of a cluster that names none: the local Docker engine.
pub const LOCAL_HOST: &str = "local";

/// What is asked of the planner beside the spec.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// When the observation was made, in milliseconds since 1970. Only who counts as ready hangs on
    /// it, so a clock that differs from the daemon's costs a wait and nothing else.
    pub now_ms: i64,
    /// Only this workload, and what it needs.
    pub target: Option<Address>,
    /// Nothing shall be left.
    pub destroy: bool,
    /// With `destroy`: named volumes too.
    pub remove_volumes: bool,
}

/// The plan that brings what was seen to what the graph asks for.
#[must_use]
pub fn reconcile(graph: &Graph, observed: &Observed, options: &Options) -> Plan {
    let mut builder = Builder::default();
    if let Some(cluster) = graph.cluster() {
        builder.plan.cluster.clone_from(&cluster.name);
        let host = graph.hosts().next().map_or(LOCAL_HOST, |host| host.name.as_str());
        let span = graph.hosts().next().map_or(cluster.span, |host| host.span);
        match observed.hosts.get(host) {
            Some(HostView::Ready(state)) => {
                let planner = Planner {
                    graph,
                    cluster: &cluster.name,
                    cluster_span: cluster.span,
                    host,
                    state,
                    options,
                    inventory: inventory(&cluster.name, state),
                };
                planner.run(&mut builder);
            }
            Some(HostView::Unknown { reason }) => builder.report(
                Diagnostic::error(Code(1001), format!("host `{host}` does not answer: {reason}"))
                    .label(span, "nothing is planned for a host that cannot be seen"),
            ),
            None => builder.report(
                Diagnostic::error(Code(1001), format!("host `{host}` was not observed"))
                    .label(span, "nothing is planned for a host that cannot be seen"),
            ),
        }
    }
    finish(builder)
}

/// Sorts what order must not depend on, and leaves nothing to do where there is an error.
fn finish(builder: Builder) -> Plan {
    let mut plan = builder.plan;
    plan.diagnostics.sort_by_key(Diagnostic::sort_key);
    plan.diagnostics.dedup();
    plan.reachable.sort();
    if plan.diagnostics.iter().any(|found| found.severity == Severity::Error) {
        plan.operations.clear();
        plan.changes.clear();
        plan.reachable.clear();
        plan.powers.clear();
    }
    plan
}

struct Planner<'a> {
    graph: &'a Graph,
    cluster: &'a str,
    cluster_span: Span,
    host: &'a str,
    state: &'a HostState,
    options: &'a Options,
    inventory: Inventory<'a>,
}

impl<'a> Planner<'a> {
    fn run(&self, builder: &mut Builder) {
        self.report_quarantined(builder);
        let wanted = self.wanted();
        if !self.options.destroy {
            for found in unsupported(self.graph, &wanted) {
                builder.report(found);
            }
            if self.graph.workloads().next().is_none() && !self.inventory.pods.is_empty() {
                builder.report(self.empty_spec());
                return;
            }
        }
        let mut objects =
            Objects::new(self.cluster, self.host, self.state, Some(self.cluster_span));
        let pods = self.plan_workloads(&wanted, &mut objects, builder);
        let removed = self.remove_gone(&pods, builder);
        self.ports(&pods, &removed, builder);
        self.remove_objects(&removed, builder);
        self.powers(&wanted, builder);
    }

    /// The workloads that are planned, those that others wait for first.
    fn wanted(&self) -> Vec<&'a Workload> {
        if self.options.destroy {
            return Vec::new();
        }
        let all: Vec<&Workload> = self.graph.workloads().collect();
        let by_name: BTreeMap<&str, &Workload> =
            all.iter().map(|workload| (workload.name.as_str(), *workload)).collect();
        let needs = self.needs();
        let mut ordered = Vec::new();
        let mut seen = BTreeSet::new();
        let roots: Vec<&str> = match &self.options.target {
            Some(target) => by_name.keys().copied().filter(|name| *name == target.name).collect(),
            None => all.iter().map(|workload| workload.name.as_str()).collect(),
        };
        // Depth first without recursion; the second visit of a name puts it in order.
        let mut open: Vec<(&str, bool)> = roots.into_iter().rev().map(|n| (n, false)).collect();
        while let Some((name, visited)) = open.pop() {
            if visited {
                ordered.extend(by_name.get(name));
            } else if seen.insert(name) {
                open.push((name, true));
                let on = needs.get(name).into_iter().flatten();
                open.extend(on.rev().map(|(other, _)| (*other, false)));
            }
        }
        ordered
    }

    /// For each workload, the workloads it waits for: directly, or as pods of a service.
    fn needs(&self) -> BTreeMap<&'a str, Vec<(&'a str, Until)>> {
        let net = &self.graph.net;
        let workload = |index| match net.node_weight(index) {
            Some(Node::Workload(workload)) => Some(workload.name.as_str()),
            _ => None,
        };
        let mut needs: BTreeMap<&str, Vec<(&str, Until)>> = BTreeMap::new();
        for edge in net.edge_indices() {
            let Some((from, to)) = net.edge_endpoints(edge) else {
                continue;
            };
            let (Some(Edge::DependsOn(until)), Some(from)) =
                (net.edge_weight(edge), workload(from))
            else {
                continue;
            };
            let on = needs.entry(from).or_default();
            match workload(to) {
                Some(name) => on.push((name, *until)),
                // A service is ready when the pods it selects are.
                None => {
                    on.extend(net.neighbors(to).filter_map(workload).map(|name| (name, *until)))
                }
            }
        }
        for on in needs.values_mut() {
            on.sort_unstable();
            on.dedup();
        }
        needs
    }

    fn plan_workloads(
        &self,
        wanted: &[&'a Workload],
        objects: &mut Objects<'_>,
        builder: &mut Builder,
    ) -> Vec<Planned<'a>> {
        let around = Surroundings {
            cluster: self.cluster,
            volumes: self.graph.volumes().map(|v| (v.name.as_str(), v)).collect(),
        };
        let context = Context {
            graph: self.graph,
            cluster: self.cluster,
            host: self.host,
            inventory: &self.inventory,
            now_ms: self.options.now_ms,
        };
        let needs = self.needs();
        let mut planned = Vec::new();
        let mut plans: BTreeMap<&str, Vec<PodPlan>> = BTreeMap::new();
        for workload in wanted {
            let count = workload.replicas.pods(1);
            let mut own = Vec::new();
            for ordinal in 0..count {
                let pod = realise(workload, ordinal, &around);
                let plan = plan_pod(&pod, &context, objects, builder);
                let (start, stops) = (plan.holder_start, plan.stops.clone());
                planned.push(Planned { pod, start, stops });
                own.push(plan);
            }
            stagger(workload, &own, builder);
            if own.iter().any(|plan| !plan.gated.is_empty()) {
                let mut on = Vec::new();
                for (name, until) in needs.get(workload.name.as_str()).into_iter().flatten() {
                    if let Some(pods) = plans.get(name) {
                        on.extend(gates(*until, pods, builder));
                    }
                }
                for plan in &own {
                    builder.gate(&plan.gated, &on);
                }
            }
            plans.insert(&workload.name, own);
        }
        planned
    }

    /// Pods that the spec no longer has, highest ordinal first. With a target only its own.
    fn remove_gone(&self, planned: &[Planned<'_>], builder: &mut Builder) -> Vec<Removed> {
        let wanted: BTreeSet<&str> = planned.iter().map(|p| p.pod.name.as_str()).collect();
        let target = self.options.target.as_ref().map(Address::to_string);
        let mut pods: Vec<(&String, Vec<&Found<'_>>)> = self
            .inventory
            .pods
            .iter()
            .filter(|(name, _)| !wanted.contains(name.as_str()))
            .map(|(name, found)| (name, found.values().collect()))
            .filter(|(_, found): &(_, Vec<&Found<'_>>)| {
                let workload = found.first().map(|found| found.identity.workload.as_str());
                target.is_none() || target.as_deref() == workload
            })
            .collect();
        pods.sort_by_key(|(name, _)| std::cmp::Reverse(ordinal_key(name)));
        let mut removed = Vec::new();
        for (name, containers) in pods {
            let mut operations = Vec::new();
            let mut stops = Vec::new();
            // Joiners before the infra container: roles sort that way.
            for found in containers {
                let about = gone(found, self.host, None);
                let after: Vec<OpId> = match found.identity.role {
                    Role::Infra => stops.iter().map(|(_, stop)| *stop).collect(),
                    _ => Vec::new(),
                };
                let (stop, remove) =
                    remove_container(found, &about, self.cluster, None, &after, builder);
                stops.extend(stop.map(|stop| (found.container.id.clone(), stop)));
                operations.push(remove);
                let done = stop.into_iter().chain([remove]).collect();
                builder.change(&about, ChangeKind::Remove, Vec::new(), None, done);
            }
            removed.push(Removed { pod: name.clone(), operations, stops });
        }
        removed
    }

    /// Host ports: who gives one away stops before who takes it starts; one that somebody else
    /// holds is said before anything is done.
    fn ports(&self, planned: &[Planned<'_>], removed: &[Removed], builder: &mut Builder) {
        let stops: BTreeMap<&str, OpId> = planned
            .iter()
            .flat_map(|planned| &planned.stops)
            .chain(removed.iter().flat_map(|removed| &removed.stops))
            .map(|(id, stop)| (id.as_str(), *stop))
            .collect();
        let mut holders: BTreeMap<u16, Vec<&ObservedContainer>> = BTreeMap::new();
        for container in &self.state.containers {
            for port in &container.published {
                holders.entry(port.host.port).or_default().push(container);
            }
        }
        for planned in planned {
            for desired in &planned.pod.containers {
                for (name, port) in named_published(&desired.applied) {
                    let of = holders.get(&port.host.port).map(Vec::as_slice).unwrap_or_default();
                    let at = (name, desired.span);
                    self.port(planned, at, &port, of, &stops, builder);
                }
            }
        }
    }

    fn port(
        &self,
        planned: &Planned<'_>,
        (name, span): (&str, Span),
        port: &PublishedPort,
        holders: &[&ObservedContainer],
        stops: &BTreeMap<&str, OpId>,
        builder: &mut Builder,
    ) {
        let pod = &planned.pod;
        let own: BTreeSet<&str> = self
            .inventory
            .pods
            .get(&pod.name)
            .map(|own| own.values().map(|found| found.container.id.as_str()).collect())
            .unwrap_or_default();
        let is_own = |holder: &ObservedContainer| own.contains(holder.id.as_str());
        builder.plan.reachable.push(Reachable {
            host: self.host.to_owned(),
            publish: port.host.clone(),
            protocol: port.protocol,
            pod: pod.name.clone(),
            port: name.to_owned(),
            already: holders.iter().any(|h| is_own(h) && h.published.contains(port)),
        });
        let Some(start) = planned.start else { return };
        for holder in holders {
            let mut held = holder.published.iter();
            if !held.any(|held| held.protocol == port.protocol && held.host.clashes(&port.host)) {
                continue;
            }
            match stops.get(holder.id.as_str()) {
                Some(stop) if !builder.waits_for(*stop, start) => builder.gate(&[start], &[*stop]),
                Some(_) => {}
                None if is_own(holder) => {}
                None => {
                    builder.report(port_taken(self.graph, self.host, pod, span, port, holder));
                }
            }
        }
    }

    /// Pods' own volumes go with their pods; named volumes only when both `destroy` and its flag
    /// ask for it; the network when nothing is left.
    fn remove_objects(&self, removed: &[Removed], builder: &mut Builder) {
        let all: Vec<OpId> = removed.iter().flat_map(|r| r.operations.iter().copied()).collect();
        let mut by_pod: BTreeMap<String, Vec<OpId>> = BTreeMap::new();
        for operation in &builder.plan.operations {
            if matches!(operation.action, Action::RemoveContainer { .. }) {
                by_pod.entry(operation.subject.pod.clone()).or_default().push(operation.id);
            }
        }
        let gone: BTreeSet<&str> = removed.iter().map(|removed| removed.pod.as_str()).collect();
        let wanted = self.wanted_volumes();
        for volume in &self.state.volumes {
            let pod_volume = owns(self.cluster, Role::PodVolume, &volume.labels);
            let named = owns(self.cluster, Role::Volume, &volume.labels);
            let (goes, after): (bool, &[OpId]) = if pod_volume {
                // `cluster.pod.volume`
                let pod = volume.name.split('.').nth(1).unwrap_or_default();
                let orphan = self.options.target.is_none() && !wanted.contains(&volume.name);
                // Docker keeps a volume while a container has it.
                let after = by_pod.get(pod).map(Vec::as_slice).unwrap_or_default();
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
            self.remove_object(subject, action, &volume.name, note, after, builder);
        }
        let nothing_left = self.options.destroy && self.options.target.is_none();
        let networks = self.state.networks.iter().filter(|network| {
            nothing_left
                && network.name == self.cluster
                && owns(self.cluster, Role::Network, &network.labels)
        });
        for network in networks {
            let action = Action::RemoveNetwork { id: network.id.clone() };
            let subject = Subject {
                workload: format!("cluster/{}", self.cluster),
                pod: String::new(),
                container: String::new(),
            };
            let note = format!("network {}", self.cluster);
            self.remove_object(subject, action, &network.id, note, &all, builder);
        }
    }

    fn remove_object(
        &self,
        subject: Subject,
        action: Action,
        key: &str,
        note: String,
        after: &[OpId],
        builder: &mut Builder,
    ) {
        let host = self.host.to_owned();
        let about = About { host, subject, cause: Cause::Gone, origin: None };
        let precondition =
            Precondition::OwnedObject { key: key.to_owned(), cluster: self.cluster.to_owned() };
        let id = builder.op(&about, action, precondition, after);
        builder.change(&about, ChangeKind::Remove, Vec::new(), Some(note), vec![id]);
    }

    /// Docker names of the own volumes of all pods of the spec.
    fn wanted_volumes(&self) -> BTreeSet<String> {
        if self.options.destroy {
            return BTreeSet::new();
        }
        let mut wanted = BTreeSet::new();
        for workload in self.graph.workloads() {
            let count = workload.replicas.pods(1);
            for volume in &workload.volumes {
                if volume.source == PodVolumeSource::Empty {
                    wanted.extend((0..count).map(|ordinal| {
                        let pod = workload.pod_name(ordinal);
                        labels::pod_volume_name(self.cluster, &pod, &volume.name)
                    }));
                }
            }
        }
        wanted
    }

    /// What changed pods can do to their host, in words.
    fn powers(&self, wanted: &[&Workload], builder: &mut Builder) {
        let changed: BTreeSet<String> = builder
            .plan
            .changes
            .iter()
            .filter(|c| makes(c))
            .map(|c| c.subject.workload.clone())
            .collect();
        for workload in wanted.iter().filter(|w| changed.contains(&w.address().to_string())) {
            for path in host_paths(self.graph, workload) {
                builder.plan.powers.push(match path.ends_with("docker.sock") {
                    true => format!(
                        "{} can control host {}: it mounts the Docker socket",
                        workload.name, self.host
                    ),
                    false => format!("{} sees {path} of host {}", workload.name, self.host),
                });
            }
        }
    }

    fn report_quarantined(&self, builder: &mut Builder) {
        for (name, (_, why)) in &self.inventory.others {
            if let Some(why) = why {
                builder.report(
                    Diagnostic::warning(
                        Code(1107),
                        format!("container `{name}` claims to be of `{}`, but {why}", self.cluster),
                    )
                    .help("It is left alone. Remove it by hand if nothing needs it."),
                );
            }
        }
    }

    fn empty_spec(&self) -> Diagnostic {
        let count = self.inventory.pods.len();
        Diagnostic::error(
            Code(1105),
            format!("this spec has no pods, and `{}` runs {count}", self.cluster),
        )
        .label(self.cluster_span, "all of them would be removed")
        .help(
            "A spec that lost its text must not take a cluster down. If you mean it, say \
             `tally destroy`.",
        )
    }
}

/// A pod with the operations that others may have to wait for.
struct Planned<'a> {
    pod: DesiredPod<'a>,
    start: Option<OpId>,
    stops: Vec<(String, OpId)>,
}

/// A pod that goes.
struct Removed {
    pod: String,
    operations: Vec<OpId>,
    stops: Vec<(String, OpId)>,
}

fn makes(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::Create | ChangeKind::Replace)
}

/// `web-10` behind `web-9`.
fn ordinal_key(pod: &str) -> (String, u64) {
    match pod.rsplit_once('-').and_then(|(name, n)| Some((name, n.parse().ok()?))) {
        Some((name, ordinal)) => (name.to_owned(), ordinal),
        None => (pod.to_owned(), 0),
    }
}

/// Paths of the host that a workload's containers mount.
fn host_paths<'g>(graph: &'g Graph, workload: &'g Workload) -> BTreeSet<&'g str> {
    let own = workload.volumes.iter().filter_map(|volume| match &volume.source {
        PodVolumeSource::HostPath(path) => Some(path.as_str()),
        PodVolumeSource::Empty => None,
    });
    let containers = workload.inits.iter().chain(&workload.containers);
    let mounted: BTreeSet<&str> = containers
        .flat_map(|container| container.mount.values())
        .filter(|mount| mount.source == tally_graph::MountSource::Spec)
        .map(|mount| mount.volume.as_str())
        .collect();
    let named = graph
        .volumes()
        .filter(|volume| mounted.contains(volume.name.as_str()))
        .filter_map(|volume| volume.host_path.as_deref());
    own.chain(named).collect()
}

fn port_taken(
    graph: &Graph,
    host: &str,
    pod: &DesiredPod<'_>,
    span: Span,
    port: &PublishedPort,
    holder: &ObservedContainer,
) -> Diagnostic {
    let written = pod.workload.containers.iter().find_map(|container| {
        let of = |p: &tally_graph::Port| p.publish.as_ref() == Some(&port.host);
        let (name, _) = container.port.iter().find(|(_, p)| of(p))?;
        let provenance = pod.workload.container_provenance.get(&container.name)?;
        let path = tally_graph::FieldPath::new(["port", name.as_str(), "publish"]);
        graph.written_at(provenance.of(&path)?)
    });
    Diagnostic::error(
        Code(1103),
        format!("port {} of host `{host}` is held by container `{}`", port.host.port, holder.name),
    )
    .label(written.unwrap_or(span), "wanted here")
    .help(format!("Publish another port, or stop that container: `docker stop {}`.", holder.name))
}
