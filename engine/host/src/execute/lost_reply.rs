//! Calls whose reply was lost: repeat the call, or inspect the container to check its effect.

use tally_reconcile::input::observed::ContainerState;

use super::permit::Permit;
use crate::error::HostError;
use crate::host::Host;

/// Makes an idempotent call, and once more when its reply was lost and the permit still holds.
pub(super) async fn twice<F>(permit: &Permit, call: impl Fn() -> F) -> Result<(), HostError>
where
    F: Future<Output = Result<(), HostError>>,
{
    match call().await {
        Err(error) if error.is_uncertain() && permit.ask().is_ok() => call().await,
        other => other,
    }
}

/// Checks whether a container in this state counts as stopped. `None`: it does not exist.
pub(super) fn is_stopped(state: Option<ContainerState>) -> bool {
    matches!(
        state,
        None | Some(ContainerState::Exited | ContainerState::Created | ContainerState::Dead)
    )
}

/// Inspects the container when the outcome of a call is unknown or the container does not exist. The effect of
/// the call counts, not its reply.
pub(super) async fn by_state(
    host: &dyn Host,
    target: &str,
    result: Result<(), HostError>,
    is_reached: impl Fn(Option<ContainerState>) -> bool,
) -> Result<(), HostError> {
    let error = match result {
        Err(error) if error.is_uncertain() || matches!(error, HostError::NotFound(_)) => error,
        other => return other,
    };
    match host.container(target, false).await {
        Ok(seen) if is_reached(seen.as_ref().map(|(container, _)| container.state)) => Ok(()),
        _ => Err(error),
    }
}
