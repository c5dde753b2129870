//! Maps: keys that the user chooses, as properties, as children, or both.

use tally_graph::schema::FieldRow;
use tally_source::{Diagnostic, Edit, Span, TextChange};

use super::decoded::{Pair, PairValue, TextAt};
use super::templates::{self, Holder};
use super::{texts, unknown, values};
use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Node, Quotes, Value, holes};
use crate::write;

/// Returns the pairs of one map node. `lower` merges the pairs of several nodes.
pub(super) fn map<'a>(
    cx: &mut Reporter<'_>,
    row: &'a FieldRow<'a>,
    node: &'a Node,
) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for entry in &node.entries {
        let Some(key) = &entry.key else {
            without_key(cx, row, node, entry);
            continue;
        };
        let key_ok = check_key(cx, row, &key.text, key.span);
        let value = value(cx, row, &entry.value, key_ok);
        let value_span = entry.value.span;
        pairs.push(Pair { key: TextAt::new(key), span: entry.span, value, value_span });
    }
    for child in node.children() {
        if let Some(pair) = child_pair(cx, row, child) {
            pairs.push(pair);
        }
    }
    if node.entries.is_empty() && node.block.is_none() {
        cx.report(
            Diagnostic::error(codes::PAIR, format!("`{}` is empty", row.word))
                .label(node.name.span, "keys and values belong after this")
                .help(format!("For example: `{}`", row.example)),
        );
    }
    pairs.shrink_to_fit();
    pairs
}

fn child_pair<'a>(
    cx: &mut Reporter<'_>,
    row: &'a FieldRow<'a>,
    child: &'a Node,
) -> Option<Pair<'a>> {
    let key = &child.name;
    if key.quotes == Quotes::Poison {
        return None;
    }
    if matches!(&*key.text, "when" | "for-each" | "insert" | "remove") && key.quotes == Quotes::Bare
    {
        unknown::later(cx, &key.text, key.span);
        return None;
    }
    if &*key.text == "-" && key.quotes == Quotes::Bare {
        dash(cx, row, child);
        return None;
    }
    let key_ok = check_key(cx, row, &key.text, key.span);
    let mut entries = child.entries.iter();
    let (first, second) = (entries.next(), entries.next());
    let value = match (first, second, &child.block) {
        (Some(entry), None, None) if entry.key.is_none() => value(cx, row, &entry.value, key_ok),
        (None, _, None) => {
            if key_ok {
                no_value(cx, &key.text, key.span, key.span.at_end(), " \"\"");
            }
            PairValue::Poison
        }
        (Some(first), Some(second), None) if first.key.is_none() && second.key.is_none() => {
            let all = first.value.span.to(child.head.at_end());
            let joined: Vec<&str> = child
                .entries
                .iter()
                .map(|e| e.value.text().unwrap_or(cx.raw(e.value.span)))
                .collect();
            let joined = write::quoted(&joined.join(" "));
            cx.report(
                Diagnostic::error(
                    codes::TOO_MANY,
                    format!("`{}` takes one value; this is a second", write::shortened(&key.text)),
                )
                .label(second.span, "")
                .maybe(
                    format!("write `{} {joined}` if it is one text", key.text),
                    all,
                    joined,
                ),
            );
            PairValue::Poison
        }
        _ => {
            cx.report(
                Diagnostic::error(
                    codes::FORM,
                    format!("`{}` takes one value", write::shortened(&key.text)),
                )
                .label(child.span, "this is more than a key and a value"),
            );
            PairValue::Poison
        }
    };
    let value_span = first.map_or(child.head, |entry| entry.value.span);
    Some(Pair { key: TextAt::new(key), span: child.head, value, value_span })
}

/// Reports `- KEY`, a list of another language.
fn dash(cx: &mut Reporter<'_>, row: &FieldRow<'_>, child: &Node) {
    let more = if child.entries.is_empty() { "" } else { "; each key is written on its own." };
    cx.report(
        Diagnostic::error(
            codes::FORM,
            format!("`{}` is a map, not a list: it has no dashes", row.word),
        )
        .label(child.head, "")
        .help(format!("For example: `{}`{more}", row.example)),
    );
}

/// Reads the value of a pair.
fn value<'a>(
    cx: &mut Reporter<'_>,
    row: &'a FieldRow<'a>,
    value: &'a Value,
    key_ok: bool,
) -> PairValue<'a> {
    if let Some(template) = templates::template(cx, row, value) {
        return PairValue::Template(template);
    }
    let text = values::text(cx, row, value).filter(|_| key_ok);
    text.filter(|text| check_text(cx, row, text, value.span)).into()
}

/// Reports a value without a key: `env "A=1"`, `env FOO`.
fn without_key(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    node: &Node,
    entry: &crate::syntax::Entry,
) {
    if cx.is_full() {
        return;
    }
    let Some(text) = entry.value.text() else {
        if !entry.value.is_poison() {
            cx.report(
                Diagnostic::error(
                    codes::PAIR,
                    format!("`{}` holds keys and values; this value has no key", row.word),
                )
                .label(entry.span, "")
                .help(format!("For example: `{}`", row.example)),
            );
        }
        return;
    };
    if let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) {
        let meant = format!("{}={}", write::text(key), value_as_written(value));
        cx.report(
            Diagnostic::error(codes::PAIR, "a key and its value are a property")
                .label(entry.span, "this is one text")
                .maybe(format!("write `{} {meant}`", row.word), entry.span, meant),
        );
        return;
    }
    // `env KEY value` on one line: two texts where a pair was meant.
    let second = node.arguments().nth(1);
    let first = node.arguments().next().is_some_and(|first| first.span == entry.span);
    if let (true, Some(second), 2) = (first, second, node.entries.len()) {
        let value = cx.raw(second.span);
        let meant = format!("{}={value}", write::text(text));
        let whole = entry.span.to(second.span);
        cx.report(
            Diagnostic::error(codes::PAIR, "a key and its value are a property")
                .label(whole, "these are two values")
                .edit(Edit {
                    title: format!("write `{} {meant}`", row.word),
                    certain: false,
                    changes: vec![TextChange { span: whole, text: meant }],
                }),
        );
        return;
    }
    if node.entries.len() == 2 && second.is_some_and(|second| second.span == entry.span) {
        return;
    }
    no_value(cx, text, entry.span, entry.span.at_end(), "=\"\"");
}

fn value_as_written(value: &str) -> String {
    match value.parse::<i64>() {
        Ok(_) => value.to_owned(),
        Err(_) => write::text(value),
    }
}

fn no_value(cx: &mut Reporter<'_>, key: &str, span: Span, at: Span, text: &str) {
    cx.report(
        Diagnostic::error(codes::PAIR, format!("`{}` has no value", write::shortened(key)))
            .label(span, "")
            .maybe(format!("write `{}{text}` if empty is meant", write::shortened(key)), at, text),
    );
}

fn check_key(cx: &mut Reporter<'_>, row: &FieldRow<'_>, key: &str, span: Span) -> bool {
    match row.word {
        "label" => texts::label_key(cx, key, span),
        _ => {
            let wrong =
                key.is_empty() || key.contains(['=', '\0']) || key.chars().any(char::is_control);
            if wrong {
                cx.report(
                    Diagnostic::error(
                        codes::NAME,
                        format!("a key of `{}` is any text without `=`", row.word),
                    )
                    .label(span, if key.is_empty() { "this one is empty" } else { "" }),
                );
            }
            if !wrong && holes::any(key) {
                templates::interpolation(cx, key, span, Holder::Key, false);
                return false;
            }
            !wrong
        }
    }
}

fn check_text(cx: &mut Reporter<'_>, row: &FieldRow<'_>, text: &str, span: Span) -> bool {
    let wrong = match row.word {
        "label" => text.chars().any(char::is_control),
        _ => text.contains('\0'),
    };
    if wrong {
        cx.report(
            Diagnostic::error(
                codes::TEXT,
                format!("a value of `{}` holds no control characters", row.word),
            )
            .label(span, ""),
        );
    }
    !wrong
}
