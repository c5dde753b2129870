//! The history of a cluster: `.tally/history/CLUSTER/NUMBER.json`, for rollbacks: the last specs, when and by whom they
//! were applied, and which of their workloads became as specified. Rollouts that failed and were rolled back are in
//! `rollbacks.json` beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tally_graph::Graph;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::rollback::{
    HistoryEntry, PreviousRevision, RolloutFailure, previous_revisions,
};

use crate::errors::CliError;
use crate::json_file::{read, write};
use crate::project::Project;

/// Maximum number of entries that are kept.
const KEPT: usize = 20;

/// A spec that was applied.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AppliedEntry {
    /// Its number, from 1.
    pub number: u64,
    /// When everything was as specified, in milliseconds since 1970.
    pub at_ms: i64,
    /// `user@machine`.
    pub who: String,
    /// `apply` or `run`.
    pub by: String,
    /// The fingerprint of each workload that had become as specified, by address.
    pub workloads: BTreeMap<String, String>,
    /// The spec.
    pub graph: Graph,
}

/// The file of the rollouts that were rolled back.
const ROLLBACKS: &str = "rollbacks.json";

/// A rollout that was rolled back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rollback {
    /// Its workload.
    pub workload: String,
    /// The fingerprint of the revision that failed.
    pub of: String,
    /// The failure, and the revision that is followed instead.
    pub failed: RolloutFailure,
}

/// The history of one cluster.
#[derive(Debug, Clone)]
pub struct HistoryFile {
    folder: PathBuf,
}

impl HistoryFile {
    /// Returns the history beside a spec.
    #[must_use]
    pub fn new(graph: &Graph, project: &Project) -> Self {
        let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
        Self { folder: project.kept().join("history").join(cluster) }
    }

    /// Returns the numbers of its entries, oldest first.
    #[must_use]
    pub fn numbers(&self) -> Vec<u64> {
        let Ok(files) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let mut numbers: Vec<u64> =
            names.filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&self, number: u64) -> Result<AppliedEntry, CliError> {
        read(&self.path(number))
    }

    /// Adds a spec of which the workloads `settled` have become as specified, unless that is known. Workloads of the same
    /// spec that become so later are added to its entry.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep(
        &self,
        graph: &Graph,
        settled: &BTreeSet<String>,
        by: &str,
        at_ms: i64,
    ) -> Result<(), CliError> {
        let all = fingerprints(graph);
        let mut workloads = all.clone();
        workloads.retain(|address, _| settled.contains(address));
        let numbers = self.numbers();
        let last = numbers.last().map(|last| self.entry(*last)).transpose()?;
        let known =
            |last: &AppliedEntry| workloads.iter().all(|it| last.workloads.get(it.0) == Some(it.1));
        if workloads.is_empty() || last.as_ref().is_some_and(|it| it.workloads == workloads) {
            return Ok(());
        }
        let who = who();
        if let Some(last) = last {
            if fingerprints(&last.graph) == all {
                if known(&last) {
                    return Ok(());
                }
                workloads.extend(last.workloads);
                let entry = AppliedEntry { workloads, at_ms, who, by: by.to_owned(), ..last };
                return write(&self.path(entry.number), &entry);
            }
            // A spec of which only a part settled is added only where that is new.
            if workloads.len() < all.len() && known(&last) {
                return Ok(());
            }
        }
        let number = numbers.last().copied().unwrap_or(0) + 1;
        let entry =
            AppliedEntry { number, at_ms, who, by: by.to_owned(), workloads, graph: graph.clone() };
        write(&self.path(number), &entry)?;
        for old in numbers.iter().rev().skip(KEPT - 1) {
            // An old entry that cannot be removed only takes space.
            let _ = fs::remove_file(self.path(*old));
        }
        Ok(())
    }

    /// Returns the previous revision of each workload that is rolled back when its rollout fails. An entry that cannot
    /// be read is skipped.
    #[must_use]
    pub fn previous_revisions(&self, spec: &Graph) -> BTreeMap<String, PreviousRevision> {
        let entries = self.numbers().into_iter().rev().filter_map(|number| {
            let AppliedEntry { workloads: settled, graph, .. } = self.entry(number).ok()?;
            Some(HistoryEntry { number, settled, graph })
        });
        previous_revisions(spec, entries)
    }

    /// Returns the rollouts that were rolled back, oldest first.
    #[must_use]
    pub fn rollbacks(&self) -> Vec<Rollback> {
        read(&self.folder.join(ROLLBACKS)).unwrap_or_default()
    }

    /// Adds a rollout that was rolled back.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep_rollback(&self, workload: &str, rolled_back: &RolledBack) -> Result<(), CliError> {
        let Some(failed) = rolled_back.failed.clone() else { return Ok(()) };
        let mut all = self.rollbacks();
        all.push(Rollback { workload: workload.to_owned(), of: rolled_back.of.clone(), failed });
        let first = all.len().saturating_sub(KEPT);
        write(&self.folder.join(ROLLBACKS), &all.split_off(first))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.json"))
    }

    /// Returns the last entry in which a workload differs from the current spec; or the one with that number.
    ///
    /// # Errors
    /// When there is none.
    pub fn before(
        &self,
        address: &str,
        now: &str,
        number: Option<u64>,
    ) -> Result<AppliedEntry, CliError> {
        if let Some(number) = number {
            if !self.numbers().contains(&number) {
                return Err(CliError::Usage(
                    format!("the history has no entry {number}"),
                    "`tally rollout history` lists them.".to_owned(),
                ));
            }
            return self.entry(number);
        }
        for number in self.numbers().into_iter().rev() {
            let entry = self.entry(number)?;
            if entry.workloads.get(address).is_some_and(|fingerprint| fingerprint != now) {
                return Ok(entry);
            }
        }
        Err(CliError::Usage(
            format!("the history has no other revision of {address}"),
            "`tally rollout history` lists what was applied from this folder.".to_owned(),
        ))
    }
}

fn fingerprints(graph: &Graph) -> BTreeMap<String, String> {
    graph.workloads().map(|w| (w.address().to_string(), w.fingerprint())).collect()
}

/// Returns `user@machine`, as far as the environment has it.
pub fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", user.unwrap_or_else(|_| "unknown".to_owned()), machine.trim())
}
