//! Which failures of a plan speak against what was to be run, as opposed to hosts, registries and
//! what others do meanwhile: only those make a rollout go back.

use std::collections::BTreeMap;

use tally_reconcile::plan::{Action, OpId, Operation, Plan};
use tally_reconcile::rollback::{Blame, Failed};

use super::{Failure, FailureKind, Outcome, Report};
use crate::HostError;

/// The first failure of each workload that speaks against what it was to run, by address; `by` and
/// `at_ms` say who saw it and when.
#[must_use]
pub fn failed_versions(
    plan: &Plan,
    report: &Report,
    by: &str,
    at_ms: i64,
) -> BTreeMap<String, Failed> {
    let mut all = BTreeMap::new();
    for (id, failure) in report.failures() {
        let Some(operation) = plan.operation(id) else { continue };
        let Some(blame) = blame(&failure.kind) else { continue };
        let failed = Failed { by: by.to_owned(), at_ms, blame, ..failed(operation, failure) };
        match &operation.action {
            // An image is nobody's own: those are meant that waited for it.
            Action::PullImage { image } => {
                for (workload, container) in waited_for(plan, report, id, image) {
                    let (pod, container) = (String::new(), container.to_owned());
                    let why = format!("image {image} cannot be had: {}", failed.why);
                    let failed = Failed { pod, container, why, ..failed.clone() };
                    all.entry(workload.to_owned()).or_insert(failed);
                }
            }
            _ => {
                all.entry(operation.subject.workload.clone()).or_insert(failed);
            }
        }
    }
    all
}

fn failed(operation: &Operation, failure: &Failure) -> Failed {
    Failed {
        host: operation.host.clone(),
        pod: operation.subject.pod.clone(),
        container: operation.subject.container.clone(),
        why: failure.kind.to_string(),
        last_lines: failure.last_lines.clone(),
        ..Failed::default()
    }
}

/// Whose containers were not made because an image could not be had: workload and container.
fn waited_for<'p>(
    plan: &'p Plan,
    report: &'p Report,
    pull: OpId,
    image: &'p str,
) -> impl Iterator<Item = (&'p str, &'p str)> {
    plan.operations.iter().filter_map(move |operation| {
        let Action::CreateContainer(request) = &operation.action else { return None };
        let skipped = report.outcome(operation.id);
        let because = matches!(skipped, Some(Outcome::Skipped { because }) if *because == pull);
        let subject = &operation.subject;
        (because && request.image == image)
            .then_some((subject.workload.as_str(), subject.container.as_str()))
    })
}

/// What to change about the version that failed; `None` where the failure says nothing against it.
///
/// | failure | |
/// |---|---|
/// | it ended, or did not get ready in time | the version |
/// | the registry has no such image, or none for this machine | the version |
/// | its command cannot be started, or its host port is taken | the version |
/// | Docker refuses what it is asked to make | the version |
/// | the registry is busy or away; the host is, or its disk is full; others changed something | not |
fn blame(kind: &FailureKind) -> Option<Blame> {
    match kind {
        FailureKind::Ended { .. } => Some(Blame::Command),
        FailureKind::NotReady { reason, .. } => Some(match reason.contains("health check") {
            true => Blame::Readiness,
            false => Blame::Command,
        }),
        FailureKind::Host(HostError::Image { missing: true, .. }) => Some(Blame::Image),
        FailureKind::Host(HostError::PortTaken { .. }) => Some(Blame::Publish),
        FailureKind::Host(
            HostError::CommandNotFound(_) | HostError::Refused { status: 0 | 400..=499, .. },
        ) => Some(Blame::Command),
        FailureKind::Host(_) | FailureKind::PreconditionFailed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_version_does_speaks_against_it() {
        let image =
            |missing| HostError::Image { image: "a:1".into(), missing, message: "x".into() };
        let refused = |status| HostError::Refused { status, message: "x".into() };
        let late = |reason: &str| FailureKind::NotReady { waited_ms: 1, reason: reason.into() };
        let ended = FailureKind::Ended { exit_code: Some(3), error: None, restarts: 0 };
        for (kind, expected) in [
            (ended, Some(Blame::Command)),
            (late("its health check fails"), Some(Blame::Readiness)),
            (late("it is not started yet"), Some(Blame::Command)),
            (image(true).into(), Some(Blame::Image)),
            (image(false).into(), None),
            (HostError::CommandNotFound("x".into()).into(), Some(Blame::Command)),
            (HostError::PortTaken { port: None, message: "x".into() }.into(), Some(Blame::Publish)),
            (refused(400).into(), Some(Blame::Command)),
            (refused(500).into(), None),
            (HostError::Broken("x".into()).into(), None),
            (HostError::Conflict("x".into()).into(), None),
            (FailureKind::PreconditionFailed("x".into()), None),
        ] {
            assert_eq!(blame(&kind), expected, "{kind}");
        }
    }
}
