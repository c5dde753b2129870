//! What was applied, when, by whom: `.tally/history/CLUSTER/NUMBER.json`, so that a change can be
//! undone. Only specs that came to tally are kept, the last few of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tally_graph::Graph;

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
    /// The fingerprint of each workload, by address.
    pub workloads: BTreeMap<String, String>,
    /// The spec.
    pub graph: Graph,
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
        read(&self.folder.join(format!("{number:06}.json")))
    }

    /// Keeps a spec that has come to tally, unless it asks for the same as the last one.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep(&self, graph: &Graph, by: &str, at_ms: i64) -> Result<(), CliError> {
        let workloads: BTreeMap<String, String> =
            graph.workloads().map(|w| (w.address().to_string(), w.fingerprint())).collect();
        let numbers = self.numbers();
        let last = numbers.last().map(|last| self.entry(*last)).transpose()?;
        if last.as_ref().is_some_and(|last| last.workloads == workloads) {
            return Ok(());
        }
        let number = numbers.last().copied().unwrap_or(0) + 1;
        let who = who();
        let entry =
            Applied { number, at_ms, who, by: by.to_owned(), workloads, graph: graph.clone() };
        write(&self.folder.join(format!("{number:06}.json")), &entry)?;
        for old in numbers.iter().rev().skip(KEPT - 1) {
            // What stays too long takes room and nothing else.
            let _ = fs::remove_file(self.folder.join(format!("{old:06}.json")));
        }
        Ok(())
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

/// `user@machine`, as far as the environment tells.
fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", user.unwrap_or_else(|_| "unknown".to_owned()), machine.trim())
}
