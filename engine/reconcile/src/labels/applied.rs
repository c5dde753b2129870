//! The applied spec: the settings that a container was created with, in the terms of the language. It is
//! stored as a label of the container, so that a later run knows the previous spec without a state file.
//!
//! It contains only fields that are sent to Docker. A field that an older version did not know has its
//! default when the label is read, so that an upgrade restarts nothing; for the same reason the form of a
//! field must never change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_graph::{Millis, Port, Resources, Restart, Settings, Ulimit};

/// The settings that one container was created with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Applied {
    /// The image, in the form of [`tally_graph::ImageRef`].
    pub image: String,
    /// The entrypoint that replaces the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The command that replaces the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The settings as they are written in the spec.
    #[serde(flatten)]
    pub settings: Settings,
    /// Environment variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Environment variables that contain secrets, without the values of the secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, AppliedSecret>,
    /// Published ports, by name; other ports are not sent to Docker.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub port: BTreeMap<String, Port>,
    /// Mounts, by path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mount: BTreeMap<String, AppliedMount>,
    /// Limits of the kernel, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimit: BTreeMap<String, Ulimit>,
    /// The health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<AppliedProbe>,
    /// The stop signal.
    #[serde(skip_serializing_if = "AppliedStop::is_empty")]
    pub stop: AppliedStop,
    /// The pod's labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub label: BTreeMap<String, String>,
    /// Names of the pod's inits, in order; only in the label of an infra container. A missing init that is
    /// listed here has ended and was removed; one that is not listed is new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub init: Vec<String>,
    /// The host name; only in the label of the container that owns the pod's network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The network, or the container whose network it joins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The resources at creation; the current ones are read from Docker.
    #[serde(skip_serializing_if = "is_default")]
    pub resources: Resources,
    /// The restart policy at creation; the current one is read from Docker.
    #[serde(skip_serializing_if = "is_default")]
    pub restart: Restart,
}

/// A text with secrets, as it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct AppliedSecret {
    /// The text of the spec, with the names of its secrets.
    pub text: String,
    /// The keyed hash of the content, which shows changes without revealing the content; empty if a secret
    /// was not read.
    pub keyed: String,
}

/// A mount, as it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct AppliedMount {
    /// Name of the Docker volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// Path on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// Whether the mount is read-only.
    #[serde(skip_serializing_if = "is_default")]
    pub read_only: bool,
}

/// A health check, as it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct AppliedProbe {
    /// The command.
    pub command: Vec<String>,
    /// Time between two checks, in milliseconds.
    pub every: Millis,
    /// Time after which a check has failed, in milliseconds.
    pub timeout: Millis,
    /// Time after the start during which failures do not count, in milliseconds.
    pub delay: Millis,
    /// Number of consecutive failures after which the container is unhealthy.
    pub failures: u32,
}

/// The stop settings, as they were applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct AppliedStop {
    /// The signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

impl AppliedStop {
    fn is_empty(&self) -> bool {
        self.signal.is_none()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Applied {
    /// Returns the text of the label.
    #[must_use]
    pub fn to_label(&self) -> String {
        // Plain data with text keys can always be serialized.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses a label; returns `None` when it is damaged.
    #[must_use]
    pub fn from_label(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_fields_of_a_label_have_defaults_and_unknown_ones_are_ignored() {
        let old = Applied::from_label(r#"{"image":"nginx:1","later-field":true}"#);
        assert_eq!(old, Some(Applied { image: "nginx:1".into(), ..Applied::default() }));
        assert_eq!(Applied::from_label("{"), None);
    }

    #[test]
    fn a_plain_container_has_a_short_label() {
        let plain = Applied { image: "nginx:1".into(), ..Applied::default() };
        assert_eq!(plain.to_label(), r#"{"image":"nginx:1"}"#);
    }
}
