//! One value by the type its row gives it.

use std::borrow::Cow;

use tally_graph::schema::{FieldRow, ValueType};
use tally_source::{Diagnostic, misspelt, nearest};

use super::decoded::Typed;
use super::{numbers, templates, texts};
use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Value, ValueKind, holes};
use crate::write;

/// Returns the value of a field; `None` when it is wrong, which is then reported, here or by the parser.
pub(super) fn typed<'a>(
    cx: &mut Reporter<'_>,
    row: &'a FieldRow<'a>,
    value: &'a Value,
) -> Option<Typed<'a>> {
    match &value.kind {
        ValueKind::Poison => return None,
        ValueKind::Null => {
            cx.report(
                Diagnostic::error(codes::TYPE, format!("`{}` cannot be `#null`", row.word))
                    .label(value.span, "")
                    .help("To set nothing, leave the field out; an empty text is `\"\"`."),
            );
            return None;
        }
        ValueKind::Text(text, _) if holes::any(text) => {
            if let Some(template) = templates::template(cx, row, value) {
                return Some(Typed::Template(template));
            }
            let text = templates::unescaped(cx, row, text, value.span)?;
            return match row.value {
                ValueType::Text | ValueType::Word => Some(Typed::Text(text)),
                _ => {
                    texts::wrong_text(cx, row, &text, value.span);
                    None
                }
            };
        }
        _ => {}
    }
    match row.value {
        ValueType::Text => text(cx, row, value).map(Typed::Text),
        ValueType::Bool => boolean(cx, row, value),
        ValueType::Enum(words) => one_of(cx, row, words, value),
        ValueType::Int(least, most) => numbers::whole(cx, row, value, least, most).map(Typed::Int),
        ValueType::Replicas => numbers::replicas(cx, row, value),
        ValueType::Amount => numbers::amount(cx, row, value),
        ValueType::Port => numbers::port(cx, row, value).map(Typed::Port),
        ValueType::PortRef => numbers::port_ref(cx, row, value),
        ValueType::Publish => numbers::publish(cx, row, value),
        ValueType::Bytes => numbers::bytes(cx, row, value),
        ValueType::Duration => numbers::duration(cx, row, value),
        ValueType::Cpu => numbers::cpu(cx, row, value),
        ValueType::Limit => numbers::limit(cx, row, value),
        ValueType::Mode => texts::mode(cx, row, value),
        ValueType::Signal => texts::signal(cx, row, value),
        _ => {
            let text = only_text(cx, row, value)?;
            texts::typed(cx, row, text, value.span)
        }
    }
}

/// Returns the text of a value; numbers and booleans are taken as they are written.
pub(super) fn text<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &'a Value,
) -> Option<Cow<'a, str>> {
    match &value.kind {
        ValueKind::Text(text, _) if holes::any(text) => {
            templates::unescaped(cx, row, text, value.span)
        }
        ValueKind::Text(text, _) => Some(Cow::Borrowed(text)),
        ValueKind::Number(raw) => Some(Cow::Borrowed(raw)),
        ValueKind::Bool(true) => Some(Cow::Borrowed("true")),
        ValueKind::Bool(false) => Some(Cow::Borrowed("false")),
        ValueKind::Poison => None,
        ValueKind::Null | ValueKind::NotFinite => {
            let raw = cx.raw(value.span);
            cx.report(
                Diagnostic::error(
                    codes::TYPE,
                    format!("`{}` takes text, and `{raw}` is not text", row.word),
                )
                .label(value.span, "")
                .help("An empty text is `\"\"`.")
                .maybe(
                    format!("write `\"{}\"`", raw.trim_start_matches('#')),
                    value.span,
                    format!("\"{}\"", raw.trim_start_matches('#')),
                ),
            );
            None
        }
    }
}

/// Returns the text of a string; reports any other value, with quotes as the fix.
pub(super) fn only_text<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &'a Value,
) -> Option<&'a str> {
    match &value.kind {
        ValueKind::Text(text, _) => Some(text),
        ValueKind::Poison => None,
        _ => {
            let raw = cx.raw(value.span);
            let kind =
                if matches!(value.kind, ValueKind::Number(_)) { "a number" } else { "a keyword" };
            let text = raw.trim_start_matches('#');
            cx.report(
                Diagnostic::error(
                    codes::TYPE,
                    format!("`{}` takes text, and `{raw}` is {kind}", row.word),
                )
                .label(value.span, "")
                .maybe(
                    format!("write `\"{text}\"`"),
                    value.span,
                    format!("\"{text}\""),
                ),
            );
            None
        }
    }
}

fn boolean<'a>(cx: &mut Reporter<'_>, row: &FieldRow<'_>, value: &Value) -> Option<Typed<'a>> {
    if let ValueKind::Bool(value) = value.kind {
        return Some(Typed::Bool(value));
    }
    let raw = cx.raw(value.span);
    let text = value.text().unwrap_or(raw);
    let read_only = row.word == "read-only";
    let meant = match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "y" | "1" => Some("#true"),
        "no" | "false" | "off" | "n" | "0" => Some("#false"),
        "ro" if read_only => Some("#true"),
        "rw" if read_only => Some("#false"),
        _ => None,
    };
    let headline = match value.text() {
        Some(text) => {
            format!(
                "`{}` is a word; a yes-or-no field takes `#true` or `#false`",
                write::shortened(text)
            )
        }
        None => {
            format!(
                "`{}` is a number; a yes-or-no field takes `#true` or `#false`",
                write::shortened(raw)
            )
        }
    };
    let mut found = Diagnostic::error(codes::YES_NO, headline).label(value.span, "");
    if let Some(meant) = meant {
        found = found.fix(format!("write `{}={meant}`", row.word), value.span, meant);
    }
    cx.report(found);
    None
}

/// Words of other tools with their equivalents: the field, their word, our word.
const OTHER_WORDS: [(&str, &str, &str); 11] = [
    ("restart", "no", "never"),
    ("restart", "none", "never"),
    ("restart", "any", "always"),
    ("restart", "onfailure", "on-failure"),
    ("pull", "ifnotpresent", "missing"),
    ("pull", "if-not-present", "missing"),
    ("pull", "if_not_present", "missing"),
    ("until", "service-started", "started"),
    ("until", "service_started", "started"),
    ("until", "service_healthy", "ready"),
    ("until", "service_completed_successfully", "completed"),
];

/// Words of other tools with another meaning than the nearest of ours, which is shown and never applied.
const SIMILAR_WORDS: [(&str, &str, &str); 4] = [
    ("restart", "unless-stopped", "always"),
    ("pull", "true", "always"),
    ("until", "healthy", "ready"),
    ("until", "done", "completed"),
];

fn one_of<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    words: &'a [&'a str],
    value: &Value,
) -> Option<Typed<'a>> {
    let raw = cx.raw(value.span);
    let text = value.text().unwrap_or(raw);
    if value.text().is_some()
        && let Some(word) = words.iter().find(|word| **word == text)
    {
        return Some(Typed::Text(Cow::Borrowed(word)));
    }
    let lower = text.trim_start_matches('#').to_ascii_lowercase();
    let in_table = |table: &[(&str, &str, &'static str)]| {
        let mut table = table.iter();
        table.find(|(field, other, _)| *field == row.word && *other == lower).map(|found| found.2)
    };
    let kebab = lower.replace('_', "-");
    let similar = in_table(&SIMILAR_WORDS);
    let certain = in_table(&OTHER_WORDS)
        .or_else(|| misspelt(&kebab, words.iter().copied()).filter(|_| similar.is_none()));
    let meant = certain.or(similar).or_else(|| nearest(&kebab, words.iter().copied()));
    let all = write::listed(words);
    let subject = match row.word {
        "kind" => "the kind of a dependency".to_owned(),
        word => format!("`{word}`"),
    };
    let mut found = Diagnostic::error(codes::WORD, format!("{subject} is {all}"))
        .label(value.span, format!("`{}` is none of them", write::shortened(text)));
    if let Some(meant) = meant {
        let context = if row.word == "kind" { "" } else { row.word };
        let title = format!("write `{}`", format!("{context} {meant}").trim());
        let certain = certain.is_some() && cx.is_whole(value.span, meant);
        found = found.suggest(certain, title, value.span, meant);
    }
    cx.report(found);
    None
}
