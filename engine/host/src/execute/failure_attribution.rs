//! Which failures of a plan count against the revision that was rolled out, as opposed to hosts, registries and
//! concurrent changes by others. Only those trigger an automatic rollback.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tally_reconcile::plan::{Action, OpId, Operation, Plan};
use tally_reconcile::rollback::{FailureAttribution, RolloutFailure};

use super::failure::{Failure, FailureKind};
use super::report::{Outcome, Report};
use crate::error::HostError;

/// Returns the first failure of each workload that counts against its revision, by address. `by` and `at_ms` say who
/// observed it and when.
#[must_use]
pub fn failed_versions(
    plan: &Plan,
    report: &Report,
    by: &str,
    at_ms: i64,
) -> BTreeMap<String, RolloutFailure> {
    let mut all = BTreeMap::new();
    for (id, failure) in report.failures() {
        let Some(operation) = plan.operation(id) else { continue };
        let Some(failure_attribution) = failure_attribution(&failure.kind) else { continue };
        let failed = RolloutFailure {
            by: by.to_owned(),
            at_ms,
            failure_attribution,
            ..failed(operation, failure)
        };
        match &operation.action {
            // An image belongs to no workload: the failure counts against those that waited for it.
            Action::PullImage { image } => {
                for (workload, container) in waited_for(plan, report, id, image) {
                    let (pod, container) = (String::new(), container.to_owned());
                    let why = format!("image {image} is not available: {}", failed.why);
                    let failed = RolloutFailure { pod, container, why, ..failed.clone() };
                    all.entry(workload.into_owned()).or_insert(failed);
                }
            }
            _ => {
                all.entry(operation.subject.address().into_owned()).or_insert(failed);
            }
        }
    }
    all
}

fn failed(operation: &Operation, failure: &Failure) -> RolloutFailure {
    RolloutFailure {
        host: operation.host.clone(),
        pod: operation.subject.pod().unwrap_or_default().to_owned(),
        container: operation.subject.container().unwrap_or_default().to_owned(),
        why: failure.kind.to_string(),
        last_lines: failure.last_lines.clone(),
        ..RolloutFailure::default()
    }
}

/// Returns the containers that were not created because an image was not available, with their workload.
fn waited_for<'p>(
    plan: &'p Plan,
    report: &'p Report,
    pull: OpId,
    image: &'p str,
) -> impl Iterator<Item = (Cow<'p, str>, &'p str)> {
    plan.operations.iter().filter_map(move |operation| {
        let Action::CreateContainer(request) = &operation.action else { return None };
        let skipped = report.outcome(operation.id);
        let because = matches!(skipped, Some(Outcome::Skipped { because }) if *because == pull);
        let subject = &operation.subject;
        (because && request.image == image)
            .then(|| (subject.address(), subject.container().unwrap_or_default()))
    })
}

/// Returns the part of the failed revision to change; `None` when the failure does not count against the revision.
///
/// | failure | counts against the revision |
/// |---|---|
/// | the container ended, or was not ready in time | yes |
/// | the registry does not have the image, or not for this platform | yes |
/// | the command cannot be started, or the host port is taken | yes |
/// | Docker refuses the request with status 400 to 499 | yes |
/// | an error of Tally's own about the request or this machine's configuration | yes |
/// | the registry or the host is busy or unreachable; its disk is full; others changed something | no |
fn failure_attribution(kind: &FailureKind) -> Option<FailureAttribution> {
    match kind {
        FailureKind::Ended { .. } => Some(FailureAttribution::Command),
        FailureKind::NotReady { reason, .. } if reason.is_health_check() => {
            Some(FailureAttribution::Readiness)
        }
        FailureKind::NotReady { .. } => Some(FailureAttribution::Command),
        FailureKind::Host(HostError::Image { missing: true, .. }) => {
            Some(FailureAttribution::Image)
        }
        FailureKind::Host(HostError::PortTaken { .. }) => Some(FailureAttribution::Publish),
        FailureKind::Host(
            HostError::CommandNotFound(_)
            | HostError::Refused { status: 400..=499, .. }
            | HostError::UnknownOwner { .. }
            | HostError::CredentialHelper { .. }
            | HostError::DockerConfig { .. }
            | HostError::NoInfraImage { .. }
            | HostError::Simulated { .. },
        ) => Some(FailureAttribution::Command),
        FailureKind::Host(_) | FailureKind::PreconditionFailed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::OwnerKind;
    use crate::execute::failure::{NotReadyReason, StaleReason};

    #[test]
    fn only_failures_of_the_revision_count_against_it() {
        let image =
            |missing| HostError::Image { image: "a:1".into(), missing, message: "x".into() };
        let refused = |status| HostError::Refused { status, message: "x".into() };
        let late = |reason| FailureKind::NotReady { waited_ms: 1, reason };
        let owner = HostError::UnknownOwner { kind: OwnerKind::User, name: "x".into() };
        let archive = HostError::Archive { content: "files", reason: "x".into() };
        let ended = FailureKind::Ended { exit_code: Some(3), error: None, restarts: 0 };
        for (kind, expected) in [
            (ended, Some(FailureAttribution::Command)),
            (late(NotReadyReason::HealthCheckFails), Some(FailureAttribution::Readiness)),
            (late(NotReadyReason::NotStarted), Some(FailureAttribution::Command)),
            (image(true).into(), Some(FailureAttribution::Image)),
            (image(false).into(), None),
            (HostError::CommandNotFound("x".into()).into(), Some(FailureAttribution::Command)),
            (
                HostError::PortTaken { port: None, message: "x".into() }.into(),
                Some(FailureAttribution::Publish),
            ),
            (refused(400).into(), Some(FailureAttribution::Command)),
            (refused(500).into(), None),
            (HostError::Broken("x".into()).into(), None),
            (HostError::Conflict("x".into()).into(), None),
            (owner.into(), Some(FailureAttribution::Command)),
            (archive.into(), None),
            (FailureKind::PreconditionFailed(StaleReason::Removed), None),
        ] {
            assert_eq!(failure_attribution(&kind), expected, "{kind}");
        }
    }
}
