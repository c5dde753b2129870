//! Rollouts that go back by themselves when they fail: the spec says `on-failure=rollback`.
//!
//! Going back is an undo that nobody asked for by hand. What is remembered is the same, with what
//! failed beside it, and it ends the same way: by a newer spec. Whether a rollout is under way and
//! what was there before is read from the history; live state alone could not tell a pod of a new
//! version that fails from one of a version that served for a year. Nothing goes back twice: what
//! came back and fails too stays where it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tally_graph::{FieldPath, Graph, OnFailure, Workload};
use tally_source::{Code, Diagnostic, Span};

use crate::builder::Builder;
use crate::diff::{Places, difference};
use crate::found::{Containers, Found, inventory};
use crate::labels::Role;
use crate::memory::Memory;
use crate::observed::{ContainerState, Health, HostView, Observed};
use crate::plan::{Fallback, Held, HeldBy, Why};
use crate::planner::{Planner, subject};
use crate::pods::PodPlan;
use crate::realise::{
    CRASH_LOOP_RESTARTS, DesiredContainer, INIT_DEADLINE_MS, Surroundings, realise,
};
use crate::undo::Undone;
use tally_graph::schema::UpdateClass;

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
    /// The entry of the history that is followed instead.
    pub entry: u64,
}

impl Failed {
    /// `rolled back to entry 7 of the history: web-2/c: it ended with exit code 3`.
    #[must_use]
    pub fn words(&self, workload: &str) -> String {
        let (entry, name) = (self.entry, self.name(workload));
        format!("rolled back to entry {entry} of the history: {name}: {}", self.why)
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
            let entry = first.entry;
            let why = format!("it went back to entry {entry} of the history, and that fails too");
            return Some(Decision::Stays(why));
        }
    };
    let Some(before) = &former.before else {
        return Some(Decision::Stays(NOTHING_BEFORE.to_owned()));
    };
    if !agrees(graph, observed, workload, &before.workload) {
        return Some(Decision::Stays(other_pods(former.entry)));
    }
    let failed = Failed { entry: former.entry, ..failed };
    Some(Decision::Back(Box::new(Undone { failed: Some(failed), ..before.clone() })))
}

const NOTHING_BEFORE: &str =
    "there is nothing to go back to: it never came to be as a spec from here said";

fn other_pods(entry: u64) -> String {
    format!(
        "its older pods are not what entry {entry} of the history says, so going back would change \
         them"
    )
}

/// Whether pods that are not of the new version are as `before` says, as far as there are any: else
/// the history is not this cluster's, and going back would take down what serves.
fn agrees(graph: &Graph, observed: &Observed, now: &Workload, before: &Workload) -> bool {
    let Some(cluster) = graph.cluster() else { return false };
    let secrets = BTreeMap::new();
    let around = surroundings(graph, &cluster.name, &secrets);
    let address = now.address().to_string();
    let (mut older, mut alike) = (false, false);
    for state in observed.hosts.values().filter_map(HostView::ready) {
        let inventory = inventory(&cluster.name, state);
        let own = inventory.pods.iter().filter(|(_, pod)| pod.workload() == Some(&address));
        for (name, pod) in own {
            if !is_of(graph, now, name, pod, &around) {
                older = true;
                alike |= is_of(graph, before, name, pod, &around);
            }
        }
    }
    alike || !older
}

fn surroundings<'a>(
    graph: &'a Graph,
    cluster: &'a str,
    secrets: &'a BTreeMap<String, String>,
) -> Surroundings<'a> {
    let volumes = graph.volumes().map(|volume| (volume.name.as_str(), volume)).collect();
    Surroundings { cluster, volumes, secrets }
}

/// Whether all that is there of a pod is as a workload says, but for what is changed in place.
fn is_of(
    graph: &Graph,
    workload: &Workload,
    name: &str,
    found: &Containers<'_>,
    around: &Surroundings<'_>,
) -> bool {
    let pod = realise(workload, name.to_owned(), around);
    found.values().all(|found| {
        let desired = pod
            .containers
            .iter()
            .find(|it| (it.role, it.name.as_str()) == (found.identity.role, found.identity.name));
        desired.is_some_and(|desired| {
            let places = Places::new(graph, workload, desired);
            let differs = difference(desired, found, &places);
            differs.spec.iter().all(|change| change.class <= UpdateClass::Live)
        })
    })
}

/// A container of a rollout's new pods that is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// Its workload.
    pub workload: String,
    /// What that asks for.
    pub of: String,
    /// Where it is.
    pub host: String,
    /// Its pod.
    pub pod: String,
    /// Its name in the pod.
    pub container: String,
    /// Its full ID.
    pub id: String,
    /// What it lacks, in one line.
    pub reason: String,
    /// Whether it cannot get ready any more.
    pub is_over: bool,
    /// It fails when it has not got ready within so long.
    pub deadline_ms: u64,
    /// What to change, most likely.
    pub blame: Blame,
}

/// All containers that are not ready of the new pods of rollouts that go back when they fail, and of
/// what came back.
#[must_use]
pub fn unready(graph: &Graph, observed: &Observed, memory: &Memory, now_ms: i64) -> Vec<Unready> {
    let Some(cluster) = graph.cluster() else { return Vec::new() };
    // Every round asks, and nearly always nothing is being rolled out.
    if is_calm(memory) {
        return Vec::new();
    }
    let secrets = BTreeMap::new();
    let around = surroundings(graph, &cluster.name, &secrets);
    let watched: BTreeMap<String, &Workload> = graph
        .workloads()
        .map(|workload| (workload.address().to_string(), workload))
        .filter(|(address, workload)| {
            !is_held(memory, address) && course(workload, memory).is_some()
        })
        .collect();
    let mut all = Vec::new();
    if watched.is_empty() {
        return all;
    }
    for (host, view) in &observed.hosts {
        let Some(state) = view.ready() else { continue };
        let its_now_ms = state.its_now_ms(now_ms);
        for (name, found) in &inventory(&cluster.name, state).pods {
            let address = found.workload().unwrap_or_default();
            let Some(workload) = watched.get(address) else { continue };
            if !is_of(graph, workload, name, found, &around) {
                continue;
            }
            let pod = realise(workload, (*name).to_owned(), &around);
            let infra = found.get(Role::Infra, "");
            let containers = pod.containers.iter().filter_map(|desired| {
                let found = found.get(desired.role, &desired.name)?;
                // A network that ended says nothing of a version: it is put right first.
                if found.is_cut_off(infra) {
                    return None;
                }
                let lack = lack(workload, desired, found, infra, its_now_ms)?;
                Some(Unready {
                    workload: address.to_owned(),
                    of: workload.fingerprint(),
                    host: host.clone(),
                    pod: (*name).to_owned(),
                    container: desired.name.clone(),
                    id: found.container.id.clone(),
                    reason: lack.reason,
                    is_over: lack.is_over,
                    deadline_ms: lack.deadline_ms,
                    blame: lack.blame,
                })
            });
            all.extend(containers);
        }
    }
    all
}

struct Lack {
    reason: String,
    is_over: bool,
    deadline_ms: u64,
    blame: Blame,
}

/// What a container lacks; `None` when it is ready, or need not be. The first rule that fits:
///
/// | what is seen | |
/// |---|---|
/// | an init that ended with another code than 0 | over |
/// | an init that has ended well, or was not started | nothing |
/// | it is ready | nothing |
/// | Docker's policy has started it again three times | over |
/// | it ended, and nothing starts it again | over |
/// | anything else | it has until its deadline |
fn lack(
    workload: &Workload,
    desired: &DesiredContainer<'_>,
    found: &Found<'_>,
    infra: Option<&Found<'_>>,
    now_ms: i64,
) -> Option<Lack> {
    use ContainerState as S;
    let details = found.details;
    let state = found.container.state;
    let ended = || ended_words(details.exit_code, details.error.as_deref(), details.restart_count);
    let over = |reason| Some(Lack { reason, is_over: true, deadline_ms: 0, blame: Blame::Command });
    let not_yet = |reason: &str, deadline_ms, blame| {
        Some(Lack { reason: reason.to_owned(), is_over: false, deadline_ms, blame })
    };
    if desired.role == Role::Init {
        return match state {
            S::Exited if details.exit_code != Some(0) => over(ended()),
            S::Running => not_yet("it has not ended yet", INIT_DEADLINE_MS, Blame::Command),
            _ => None,
        };
    }
    if desired.role == Role::Infra || found.is_ready(&desired.ready, infra, now_ms) {
        return None;
    }
    let deadline_ms = desired.ready.deadline_ms;
    match state {
        _ if details.restart_count >= CRASH_LOOP_RESTARTS => over(ended()),
        S::Exited if workload.restart != tally_graph::Restart::Always => over(ended()),
        S::Removing | S::Dead => None,
        S::Created => not_yet("it is not started yet", deadline_ms, Blame::Command),
        S::Exited | S::Restarting => {
            not_yet("it has ended and is started again", deadline_ms, Blame::Command)
        }
        S::Paused => not_yet("it is paused", deadline_ms, Blame::Command),
        S::Running => match (desired.ready.healthy, details.health) {
            (true, Health::Unhealthy) => {
                not_yet("its health check fails", deadline_ms, Blame::Readiness)
            }
            (true, Health::Starting | Health::None) => {
                let reason = "its health check has not succeeded yet";
                not_yet(reason, deadline_ms, Blame::Readiness)
            }
            _ => not_yet("it has not run long enough yet", deadline_ms, Blame::Command),
        },
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

/// That a rollout failed and stays where it is.
#[must_use]
pub fn stays(graph: &Graph, address: &str, why: &str) -> Diagnostic {
    let workload = graph.workloads().find(|it| it.address().to_string() == address);
    let headline = format!("the rollout of `{address}` failed and stays where it is: {why}");
    let found = Diagnostic::warning(Code(1304), headline);
    let found = match workload {
        Some(workload) => found.label(workload.span, "`on-failure=rollback` cannot help here"),
        None => found,
    };
    found.help("Pods that serve are not touched. Put the spec right and apply again.")
}

impl Planner<'_> {
    /// Says which workloads went back, and what failed.
    pub(crate) fn report_rolled_back(&self, wanted: &[&Workload], builder: &mut Builder) {
        if self.memory.declared.undone.is_empty() {
            return;
        }
        for workload in wanted {
            let Some(Course::Back(failed)) = course(workload, self.memory) else { continue };
            let address = workload.address().to_string();
            let (name, entry) = (failed.name(&address), failed.entry);
            let resume = format!("`tally rollout resume {address}` tries it once more.");
            let span = blamed(self.graph, workload, failed);
            let mut help = format!(
                "It follows what it was in entry {entry} of the history ({}), until the spec asks \
                 for something new. {resume}",
                images(workload)
            );
            if !failed.last_lines.is_empty() {
                help.push_str(&format!("\nlast lines of {name}:"));
                for line in &failed.last_lines {
                    help.push_str(&format!("\n  | {line}"));
                }
            }
            let headline = format!("`{address}` was rolled back: {name}: {}", failed.why);
            builder.report(
                Diagnostic::warning(Code(1303), headline).label(span, "this failed").help(help),
            );
            let why = Why {
                reason: format!("it was {}", failed.words(&address)),
                help: Some(resume),
                by: HeldBy::RolledBack,
                ..Why::default()
            };
            let held = Held {
                subject: subject(workload, ""),
                host: String::new(),
                why,
                origin: Some(span),
            };
            builder.plan.held.push(held);
        }
    }

    /// Says, before anything is done, what becomes of a rollout that fails.
    pub(crate) fn fallback(&self, workload: &Workload, own: &[PodPlan], builder: &mut Builder) {
        if !own.iter().any(|pod| pod.rolls) {
            return;
        }
        let Some(Course::Rolling(former)) = course(workload, self.memory) else { return };
        let (entry, what) = match &former.before {
            Some(before) => (Some(former.entry), images(&before.workload)),
            None => (None, NOTHING_BEFORE.to_owned()),
        };
        let workload = workload.address().to_string();
        builder.plan.fallbacks.push(Fallback { workload, entry, what });
    }
}

/// Where the attribute is written that has to change.
#[must_use]
pub fn blamed(graph: &Graph, workload: &Workload, failed: &Failed) -> Span {
    let paths: &[&str] = match failed.blame {
        Blame::Image => &["image"],
        Blame::Command => &["command", "image"],
        Blame::Readiness => &["readiness"],
        Blame::Publish => &["port"],
    };
    let known = workload.container_provenance.get(&failed.container);
    let written = paths.iter().find_map(|path| {
        let exact = known?.exact(&FieldPath::new([*path]));
        // A block's fields are known one by one.
        let below = || known?.iter().find(|(at, _)| at.first() == *path).map(|(_, origin)| origin);
        graph.written_at(exact.or_else(below)?)
    });
    let node = workload.container_spans.get(&failed.container).copied();
    written.or(node).unwrap_or(workload.span)
}

/// The images of a workload's containers: what people know a version by.
#[must_use]
pub fn images(workload: &Workload) -> String {
    let images = workload.containers.iter().map(|container| container.image.to_string());
    images.collect::<Vec<_>>().join(", ")
}
