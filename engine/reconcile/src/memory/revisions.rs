//! Revisions of workloads that rollouts and rollbacks refer to: the previous one, and the one that is
//! followed after a rollback.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_graph::{FileContent, Secret, Workload};

use crate::plan::reason::goal;

/// The attribute of a container that most likely has to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureAttribution {
    /// Its image, which cannot be had.
    Image,
    /// What it runs.
    #[default]
    Command,
    /// When it is ready.
    Readiness,
    /// A port that it publishes.
    Publish,
}

/// What failed in a rollout that went back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RolloutFailure {
    /// Who saw it and went back: `apply` or `run`.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// On which host.
    pub host: String,
    /// Which pod; empty where its image could not be had.
    pub pod: String,
    /// Which container of it.
    pub container: String,
    /// In one line: `it ended with exit code 3`.
    pub why: String,
    /// What it printed last, cleaned.
    pub last_lines: Vec<String>,
    /// What to change, most likely.
    pub blame: FailureAttribution,
    /// The entry of the history that is followed instead; 0 where it is what the older pods run.
    pub entry: u64,
}

impl RolloutFailure {
    /// `rolled back to entry 7 of the history: web-2/c: it ended with exit code 3`.
    #[must_use]
    pub fn words(&self, workload: &str) -> String {
        format!("rolled back to {}: {}: {}", self.goal(), self.name(workload), self.why)
    }

    /// What is followed instead.
    #[must_use]
    pub fn goal(&self) -> String {
        goal((self.entry > 0).then_some(self.entry))
    }

    /// `web-2/c`, or the workload where no pod was begun.
    #[must_use]
    pub fn name(&self, workload: &str) -> String {
        match (self.pod.is_empty(), self.container.is_empty()) {
            (true, _) => workload.to_owned(),
            (false, true) => self.pod.clone(),
            (false, false) => format!("{}/{}", self.pod, self.container),
        }
    }
}

/// What a workload was before its last change, which is being rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousRevision {
    /// The fingerprint of what is rolled out.
    pub of: String,
    /// The entry of the history; 0 where there is none.
    pub entry: u64,
    /// What undoes the change; `None` when nothing was there before.
    pub before: Option<RolledBack>,
}

/// A workload as it was, in the place of what the spec says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolledBack {
    /// The fingerprint of what was undone: a spec that asks for something else ends this.
    pub of: String,
    /// What is followed instead.
    pub workload: Workload,
    /// Contents of its files, by SHA-256.
    pub contents: BTreeMap<String, FileContent>,
    /// Where the secrets are read from that it uses.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// What failed, where nobody asked for this: the spec says `on-failure=rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<RolloutFailure>,
}

impl PartialEq for RolledBack {
    /// Two are alike when they follow the same instead of the same.
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of && self.workload.fingerprint() == other.workload.fingerprint()
    }
}

impl Eq for RolledBack {}
