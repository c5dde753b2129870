//! Compares the three states of one container: desired (the graph), applied (the label), live (list and
//! inspect). The comparison is written once, over sorted maps of fields.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tally_graph::schema::{UpdateClass, update_class};
use tally_graph::{FieldPath, FileSpec, Graph, Provenance, Workload, flatten};
use tally_source::Span;

use crate::desired::realise::DesiredContainer;
use crate::input::observed::Live;
use crate::inventory::containers::Found;
use crate::labels::applied::{Applied, AppliedSecret};
use crate::labels::{self, Role};
use crate::plan::FieldChange;

/// The differences of a container, by cause.
#[derive(Debug, Clone, Default)]
pub struct Difference {
    /// Desired ≠ applied: the spec has changed.
    pub spec: Vec<FieldChange>,
    /// Applied ≠ live: the running container was changed outside the spec.
    pub drift: Vec<FieldChange>,
}

impl Difference {
    /// Returns all differing fields.
    pub fn all(&self) -> impl Iterator<Item = &FieldChange> {
        self.spec.iter().chain(&self.drift)
    }

    /// Returns the most disruptive class of the fields; `Nothing` when nothing differs.
    #[must_use]
    pub fn class(&self) -> UpdateClass {
        self.all().map(|change| change.class).max().unwrap_or(UpdateClass::Nothing)
    }
}

/// The positions of the fields of one container in the spec.
pub struct Places<'a> {
    graph: &'a Graph,
    workload: &'a Workload,
    container: Option<&'a Provenance>,
    fallback: Span,
}

impl<'a> Places<'a> {
    /// Returns the positions of a desired container's fields.
    #[must_use]
    pub fn new(graph: &'a Graph, workload: &'a Workload, desired: &DesiredContainer<'a>) -> Self {
        let container = workload.container_provenance.get(&desired.name);
        Self { graph, workload, container, fallback: desired.span }
    }

    /// Returns the position of a field, or that of its container's node.
    #[must_use]
    pub fn of(&self, path: &FieldPath) -> Span {
        let pod_level =
            matches!(path.first(), "label" | "restart" | "hostname" | "network" | "init");
        let provenance = match (pod_level, self.container) {
            (false, Some(container)) => container,
            _ => &self.workload.provenance,
        };
        provenance
            .of(path)
            .and_then(|origin| self.graph.written_at(origin))
            .unwrap_or(self.fallback)
    }
}

/// Returns all differences of an existing container.
#[must_use]
pub fn difference(
    desired: &DesiredContainer<'_>,
    seen: &Found<'_>,
    places: &Places<'_>,
) -> Difference {
    let applied = &seen.identity.applied();
    let mut found = Difference::default();
    immutable(desired, applied, places, &mut found);
    live(desired, applied, &seen.details.live, places, &mut found);
    files(desired, seen, places, &mut found);
    found
}

/// Returns the [`difference`] of a container whose label is exactly the desired one: the label is not
/// parsed, and only settings that can be changed outside Tally are compared.
pub(crate) fn difference_of_matching(
    desired: &DesiredContainer<'_>,
    seen: &Found<'_>,
    places: &Places<'_>,
) -> Difference {
    let mut found = Difference::default();
    live(desired, &desired.applied, &seen.details.live, places, &mut found);
    files(desired, seen, places, &mut found);
    found
}

/// Compares the fields that only a new container can change: desired with the label. Docker cannot change
/// them in place, so they cannot drift, and Docker's normalised forms are never compared.
fn immutable(
    desired: &DesiredContainer<'_>,
    applied: &Applied,
    places: &Places<'_>,
    found: &mut Difference,
) {
    if *applied == desired.applied {
        return;
    }
    let fields = |of: &Applied| {
        let value = serde_json::to_value(of).unwrap_or(Value::Null);
        let mut fields = flatten(&value);
        fields.retain(|path, _| !matches!(path.first(), "resources" | "restart" | "secret-env"));
        for (key, secret) in &of.secret_env {
            let known = applied.secret_env.get(key);
            fields.insert(FieldPath::new(["env", key.as_str()]), secret_words(secret, known));
        }
        fields
    };
    found.spec.extend(compare(&fields(applied), &fields(&desired.applied), places));
}

/// Returns a text with secrets and the first digits of its keyed hash. A secret that was not read counts as
/// unchanged.
fn secret_words(secret: &AppliedSecret, applied: Option<&AppliedSecret>) -> Value {
    let keyed = match (secret.keyed.is_empty(), applied) {
        (true, Some(applied)) => &applied.keyed,
        _ => &secret.keyed,
    };
    json!(format!("{} (keyed {})", secret.text, keyed.get(..12).unwrap_or(keyed)))
}

/// Returns the fields of two sorted maps that differ, without those whose change has no effect.
fn compare(
    old: &BTreeMap<FieldPath, Value>,
    new: &BTreeMap<FieldPath, Value>,
    places: &Places<'_>,
) -> Vec<FieldChange> {
    let gone = old.keys().filter(|path| !new.contains_key(*path));
    let mut paths: Vec<&FieldPath> = new.keys().chain(gone).collect();
    paths.sort();
    let changes = paths.into_iter().filter_map(|path| {
        let (old, new) = (old.get(path), new.get(path));
        let class = update_class(path);
        (old != new && class != UpdateClass::Nothing).then(|| FieldChange {
            path: path.clone(),
            old: old.cloned(),
            new: new.cloned(),
            class,
            origin: Some(places.of(path)),
        })
    });
    changes.collect()
}

/// One field that Docker can change while a container runs.
struct LiveRow {
    path: &'static str,
    value: fn(&Live) -> u64,
    /// Converts a value in Docker's units to the units of the language.
    words: fn(u64) -> Value,
}

const LIVE_ROWS: &[LiveRow] = &[
    LiveRow {
        path: "resources.cpu",
        value: |live| live.cpu_shares,
        words: |shares| json!((shares * 1000).div_ceil(1024)),
    },
    LiveRow {
        path: "resources.max-cpu",
        value: |live| live.nano_cpus,
        words: |nano| json!(nano / 1_000_000),
    },
    LiveRow {
        path: "resources.memory",
        value: |live| live.memory_reservation,
        words: |bytes| json!(bytes),
    },
    LiveRow {
        path: "resources.max-memory",
        value: |live| live.memory,
        words: |bytes| json!(bytes),
    },
];

/// Compares the fields that Docker can change while a container runs: desired with inspect. The label
/// decides whether the spec has changed or the container: it contains the values at creation, so a value
/// that differs from both counts as drift only while the spec agrees with the label.
fn live(
    desired: &DesiredContainer<'_>,
    applied: &Applied,
    seen: &Live,
    places: &Places<'_>,
    found: &mut Difference,
) {
    let wanted = desired.live();
    let asked = crate::desired::realise::live(&applied.resources, applied.restart);
    for row in LIVE_ROWS {
        let (old, new) = ((row.value)(seen), (row.value)(&wanted));
        if old == new {
            continue;
        }
        let path = FieldPath::parse(row.path);
        let change = FieldChange {
            old: (old != 0).then(|| (row.words)(old)),
            new: (new != 0).then(|| (row.words)(new)),
            class: UpdateClass::Live,
            origin: Some(places.of(&path)),
            path,
        };
        if (row.value)(&asked) == new { found.drift.push(change) } else { found.spec.push(change) }
    }
    if seen.restart != wanted.restart {
        let path = FieldPath::parse("restart");
        let change = FieldChange {
            old: Some(restart_word(&seen.restart)),
            new: Some(restart_word(&wanted.restart)),
            class: UpdateClass::Live,
            origin: Some(places.of(&path)),
            path,
        };
        // Tally decides the policy of an infra container, not the spec.
        let ours = desired.source.is_none() || asked.restart == wanted.restart;
        if ours { found.drift.push(change) } else { found.spec.push(change) }
    }
}

fn restart_word(policy: &str) -> Value {
    match policy {
        "no" | "" => json!("never"),
        other => json!(other),
    }
}

/// Compares the desired files with the record in the container.
fn files(
    desired: &DesiredContainer<'_>,
    seen: &Found<'_>,
    places: &Places<'_>,
    found: &mut Difference,
) {
    let none = BTreeMap::new();
    let wanted = desired.files().unwrap_or(&none);
    let recorded = seen.details.files.as_ref().unwrap_or(&none);
    // The record is read only if the label says so, and labels cannot be added later.
    let readable = seen.container.labels.contains_key(labels::FILES);
    for (path, file) in wanted {
        let old = recorded.get(path);
        if old.is_some_and(|old| is_same(old, file)) {
            continue;
        }
        let class = match file.on_change {
            _ if !readable => UpdateClass::RecreateContainer,
            Some(_) => UpdateClass::Reload,
            None => UpdateClass::Restart,
        };
        let field = FieldPath::new(["file", path.as_str()]);
        found.spec.push(FieldChange {
            old: old.map(file_words),
            new: Some(file_words(file)),
            class,
            origin: Some(places.of(&field)),
            path: field,
        });
    }
    for (path, old) in recorded.iter().filter(|(path, _)| !wanted.contains_key(*path)) {
        // Docker's API can write a file but cannot remove one.
        let field = FieldPath::new(["file", path.as_str()]);
        found.spec.push(FieldChange {
            old: Some(file_words(old)),
            new: None,
            class: UpdateClass::RecreateContainer,
            origin: Some(places.of(&field)),
            path: field,
        });
    }
}

/// Checks whether a file is up to date. A secret that was not read counts as unchanged.
fn is_same(old: &FileSpec, file: &FileSpec) -> bool {
    let unread = file.content.keyed() == Some("") && old.is_secret();
    old.is_same_as(file) || unread && (old.mode, &old.owner) == (file.mode, &file.owner)
}

/// Returns the files with secrets that are missing or different in memory, for example after the whole pod
/// was down. A container that runs without them has started without them.
#[must_use]
pub fn lost_secrets(
    desired: &DesiredContainer<'_>,
    seen: &Found<'_>,
    places: &Places<'_>,
) -> Vec<FieldChange> {
    let none = BTreeMap::new();
    let recorded = seen.details.files.as_ref().unwrap_or(&none);
    let in_memory = seen.details.secrets.as_ref();
    let class = if in_memory.is_none() && desired.role == Role::Container {
        UpdateClass::Restart
    } else {
        UpdateClass::Reload
    };
    let wanted = desired.files().into_iter().flatten().filter(|(_, file)| file.is_secret());
    let lost = wanted.filter_map(|(path, file)| {
        // A file that the spec has changed is written anyway.
        let written = recorded.get(path).filter(|written| is_same(written, file))?;
        let now = in_memory.and_then(|files| files.get(path));
        if now.is_some_and(|now| is_same(now, written)) {
            return None;
        }
        let field = FieldPath::new(["file", path.as_str()]);
        Some(FieldChange {
            old: now.map(file_words),
            new: Some(file_words(written)),
            class,
            origin: Some(places.of(&field)),
            path: field,
        })
    });
    lost.collect()
}

fn file_words(file: &FileSpec) -> Value {
    let (kind, hash) = match file.content.keyed() {
        Some(keyed) => ("keyed", keyed),
        None => ("sha256", file.content.stored().unwrap_or_default()),
    };
    let short = hash.get(..12).unwrap_or(hash);
    json!(format!("{kind}:{short} {:04o} {}", file.mode, file.owner))
}
