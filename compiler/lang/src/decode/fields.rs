//! The fields of a node, by the form the schema gives them.

use std::collections::BTreeMap;

use tally_graph::schema::{FieldRow, Form, Step, ValueType};
use tally_source::{Diagnostic, Edit, Span, TextChange};

use super::decoded::{Data, Field, Object, TextAt, Typed};
use super::unknown::{self, Meant};
use super::values;
use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Entry, Node, Text, Value, ValueKind};
use crate::write;

/// Reads the values in the order of the schema's arguments.
pub(super) fn arguments<'a>(cx: &mut Reporter<'_>, object: &mut Object<'a>, entries: &[&'a Entry]) {
    let mut entries = entries.iter();
    for row in object.kind.arguments() {
        let Some(entry) = entries.next() else {
            if row.required && !object.bad {
                missing_argument(cx, object, row);
                object.bad = true;
            }
            continue;
        };
        let data = values::typed(cx, row, &entry.value).map_or(Data::Poison, Data::Value);
        object.bad |= matches!(data, Data::Poison);
        object.fields.push(Field { row, span: entry.span, value_span: entry.value.span, data });
    }
    let surplus: Vec<&&Entry> = entries.collect();
    if let Some(first) = surplus.first() {
        object.bad = true;
        surplus_argument(cx, object, first);
    }
}

fn missing_argument(cx: &mut Reporter<'_>, object: &Object<'_>, row: &FieldRow<'_>) {
    let what = match row.word {
        "number" => "a number",
        "address" => "an address",
        "path" => "a path",
        "volume" => "the name of a volume",
        "kind" | "name" => "the kind and the name of its dependency",
        other => other,
    };
    let example = row.example;
    let last = object.node.head;
    cx.report(
        Diagnostic::error(codes::NO_VALUE, format!("{} needs {what}", object.kind.article))
            .label(last, format!("{what} belongs after this"))
            .help(format!("For example: `{example}`")),
    );
}

/// Reports a surplus value, which is often the second half of the value before it.
fn surplus_argument(cx: &mut Reporter<'_>, object: &Object<'_>, entry: &Entry) {
    let kind = object.kind;
    if entry.value.is_poison() {
        return;
    }
    let raw = cx.raw(entry.span);
    let before = object.node.entries.iter().rev().find(|other| other.span.end <= entry.span.start);
    let number = before.filter(|other| matches!(other.value.kind, ValueKind::Number(_)));
    if let (Some(other), Some(unit)) = (number, entry.value.text())
        && unit.len() <= 3
    {
        let joined = format!("\"{}{unit}\"", cx.raw(other.value.span));
        cx.report(
            Diagnostic::error(
                codes::UNIT,
                format!("a number and its unit are one value: `{joined}`"),
            )
            .label(other.value.span.to(entry.span), "")
            .maybe(
                format!("write `{joined}`"),
                other.value.span.to(entry.span),
                joined,
            ),
        );
        return;
    }
    // A second word that is the name of a field: probably a property without its `=`.
    if let Some(word) = entry.value.text()
        && kind.field(word).is_some_and(|row| row.form != Form::Argument)
    {
        cx.report(
            Diagnostic::error(codes::TOO_MANY, format!("`{word}` has no value"))
                .label(entry.span, "")
                .help(format!(
                    "A field of the line is written `{word}=…`; a field of the block `{word} …`."
                )),
        );
        return;
    }
    let takes = match (kind.naming != tally_graph::schema::Naming::None, kind.arguments().count()) {
        (false, 0) => format!("{} takes fields only", kind.article),
        (true, 0) => format!("{} takes one name", kind.article),
        _ => format!("this is one value too many for {}", kind.article),
    };
    cx.report(
        Diagnostic::error(codes::TOO_MANY, takes)
            .label(entry.span, format!("`{}` is too many", write::shortened(raw))),
    );
}

/// Reads the properties of the node.
pub(super) fn properties<'a>(
    cx: &mut Reporter<'_>,
    object: &mut Object<'a>,
    written: &mut BTreeMap<&'a str, Span>,
) {
    let mut misplaced: Vec<(&'a Text, &'a Entry)> = Vec::new();
    for (key, entry) in object.node.properties() {
        match object.kind.field(&key.text) {
            Some(row) if row.form == Form::Scalar && row.step != Step::Language => {
                scalar_property(cx, object, written, row, entry);
            }
            Some(row) if row.form == Form::Argument => {
                object.bad = true;
                unknown::argument_as_field(cx, object.kind, row, entry.span);
            }
            Some(row) if row.step != Step::Language => {
                written.insert(row.word, entry.span);
                object.bad = true;
                wrong_form(cx, object, row, entry);
            }
            None if unknown::belongs_to_container(object.kind, &key.text) => {
                misplaced.push((key, entry))
            }
            _ => match unknown::unknown_property(cx, object.kind, key) {
                Meant::Field(row) if row.form == Form::Scalar => {
                    scalar_property(cx, object, written, row, entry);
                }
                Meant::Field(row) => {
                    written.insert(row.word, entry.span);
                    object.bad = true;
                }
                Meant::Perhaps(word) => {
                    object.bad = true;
                    object.meant.extend(word);
                }
            },
        }
    }
    if !misplaced.is_empty() {
        object.bad = true;
        unknown::container_fields(cx, object, &misplaced);
    }
}

fn scalar_property<'a>(
    cx: &mut Reporter<'_>,
    object: &mut Object<'a>,
    written: &mut BTreeMap<&'a str, Span>,
    row: &'a FieldRow<'a>,
    entry: &'a Entry,
) {
    let data = if unit_apart(object.node, row, entry) {
        Data::Poison
    } else {
        values::typed(cx, row, &entry.value).map_or(Data::Poison, Data::Value)
    };
    keep(cx, object, written, Field { row, span: entry.span, value_span: entry.value.span, data });
}

/// Checks for `memory=512 MiB`. Its surplus unit is reported, so the number before it is not reported too.
fn unit_apart(node: &Node, row: &FieldRow<'_>, entry: &Entry) -> bool {
    if !matches!(row.value, ValueType::Bytes | ValueType::Duration)
        || !matches!(entry.value.kind, ValueKind::Number(_))
    {
        return false;
    }
    let next = node.entries.partition_point(|other| other.span.start < entry.span.end);
    let next = node.entries.get(next).filter(|next| next.key.is_none());
    next.and_then(|next| next.value.text()).is_some_and(|text| text.len() <= 3)
}

/// Reports a list, a map or a block written as a property.
fn wrong_form(cx: &mut Reporter<'_>, object: &Object<'_>, row: &FieldRow<'_>, entry: &Entry) {
    if entry.value.is_poison() || cx.is_full() {
        return;
    }
    let word = row.word;
    let found = match row.form {
        Form::List => {
            let words = match entry.value.text() {
                Some(text) => {
                    text.split_whitespace().map(write::quoted).collect::<Vec<_>>().join(" ")
                }
                None => write::quoted(cx.raw(entry.value.span)),
            };
            let shell = entry
                .value
                .text()
                .is_some_and(|text| text.contains(['"', '\'', '|', '&', '>', '<', '$', ';']));
            let child = match (shell, entry.value.text()) {
                (true, Some(text)) => format!("{word} \"sh\" \"-c\" {}", write::quoted(text)),
                _ => format!("{word} {words}"),
            };
            Diagnostic::error(
                codes::FORM,
                format!("`{word}` is a list, in the block, one word a value"),
            )
            .label(entry.span, "this is a property")
            .edit(into_block(object.node, entry, &child))
        }
        Form::Map => Diagnostic::error(codes::FORM, format!("`{word}` is a map, in the block"))
            .label(entry.span, "this is a property")
            .help(format!("In the block: `{}`", row.example)),
        _ => Diagnostic::error(codes::FORM, format!("`{word}` belongs in the block"))
            .label(entry.span, "this is a property")
            .help(format!("In the block: `{}`", row.example.split(';').next().unwrap_or_default())),
    };
    cx.report(found);
}

/// Moves a property into the block, as a child.
fn into_block(node: &Node, entry: &Entry, child: &str) -> Edit {
    let before = node.entries.iter().filter(|other| other.span.end <= entry.span.start);
    let before = before.map(|other| other.span).next_back().unwrap_or(node.name.span);
    let gone = TextChange { span: Span { start: before.end, ..entry.span }, text: String::new() };
    let last = node.entries.last().is_some_and(|last| last.span == entry.span);
    match &node.block {
        Some(block) => {
            let inside =
                Span { start: block.span.start + 1, end: block.span.start + 1, ..block.span };
            let change = TextChange { span: inside, text: format!(" {child};") };
            Edit {
                title: format!("write `{child}` in the block"),
                certain: false,
                changes: vec![gone, change],
            }
        }
        None if last => {
            let change = TextChange { text: format!(" {{ {child} }}"), ..gone };
            Edit { title: format!("write `{{ {child} }}`"), certain: false, changes: vec![change] }
        }
        None => {
            let change = TextChange { span: node.head.at_end(), text: format!(" {{ {child} }}") };
            Edit {
                title: format!("write `{{ {child} }}`"),
                certain: false,
                changes: vec![gone, change],
            }
        }
    }
}

/// Adds a field; reports a second one if its word is allowed once.
pub(super) fn keep<'a>(
    cx: &mut Reporter<'_>,
    object: &mut Object<'a>,
    written: &mut BTreeMap<&'a str, Span>,
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

/// Reads a child with exactly one value, such as `restart always`.
pub(super) fn scalar<'a>(cx: &mut Reporter<'_>, row: &'a FieldRow<'a>, node: &'a Node) -> Data<'a> {
    let mut arguments = node.arguments();
    let first = arguments.next();
    let second = arguments.next();
    let property = node.properties().next();
    match (first, second, property, &node.block) {
        (Some(entry), None, None, None) => {
            values::typed(cx, row, &entry.value).map_or(Data::Poison, Data::Value)
        }
        (None, _, None, None) => {
            cx.report(
                Diagnostic::error(codes::NO_VALUE, format!("`{}` has no value", row.word))
                    .label(node.name.span, "a value belongs after this")
                    .help(format!(
                        "For example: `{}`",
                        row.example.split(';').next().unwrap_or_default()
                    )),
            );
            Data::Poison
        }
        (Some(first), Some(second), _, _) => {
            second_value(cx, row, node, first, second);
            Data::Poison
        }
        (_, _, Some((key, entry)), _) => {
            cx.report(
                Diagnostic::error(codes::FORM, format!("`{}` takes one value", row.word)).label(
                    entry.span,
                    format!("it has no field `{}`", write::shortened(&key.text)),
                ),
            );
            Data::Poison
        }
        (_, _, _, Some(block)) => {
            cx.report(
                Diagnostic::error(
                    codes::FORM,
                    format!("`{}` takes one value, and no block", row.word),
                )
                .label(block.span, ""),
            );
            Data::Poison
        }
    }
}

fn second_value(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    node: &Node,
    first: &Entry,
    second: &Entry,
) {
    let both = first.value.is_poison() || second.value.is_poison();
    if both {
        return;
    }
    let values = first.value.span.to(second.value.span);
    let (a, b) = (plain(cx, &first.value), plain(cx, &second.value));
    let joined = match row.value {
        ValueType::Image if node.arguments().count() == 2 => Some(format!("\"{a}:{b}\"")),
        ValueType::Bytes | ValueType::Duration => Some(format!("\"{a}{b}\"")),
        _ => None,
    };
    let mut found = Diagnostic::error(
        codes::TOO_MANY,
        format!("`{}` takes one value; this is a second", row.word),
    )
    .label(second.span, "");
    if let Some(joined) = joined {
        found = found.maybe(format!("write `{} {joined}`", row.word), values, joined);
    }
    cx.report(found);
}

/// Returns a value's text, or its characters.
fn plain<'v>(cx: &Reporter<'v>, value: &'v Value) -> &'v str {
    value.text().unwrap_or_else(|| cx.raw(value.span))
}

/// Reads a list such as `command "a" "b"`.
pub(super) fn list<'a>(cx: &mut Reporter<'_>, row: &'a FieldRow<'a>, node: &'a Node) -> Data<'a> {
    let word = row.word;
    if let Some(block) = &node.block {
        let dashes =
            block.nodes.iter().all(|item| &*item.name.text == "-" && item.entries.len() == 1);
        let items = block.nodes.iter().flat_map(|item| &item.entries);
        let words: Vec<String> = items.map(|entry| cx.raw(entry.span).to_owned()).collect();
        let mut found =
            Diagnostic::error(codes::FORM, "a list is written on one node").label(block.span, "");
        if dashes && !words.is_empty() {
            let list = words.join(" ");
            found = found.maybe(format!("write `{word} {list}`"), block.span, list);
        } else {
            found = found.help(format!("For example: `{word} \"a\" \"b\"`"));
        }
        cx.report(found);
        return Data::Poison;
    }
    let properties: Vec<Span> = node.properties().map(|(_, entry)| entry.span).collect();
    if let Some(first) = properties.first() {
        let raw = cx.raw(*first);
        let changes = properties.iter().map(|span| {
            let raw = cx.raw(*span).replace('"', "");
            TextChange { span: *span, text: write::quoted(&raw) }
        });
        let title = match properties.len() {
            1 => format!("write `{word} {}`", write::quoted(&raw.replace('"', ""))),
            _ => "put each in quotes".to_owned(),
        };
        let edit = Edit { title, certain: false, changes: changes.collect() };
        cx.report(
            Diagnostic::error(
                codes::FORM,
                format!("`{raw}` is read as a property; a list takes words only"),
            )
            .label(*first, "")
            .edit(edit),
        );
        return Data::Poison;
    }
    if node.entries.is_empty() {
        cx.report(
            Diagnostic::error(codes::NO_VALUE, format!("`{word}` has no value"))
                .label(node.name.span, "words belong after this")
                .help(format!("For example: `{word} \"sh\" \"-c\" \"date\"`")),
        );
        return Data::Poison;
    }
    let mut texts: Vec<TextAt<'a>> = Vec::with_capacity(node.entries.len());
    let mut poisoned = false;
    for entry in &node.entries {
        match values::typed(cx, row, &entry.value) {
            Some(Typed::Text(text)) => texts.push(TextAt { text, span: entry.value.span }),
            _ => poisoned = true,
        }
    }
    if poisoned { Data::Poison } else { Data::List(texts) }
}
