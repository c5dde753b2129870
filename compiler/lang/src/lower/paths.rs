//! Paths in a container: each is used once.

use std::collections::BTreeMap;

use tally_source::{Diagnostic, Span};

use crate::codes;
use crate::reporter::Reporter;

/// Removes the `/` at the end: `/data/` and `/data` are one place.
pub(super) fn trimmed(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

/// Checks whether nothing else is at that path of the container.
pub(super) fn once(
    cx: &mut Reporter<'_>,
    paths: &mut BTreeMap<String, Span>,
    path: &str,
    span: Span,
) -> bool {
    if let Some(first) = paths.get(path) {
        cx.report(
            Diagnostic::error(
                codes::SAME_PATH,
                format!("`{path}` is used twice in this container"),
            )
            .label(span, "the second")
            .label(*first, "the first")
            .help("Give one of them another path."),
        );
        return false;
    }
    paths.insert(path.to_owned(), span);
    true
}
