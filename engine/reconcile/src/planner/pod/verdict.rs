//! What shall happen to each container of a pod: decided here, carried out by operations later.

use tally_graph::Restart;
use tally_graph::schema::UpdateClass;

use crate::desired::realise::{DesiredContainer, DesiredPod};
use crate::diff::{Difference, Places, difference, difference_of_wished, lost_secrets};
use crate::input::observed::ContainerState;
use crate::inventory::containers::Found;
use crate::labels::Role;
use crate::planner::pod::context::Context;

/// What shall happen to one container.
pub(crate) enum Verdict<'a> {
    /// It is not there.
    Create,
    /// It is removed and made anew; the reason in words, when no field says it.
    Replace(&'a Found<'a>, Difference, Option<String>),
    /// It stays; what is done to it.
    Keep(&'a Found<'a>, Difference, Option<Nudge>),
    /// It is not there, and need not be: an init that has done its work and was cleared away.
    Done,
    /// Docker is in the middle of something: left alone this time.
    Stuck(&'a Found<'a>),
}

/// What brings a container that stays back to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nudge {
    Start,
    Restart,
    Unpause,
}

pub(crate) fn find<'a>(
    pod: &DesiredPod<'_>,
    desired: &DesiredContainer<'_>,
    context: &Context<'a>,
) -> Option<&'a Found<'a>> {
    context.inventory.pods.get(pod.name.as_str())?.get(desired.role, &desired.name)
}

/// Decides per container, then for the pod as a whole.
pub(crate) fn verdicts<'a>(pod: &DesiredPod<'a>, context: &Context<'a>) -> Vec<Verdict<'a>> {
    let single: Vec<Verdict<'a>> =
        pod.containers.iter().map(|desired| verdict(pod, desired, context)).collect();
    match whole_pod_reason(pod, &single, context) {
        Some(reason) => replace_all(pod, single, context, &reason),
        None => settle_inits(pod, single),
    }
}

fn verdict<'a>(
    pod: &DesiredPod<'a>,
    desired: &DesiredContainer<'a>,
    context: &Context<'a>,
) -> Verdict<'a> {
    let Some(found) = find(pod, desired, context) else {
        return Verdict::Create;
    };
    if matches!(found.container.state, ContainerState::Removing | ContainerState::Dead) {
        return Verdict::Stuck(found);
    }
    let places = Places::new(context.graph, pod.workload, desired);
    let mut differs = match found.identity.is_wished(pod.workload) {
        true => difference_of_wished(desired, found, &places),
        false => difference(desired, found, &places),
    };
    if desired.role == Role::Init {
        // What an init did with the old value can only be done anew by a new pod.
        for change in differs.spec.iter_mut().filter(|c| c.class >= UpdateClass::Reload) {
            change.class = UpdateClass::RecreatePod;
        }
    }
    let infra = infra_of(pod, context);
    // An init that has done its work needs its secrets no more.
    let done = desired.role == Role::Init && found.has_ended_well();
    if desired.keyed_files.is_some() && !done && holds(pod, infra) {
        differs.drift.extend(lost_secrets(desired, found, &places));
    }
    if differs.class() >= UpdateClass::RecreateContainer {
        return Verdict::Replace(found, differs, None);
    }
    if cannot_start(found) {
        let reason = "Docker has a leftover of an earlier start and cannot start it".to_owned();
        return Verdict::Replace(found, differs, Some(reason));
    }
    if desired.role != Role::Infra
        && let (Some(infra), Some(joined)) = (infra, &found.details.joined)
        && *joined != infra.container.id
    {
        let reason = "it joins a network that is gone".to_owned();
        return Verdict::Replace(found, differs, Some(reason));
    }
    let nudge = match desired.role {
        // An init that has ended is done; whether it must run again is the pod's question.
        Role::Init => None,
        _ => nudge(pod, found, infra, differs.class(), context),
    };
    Verdict::Keep(found, differs, nudge)
}

pub(crate) fn infra_of<'a>(pod: &DesiredPod<'_>, context: &Context<'a>) -> Option<&'a Found<'a>> {
    context.inventory.pods.get(pod.name.as_str())?.get(Role::Infra, "")
}

/// Whether the infra container holds what is written into memory: it runs, or is started first.
fn holds(pod: &DesiredPod<'_>, infra: Option<&Found<'_>>) -> bool {
    infra.is_some_and(|infra| match infra.container.state {
        ContainerState::Running | ContainerState::Paused | ContainerState::Created => true,
        ContainerState::Exited => pod.workload.restart == Restart::Always,
        _ => false,
    })
}

/// Whether a container can never be started: an engine that was killed in the midst of a start leaves a
/// task of that ID in containerd and does not know it when it is back (seen with Docker 20.10). What is
/// made anew has another ID.
fn cannot_start(found: &Found<'_>) -> bool {
    let rests = matches!(found.container.state, ContainerState::Created | ContainerState::Exited);
    let error = found.details.error.as_deref().filter(|_| rests).unwrap_or_default();
    !error.is_empty() && error.contains(&format!("task {}: already exists", found.container.id))
}

/// What a container that stays needs to work again.
fn nudge(
    pod: &DesiredPod<'_>,
    found: &Found<'_>,
    infra: Option<&Found<'_>>,
    class: UpdateClass,
    context: &Context<'_>,
) -> Option<Nudge> {
    let stale = infra.is_some() && found.is_cut_off(infra);
    match found.container.state {
        ContainerState::Created => Some(Nudge::Start),
        ContainerState::Exited => match pod.workload.restart {
            Restart::Always => Some(Nudge::Start),
            // Docker restarts these itself; one that has ended otherwise has ended for good.
            Restart::OnFailure | Restart::Never => None,
        },
        ContainerState::Paused => Some(Nudge::Unpause),
        ContainerState::Running | ContainerState::Restarting if stale => Some(Nudge::Restart),
        ContainerState::Running if context.must_restart(found) => Some(Nudge::Restart),
        ContainerState::Running | ContainerState::Restarting => {
            (class == UpdateClass::Restart).then_some(Nudge::Restart)
        }
        ContainerState::Removing | ContainerState::Dead => None,
    }
}

/// Why the whole pod must be made anew, if it must.
fn whole_pod_reason(
    pod: &DesiredPod<'_>,
    verdicts: &[Verdict<'_>],
    context: &Context<'_>,
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
        return Some(match had_one {
            true => "its infra container is gone, and with it the network".to_owned(),
            false => "its network moves to an infra container, which several share".to_owned(),
        });
    }
    if !joined && has_infra {
        return Some("one container is left, which needs no infra container".to_owned());
    }
    pod.containers.iter().zip(verdicts).find_map(|(desired, verdict)| match verdict {
        Verdict::Replace(..) if desired.role == Role::Infra => {
            Some("its infra container is replaced".to_owned())
        }
        Verdict::Replace(_, _, reason) if desired.role == Role::Init => Some(match reason {
            Some(reason) => format!("its init `{}`: {reason}", desired.name),
            None => format!("its init `{}` has changed", desired.name),
        }),
        _ => None,
    })
}

fn replace_all<'a>(
    pod: &DesiredPod<'a>,
    verdicts: Vec<Verdict<'a>>,
    context: &Context<'a>,
    reason: &str,
) -> Vec<Verdict<'a>> {
    let replace = |(desired, verdict): (&DesiredContainer<'a>, Verdict<'a>)| match verdict {
        Verdict::Keep(found, differs, _) => {
            Verdict::Replace(found, differs, Some(reason.to_owned()))
        }
        Verdict::Create => match find(pod, desired, context) {
            Some(found) => Verdict::Replace(found, Difference::default(), Some(reason.to_owned())),
            None => Verdict::Create,
        },
        other => other,
    };
    pod.containers.iter().zip(verdicts).map(replace).collect()
}

/// The container that a verdict is about, where there is one.
fn found_of<'v, 'a>(verdict: &'v Verdict<'a>) -> Option<&'v Found<'a>> {
    match verdict {
        Verdict::Replace(found, ..) | Verdict::Keep(found, ..) | Verdict::Stuck(found) => {
            Some(found)
        }
        Verdict::Create | Verdict::Done => None,
    }
}

/// Inits run when the pod is made, not when one of its containers is made again: the pod's volumes
/// still hold what they did.
fn settle_inits<'a>(pod: &DesiredPod<'a>, verdicts: Vec<Verdict<'a>>) -> Vec<Verdict<'a>> {
    let mut both = pod.containers.iter().zip(&verdicts);
    // Those that were made and never started wait for the inits still: whoever made them was
    // interrupted.
    let begun = both.any(|(desired, verdict)| {
        desired.role == Role::Container
            && found_of(verdict).is_some_and(|found| {
                found.container.state != ContainerState::Created
                    || found.details.started_at_ms.is_some()
            })
    });
    let settle = |(desired, verdict): (&DesiredContainer<'a>, Verdict<'a>)| match verdict {
        Verdict::Create if desired.role == Role::Init && begun => Verdict::Done,
        Verdict::Keep(found, differs, None) if desired.role == Role::Init && !begun => {
            let failed = found.container.state == ContainerState::Exited
                && found.details.exit_code != Some(0);
            let again = failed || found.container.state == ContainerState::Created;
            Verdict::Keep(found, differs, again.then_some(Nudge::Start))
        }
        other => other,
    };
    pod.containers.iter().zip(verdicts).map(settle).collect()
}
