//! One node as its kind: name, arguments, properties, children.

use std::collections::BTreeMap;

use tally_graph::schema::{self, FieldRow, Form, KindRow, Naming, ValueType};
use tally_source::{Diagnostic, Span};

use super::secrets::Holder;
use super::{Context, Data, Field, Object, fields, unknown, values};
use crate::codes;
use crate::syntax::{Entry, Node, ValueKind};
use crate::write;

/// Reads a node as one of `kind`.
pub(crate) fn object<'a>(
    cx: &mut Context<'_>,
    kind: &'static KindRow,
    node: &'a Node,
) -> Object<'a> {
    let mut object = Object {
        kind,
        node,
        name: "",
        name_span: node.name.span,
        title_span: node.name.span,
        fields: Vec::new(),
        bad: false,
    };
    let mut arguments = node.arguments().peekable();
    if kind.naming != Naming::None {
        match arguments.peek() {
            Some(entry) if is_name(kind, entry) => {
                name(cx, &mut object, entry);
                arguments.next();
            }
            _ => no_name(cx, &mut object, arguments.peek().copied()),
        }
    }
    if !fields::special_form(cx, &mut object) {
        let rest: Vec<&Entry> = arguments.collect();
        fields::arguments(cx, &mut object, &rest);
    }
    let mut written = BTreeMap::new();
    fields::properties(cx, &mut object, &mut written);
    fields::children(cx, &mut object, &mut written);
    missing_fields(cx, &mut object);
    object.fields.shrink_to_fit();
    object
}

fn is_name(kind: &KindRow, entry: &Entry) -> bool {
    match &entry.value.kind {
        ValueKind::Text(..) | ValueKind::Poison => true,
        // `port 80` lacks a name; `pod 7` has a wrong one.
        ValueKind::Number(_) => kind.arguments().next().is_none(),
        _ => false,
    }
}

fn name<'a>(cx: &mut Context<'_>, object: &mut Object<'a>, entry: &'a Entry) {
    object.name_span = entry.span;
    object.title_span = object.node.name.span.to(entry.span);
    match &entry.value.kind {
        ValueKind::Text(text, _) => {
            object.name = text;
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
            object.name = raw;
            cx.report(name_report(raw, entry.span));
        }
        _ => object.bad = true,
    }
}

/// Whether a text may be a name; reports it when not.
pub(crate) fn check_name(cx: &mut Context<'_>, text: &str, span: Span) -> bool {
    if text.contains("${") {
        values::interpolation(cx, text, span, Holder::Name, false);
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
            Some(_) => "it holds something else".to_owned(),
            None => "it begins with a letter".to_owned(),
        },
    );
    let meant: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let meant = meant.trim_matches('-');
    if meant.starts_with(|c: char| c.is_ascii_lowercase()) && meant.len() <= 40 {
        found = found.fix(format!("write `{meant}`"), span, meant);
    }
    found
}

fn no_name(cx: &mut Context<'_>, object: &mut Object<'_>, next: Option<&Entry>) {
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
    let shown = match rest.is_empty() || rest.len() > 40 {
        true => format!("write `{} NAME`", kind.word),
        false => format!("write `{} NAME {rest}`", kind.word),
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

/// What the schema says must be written, and is not. Silent where something else is wrong: that
/// may be what was meant.
fn missing_fields(cx: &mut Context<'_>, object: &mut Object<'_>) {
    if object.bad {
        return;
    }
    let missing = object.kind.fields.iter().filter(|row| {
        row.required
            && row.form != Form::Argument
            && !object.fields.iter().any(|f| f.row.word == row.word)
    });
    for row in missing {
        object.bad = true;
        let kind = object.kind;
        let (headline, hint) = match (kind.key, row.word) {
            (_, "container") => (
                format!("`{}` has no container", object.name),
                "Containers stand in its block: `container NAME image=\"…\"`.".to_owned(),
            ),
            _ => {
                let title = if object.name.is_empty() { kind.word } else { object.name };
                let example = one_line(row);
                (format!("`{title}` has no `{}`", row.word), format!("For example: `{example}`"))
            }
        };
        cx.report(
            Diagnostic::error(codes::MISSING_FIELD, headline)
                .label(object.title_span, "")
                .help(hint),
        );
    }
}

/// A row's example as it would stand on a line.
fn one_line(row: &FieldRow) -> &'static str {
    match row.value {
        ValueType::Image => "image=\"nginx:1.27\"",
        _ => row.example.split(';').next().unwrap_or_default(),
    }
}

/// Keeps a field, unless its word may stand once and stands already.
pub(super) fn keep<'a>(
    cx: &mut Context<'_>,
    object: &mut Object<'a>,
    written: &mut BTreeMap<&'static str, Span>,
    field: Field<'a>,
) {
    let once =
        matches!(field.row.form, Form::Scalar | Form::List | Form::Block(_) | Form::Selector);
    if once {
        if let Some(first) = written.get(field.row.word) {
            object.bad = true;
            cx.report(
                Diagnostic::error(codes::TWICE, format!("`{}` is written twice", field.row.word))
                    .label(field.span, "the second")
                    .label(*first, "the first")
                    .help("Leave one of them out."),
            );
            return;
        }
        written.insert(field.row.word, field.span);
    }
    object.bad |= matches!(field.data, Data::Poison);
    object.fields.push(field);
}

/// Reads a child node whose word the schema knows.
pub(super) fn child<'a>(
    cx: &mut Context<'_>,
    object: &mut Object<'a>,
    written: &mut BTreeMap<&'static str, Span>,
    row: &'static FieldRow,
    node: &'a Node,
) {
    let data = match row.form {
        Form::Argument => {
            unknown::argument_as_field(cx, object.kind, row, node.head, node.name.span);
            object.bad = true;
            return;
        }
        Form::Scalar => fields::scalar(cx, row, node),
        Form::Map => Data::Map(super::maps::map(cx, row, node)),
        Form::List => fields::list(cx, row, node),
        Form::Selector => super::selector::selector(cx, row, node),
        Form::Block(key) | Form::Child(key) => match schema::kind(key) {
            Some(kind) => Data::Object(self::object(cx, kind, node)),
            None => Data::Poison,
        },
    };
    let value_span = node.entries.first().map_or(node.head, |entry| entry.value.span);
    let field = Field { row, span: node.head, value_span, data };
    keep(cx, object, written, field);
}

/// How a value reads in a sentence.
pub(super) fn shown(raw: &str) -> String {
    write::shortened(raw)
}
