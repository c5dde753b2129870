//! Selectors and their matches.

use std::cell::Cell;
use std::collections::BTreeMap;

use tally_graph::Selector;

use super::lowered::LoweredWorkload;
use crate::decode::{Pair, SelectorDraft, TextAt};
use crate::reporter::Reporter;

/// Returns the selector without the places of its parts.
pub(super) fn lower(_cx: &mut Reporter<'_>, draft: &SelectorDraft<'_>) -> Selector {
    let value = |pair: &Pair<'_>| pair.text().unwrap_or_default().to_owned();
    let text = |part: &TextAt<'_>| part.text.to_string();
    Selector {
        all: draft.all.iter().map(|pair| (pair.key().to_owned(), value(pair))).collect(),
        not: draft.not.iter().map(|pair| (pair.key().to_owned(), value(pair))).collect(),
        any: draft
            .any
            .iter()
            .map(|(key, values)| (text(key), values.iter().map(text).collect()))
            .collect(),
        has: draft.has.iter().map(text).collect(),
        lacks: draft.lacks.iter().map(text).collect(),
    }
}

/// The labels of all workloads, indexed by pair, so that a spec with thousands of services is matched without
/// comparing every pod with every service.
pub(crate) struct Selectable {
    pub labels: Vec<BTreeMap<String, String>>,
    by_pair: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    /// Whether some labels are wrong. Then no selector is reported as matching nothing.
    pub bad: bool,
    /// The number of workloads that may still be matched. A small text can match every pod with every service, and
    /// each match is an edge of the graph.
    left: Cell<usize>,
}

/// The maximum number of workloads that are matched for all services together.
const MOST_STEPS: usize = 4_000_000;

impl Selectable {
    pub fn new(workloads: &[LoweredWorkload], cluster: &str) -> Self {
        let labels: Vec<_> =
            workloads.iter().map(|lowered| lowered.workload.selectable_labels(cluster)).collect();
        let mut by_pair: BTreeMap<String, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
        for (i, labels) in labels.iter().enumerate() {
            for (key, value) in labels {
                by_pair.entry(key.clone()).or_default().entry(value.clone()).or_default().push(i);
            }
        }
        Self {
            labels,
            by_pair,
            bad: workloads.iter().any(|lowered| lowered.facts.labels_bad),
            left: Cell::new(MOST_STEPS),
        }
    }

    fn with(&self, key: &str, value: &str) -> &[usize] {
        self.by_pair
            .get(key)
            .and_then(|values| values.get(value))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Returns the workloads that a selector matches.
    pub fn matches(&self, selector: &Selector) -> Vec<usize> {
        let fits = |at: &usize| self.labels.get(*at).is_some_and(|labels| selector.matches(labels));
        let pairs = selector.all.iter().map(|(key, value)| self.with(key, value));
        let fewest = pairs.min_by_key(|found| found.len());
        let steps = fewest.map_or(self.labels.len(), <[usize]>::len);
        self.left.set(self.left.get().saturating_sub(steps));
        if self.left.get() == 0 {
            return Vec::new();
        }
        match fewest {
            Some(found) => found.iter().copied().filter(fits).collect(),
            None => (0..self.labels.len()).filter(fits).collect(),
        }
    }

    /// Checks whether the maximum number of matches is reached.
    pub fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }

    /// Returns all values of a label among the workloads of `among`.
    pub fn values_of(&self, key: &str, among: &[usize]) -> Vec<&str> {
        let labels = among.iter().filter_map(|at| self.labels.get(*at));
        let mut values: Vec<&str> =
            labels.filter_map(|labels| labels.get(key)).map(String::as_str).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}
