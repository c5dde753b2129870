//! The revisions of workloads that rollouts and rollbacks refer to: the previous one, and the one that is
//! in effect after a rollback.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_graph::{FileContent, Secret, Workload};

use crate::plan::reason::goal;

/// The attribute of a container that most likely has to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureAttribution {
    /// The image, which cannot be pulled.
    Image,
    /// The command.
    #[default]
    Command,
    /// The readiness.
    Readiness,
    /// A published port.
    Publish,
}

/// The failure of a rollout that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RolloutFailure {
    /// The command that detected it and rolled back: `apply` or `run`.
    pub by: String,
    /// The time, in milliseconds since 1970.
    pub at_ms: i64,
    /// The host.
    pub host: String,
    /// The pod; empty if its image could not be pulled.
    pub pod: String,
    /// The container of the pod.
    pub container: String,
    /// The reason, in one line: `it ended with exit code 3`.
    pub why: String,
    /// The last lines of its output, cleaned.
    pub last_lines: Vec<String>,
    /// The attribute that most likely has to change.
    #[serde(rename = "blame")]
    pub failure_attribution: FailureAttribution,
    /// The entry of the history that is in effect instead; 0 if it is the revision of the older pods.
    pub entry: u64,
}

impl RolloutFailure {
    /// Returns the failure in one line: `rolled back to entry 7 of the history: web-2/c: it ended with exit
    /// code 3`.
    #[must_use]
    pub fn words(&self, workload: &str) -> String {
        format!("rolled back to {}: {}: {}", self.goal(), self.name(workload), self.why)
    }

    /// Describes the revision that is in effect instead.
    #[must_use]
    pub fn goal(&self) -> String {
        goal((self.entry > 0).then_some(self.entry))
    }

    /// Returns `web-2/c`, or the workload if no pod was started.
    #[must_use]
    pub fn name(&self, workload: &str) -> String {
        match (self.pod.is_empty(), self.container.is_empty()) {
            (true, _) => workload.to_owned(),
            (false, true) => self.pod.clone(),
            (false, false) => format!("{}/{}", self.pod, self.container),
        }
    }
}

/// The revision of a workload before its last change, which is being rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousRevision {
    /// The fingerprint of the revision that is rolled out.
    pub of: String,
    /// The entry of the history; 0 if there is none.
    pub entry: u64,
    /// The rollback of the change; `None` when the workload did not exist before.
    pub before: Option<RolledBack>,
}

/// A previous revision of a workload, which replaces the one of the spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolledBack {
    /// The fingerprint of the revision that was rolled back: a spec with another fingerprint ends the
    /// rollback.
    pub of: String,
    /// The revision that is in effect instead.
    pub workload: Workload,
    /// Contents of its files, by SHA-256.
    pub contents: BTreeMap<String, FileContent>,
    /// The secrets that it uses, with their sources.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// The failure, if the rollback was automatic: the spec says `on-failure=rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<RolloutFailure>,
}

impl PartialEq for RolledBack {
    /// Compares the revisions that were rolled back and those that are in effect instead.
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of && self.workload.fingerprint() == other.workload.fingerprint()
    }
}

impl Eq for RolledBack {}
