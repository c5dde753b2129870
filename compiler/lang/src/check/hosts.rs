//! Placement compared with the labels of hosts that the spec declares.

use std::collections::BTreeMap;

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
    let labels: Vec<BTreeMap<String, String>> = hosts
        .iter()
        .map(|host| {
            let mut labels = host.labels.clone();
            labels.insert("host".to_owned(), host.name.clone());
            labels
        })
        .collect();
    for lowered in workloads {
        let place = &lowered.workload.place;
        if let (Some(require), Some(span)) = (&place.require, lowered.facts.require_span) {
            require_matches(cx, require, span, &labels);
        }
        if let (Some(key), Some(span)) = (&place.spread, lowered.facts.spread_span) {
            let known = ENGINE_LABELS.contains(&key.as_str())
                || labels.iter().any(|labels| labels.contains_key(key));
            if !known && !hosts.is_empty() {
                let keys = labels.iter().flat_map(BTreeMap::keys).map(String::as_str);
                let mut found =
                    Diagnostic::error(codes::NO_MATCH, format!("no host has a label `{key}`"))
                        .label(span, "");
                if let Some(meant) = nearest(key, keys) {
                    found = found.maybe(format!("write `by={meant}`"), span, write::text(meant));
                }
                cx.report(found);
            }
        }
    }
}

fn require_matches(
    cx: &mut Reporter<'_>,
    require: &Selector,
    span: Span,
    hosts: &[BTreeMap<String, String>],
) {
    let judged = |key: &str| !ENGINE_LABELS.contains(&key);
    let mut known = require.clone();
    known.all.retain(|key, _| judged(key));
    known.not.retain(|(key, _)| judged(key));
    known.any.retain(|(key, _)| judged(key));
    known.has.retain(|key| judged(key));
    known.lacks.retain(|key| judged(key));
    if known == Selector::default() || hosts.iter().any(|labels| known.matches(labels)) {
        return;
    }
    if hosts.is_empty() {
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
    for (key, value) in &known.all {
        let mut rest = known.clone();
        rest.all.remove(key);
        let mut values: Vec<&str> = hosts
            .iter()
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
