//! The previous revision of a workload, confirmed by its older pods or read from their labels.

use std::collections::BTreeMap;

use tally_graph::schema::UpdateClass;
use tally_graph::{Graph, ImageRef, Millis, Probe, ProbeAction, Template, Workload};

use crate::desired::realise::{RealiseContext, realise};
use crate::diff::{Places, difference};
use crate::input::observed::ContainerState;
use crate::inventory::containers::{Containers, Found, Inventory};
use crate::labels::Role;
use crate::labels::applied::{Applied, AppliedProbe};
use crate::memory::revisions::{PreviousRevision, RolledBack};

const NO_PREVIOUS_REVISION: &str =
    "there is no previous revision: none of its pods is of an older one, and the history has none";
const UNKNOWN_REVISION: &str = "the history does not have the revision of its older pods, and their labels describe only a part of it";

/// Returns the rollback of a rollout, and the entry of the history that it is from; 0 if it is the revision
/// of its older pods. The first rule that matches applies:
///
/// | state | previous revision |
/// |---|---|
/// | the history has an entry, and there are no older pods, or some of them match the entry | that entry |
/// | an older pod runs, and its labels describe its whole revision | that of the pod |
/// | anything else | none, with the reason |
///
/// An entry that no older pod matches is not of this cluster: a rollback to it would stop pods that serve.
pub(super) fn previous_revision(
    graph: &Graph,
    inventories: &[&Inventory<'_>],
    now: &Workload,
    previous: &PreviousRevision,
) -> Result<(u64, RolledBack), String> {
    let Some(cluster) = graph.cluster() else { return Err(NO_PREVIOUS_REVISION.to_owned()) };
    let secrets = BTreeMap::new();
    let around = RealiseContext::new(graph, &cluster.name, &secrets);
    let address = now.address().to_string();
    let all = inventories.iter().flat_map(|inventory| &inventory.pods);
    let own = all.filter(|(_, pod)| pod.workload() == Some(&address));
    let is_older = |(name, pod): &(&&str, &Containers<'_>)| {
        !is_being_created(pod) && !is_current(graph, now, name, pod, &around)
    };
    let older: Vec<_> = own.filter(is_older).collect();
    if let Some(before) = &previous.before {
        // A pod that is being replaced has containers of both revisions.
        let either = [&before.workload, now];
        let confirms = |(name, pod): &(&&str, &Containers<'_>)| {
            matches_any_revision(graph, &either, name, pod, &around)
        };
        if older.is_empty() || older.iter().any(confirms) {
            return Ok((previous.entry, before.clone()));
        }
    }
    let from_labels = older.iter().find_map(|(name, pod)| {
        let workload = revision_from_labels(now, pod)?;
        matches_revision(graph, &workload, name, pod, &around).then_some(workload)
    });
    match from_labels {
        Some(workload) => {
            let (of, contents, secrets) = (previous.of.clone(), BTreeMap::new(), Vec::new());
            Ok((0, RolledBack { of, workload, contents, secrets, failed: None }))
        }
        None if older.is_empty() => Err(NO_PREVIOUS_REVISION.to_owned()),
        None => Err(UNKNOWN_REVISION.to_owned()),
    }
}

/// Checks whether a pod was observed during its creation: its files may not be written yet, so that it
/// matches no revision, and it does not serve yet.
fn is_being_created(pod: &Containers<'_>) -> bool {
    pod.values().any(|found| {
        found.container.state == ContainerState::Created && found.details.started_at_ms.is_none()
    })
}

/// Returns the revision that a running pod was created from, as far as its labels describe it; other fields
/// are those of the current revision. A comparison with the pod shows whether that is complete.
fn revision_from_labels(now: &Workload, pod: &Containers<'_>) -> Option<Workload> {
    let mut before = now.clone();
    for (role, all) in [(Role::Init, &mut before.inits), (Role::Container, &mut before.containers)]
    {
        for container in all {
            let found = pod.get(role, &container.name)?;
            if role == Role::Container && found.container.state != ContainerState::Running {
                return None;
            }
            let Applied { image, entrypoint, command, settings, env, ulimit, .. } =
                found.identity.applied();
            container.image = ImageRef::parse(&image).ok()?;
            (container.entrypoint, container.command) = (entrypoint, command);
            container.settings = settings;
            // Values with secrets are those of the current revision: a label does not contain them.
            container.env.retain(|_, template| template.plain().is_none());
            for (key, text) in env {
                container.env.entry(key).or_insert(Template::Plain(text));
            }
            container.ulimit = ulimit;
            let Applied { stop, resources, readiness, label, restart, .. } =
                found.identity.applied();
            container.stop.signal = stop.signal;
            container.resources = resources;
            container.readiness = probe_from_label(readiness, container.readiness.take());
            if role == Role::Container {
                (before.labels, before.restart) = (label, restart);
            }
        }
    }
    Some(before)
}

/// Returns the probe of a label. Network probes are not sent to Docker, and are those of the current
/// revision.
fn probe_from_label(applied: Option<AppliedProbe>, now: Option<Probe>) -> Option<Probe> {
    let is_command = |probe: &Probe| matches!(probe.action, ProbeAction::Command(_));
    let Some(AppliedProbe { command, every, timeout, delay, failures }) = applied else {
        return now.filter(|probe| !is_command(probe));
    };
    let successes = now.map_or(1, |probe| probe.successes);
    let (every, timeout, delay): (Millis, Millis, Millis) = (every, timeout, delay);
    Some(Probe {
        action: ProbeAction::Command(command),
        every,
        timeout,
        delay,
        failures,
        successes,
    })
}

/// Checks whether all existing containers of a pod match a workload of the graph, except for changes in
/// place. For most pods the labels suffice; not for pods with files, because no label describes these.
pub(super) fn is_current(
    graph: &Graph,
    workload: &Workload,
    name: &str,
    found: &Containers<'_>,
    around: &RealiseContext<'_>,
) -> bool {
    let mut all = workload.inits.iter().chain(&workload.containers);
    let has_no_files = all.all(|container| container.file.is_empty());
    let is_exactly_desired = |found: &Found<'_>| {
        let files = found.details.files.as_ref();
        found.identity.is_exactly_desired(workload) && files.is_none_or(BTreeMap::is_empty)
    };
    (has_no_files && found.values().all(is_exactly_desired))
        || matches_revision(graph, workload, name, found, around)
}

/// Checks whether all existing containers of a pod match a workload, except for changes in place.
fn matches_revision(
    graph: &Graph,
    workload: &Workload,
    name: &str,
    found: &Containers<'_>,
    around: &RealiseContext<'_>,
) -> bool {
    matches_any_revision(graph, &[workload], name, found, around)
}

/// Checks whether each existing container of a pod matches one of these revisions of its workload, except
/// for changes in place.
fn matches_any_revision(
    graph: &Graph,
    revisions: &[&Workload],
    name: &str,
    found: &Containers<'_>,
    around: &RealiseContext<'_>,
) -> bool {
    let pods =
        revisions.iter().map(|revision| (*revision, realise(revision, name.to_owned(), around)));
    let pods: Vec<_> = pods.collect();
    found.values().all(|found| {
        pods.iter().any(|(workload, pod)| {
            let own = (found.identity.role, found.identity.name);
            let mut all = pod.containers.iter();
            let desired = all.find(|it| (it.role, it.name.as_str()) == own);
            desired.is_some_and(|desired| {
                let places = Places::new(graph, workload, desired);
                let differs = difference(desired, found, &places);
                differs.spec.iter().all(|change| change.class <= UpdateClass::Live)
            })
        })
    })
}
