//! One node as its kind: name, arguments, properties, children.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tally_graph::schema::{self, FieldRow, Form, KindRow, Naming, Step, ValueType};
use tally_source::{Diagnostic, Span};

use super::decoded::{Data, Field, Object};
use super::unknown::{self, Meant};
use super::{fields, maps, names, selector, special_forms};
use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Entry, Node};

/// Reads a node as one of `kind`.
pub(crate) fn read_object<'a>(
    cx: &mut Reporter<'_>,
    kind: &'a KindRow<'a>,
    node: &'a Node,
) -> Object<'a> {
    let mut object = Object {
        kind,
        node,
        name: Cow::Borrowed(""),
        name_span: node.name.span,
        title_span: node.name.span,
        fields: Vec::new(),
        meant: Vec::new(),
        bad: false,
    };
    let mut arguments = node.arguments().peekable();
    let special = special_forms::report(cx, &mut object);
    if kind.naming != Naming::None && !special {
        match arguments.peek() {
            Some(entry) if names::is_name(kind, entry) => {
                names::name(cx, &mut object, entry);
                arguments.next();
            }
            _ => names::no_name(cx, &mut object, arguments.peek().copied()),
        }
    }
    if !special {
        let rest: Vec<&Entry> = arguments.collect();
        fields::arguments(cx, &mut object, &rest);
    }
    let mut written = BTreeMap::new();
    fields::properties(cx, &mut object, &mut written);
    children(cx, &mut object, &mut written);
    missing_fields(cx, &mut object);
    if matches!(kind.key, "container" | "init") {
        special_forms::command_in_one_word(cx, &object);
    }
    object.fields.shrink_to_fit();
    object
}

/// Reports required fields that are missing. It reports nothing if something else is wrong, since that
/// may be the missing field.
fn missing_fields(cx: &mut Reporter<'_>, object: &mut Object<'_>) {
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
                "Containers belong in its block: `container NAME image=\"…\"`.".to_owned(),
            ),
            _ => {
                let title = if object.name.is_empty() { kind.word } else { &object.name };
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

/// Returns the example of a row on one line.
fn one_line<'k>(row: &FieldRow<'k>) -> &'k str {
    match row.value {
        ValueType::Image => "image=\"nginx:1.27\"",
        _ => row.example.split(';').next().unwrap_or_default(),
    }
}

/// Reads a child node whose word the schema knows.
fn child<'a>(
    cx: &mut Reporter<'_>,
    object: &mut Object<'a>,
    written: &mut BTreeMap<&'a str, Span>,
    row: &'a FieldRow<'a>,
    node: &'a Node,
) {
    let data = match row.form {
        Form::Argument => {
            unknown::argument_as_field(cx, object.kind, row, node.head);
            object.bad = true;
            return;
        }
        Form::Scalar => fields::scalar(cx, row, node),
        Form::Map => Data::Map(maps::map(cx, row, node)),
        Form::List => fields::list(cx, row, node),
        Form::Selector => selector::selector(cx, row, node),
        Form::Block(key) | Form::Child(key) => match schema::kind(key) {
            Some(kind) => Data::Object(read_object(cx, kind, node)),
            None => Data::Poison,
        },
    };
    let value_span = node.entries.first().map_or(node.head, |entry| entry.value.span);
    let field = Field { row, span: node.head, value_span, data };
    fields::keep(cx, object, written, field);
}

/// Reads the nodes of the block.
fn children<'a>(
    cx: &mut Reporter<'_>,
    object: &mut Object<'a>,
    written: &mut BTreeMap<&'a str, Span>,
) {
    let mut misplaced: Vec<&'a Node> = Vec::new();
    for node in object.node.children() {
        match object.kind.field(&node.name.text) {
            Some(row) if row.step != Step::Language => {
                child(cx, object, written, row, node);
            }
            None if unknown::belongs_to_container(object.kind, &node.name.text) => {
                misplaced.push(node)
            }
            _ => match unknown::unknown_child(cx, object.kind, node) {
                Meant::Field(row) => child(cx, object, written, row, node),
                Meant::Perhaps(word) => {
                    object.bad = true;
                    object.meant.extend(word);
                }
            },
        }
    }
    if !misplaced.is_empty() {
        object.bad = true;
        unknown::container_nodes(cx, object, &misplaced);
    }
}

#[cfg(test)]
mod tests {
    use tally_source::{FileId, SourceMap};

    use super::*;
    use crate::hidden::HiddenText;

    /// The parameters of a component will be such rows.
    #[test]
    fn a_row_can_be_made_at_run_time() {
        let (word, levels) = ("level".to_owned(), ["debug".to_owned(), "info".to_owned()]);
        let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
        let pull = schema::field("container", "pull").expect("a row of the table");
        let container = schema::kind("container").expect("a kind of the table");
        let fields = [FieldRow { word: &word, value: ValueType::Enum(&levels), ..*pull }];
        let kind = KindRow { key: "http", word: "http", fields: &fields, ..*container };
        for (text, level, errors) in
            [("http web level=info", Some("info"), 0), ("http web level=all", None, 1)]
        {
            let (ast, out) = crate::syntax::parse(FileId(0), text);
            let sources = SourceMap::default();
            let mut cx = Reporter { sources: &sources, out, hidden: HiddenText::default() };
            let node = ast.nodes.first().expect("one node");
            let object = read_object(&mut cx, &kind, node);
            assert_eq!((object.name(), object.text("level")), ("web", level));
            assert_eq!(cx.out.len(), errors, "{:?}", cx.out);
        }
    }
}
