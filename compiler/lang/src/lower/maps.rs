//! Maps of objects: labels and other pairs.

use std::collections::BTreeMap;

use tally_source::{Diagnostic, Span};

use super::origins::Notes;
use crate::codes;
use crate::decode::{Data, Object, Pair};
use crate::reporter::Reporter;

/// Labels, and whether one of them is wrong.
pub(super) struct Labels {
    pub texts: BTreeMap<String, String>,
    pub bad: bool,
}

/// Returns the labels of a host or a workload; `own` are those that nobody writes.
pub(super) fn labels(cx: &mut Reporter<'_>, object: &Object<'_>, own: &[&str], of: &str) -> Labels {
    let mut labels = Labels { texts: BTreeMap::new(), bad: object.is_poisoned("label") };
    let mut spans: BTreeMap<&str, Span> = BTreeMap::new();
    for pair in pairs(object, "label") {
        if own.contains(&pair.key()) {
            labels.bad = true;
            cx.report(
                Diagnostic::error(
                    codes::NAME,
                    format!("{of} have the label `{}` automatically", pair.key()),
                )
                .label(pair.span, "")
                .help("Selectors can use it. Give yours another key."),
            );
            continue;
        }
        if let Some(first) = spans.get(pair.key()) {
            labels.bad = true;
            cx.report(set_twice(pair.key(), "label", pair.span, *first));
            continue;
        }
        spans.insert(pair.key(), pair.span);
        labels.bad |= pair.text().is_none();
        labels.texts.insert(pair.key().to_owned(), pair.text().unwrap_or_default().to_owned());
    }
    labels
}

/// Returns all pairs of the maps of that word.
pub(super) fn pairs<'o, 'a>(
    object: &'o Object<'a>,
    word: &'static str,
) -> impl Iterator<Item = &'o Pair<'a>> {
    object.all(word).flat_map(|field| match &field.data {
        Data::Map(pairs) => pairs.as_slice(),
        _ => &[],
    })
}

/// Returns the report for a key of a map that is set twice.
pub(super) fn set_twice(key: &str, map: &str, second: Span, first: Span) -> Diagnostic {
    Diagnostic::error(codes::TWICE, format!("`{key}` is set twice in `{map}`"))
        .label(second, "the second")
        .label(first, "the first")
        .help("Leave one of them out.")
}

pub(super) fn label_notes(notes: &mut Notes<'_>, object: &Object<'_>) {
    for pair in pairs(object, "label") {
        notes.written(&["label", pair.key()], pair.span);
    }
}
