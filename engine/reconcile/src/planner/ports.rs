//! Plans host ports: the container that releases a port stops before the one that takes it starts, and a
//! port conflict with another container is reported before any operation runs. Also lists the host access
//! of changed pods.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Graph, PodVolumeSource, Workload};
use tally_source::{Diagnostic, Span, engine_codes};

use crate::desired::realise::{mounted_volumes, named_published, realise, workload_ports};
use crate::input::observed::{ObservedContainer, PublishedPort};
use crate::inventory::host_status::ReadyHost;
use crate::plan::builder::Builder;
use crate::plan::{Change, ChangeKind, Reachable};
use crate::planner::context::{PlannedPod, Planner, PlanningProgress};

impl Planner<'_> {
    /// Plans the host ports of all planned pods.
    pub fn ports(&self, progress: &PlanningProgress<'_>, builder: &mut Builder) {
        let mut by_host: BTreeMap<usize, Vec<&PlannedPod<'_>>> = BTreeMap::new();
        let asks = |planned: &&PlannedPod<'_>| workload_ports(planned.workload).next().is_some();
        for planned in progress.planned.iter().filter(asks) {
            by_host.entry(planned.host).or_default().push(planned);
        }
        if by_host.is_empty() {
            return;
        }
        let mut asked: BTreeMap<&str, Vec<Asked>> = BTreeMap::new();
        for (number, host) in self.hosts.ready.iter().enumerate() {
            let mut holders: BTreeMap<u16, Vec<&ObservedContainer>> = BTreeMap::new();
            for container in &host.state.containers {
                for port in &container.published {
                    holders.entry(port.host.port).or_default().push(container);
                }
            }
            for planned in by_host.get(&number).into_iter().flatten() {
                let workload = planned.workload.name.as_str();
                for asked in asked.entry(workload).or_insert_with(|| self.asked_ports(planned)) {
                    let of = holders.get(&asked.port.host.port).map(Vec::as_slice);
                    let wanted = DesiredPort { host, asked };
                    self.port(planned, &wanted, of.unwrap_or_default(), progress, builder);
                }
            }
        }
    }

    /// Returns the host ports of a pod, which are the same for all pods of its workload.
    fn asked_ports(&self, planned: &PlannedPod<'_>) -> Vec<Asked> {
        let pod = realise(planned.workload, planned.name.clone(), &self.around);
        let ports = pod.containers.iter().flat_map(|desired| {
            named_published(&desired.applied).map(|(name, port)| Asked {
                name: name.to_owned(),
                span: desired.span,
                port,
            })
        });
        ports.collect()
    }

    /// Plans one host port of a pod.
    fn port(
        &self,
        planned: &PlannedPod<'_>,
        wanted: &DesiredPort<'_>,
        holders: &[&ObservedContainer],
        progress: &PlanningProgress<'_>,
        builder: &mut Builder,
    ) {
        let (pod, port, host) = (planned.name.as_str(), &wanted.asked.port, wanted.host);
        let own: BTreeSet<&str> = host
            .inventory
            .pods
            .get(pod)
            .map(|own| own.values().map(|found| found.container.id.as_str()).collect())
            .unwrap_or_default();
        let is_own = |holder: &ObservedContainer| own.contains(holder.id.as_str());
        builder.plan.reachable.push(Reachable {
            host: host.name.to_owned(),
            publish: port.host.clone(),
            protocol: port.protocol,
            pod: pod.to_owned(),
            port: wanted.asked.name.clone(),
            already: holders.iter().any(|h| is_own(h) && h.published.contains(port)),
        });
        let Some(start) = planned.start else { return };
        for holder in holders {
            let mut held = holder.published.iter();
            if !held.any(|held| held.protocol == port.protocol && held.host.clashes(&port.host)) {
                continue;
            }
            match progress.stops.get(&(planned.host, holder.id.clone())) {
                Some(stop) if !builder.waits_for(*stop, start) => builder.gate(&[start], &[*stop]),
                Some(_) => {}
                None if is_own(holder) => {}
                None => builder.report(port_taken(self.graph, planned.workload, wanted, holder)),
            }
        }
    }

    /// Describes the host access of changed pods.
    pub fn host_access(&self, progress: &PlanningProgress<'_>, builder: &mut Builder) {
        let changed: BTreeSet<(&str, &str)> = builder
            .plan
            .changes
            .iter()
            .filter(|change| makes(change))
            .map(|change| (change.subject.pod().unwrap_or_default(), change.host.as_str()))
            .collect();
        if changed.is_empty() {
            return;
        }
        let mut descriptions: Vec<String> = Vec::new();
        for planned in &progress.planned {
            let host = self.hosts.ready.get(planned.host).map_or("", |host| host.name);
            if !changed.contains(&(planned.name.as_str(), host)) {
                continue;
            }
            let workload = planned.workload;
            for path in host_paths(self.graph, workload) {
                let description = if path.ends_with("docker.sock") {
                    format!(
                        "{} can control host {host}: it mounts the Docker socket",
                        workload.name
                    )
                } else {
                    format!("{} sees {path} of host {host}", workload.name)
                };
                if !descriptions.contains(&description) {
                    descriptions.push(description);
                }
            }
        }
        builder.plan.host_access = descriptions;
    }
}

/// A host port that a workload publishes.
struct Asked {
    /// The port's name.
    name: String,
    /// The container that publishes it.
    span: Span,
    port: PublishedPort,
}

/// A host port that a pod wants on a host.
struct DesiredPort<'a> {
    host: &'a ReadyHost<'a>,
    asked: &'a Asked,
}

/// Checks whether a change creates a container.
fn makes(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::Create | ChangeKind::Replace)
}

/// Returns the host paths that a workload's containers mount.
fn host_paths<'g>(graph: &'g Graph, workload: &'g Workload) -> BTreeSet<&'g str> {
    let own = workload.volumes.iter().filter_map(|volume| match &volume.source {
        PodVolumeSource::HostPath(path) => Some(path.as_str()),
        PodVolumeSource::Empty => None,
    });
    let named = mounted_volumes(graph, workload).into_iter();
    own.chain(named.filter_map(|volume| volume.host_path.as_deref())).collect()
}

/// Returns the error about a host port that another container holds.
fn port_taken(
    graph: &Graph,
    workload: &Workload,
    wanted: &DesiredPort<'_>,
    holder: &ObservedContainer,
) -> Diagnostic {
    let (host, port, span) = (wanted.host.name, &wanted.asked.port, wanted.asked.span);
    let written = workload.containers.iter().find_map(|container| {
        let of = |p: &tally_graph::Port| p.publish.as_ref() == Some(&port.host);
        let (name, _) = container.port.iter().find(|(_, p)| of(p))?;
        let provenance = workload.container_provenance.get(&container.name)?;
        let path = tally_graph::FieldPath::new(["port", name.as_str(), "publish"]);
        graph.written_at(provenance.of(&path)?)
    });
    Diagnostic::error(
        engine_codes::HOST_PORT_HELD,
        format!("port {} of host `{host}` is held by container `{}`", port.host.port, holder.name),
    )
    .label(written.unwrap_or(span), "wanted here")
    .help(format!("Publish another port, or stop that container: `docker stop {}`.", holder.name))
}
