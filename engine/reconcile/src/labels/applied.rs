//! The applied spec: what Docker was told of one container, in the words of the language. It is
//! kept as a label of the container, so a later run knows what was asked for without a state file.
//!
//! Only what reaches Docker stands here. A field that an older Tally did not know reads as its
//! default, so an upgrade restarts nothing; for the same reason no field may ever change its form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_graph::{Millis, Port, Resources, Restart, Settings, Ulimit};

/// What Docker was told of one container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Applied {
    /// The image, in the form of [`tally_graph::ImageRef`].
    pub image: String,
    /// Replaces the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// As they are written.
    #[serde(flatten)]
    pub settings: Settings,
    /// Environment variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Environment variables that hold secrets: never what they hold.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, AppliedSecret>,
    /// Published ports, by name; others never reach Docker.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub port: BTreeMap<String, Port>,
    /// Mounts, by path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mount: BTreeMap<String, AppliedMount>,
    /// Limits of the kernel.
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
    /// Names of the pod's inits, in order; of an infra container only. A missing init that stands
    /// here has done its work and was cleared away; one that does not is new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub init: Vec<String>,
    /// Host name; of the pod's holder only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The network, or the container whose network it joins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// As created; what holds now is read from Docker.
    #[serde(skip_serializing_if = "is_default")]
    pub resources: Resources,
    /// As created; what holds now is read from Docker.
    #[serde(skip_serializing_if = "is_default")]
    pub restart: Restart,
}

/// A text with secrets as Docker was told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct AppliedSecret {
    /// As it is written, with the names of its secrets.
    pub text: String,
    /// What tells its content from another, without telling it; empty where a secret is not known.
    pub keyed: String,
}

/// A mount as Docker was told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct AppliedMount {
    /// Name of the Docker volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// Path of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// Whether writing is refused.
    #[serde(skip_serializing_if = "is_default")]
    pub read_only: bool,
}

/// A health check as Docker was told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct AppliedProbe {
    /// The command.
    pub command: Vec<String>,
    /// Time between two.
    pub every: Millis,
    /// Time after which one has failed.
    pub timeout: Millis,
    /// Time after the start in which failing does not count.
    pub delay: Millis,
    /// So many failures in a row make it unhealthy.
    pub failures: u32,
}

/// How it is stopped, as Docker was told.
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
    /// The label's text.
    #[must_use]
    pub fn to_label(&self) -> String {
        // Plain data with text keys always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a label; `None` when it is damaged.
    #[must_use]
    pub fn from_label(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_label_reads_with_defaults_and_a_newer_one_without_its_news() {
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
