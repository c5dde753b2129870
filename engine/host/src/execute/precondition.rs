//! The precondition of an operation, checked right before its call.

use std::collections::BTreeMap;

use tally_reconcile::labels;
use tally_reconcile::plan::{self, Action, Operation};

use super::failure::{FailureKind, StaleReason};
use crate::error::HostError;
use crate::host::Host;

/// Whether an operation may be carried out.
pub(super) enum PreconditionCheck {
    /// Its precondition holds.
    Holds,
    /// It removes or stops an object that does not exist any more, or the container has the wanted name already.
    AlreadyDone,
}

/// Checks the precondition of an operation, right before its call.
pub(super) async fn check(
    host: &dyn Host,
    operation: &Operation,
) -> Result<PreconditionCheck, FailureKind> {
    let removes = matches!(
        operation.action,
        Action::Stop { .. }
            | Action::RemoveContainer { .. }
            | Action::RemoveNetwork { .. }
            | Action::RemoveVolume { .. }
    );
    let (cluster, found) = match &operation.precondition {
        plan::Precondition::None => return Ok(PreconditionCheck::Holds),
        plan::Precondition::Owned { id, name, cluster } => {
            let seen = host.container(id, false).await?;
            let found = seen.map(|(container, _)| container);
            if let (Action::Rename { name: wanted, .. }, Some(container)) =
                (&operation.action, &found)
                && container.name == *wanted
            {
                return Ok(PreconditionCheck::AlreadyDone);
            }
            if let Some(container) = found.as_ref().filter(|container| container.name != *name) {
                let (from, to) = (name.clone(), container.name.clone());
                return Err(FailureKind::PreconditionFailed(StaleReason::Renamed { from, to }));
            }
            (cluster, found.map(|container| container.labels))
        }
        plan::Precondition::OwnedObject { key, cluster } => {
            (cluster, object(host, operation, key).await?)
        }
    };
    match found {
        None if removes => Ok(PreconditionCheck::AlreadyDone),
        None => Err(FailureKind::PreconditionFailed(StaleReason::Removed)),
        Some(labels) if labels.get(labels::CLUSTER) == Some(cluster) => {
            Ok(PreconditionCheck::Holds)
        }
        Some(_) => {
            let reason = StaleReason::LabelLost { cluster: cluster.clone() };
            Err(FailureKind::PreconditionFailed(reason))
        }
    }
}

/// Returns the labels of a volume or a network; `None` when it does not exist.
async fn object(
    host: &dyn Host,
    operation: &Operation,
    key: &str,
) -> Result<Option<BTreeMap<String, String>>, HostError> {
    if matches!(operation.action, Action::RemoveNetwork { .. }) {
        let network = host.networks().await?.into_iter().find(|network| network.id == key);
        return Ok(network.map(|network| network.labels));
    }
    let volume = host.volumes().await?.into_iter().find(|volume| volume.name == key);
    Ok(volume.map(|volume| volume.labels))
}
