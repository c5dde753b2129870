//! Decides for each container of a pod whether it is created, replaced or kept.

use tally_graph::Restart;
use tally_graph::schema::UpdateClass;

use crate::desired::realise::{DesiredContainer, DesiredPod};
use crate::diff::{Difference, Places, difference, difference_of_matching, lost_secrets};
use crate::input::observed::ContainerState;
use crate::inventory::containers::Found;
use crate::labels::Role;
use crate::planner::pod::context::PodContext;

/// The decision about one container.
pub(crate) enum ContainerVerdict<'a> {
    /// The container does not exist and is created.
    Create,
    /// The container is removed and recreated. The text is the reason, if no changed field explains it.
    Replace(&'a Found<'a>, Difference, Option<String>),
    /// The container is kept, with in-place changes and a repair if it needs one.
    Keep(&'a Found<'a>, Difference, Option<Repair>),
    /// The container does not exist and is not needed: an init container that has ended and was removed.
    Done,
    /// Docker is still removing the container, so this plan does not change it.
    Stuck(&'a Found<'a>),
}

/// The repair of a container that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    Start,
    Restart,
    Unpause,
}

/// Returns the existing container for a desired one.
pub(crate) fn find<'a>(
    pod: &DesiredPod<'_>,
    desired: &DesiredContainer<'_>,
    context: &PodContext<'a>,
) -> Option<&'a Found<'a>> {
    context.inventory.pods.get(pod.name.as_str())?.get(desired.role, &desired.name)
}

/// Returns the verdict about each container: first per container, then adjusted for the pod as a whole.
pub(crate) fn verdicts<'a>(
    pod: &DesiredPod<'a>,
    context: &PodContext<'a>,
) -> Vec<ContainerVerdict<'a>> {
    let single: Vec<ContainerVerdict<'a>> =
        pod.containers.iter().map(|desired| verdict(pod, desired, context)).collect();
    match whole_pod_reason(pod, &single, context) {
        Some(reason) => replace_all(pod, single, context, &reason),
        None => adjust_inits(pod, single),
    }
}

/// Returns the verdict about a single container.
fn verdict<'a>(
    pod: &DesiredPod<'a>,
    desired: &DesiredContainer<'a>,
    context: &PodContext<'a>,
) -> ContainerVerdict<'a> {
    let Some(found) = find(pod, desired, context) else {
        return ContainerVerdict::Create;
    };
    let previous = context.inventory.pods.get(pod.name.as_str());
    let previous = previous.and_then(|it| it.previous(desired.role, &desired.name));
    let is_stuck = |found: &&Found<'_>| {
        matches!(found.container.state, ContainerState::Removing | ContainerState::Dead)
    };
    if let Some(stuck) = [Some(found), previous].into_iter().flatten().find(is_stuck) {
        return ContainerVerdict::Stuck(stuck);
    }
    let places = Places::new(context.graph, pod.workload, desired);
    let mut differs = if found.identity.is_exactly_desired(pod.workload) {
        difference_of_matching(desired, found, &places)
    } else {
        difference(desired, found, &places)
    };
    if desired.role == Role::Init {
        // Only a new pod can repeat the work that an init container did with the old value.
        for change in differs.spec.iter_mut().filter(|c| c.class >= UpdateClass::Reload) {
            change.class = UpdateClass::RecreatePod;
        }
    }
    let infra = infra_of(pod, context);
    // An init container that has ended no longer needs its secrets.
    let done = desired.role == Role::Init && found.has_ended_well();
    if desired.keyed_files.is_some() && !done && keeps_memory(pod, infra) {
        differs.drift.extend(lost_secrets(desired, found, &places));
    }
    if differs.class() >= UpdateClass::RecreateContainer {
        return ContainerVerdict::Replace(found, differs, None);
    }
    if cannot_start(found) {
        let reason = "Docker has a leftover of an earlier start and cannot start it".to_owned();
        return ContainerVerdict::Replace(found, differs, Some(reason));
    }
    if desired.role != Role::Infra
        && let (Some(infra), Some(joined)) = (infra, &found.details.joined)
        && *joined != infra.container.id
    {
        let reason = "it joins a network that is gone".to_owned();
        return ContainerVerdict::Replace(found, differs, Some(reason));
    }
    let repair = match desired.role {
        // An ended init container needs no repair. `adjust_inits` decides whether it runs again.
        Role::Init => None,
        _ => repair(pod, found, infra, differs.class(), context),
    };
    ContainerVerdict::Keep(found, differs, repair)
}

/// Returns the existing infra container of a pod.
pub(crate) fn infra_of<'a>(
    pod: &DesiredPod<'_>,
    context: &PodContext<'a>,
) -> Option<&'a Found<'a>> {
    context.inventory.pods.get(pod.name.as_str())?.get(Role::Infra, "")
}

/// Checks whether the infra container keeps the in-memory volumes: it runs, or is started first.
fn keeps_memory(pod: &DesiredPod<'_>, infra: Option<&Found<'_>>) -> bool {
    infra.is_some_and(|infra| match infra.container.state {
        ContainerState::Running | ContainerState::Paused | ContainerState::Created => true,
        ContainerState::Exited => pod.workload.restart == Restart::Always,
        _ => false,
    })
}

/// Checks whether a container can never be started. A Docker engine that is killed during a start leaves a task
/// with the container's ID in containerd, and does not recognise it later (observed with Docker 20.10). A
/// recreated container has another ID.
fn cannot_start(found: &Found<'_>) -> bool {
    let is_stopped =
        matches!(found.container.state, ContainerState::Created | ContainerState::Exited);
    let error = found.details.error.as_deref().filter(|_| is_stopped).unwrap_or_default();
    !error.is_empty() && error.contains(&format!("task {}: already exists", found.container.id))
}

/// Returns the repair that a kept container needs.
fn repair(
    pod: &DesiredPod<'_>,
    found: &Found<'_>,
    infra: Option<&Found<'_>>,
    class: UpdateClass,
    context: &PodContext<'_>,
) -> Option<Repair> {
    let stale = infra.is_some() && found.is_cut_off(infra);
    match found.container.state {
        ContainerState::Created => Some(Repair::Start),
        ContainerState::Exited => match pod.workload.restart {
            Restart::Always => Some(Repair::Start),
            // A replacement that was interrupted stopped it.
            _ if found.identity.is_previous && found.details.exit_code != Some(0) => {
                Some(Repair::Start)
            }
            // Docker's restart policy handles these. A container that has ended otherwise stays ended.
            Restart::OnFailure | Restart::Never => None,
        },
        ContainerState::Paused => Some(Repair::Unpause),
        ContainerState::Running | ContainerState::Restarting if stale => Some(Repair::Restart),
        ContainerState::Running if context.must_restart(found) => Some(Repair::Restart),
        ContainerState::Running | ContainerState::Restarting => {
            (class == UpdateClass::Restart).then_some(Repair::Restart)
        }
        ContainerState::Removing | ContainerState::Dead => None,
    }
}

/// Returns why the whole pod must be recreated, if it must.
fn whole_pod_reason(
    pod: &DesiredPod<'_>,
    verdicts: &[ContainerVerdict<'_>],
    context: &PodContext<'_>,
) -> Option<String> {
    let existing = context.inventory.pods.get(pod.name.as_str())?;
    let joined = pod.containers.first().is_some_and(|first| first.role == Role::Infra);
    let has_infra = existing.has(Role::Infra);
    if existing.has(Role::Container) && joined && !has_infra {
        let had_one = existing.values().any(|found| {
            let joins = |network: String| network.starts_with("container:");
            found.identity.role == Role::Container
                && found.identity.applied().network.is_some_and(joins)
        });
        return Some(if had_one {
            "its infra container is gone, and with it the network".to_owned()
        } else {
            "its network moves to an infra container, which several share".to_owned()
        });
    }
    if !joined && has_infra {
        return Some("one container is left, which needs no infra container".to_owned());
    }
    pod.containers.iter().zip(verdicts).find_map(|(desired, verdict)| match verdict {
        ContainerVerdict::Replace(..) if desired.role == Role::Infra => {
            Some("its infra container is replaced".to_owned())
        }
        ContainerVerdict::Replace(_, _, reason) if desired.role == Role::Init => {
            Some(match reason {
                Some(reason) => format!("its init `{}`: {reason}", desired.name),
                None => format!("its init `{}` has changed", desired.name),
            })
        }
        _ => None,
    })
}

/// Turns the verdicts into replacements of all existing containers.
fn replace_all<'a>(
    pod: &DesiredPod<'a>,
    verdicts: Vec<ContainerVerdict<'a>>,
    context: &PodContext<'a>,
    reason: &str,
) -> Vec<ContainerVerdict<'a>> {
    let replace = |(desired, verdict): (&DesiredContainer<'a>, ContainerVerdict<'a>)| match verdict
    {
        ContainerVerdict::Keep(found, differs, _) => {
            ContainerVerdict::Replace(found, differs, Some(reason.to_owned()))
        }
        ContainerVerdict::Create => match find(pod, desired, context) {
            Some(found) => {
                ContainerVerdict::Replace(found, Difference::default(), Some(reason.to_owned()))
            }
            None => ContainerVerdict::Create,
        },
        other => other,
    };
    pod.containers.iter().zip(verdicts).map(replace).collect()
}

/// Returns the existing container of a verdict.
fn found_of<'v, 'a>(verdict: &'v ContainerVerdict<'a>) -> Option<&'v Found<'a>> {
    match verdict {
        ContainerVerdict::Replace(found, ..)
        | ContainerVerdict::Keep(found, ..)
        | ContainerVerdict::Stuck(found) => Some(found),
        ContainerVerdict::Create | ContainerVerdict::Done => None,
    }
}

/// Adjusts the verdicts about init containers. They run when the pod is created, not when one of its containers
/// is recreated, because the pod's volumes still contain their results.
fn adjust_inits<'a>(
    pod: &DesiredPod<'a>,
    verdicts: Vec<ContainerVerdict<'a>>,
) -> Vec<ContainerVerdict<'a>> {
    let mut both = pod.containers.iter().zip(&verdicts);
    // Containers that were created but never started come from an interrupted apply. They still wait for the
    // init containers.
    let started = both.any(|(desired, verdict)| {
        desired.role == Role::Container
            && found_of(verdict).is_some_and(|found| {
                found.container.state != ContainerState::Created
                    || found.details.started_at_ms.is_some()
            })
    });
    let adjust = |(desired, verdict): (&DesiredContainer<'a>, ContainerVerdict<'a>)| match verdict {
        ContainerVerdict::Create if desired.role == Role::Init && started => ContainerVerdict::Done,
        ContainerVerdict::Keep(found, differs, None) if desired.role == Role::Init && !started => {
            let failed = found.container.state == ContainerState::Exited
                && found.details.exit_code != Some(0);
            let again = failed || found.container.state == ContainerState::Created;
            ContainerVerdict::Keep(found, differs, again.then_some(Repair::Start))
        }
        other => other,
    };
    pod.containers.iter().zip(verdicts).map(adjust).collect()
}
