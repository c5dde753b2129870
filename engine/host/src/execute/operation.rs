//! One operation: its precondition, its call, and its failure.

use std::time::Duration;

use tally_reconcile::input::observed::ContainerState;
use tally_reconcile::plan::{Action, Operation, Target};

use super::context::{Ending, ExecuteContext};
use super::failure::{Failure, FailureKind, StaleReason};
use super::last_lines::last_lines;
use super::lost_reply::{by_state, is_stopped, twice};
use super::permit::Permit;
use super::precondition::{PreconditionCheck, check};
use super::progress::Event;
use super::step::OperationStep;
use super::{conflict_409, files, wait};
use crate::error::HostError;
use crate::host::Host;

/// Runs an operation on the container `target`, if it is about one.
pub(super) async fn run(
    context: &ExecuteContext<'_>,
    operation: &Operation,
    target: Option<String>,
) -> Ending {
    let Some(host) = context.hosts.get(&operation.host) else {
        let reason = "there is no connection to it".to_owned();
        let error = HostError::Unreachable { address: operation.host.clone(), reason };
        return failed(error.into(), Vec::new());
    };
    let host = host.as_ref();
    if operation.action.target().is_some() && target.is_none() {
        if operation.undo.is_some() {
            // The container that it would remove was not created.
            return Ending::Done(None);
        }
        let kind = FailureKind::PreconditionFailed(StaleReason::ContainerNotCreated);
        return failed(kind, Vec::new());
    }
    let target = target.unwrap_or_default();
    match check(host, operation).await {
        Ok(PreconditionCheck::Holds) => {}
        Ok(PreconditionCheck::AlreadyDone) => return Ending::Done(None),
        Err(kind) => return failed(kind, Vec::new()),
    }
    // Checked after the precondition, right before the call: the precondition may take long.
    let permit = &context.options.permit;
    if let (true, Err(why)) = (operation.action.mutates(), permit.ask()) {
        return Ending::Withheld(why);
    }
    match act(context, host, operation, &target).await {
        Ok(OperationStep::Done(created)) => Ending::Done(created),
        Ok(OperationStep::Cancelled) => Ending::Cancelled,
        Ok(OperationStep::Withheld(why)) => Ending::Withheld(why),
        Err(kind) => {
            let lines = last_lines_of(context, host, operation, &target).await;
            // A daemon may quote the request, and a program its environment.
            let redact = |text: &str| context.options.secrets.redact(text);
            let lines = lines.iter().map(|line| redact(line)).collect();
            failed(kind.map_texts(&redact), lines)
        }
    }
}

async fn act(
    context: &ExecuteContext<'_>,
    host: &dyn Host,
    operation: &Operation,
    target: &str,
) -> Result<OperationStep, FailureKind> {
    let id = operation.id;
    let permit = &context.options.permit;
    let grace = |seconds: &Option<u64>| seconds.map(Duration::from_secs);
    match &operation.action {
        Action::AwaitReady { target: of, rule } => {
            let is_new = matches!(of, Target::Created(_));
            wait::ready(context, host, id, target, rule, is_new).await
        }
        Action::AwaitExit { deadline_ms, .. } => {
            wait::exit(context, host, id, target, *deadline_ms).await
        }
        Action::CreateContainer(request) => {
            let mut joined = context.options.secrets.joined(request).map_err(files::not_read)?;
            joined.image = context.options.resolved_tags.name_on(host, &request.image);
            Ok(OperationStep::Done(Some(conflict_409::create_container(host, &joined).await?)))
        }
        Action::CreateNetwork(request) => {
            Ok(OperationStep::Done(Some(conflict_409::create_network(host, request).await?)))
        }
        Action::CreateVolume(request) => done(conflict_409::create_volume(host, request).await),
        Action::PullImage { image } => {
            let report = |pulled| context.progress.event(Event::Pulling(id, pulled));
            Ok(context.options.resolved_tags.fetch(host, image, permit, &report).await?)
        }
        Action::LoadInfraImage => done(host.load_infra_image().await),
        Action::RemoveNetwork { id } => done(host.remove_network(id).await),
        Action::RemoveVolume { name } => done(host.remove_volume(name).await),
        Action::WriteFiles { files: request, .. } => {
            let files = files::contents(context.graph, request)?;
            done(twice(permit, || host.write_files(target, &files, request.part)).await)
        }
        Action::WriteSecrets { files: request, .. } => {
            let files = files::secret_contents(&context.options.secrets, request)?;
            done(twice(permit, || host.write_secrets(target, &files, request.part)).await)
        }
        Action::Update { live, .. } => done(twice(permit, || host.update(target, live)).await),
        Action::Start { .. } => {
            let started = host.start(target).await;
            done(by_state(host, target, started, is_running).await)
        }
        Action::Unpause { .. } => {
            let unpaused = host.unpause(target).await;
            done(by_state(host, target, unpaused, is_running).await)
        }
        Action::Stop { grace_s, .. } => {
            let stopped = host.stop(target, grace(grace_s)).await;
            done(by_state(host, target, stopped, is_stopped).await)
        }
        Action::Rename { name, .. } => done(rename(permit, host, target, name).await),
        Action::RemoveContainer { .. } => {
            let removed = host.remove_container(target).await;
            done(by_state(host, target, removed, |state| state.is_none()).await)
        }
        // For these two, inspecting the container cannot tell a lost reply from a lost request.
        Action::Restart { grace_s, .. } => done(host.restart(target, grace(grace_s)).await),
        Action::Signal { signal, .. } => done(host.signal(target, signal).await),
    }
}

/// Renames a container. A lost reply counts as done if the container has the name. Docker cannot rename a container
/// between two of its restarts, because it has no network then (observed with 20.10): such a container is stopped
/// first, and serves nothing anyway.
async fn rename(
    permit: &Permit,
    host: &dyn Host,
    target: &str,
    name: &str,
) -> Result<(), HostError> {
    let error = match host.rename_container(target, name).await {
        Err(error) if error.is_uncertain() || matches!(error, HostError::NotFound(_)) => error,
        other => return other,
    };
    match host.container(target, false).await {
        Ok(Some((container, _))) if container.name == name => Ok(()),
        Ok(Some((container, _)))
            if container.state == ContainerState::Restarting && permit.ask().is_ok() =>
        {
            host.stop(target, None).await?;
            host.rename_container(target, name).await
        }
        _ => Err(error),
    }
}

/// Returns the last lines of a container that did not start, or did not keep running.
async fn last_lines_of(
    context: &ExecuteContext<'_>,
    host: &dyn Host,
    operation: &Operation,
    target: &str,
) -> Vec<String> {
    let ran = matches!(
        operation.action,
        Action::Start { .. }
            | Action::Restart { .. }
            | Action::AwaitReady { .. }
            | Action::AwaitExit { .. }
    );
    if !ran || context.options.last_lines == 0 {
        return Vec::new();
    }
    last_lines(host, target, context.options.last_lines).await
}

fn is_running(state: Option<ContainerState>) -> bool {
    state == Some(ContainerState::Running)
}

fn done(result: Result<(), HostError>) -> Result<OperationStep, FailureKind> {
    result.map(|()| OperationStep::Done(None)).map_err(FailureKind::from)
}

fn failed(kind: FailureKind, last_lines: Vec<String>) -> Ending {
    Ending::Failed(Failure { kind, last_lines })
}
