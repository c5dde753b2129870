//! Creating, where the name is the compare-and-swap: a create that is refused because its name is
//! taken, or whose reply was lost, has succeeded if what bears the name is just what was asked
//! for.

use std::collections::BTreeMap;

use tally_reconcile::plan::request::{ContainerRequest, NetworkRequest, VolumeRequest};

use super::operation::is_uncertain;
use crate::{Host, HostError};

fn may_be_ours(error: &HostError) -> bool {
    is_uncertain(error) || matches!(error, HostError::Conflict(_))
}

/// Why what bears the name is not what was asked for.
fn taken(what: &str, name: &str, error: HostError) -> HostError {
    match error {
        HostError::Conflict(said) => HostError::Conflict(format!(
            "{what} {name} is there already and is not the one that was asked for: {said}"
        )),
        other => other,
    }
}

/// Makes a container; its full ID.
pub(super) async fn container(
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
        Some(_) => Err(taken("a container named", &request.name, error)),
        None => Err(error),
    }
}

/// Docker adds the image's labels to a container's, so ours must be among them; the applied spec
/// is one of ours, which makes this a comparison of all that was asked for.
fn has_labels(found: &BTreeMap<String, String>, asked: &BTreeMap<String, String>) -> bool {
    asked.iter().all(|(key, value)| found.get(key) == Some(value))
}

/// Makes a network; its full ID.
pub(super) async fn network(
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
        Some(_) => Err(taken("a network named", &request.name, error)),
        None => Err(error),
    }
}

/// Makes a volume.
pub(super) async fn volume(host: &dyn Host, request: &VolumeRequest) -> Result<(), HostError> {
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
