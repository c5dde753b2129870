//! Declared names.

use std::collections::BTreeMap;

use tally_source::{Diagnostic, Span, nearest};

use crate::codes;
use crate::decode::{Object, Top};
use crate::reporter::Reporter;
use crate::write;

/// The top-level declarations of a spec, by name. Pods and controllers share one namespace.
#[derive(Default)]
pub(crate) struct Names<'o> {
    pub volumes: BTreeMap<&'o str, &'o Object<'o>>,
    pub workloads: BTreeMap<&'o str, &'o Object<'o>>,
    pub services: BTreeMap<&'o str, &'o Object<'o>>,
    pub secrets: BTreeMap<&'o str, &'o Object<'o>>,
}

impl<'o> Names<'o> {
    /// Collects names and reports duplicates.
    pub fn collect(cx: &mut Reporter<'_>, top: &'o Top<'o>) -> Self {
        Names {
            volumes: by_name(cx, &top.volumes),
            workloads: {
                let workloads = by_name(cx, &top.workloads);
                replica_names(cx, &workloads);
                workloads
            },
            services: by_name(cx, &top.services),
            secrets: by_name(cx, &top.secrets),
        }
    }
}

fn by_name<'o>(
    cx: &mut Reporter<'_>,
    objects: &'o [Object<'o>],
) -> BTreeMap<&'o str, &'o Object<'o>> {
    let mut names: BTreeMap<&str, &Object<'_>> = BTreeMap::new();
    for object in objects.iter().filter(|object| !object.name().is_empty()) {
        if let Some(first) = names.get(object.name()) {
            let headline = if first.kind.word == object.kind.word {
                format!("two {}s are called `{}`", object.kind.word, object.name())
            } else {
                format!(
                    "`{}` names both {} and {}",
                    object.name(),
                    first.kind.article,
                    object.kind.article
                )
            };
            cx.report(clash(headline, object.name_span, first.name_span));
            continue;
        }
        names.insert(object.name(), object);
    }
    names
}

/// Returns the report for two things with one name, primarily at the second.
pub(crate) fn clash(headline: String, second: Span, first: Span) -> Diagnostic {
    Diagnostic::error(codes::SAME_NAME, headline)
        .label(second, "the second")
        .label(first, "the first")
        .help("Give one of them another name.")
}

/// Reports `web-0` beside a controller `web`, whose first pod has that name.
fn replica_names(cx: &mut Reporter<'_>, workloads: &BTreeMap<&str, &Object<'_>>) {
    for object in workloads.values() {
        let Some((stem, digits)) = object.name().rsplit_once('-') else { continue };
        let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let controller =
            workloads.get(stem).filter(|other| number && other.kind.key == "controller");
        if let Some(controller) = controller {
            cx.report(
                Diagnostic::error(
                    codes::SAME_NAME,
                    format!("`{}` is the name of a pod of `controller {stem}`", object.name()),
                )
                .label(object.name_span, "this one would have the same name")
                .label(
                    controller.name_span,
                    format!("its pods are `{stem}-0`, `{stem}-1` and so on"),
                )
                .help("Give one of them another name."),
            );
        }
    }
}

/// The maximum number of names that are compared with an unknown name.
const MOST_CANDIDATES: usize = 5000;

/// Returns the report for an unknown name.
pub(crate) fn not_found<'n>(
    cx: &Reporter<'_>,
    what: &str,
    name: &str,
    span: Span,
    names: impl IntoIterator<Item = &'n str>,
) -> Diagnostic {
    let found =
        Diagnostic::error(codes::NOT_FOUND, format!("no {what} `{}`", write::shortened(name)))
            .label(span, "");
    // With many mistakes suggestions are of no use, and the search would be slow.
    if cx.is_crowded() {
        return found;
    }
    let mut names: Vec<&str> = names.into_iter().take(MOST_CANDIDATES).collect();
    if let Some(meant) = nearest(name, names.iter().copied()) {
        return found.maybe(format!("write `{meant}`"), span, write::text(meant));
    }
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => found.help(format!("The spec declares no {what}.")),
        [only] => found.help(format!("The only one is `{only}`.")),
        some if some.len() <= 8 => {
            let all: Vec<String> = some.iter().map(|name| format!("`{name}`")).collect();
            found.help(format!("There are {}.", all.join(", ")))
        }
        _ => found,
    }
}
