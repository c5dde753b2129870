//! What was applied, when, by whom: `.tally/history/CLUSTER/NUMBER.json`, so that a change can be
//! undone: the last few specs, and which of their workloads came to be as they say. What failed and went
//! back stands in `rollbacks.json` beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tally_graph::Graph;
use tally_reconcile::memory::revisions::Undone;
use tally_reconcile::rollback::{Entry, Failed, Former, formers};

use crate::errors::CliError;
use crate::memory::{read, write};
use crate::project::Project;

/// So many entries are kept.
const KEPT: usize = 20;

/// A spec that was applied.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Applied {
    /// Its number, from 1.
    pub number: u64,
    /// When all was as it says, in milliseconds since 1970.
    pub at_ms: i64,
    /// `user@machine`.
    pub who: String,
    /// `apply` or `run`.
    pub by: String,
    /// The fingerprint of each workload that had come to be as it says, by address.
    pub workloads: BTreeMap<String, String>,
    /// The spec.
    pub graph: Graph,
}

/// The file of the rollouts that went back.
const ROLLBACKS: &str = "rollbacks.json";

/// A rollout that went back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rollback {
    /// Its workload.
    pub workload: String,
    /// The fingerprint of what failed.
    pub of: String,
    /// What failed, and what is followed instead.
    pub failed: Failed,
}

/// The history of one cluster.
#[derive(Debug, Clone)]
pub struct History {
    folder: PathBuf,
}

impl History {
    /// The history that lies beside a spec.
    #[must_use]
    pub fn of(graph: &Graph, project: &Project) -> Self {
        let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
        Self { folder: project.kept().join("history").join(cluster) }
    }

    /// The numbers of its entries, oldest first.
    #[must_use]
    pub fn numbers(&self) -> Vec<u64> {
        let Ok(files) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let mut numbers: Vec<u64> =
            names.filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// One entry.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&self, number: u64) -> Result<Applied, CliError> {
        read(&self.path(number))
    }

    /// Keeps a spec of which `settled` have come to be as it says, unless that is known. What comes to
    /// be so later of the same spec is added to its entry.
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
            |last: &Applied| workloads.iter().all(|it| last.workloads.get(it.0) == Some(it.1));
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
                let entry = Applied { workloads, at_ms, who, by: by.to_owned(), ..last };
                return write(&self.path(entry.number), &entry);
            }
            // Of a spec that did not come to be as a whole only what is news.
            if workloads.len() < all.len() && known(&last) {
                return Ok(());
            }
        }
        let number = numbers.last().copied().unwrap_or(0) + 1;
        let entry =
            Applied { number, at_ms, who, by: by.to_owned(), workloads, graph: graph.clone() };
        write(&self.path(number), &entry)?;
        for old in numbers.iter().rev().skip(KEPT - 1) {
            // What stays too long takes room and nothing else.
            let _ = fs::remove_file(self.path(*old));
        }
        Ok(())
    }

    /// What workloads were before, of those that go back when their rollout fails. An entry that cannot
    /// be read is passed over.
    #[must_use]
    pub fn formers(&self, spec: &Graph) -> BTreeMap<String, Former> {
        let entries = self.numbers().into_iter().rev().filter_map(|number| {
            let Applied { workloads: settled, graph, .. } = self.entry(number).ok()?;
            Some(Entry { number, settled, graph })
        });
        formers(spec, entries)
    }

    /// The rollouts that went back, oldest first.
    #[must_use]
    pub fn rollbacks(&self) -> Vec<Rollback> {
        read(&self.folder.join(ROLLBACKS)).unwrap_or_default()
    }

    /// Keeps that a rollout went back.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep_rollback(&self, workload: &str, undone: &Undone) -> Result<(), CliError> {
        let Some(failed) = undone.failed.clone() else { return Ok(()) };
        let mut all = self.rollbacks();
        all.push(Rollback { workload: workload.to_owned(), of: undone.of.clone(), failed });
        let first = all.len().saturating_sub(KEPT);
        write(&self.folder.join(ROLLBACKS), &all.split_off(first))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.json"))
    }

    /// The last entry in which a workload differs from what the spec asks for now; or the one of
    /// that number.
    ///
    /// # Errors
    /// When there is none.
    pub fn before(
        &self,
        address: &str,
        now: &str,
        number: Option<u64>,
    ) -> Result<Applied, CliError> {
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
            format!("{address} was never anything else, as far as the history tells"),
            "`tally rollout history` lists what was applied from this folder.".to_owned(),
        ))
    }
}

fn fingerprints(graph: &Graph) -> BTreeMap<String, String> {
    graph.workloads().map(|w| (w.address().to_string(), w.fingerprint())).collect()
}

/// `user@machine`, as far as the environment tells.
/// `user@machine`.
pub fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", user.unwrap_or_else(|_| "unknown".to_owned()), machine.trim())
}
