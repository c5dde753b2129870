//! Rollouts that go back by themselves when they fail: the spec says `on-failure=rollback`.
//!
//! Going back is an undo that nobody asked for by hand. What is remembered is the same, with what
//! failed beside it, and it ends the same way: by a newer spec. Whether a rollout is under way the
//! history tells, since a pod that fails may be of a version that served for a year; what was there
//! before the history tells too, and older pods that are still there. Nothing goes back twice: what
//! came back and fails too stays where it is.

mod older;
mod say;
pub mod undo;
mod unready;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_graph::{Graph, OnFailure, Workload};

pub use say::{blamed, images, stays};
pub use unready::{Unready, unready};

use crate::input::observed::{HostView, Observed};
use crate::inventory::collect::inventory;
use crate::inventory::containers::Inventory;
use crate::memory::Memory;
use crate::rollback::undo::Undone;
use older::before;

/// The attribute of a container that most likely has to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
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
pub struct Failed {
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
    pub blame: Blame,
    /// The entry of the history that is followed instead; 0 where it is what the older pods run.
    pub entry: u64,
}

impl Failed {
    /// `rolled back to entry 7 of the history: web-2/c: it ended with exit code 3`.
    #[must_use]
    pub fn words(&self, workload: &str) -> String {
        format!("rolled back to {}: {}: {}", self.goal(), self.name(workload), self.why)
    }

    /// What is followed instead.
    #[must_use]
    pub fn goal(&self) -> String {
        goal(self.entry)
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
pub struct Former {
    /// The fingerprint of what is rolled out.
    pub of: String,
    /// The entry of the history; 0 where there is none.
    pub entry: u64,
    /// What undoes the change; `None` when nothing was there before.
    pub before: Option<Undone>,
}

/// An entry of the history.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number.
    pub number: u64,
    /// Fingerprints of the workloads that had come to be as it says, by address.
    pub settled: BTreeMap<String, String>,
    /// The spec.
    pub graph: Graph,
}

/// What the workloads of a spec were before, of those that go back when their rollout fails. One
/// that was settled as it is now is not being rolled out, and is left out.
pub fn formers(
    spec: &Graph,
    newest_first: impl IntoIterator<Item = Entry>,
) -> BTreeMap<String, Former> {
    let goes_back = |workload: &&Workload| workload.update.on_failure == OnFailure::Rollback;
    let wanted = spec.workloads().filter(goes_back);
    let mut open: BTreeMap<String, &Workload> =
        wanted.map(|workload| (workload.address().to_string(), workload)).collect();
    let mut found = BTreeMap::new();
    let mut entries = newest_first.into_iter();
    while !open.is_empty()
        && let Some(entry) = entries.next()
    {
        open.retain(|address, workload| {
            if !entry.settled.contains_key(address) {
                return true;
            }
            let was = entry.graph.workloads().find(|was| was.address().to_string() == *address);
            let Some(was) = was else { return true };
            if !was.has_pods_of(workload) {
                let before = Undone::between(spec, &entry.graph, address);
                let former = Former { of: workload.fingerprint(), entry: entry.number, before };
                found.insert(address.clone(), former);
            }
            false
        });
    }
    for (address, workload) in open {
        found.insert(address, Former { of: workload.fingerprint(), entry: 0, before: None });
    }
    found
}

/// How a workload stands that may go back.
enum Course<'a> {
    /// It is being rolled out.
    Rolling(&'a Former),
    /// It went back, and follows what it was.
    Back(&'a Failed),
}

/// The course of a workload as it is followed; `None` when its failures are nobody's rollout.
fn course<'a>(workload: &Workload, memory: &'a Memory) -> Option<Course<'a>> {
    let address = workload.address().to_string();
    let undone = memory.declared.undone.get(&address);
    let former = memory.former.get(&address);
    if undone.is_none() && former.is_none() {
        return None;
    }
    let now = workload.fingerprint();
    if let Some(undone) = undone.filter(|undone| undone.workload.fingerprint() == now) {
        return undone.failed.as_ref().map(Course::Back);
    }
    let rolls = workload.update.on_failure == OnFailure::Rollback;
    former.filter(|former| rolls && former.of == now).map(Course::Rolling)
}

/// Whether people hold a workload as it is: then nobody else decides anything about it.
fn is_held(memory: &Memory, address: &str) -> bool {
    memory.declared.frozen.is_some() || memory.declared.paused.contains_key(address)
}

/// The workloads that are being rolled out and go back if that fails, with what they ask for.
#[must_use]
pub fn rolling(graph: &Graph, memory: &Memory) -> BTreeMap<String, String> {
    let rolls = |workload: &Workload| matches!(course(workload, memory), Some(Course::Rolling(_)));
    fingerprints(graph, memory, rolls)
}

/// The workloads that went back, with what they follow.
#[must_use]
pub fn went_back(graph: &Graph, memory: &Memory) -> BTreeMap<String, String> {
    let back = |workload: &Workload| matches!(course(workload, memory), Some(Course::Back(_)));
    fingerprints(graph, memory, back)
}

/// What failed of the workloads that went back, as they are followed.
#[must_use]
pub fn rolled_back<'m>(graph: &Graph, memory: &'m Memory) -> BTreeMap<String, &'m Failed> {
    if is_calm(memory) {
        return BTreeMap::new();
    }
    let failed = |workload: &Workload| match course(workload, memory)? {
        Course::Back(failed) => Some((workload.address().to_string(), failed)),
        Course::Rolling(_) => None,
    };
    graph.workloads().filter_map(failed).collect()
}

/// Whether nothing can be rolling or have gone back.
fn is_calm(memory: &Memory) -> bool {
    memory.former.is_empty() && memory.declared.undone.is_empty()
}

fn fingerprints(
    graph: &Graph,
    memory: &Memory,
    wanted: impl Fn(&Workload) -> bool,
) -> BTreeMap<String, String> {
    if is_calm(memory) {
        return BTreeMap::new();
    }
    let wanted = graph.workloads().filter(|workload| wanted(workload));
    wanted.map(|workload| (workload.address().to_string(), workload.fingerprint())).collect()
}

/// What is done about a rollout that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The workload goes back: this is to be followed.
    Back(Box<Undone>),
    /// It stays where it is, and why.
    Stays(String),
}

/// What is to be done now that the workload at `address` failed; `None` when that was no rollout
/// that goes back, or people hold it.
#[must_use]
pub fn decide(
    graph: &Graph,
    observed: &Observed,
    memory: &Memory,
    address: &str,
    failed: Failed,
) -> Option<Decision> {
    if is_held(memory, address) {
        return None;
    }
    let workload = graph.workloads().find(|it| it.address().to_string() == address)?;
    let former = match course(workload, memory)? {
        Course::Rolling(former) => former,
        Course::Back(first) => {
            let why = format!("it went back to {}, and that fails too", first.goal());
            return Some(Decision::Stays(why));
        }
    };
    let name = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
    let views = observed.hosts.values().filter_map(HostView::ready);
    let inventories: Vec<Inventory<'_>> = views.map(|state| inventory(name, state)).collect();
    let inventories: Vec<&Inventory<'_>> = inventories.iter().collect();
    Some(match before(graph, &inventories, workload, former) {
        Ok((entry, before)) => {
            let failed = Some(Failed { entry, ..failed });
            Decision::Back(Box::new(Undone { failed, ..before }))
        }
        Err(why) => Decision::Stays(why),
    })
}

/// `entry 7 of the history`; 0 is none.
#[must_use]
pub fn goal(entry: u64) -> String {
    match entry {
        0 => "what its older pods run".to_owned(),
        entry => format!("entry {entry} of the history"),
    }
}

/// How a container ended, in one line.
#[must_use]
pub fn ended_words(exit_code: Option<i64>, error: Option<&str>, restarts: u32) -> String {
    let mut text = match exit_code {
        Some(code) => format!("it ended with exit code {code}"),
        None => "it ended".to_owned(),
    };
    if restarts > 0 {
        text.push_str(&format!(", and again after each of {restarts} restarts"));
    }
    if let Some(error) = error {
        text.push_str(&format!(": {error}"));
    }
    text
}
