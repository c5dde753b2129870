//! The schema: every kind and field of the language, in one table.

use serde::{Deserialize, Serialize};

use crate::FieldPath;

/// What a change of a field does to what runs, from nothing to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateClass {
    /// Only the engine uses it.
    Nothing,
    /// Docker changes it while the container runs.
    Live,
    /// A file is rewritten and the container gets a signal.
    Reload,
    /// The container is restarted.
    Restart,
    /// The container is replaced.
    RecreateContainer,
    /// All containers of the pod are replaced.
    RecreatePod,
}

/// The update class of a field of a container or of its pod.
#[must_use]
pub fn update_class(path: &FieldPath) -> UpdateClass {
    match path.first() {
        "port" | "hostname" | "network" => UpdateClass::RecreatePod,
        "resources" | "restart" => UpdateClass::Live,
        "pull" | "liveness" => UpdateClass::Nothing,
        "file" => UpdateClass::Restart,
        _ => UpdateClass::RecreateContainer,
    }
}
