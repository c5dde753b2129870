//! Creating objects, with Docker's 409 (the name is taken) handled: the name is the compare-and-swap. A create that
//! is refused because its name is taken, or whose reply was lost, has succeeded if the object with that name is
//! exactly the requested one.

use std::collections::BTreeMap;

use tally_reconcile::plan::request::{ContainerRequest, NetworkRequest, VolumeRequest};

use crate::error::HostError;
use crate::host::Host;

/// Checks whether the object may exist as requested although the create failed.
fn may_be_ours(error: &HostError) -> bool {
    error.is_uncertain() || matches!(error, HostError::Conflict(_))
}

/// Returns the error for a name that another object has.
fn taken(kind: &str, name: &str, error: HostError) -> HostError {
    match error {
        HostError::Conflict(message) => {
            HostError::Conflict(format!("another {kind} named {name} exists already: {message}"))
        }
        other => other,
    }
}

/// Creates a container and returns its full ID.
pub(super) async fn create_container(
    host: &dyn Host,
    request: &ContainerRequest,
) -> Result<String, HostError> {
    let error = match host.create_container(request).await {
        Err(error) if may_be_ours(&error) => error,
        other => return other,
    };
    let Ok(listed) = host.containers().await else {
        return Err(error);
    };
    match listed.into_iter().find(|container| container.name == request.name) {
        Some(found) if has_labels(&found.labels, &request.labels) => Ok(found.id),
        Some(_) => Err(taken("container", &request.name, error)),
        None => Err(error),
    }
}

/// Checks whether a container has all requested labels. Docker adds the labels of the image. The applied spec is one
/// of the labels, so this compares the whole request.
fn has_labels(found: &BTreeMap<String, String>, requested: &BTreeMap<String, String>) -> bool {
    requested.iter().all(|(key, value)| found.get(key) == Some(value))
}

/// Creates a network and returns its full ID.
pub(super) async fn create_network(
    host: &dyn Host,
    request: &NetworkRequest,
) -> Result<String, HostError> {
    let error = match host.create_network(request).await {
        Err(error) if may_be_ours(&error) => error,
        other => return other,
    };
    let Ok(listed) = host.networks().await else {
        return Err(error);
    };
    match listed.into_iter().find(|network| network.name == request.name) {
        Some(found) if found.labels == request.labels => Ok(found.id),
        Some(_) => Err(taken("network", &request.name, error)),
        None => Err(error),
    }
}

/// Creates a volume.
pub(super) async fn create_volume(
    host: &dyn Host,
    request: &VolumeRequest,
) -> Result<(), HostError> {
    let error = match host.create_volume(request).await {
        Err(error) if may_be_ours(&error) => error,
        other => return other,
    };
    let Ok(listed) = host.volumes().await else {
        return Err(error);
    };
    match listed.into_iter().find(|volume| volume.name == request.name) {
        Some(found) if found.labels == request.labels => Ok(()),
        _ => Err(error),
    }
}
