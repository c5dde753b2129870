//! Names of objects.

use std::borrow::Cow;

use tally_graph::schema::{KindRow, Naming};
use tally_source::{Diagnostic, Span};

use super::decoded::Object;
use super::templates::{self, Holder};
use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Entry, ValueKind, holes};

pub(super) fn is_name(kind: &KindRow<'_>, entry: &Entry) -> bool {
    match &entry.value.kind {
        ValueKind::Text(..) | ValueKind::Poison => true,
        // `port 80` lacks a name; `pod 7` has a wrong one.
        ValueKind::Number(_) => kind.arguments().next().is_none(),
        _ => false,
    }
}

pub(super) fn name<'a>(cx: &mut Reporter<'_>, object: &mut Object<'a>, entry: &'a Entry) {
    object.name_span = entry.span;
    object.title_span = object.node.name.span.to(entry.span);
    match &entry.value.kind {
        ValueKind::Text(text, _) => {
            object.name = Cow::Borrowed(text);
            if object.kind.naming == Naming::Name {
                object.bad |= !check_name(cx, text, entry.span);
            } else if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
                object.bad = true;
                cx.report(
                    Diagnostic::error(
                        codes::NAME,
                        format!("the name of {} is one word", object.kind.article),
                    )
                    .label(entry.span, ""),
                );
            }
        }
        ValueKind::Number(raw) => {
            object.bad = true;
            object.name = Cow::Borrowed(raw);
            cx.report(name_report(raw, entry.span));
        }
        _ => object.bad = true,
    }
}

/// Checks whether a text may be a name; reports it when not.
pub(super) fn check_name(cx: &mut Reporter<'_>, text: &str, span: Span) -> bool {
    if holes::any(text) {
        templates::interpolation(cx, text, span, Holder::Name, false);
        return false;
    }
    let ok = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if ok && text.len() > 40 {
        let found = Diagnostic::error(codes::NAME, "a name has at most 40 characters")
            .label(span, format!("this one has {}", text.len()))
            .help("Names become parts of Docker's names and of host names, which are limited.");
        cx.report(found);
        return false;
    }
    if !ok {
        cx.report(name_report(text, span));
    }
    ok
}

fn name_report(text: &str, span: Span) -> Diagnostic {
    let mut found = Diagnostic::error(codes::NAME, "a name is lower-case letters, digits and `-`");
    let wrong = text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'));
    found = found.label(
        span,
        match wrong {
            _ if text.is_empty() => "this one is empty".to_owned(),
            Some(c) if !c.is_control() => format!("`{c}` is none of them"),
            Some(_) => "it contains another character".to_owned(),
            None => "it begins with a letter".to_owned(),
        },
    );
    let meant: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let meant = meant.trim_matches('-');
    if meant.starts_with(|c: char| c.is_ascii_lowercase()) && meant.len() <= 40 {
        found = found.maybe(format!("write `{meant}`"), span, meant);
    }
    found
}

pub(super) fn no_name(cx: &mut Reporter<'_>, object: &mut Object<'_>, next: Option<&Entry>) {
    object.bad = true;
    let kind = object.kind;
    let word = object.node.name.span;
    let headline = match (next, kind.key) {
        (Some(_), "port" | "service port") => {
            format!("{} has a name before its number", kind.article)
        }
        (None, "port" | "service port") => format!("{} has a name", kind.article),
        _ if object.node.entries.is_empty() => format!("{} needs a name", kind.article),
        _ => format!("{} needs a name before its fields", kind.article),
    };
    let rest = object.node.entries.first().map(|entry| cx.raw(entry.span)).unwrap_or_default();
    let shown = if rest.is_empty() || rest.len() > 40 {
        format!("write `{} NAME`", kind.word)
    } else {
        format!("write `{} NAME {rest}`", kind.word)
    };
    let span = match next {
        Some(entry) if kind.arguments().next().is_some() => entry.span,
        _ => word,
    };
    let at = word.at_end();
    cx.report(
        Diagnostic::error(codes::NO_NAME, headline).label(span, "").maybe(shown, at, " NAME"),
    );
}
