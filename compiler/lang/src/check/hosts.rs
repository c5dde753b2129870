//! Placement compared with the labels of hosts that the spec declares.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Host, Selector};
use tally_source::{Diagnostic, Span, nearest};

use crate::codes;
use crate::lower::LoweredWorkload;
use crate::reporter::Reporter;
use crate::write;

/// Labels that only the engine of a host knows.
const ENGINE_LABELS: [&str; 2] = ["os", "arch"];

/// Reports a `place` that no host can satisfy.
pub(crate) fn placement(
    cx: &mut Reporter<'_>,
    workloads: &[LoweredWorkload],
    hosts: &[Host],
    incomplete: bool,
) {
    if incomplete {
        return;
    }
    let hosts = HostLabels::new(hosts);
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    for lowered in workloads {
        let place = &lowered.workload.place;
        if let (Some(require), Some(span)) = (&place.require, lowered.facts.require_span) {
            let judged = judged(require);
            // Most pods require one of a few things.
            let fits = known.entry(judged.to_string()).or_insert_with(|| hosts.satisfy(&judged));
            if !*fits && !cx.is_full() {
                unsatisfied(cx, &judged, span, &hosts);
            }
        }
        if let (Some(key), Some(span)) = (&place.spread, lowered.facts.spread_span) {
            let fits = ENGINE_LABELS.contains(&key.as_str()) || hosts.keys.contains(key.as_str());
            if !fits && !hosts.all.is_empty() && !cx.is_full() {
                let found =
                    Diagnostic::error(codes::NO_MATCH, format!("no host has a label `{key}`"))
                        .label(span, "");
                let keys = hosts.keys.iter().map(String::as_str).take(MOST_CANDIDATES);
                let meant = if cx.is_crowded() { None } else { nearest(key, keys) };
                cx.report(match meant {
                    Some(meant) => {
                        found.maybe(format!("write `by={meant}`"), span, write::text(meant))
                    }
                    None => found,
                });
            }
        }
    }
}

/// The maximum number of labels that are compared with a misspelt one.
const MOST_CANDIDATES: usize = 5000;

/// The maximum number of hosts that are compared with all requirements of a spec together, where no pair selects them.
const MOST_STEPS: usize = 4_000_000;

/// The labels of all hosts, found by their pairs.
struct HostLabels {
    all: Vec<BTreeMap<String, String>>,
    by_pair: BTreeMap<(String, String), Vec<usize>>,
    keys: BTreeSet<String>,
    left: Cell<usize>,
}

impl HostLabels {
    fn new(hosts: &[Host]) -> Self {
        let mut labels = Self {
            all: Vec::new(),
            by_pair: BTreeMap::new(),
            keys: BTreeSet::new(),
            left: Cell::new(MOST_STEPS),
        };
        for (i, host) in hosts.iter().enumerate() {
            let mut own = host.labels.clone();
            own.insert("host".to_owned(), host.name.clone());
            for (key, value) in &own {
                labels.by_pair.entry((key.clone(), value.clone())).or_default().push(i);
                labels.keys.insert(key.clone());
            }
            labels.all.push(own);
        }
        labels
    }

    /// Returns the hosts among which are all that a selector matches: those with the rarest of its pairs.
    fn candidates(&self, selector: &Selector) -> Vec<&BTreeMap<String, String>> {
        let pairs = selector.all.iter().map(|(key, value)| {
            let found = self.by_pair.get(&(key.clone(), value.clone()));
            found.map(Vec::as_slice).unwrap_or_default()
        });
        match pairs.min_by_key(|found| found.len()) {
            Some(found) => found.iter().filter_map(|i| self.all.get(*i)).collect(),
            None => self.all.iter().collect(),
        }
    }

    /// Checks whether a host satisfies a requirement. If too many were compared, it is taken to be satisfied.
    fn satisfy(&self, require: &Selector) -> bool {
        if *require == Selector::default() {
            return true;
        }
        let candidates = self.candidates(require);
        let left = self.left.get().saturating_sub(candidates.len());
        self.left.set(left);
        left == 0 || candidates.iter().any(|labels| require.matches(labels))
    }
}

/// Returns the part of a requirement that the labels of the spec decide.
fn judged(require: &Selector) -> Selector {
    let judged = |key: &str| !ENGINE_LABELS.contains(&key);
    let mut known = require.clone();
    known.all.retain(|key, _| judged(key));
    known.not.retain(|(key, _)| judged(key));
    known.any.retain(|(key, _)| judged(key));
    known.has.retain(|key| judged(key));
    known.lacks.retain(|key| judged(key));
    known
}

/// Reports a requirement that no host satisfies.
fn unsatisfied(cx: &mut Reporter<'_>, known: &Selector, span: Span, hosts: &HostLabels) {
    if hosts.all.is_empty() {
        // The local engine has no labels, and its host no name.
        let wanting = !known.all.is_empty() || !known.any.is_empty() || !known.has.is_empty();
        if wanting {
            cx.report(
                Diagnostic::error(codes::NO_MATCH, "no host matches: the local engine has no labels")
                    .label(span, "")
                    .help("Labels belong to hosts that the cluster names: `host local \"unix:///var/run/docker.sock\" { label disk=ssd }`."),
            );
        }
        return;
    }
    let mut found =
        Diagnostic::error(codes::NO_MATCH, format!("no host matches `{known}`")).label(span, "");
    // A single pair that differs is the most likely mistake.
    for (key, value) in known.all.iter().filter(|_| !cx.is_crowded()) {
        let mut rest = known.clone();
        rest.all.remove(key);
        let mut values: Vec<&str> = hosts
            .candidates(&rest)
            .into_iter()
            .filter(|labels| rest.matches(labels))
            .filter_map(|labels| labels.get(key))
            .map(String::as_str)
            .collect();
        values.sort_unstable();
        values.dedup();
        if !values.is_empty() {
            let shown: Vec<String> =
                values.iter().take(5).map(|value| format!("`{value}`")).collect();
            found.headline = format!("no host matches: `{key}` is {}", shown.join(" or "));
            if rest != Selector::default() {
                found.headline.push_str(&format!(" where `{rest}`"));
            }
            if let Some(meant) = nearest(value, values.iter().copied()) {
                let old = format!("{key}={value}");
                let raw = cx.raw(span);
                if let Some(at) = raw.find(&old) {
                    let start = span.start as usize + at + key.len() + 1;
                    let place = Span::new(span.file, start, start + value.len());
                    found =
                        found.maybe(format!("write `{key}={meant}`"), place, write::text(meant));
                }
            }
            break;
        }
    }
    cx.report(found);
}
