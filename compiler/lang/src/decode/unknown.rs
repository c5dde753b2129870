//! Words that are not valid where they are written: words of a later version, of another tool or of another kind,
//! and misspelled words.

use tally_graph::schema::{self, FieldRow, Form, KindRow, Naming, Step};
use tally_source::{Diagnostic, Edit, Span, TextChange, misspelt, nearest};

use super::compose;
use super::decoded::Object;
use super::other_tools::{self, Answer};
use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Entry, Node, Quotes, Text};
use crate::write;

/// Words that control compilation; a later version allows them in any block.
const CONTROL: [&str; 5] = ["when", "for-each", "insert", "remove", "assert"];

/// The field that an unknown word means.
pub(crate) enum Meant<'a> {
    /// Only this field can be meant: the text is read as if it were written.
    Field(&'a FieldRow<'a>),
    /// This field may be meant, if any.
    Perhaps(Option<&'a str>),
}

/// Reports a child that is no field of the kind. Returns the field that it means.
pub(crate) fn unknown_child<'a>(
    cx: &mut Reporter<'_>,
    kind: &'a KindRow<'a>,
    node: &Node,
) -> Meant<'a> {
    let found = if cx.is_full() { None } else { child_report(cx, kind, node) };
    let meant = found.as_ref().map_or(Meant::Perhaps(None), |found| meant(kind, found));
    if let Meant::Perhaps(_) = meant {
        // It may declare a name.
        let text = cx.raw(node.span);
        cx.hidden.add_text(text);
    }
    if let Some(found) = found {
        cx.report(found);
    }
    meant
}

/// Returns the field that the first edit of a report names.
fn meant<'a>(kind: &'a KindRow<'a>, found: &Diagnostic) -> Meant<'a> {
    let change = found.edits.first().and_then(|edit| Some((edit.certain, edit.changes.first()?)));
    let field = change.and_then(|(certain, change)| {
        let word = change.text.split(' ').next().unwrap_or_default();
        Some((certain, kind.field(word)?))
    });
    match field {
        Some((true, row)) => Meant::Field(row),
        Some((false, row)) => Meant::Perhaps(Some(row.word)),
        None => Meant::Perhaps(None),
    }
}

/// Returns the report for a child that is no field of the kind.
fn child_report(cx: &Reporter<'_>, kind: &KindRow<'_>, node: &Node) -> Option<Diagnostic> {
    let word = &*node.name.text;
    let span = node.name.span;
    if node.name.quotes == Quotes::Poison {
        return None;
    }
    if word == "-" {
        return Some(
            Diagnostic::error(codes::FORM, "KDL has no dashes for lists")
                .label(span, "leave this out")
                .help("Things of one kind follow each other, each with its own word: `container a …`, `container b …`."),
        );
    }
    if let Some(found) = common(kind, word, span) {
        return Some(found);
    }
    if word.contains('.') && !word.starts_with('.') {
        return Some(
            Diagnostic::error(
                codes::LATER_CALL,
                format!(
                    "components such as `{}` are not in this version yet",
                    write::shortened(word)
                ),
            )
            .label(span, "")
            .help("Write out the pods and services instead."),
        );
    }
    Some(unknown_word(kind, word, span, Some(node)).unwrap_or_else(|| {
        let headline = match kind.key {
            "spec" => format!("no kind `{}`", write::shortened(word)),
            _ => format!("no `{}` in {}", write::shortened(word), kind.article),
        };
        suggest(cx, Diagnostic::error(codes::UNKNOWN, headline), kind, word, span)
    }))
}

/// Reports a property that is no field of the kind.
pub(super) fn unknown_property<'a>(
    cx: &mut Reporter<'_>,
    kind: &'a KindRow<'a>,
    key: &Text,
) -> Meant<'a> {
    let word = &*key.text;
    let known = common(kind, word, key.span).or_else(|| unknown_word(kind, word, key.span, None));
    let found = known.unwrap_or_else(|| {
        let headline = format!("{} has no `{}`", kind.article, write::shortened(word));
        suggest(cx, Diagnostic::error(codes::UNKNOWN, headline), kind, word, key.span)
    });
    let meant = meant(kind, &found);
    cx.report(found);
    meant
}

/// Returns the report for a word of a later version, if it is one.
fn common(kind: &KindRow<'_>, word: &str, span: Span) -> Option<Diagnostic> {
    if let Some(row) = kind.field(word).filter(|row| row.step == Step::Language) {
        let code = if kind.key == "spec" { codes::LATER_KIND } else { codes::LATER_FIELD };
        let headline = format!("`{word}` is not in this version yet");
        let found = Diagnostic::error(code, headline).label(span, "");
        return Some(found.help(later_help(kind, row)));
    }
    let at_top = schema::field("spec", word).filter(|row| row.step == Step::Language);
    let control =
        CONTROL.contains(&word) || at_top.is_some() && other_tools::answer(kind, word).is_none();
    control.then(|| later_report(word, span))
}

fn later_help(kind: &KindRow<'_>, row: &FieldRow<'_>) -> String {
    match (kind.key, row.word) {
        ("spec", "job") => "Until then a pod with `restart never` runs once.".to_owned(),
        ("spec", "let") => "Write the value where it is used.".to_owned(),
        ("container", "env-file") => "Write the variables into `env`.".to_owned(),
        ("container", "depends-on") => "A pod waits for its own `depends-on`; inside a pod, an `init` runs before the containers.".to_owned(),
        ("use", "as") => "A `use` without `as` takes in more of the same spec.".to_owned(),
        _ => format!("It will be: {}", row.doc),
    }
}

/// Reports a control word, or a kind of a later version, in any place.
pub(super) fn later(cx: &mut Reporter<'_>, word: &str, span: Span) {
    cx.report(later_report(word, span));
}

fn later_report(word: &str, span: Span) -> Diagnostic {
    let row = schema::field("spec", word);
    let help = row.map_or_else(String::new, |row| format!("It will be: {}", row.doc));
    Diagnostic::error(codes::LATER_KIND, format!("`{word}` is not in this version yet"))
        .label(span, "")
        .help(help)
}

/// Returns the report for a known word that is no field of the kind.
fn unknown_word(
    kind: &KindRow<'_>,
    word: &str,
    span: Span,
    node: Option<&Node>,
) -> Option<Diagnostic> {
    let kebab = other_tools::kebab(word);
    match other_tools::answer(kind, &kebab) {
        Some(Answer::Renamed(ours)) => return Some(renamed(kind, word, ours, true, span, node)),
        Some(Answer::Similar(ours)) => return Some(renamed(kind, word, ours, false, span, node)),
        Some(Answer::Says(code, headline, help)) => {
            let mut found = Diagnostic::error(code, headline).label(span, "");
            if !help.is_empty() {
                found = found.help(help);
            }
            if let Some(ours) = other_tools::instead(kind, &kebab) {
                found = found.maybe(format!("write `{ours}`"), span, ours);
            }
            return Some(found);
        }
        None => {}
    }
    if kebab != word && kind.field(&kebab).is_some_and(|row| row.step != Step::Language) {
        let ours = kind.field(&kebab)?.word;
        return Some(renamed(kind, word, ours, true, span, node));
    }
    if kind.key == "controller" && word == "pod" {
        return Some(pod_in_controller(kind, span, node));
    }
    misplaced(kind, word, span)
}

fn renamed(
    kind: &KindRow<'_>,
    word: &str,
    ours: &str,
    certain: bool,
    span: Span,
    node: Option<&Node>,
) -> Diagnostic {
    let headline = match kind.key {
        "spec" => format!("`{}` is called `{ours}`", write::shortened(word)),
        _ => format!("in {} the field is called `{ours}`", kind.article),
    };
    let found = Diagnostic::error(codes::OTHER_NAME, headline).label(span, "");
    let ports = node.filter(|_| ours == "port" && kind.key != "service");
    if let Some((node, ports)) = ports.and_then(|node| Some((node, compose::ports(node)?))) {
        return found.maybe(format!("write `{ports}`"), node.span, ports);
    }
    let row = kind.field(ours);
    let list = row.is_some_and(|row| matches!(row.form, Form::Child(_)));
    let has_block = node.is_some_and(|node| node.block.is_some());
    let property = node.is_none() && row.is_some_and(|row| row.form != Form::Scalar);
    match (list && has_block || property, row) {
        (true, Some(row)) => found
            .help(format!("For example: `{}`", row.example.split(';').next().unwrap_or_default())),
        _ => found.suggest(certain, format!("write `{ours}`"), span, ours),
    }
}

/// Reports `controller web { pod { … } }`.
fn pod_in_controller(kind: &KindRow<'_>, span: Span, node: Option<&Node>) -> Diagnostic {
    let found = Diagnostic::error(codes::MISPLACED, "a controller is the pod: leave out `pod { }`")
        .label(span, "");
    let block = node.and_then(|node| node.block.as_ref().map(|block| (node, block)));
    let Some((node, block)) = block else {
        return found.help(format!("Write the containers of {} in it directly.", kind.article));
    };
    let (open, close) = (block.span.start, block.span.end);
    let first = block.nodes.first().map_or(open + 1, |inner| inner.span.start);
    let last = block.nodes.last().map_or(first, |inner| inner.span.end);
    let changes = vec![
        TextChange { span: Span { end: first, ..node.span }, text: String::new() },
        TextChange {
            span: Span { start: last.max(first), end: close, ..block.span },
            text: String::new(),
        },
    ];
    found.edit(Edit { title: "leave out `pod {` and its `}`".into(), certain: false, changes })
}

/// Returns the report for a word that is a field of another kind.
fn misplaced(kind: &KindRow<'_>, word: &str, span: Span) -> Option<Diagnostic> {
    let has = |other: &&&'static KindRow<'static>| {
        // At the top only fields of nearby kinds are considered: `http` there is not a probe.
        let near = kind.key != "spec"
            || matches!(
                other.key,
                "cluster" | "pod" | "controller" | "container" | "init" | "service"
            );
        near && other
            .field(word)
            .is_some_and(|row| row.step != Step::Language && row.form != Form::Argument)
    };
    let kinds: Vec<&'static KindRow<'static>> = schema::kinds().collect();
    // Kinds inside this kind come first, then those around it.
    let inner = kind.fields.iter().filter_map(|row| match row.form {
        Form::Block(key) | Form::Child(key) => schema::kind(key),
        _ => None,
    });
    let inner: Vec<&'static KindRow<'static>> = inner.collect();
    let owner = inner
        .iter()
        .find(has)
        .or_else(|| kinds.iter().filter(|other| other.key != kind.key).find(has))?;
    // A misspelled field of this kind is more likely than a field of an unrelated kind.
    let far = !inner.iter().any(|other| other.key == owner.key)
        && owner.key != kind.within
        && owner.key != "spec";
    if far && near(kind, word).is_some() {
        return None;
    }
    let subject =
        if kind.key == "spec" { "the top of a spec".to_owned() } else { kind.article.to_owned() };
    let headline = match (kind.key, owner.key) {
        ("pod" | "controller", "container") => {
            format!("{} has no `{word}`; its containers have", kind.article)
        }
        ("pod", "controller") => format!("a pod has no `{word}`; a controller has"),
        ("spec", "cluster") => format!("`{word}` belongs in the block of the cluster"),
        ("spec", _) => format!("`{word}` belongs in {}, not at the top", owner.article),
        (_, "spec") => format!("`{word}` belongs at the top of the spec, not in {subject}"),
        _ => format!("`{word}` belongs in {}, not in {subject}", owner.article),
    };
    let row = owner.field(word)?;
    let example = sample(row);
    let shown_as = match owner.key {
        "spec" => format!("At the top: `{example}`"),
        _ if owner.naming != Naming::None => {
            format!("For example: `{} NAME {{ {example} }}`", owner.word)
        }
        _ => format!("For example: `{} {{ {example} }}`", owner.word),
    };
    Some(Diagnostic::error(codes::MISPLACED, headline).label(span, "").help(shown_as))
}

/// Returns a typical example of a field. The examples of the table are written for tests instead.
fn sample<'k>(row: &FieldRow<'k>) -> &'k str {
    match row.word {
        "port" => "port http 8080",
        "image" => "image \"nginx:1.27\"",
        "mount" => "mount data \"/data\"",
        "command" => "command \"sh\" \"-c\" \"date\"",
        "file" => "file \"/etc/app.conf\" from=\"app.conf\"",
        "container" => "container web image=\"nginx:1.27\"",
        "replicas" => "replicas 3",
        "pod" => "pod web { container web image=\"nginx:1.27\" }",
        "controller" => "controller web replicas=3 { container web image=\"nginx:1.27\" }",
        "service" => "service web { select controller=web; port http }",
        "volume" => "volume data",
        _ => row.example.split(';').next().unwrap_or_default(),
    }
}

/// Returns the words of a kind in this version.
fn words<'k>(kind: &KindRow<'k>) -> impl Iterator<Item = &'k str> {
    let rows =
        kind.fields.iter().filter(|row| row.step != Step::Language && row.form != Form::Argument);
    rows.map(|row| row.word)
}

/// Returns the word of a kind that a misspelt word certainly means.
fn only_near<'k>(kind: &KindRow<'k>, word: &str) -> Option<&'k str> {
    misspelt(&other_tools::kebab(word), words(kind))
}

fn near<'k>(kind: &KindRow<'k>, word: &str) -> Option<&'k str> {
    nearest(&other_tools::kebab(word), words(kind))
}

fn suggest(
    cx: &Reporter<'_>,
    found: Diagnostic,
    kind: &KindRow<'_>,
    word: &str,
    span: Span,
) -> Diagnostic {
    let found = found.label(span, "");
    match near(kind, word) {
        Some(meant) => {
            let certain = only_near(kind, word) == Some(meant) && cx.is_whole(span, meant);
            found.suggest(certain, format!("write `{meant}`"), span, meant)
        }
        None => {
            let all: Vec<&str> = words(kind).collect();
            let verb = if kind.key == "spec" { "The fields at the top are" } else { "It has" };
            found.help(format!("{verb} {}.", write::listed(&all).replace(" or ", " and ")))
        }
    }
}

/// Reports an argument that is written as a field.
pub(super) fn argument_as_field(
    cx: &mut Reporter<'_>,
    kind: &KindRow<'_>,
    row: &FieldRow<'_>,
    span: Span,
) {
    cx.report(
        Diagnostic::error(
            codes::FORM,
            format!(
                "the {} of {} is written after its word, without `{}`",
                row.word, kind.article, row.word
            ),
        )
        .label(span, "")
        .help(format!("For example: `{}`", row.example)),
    );
}

/// Checks whether a word in a pod or a controller is one of its containers'.
pub(super) fn belongs_to_container(kind: &KindRow<'_>, word: &str) -> bool {
    matches!(kind.key, "pod" | "controller")
        && schema::field("container", word).is_some_and(|row| row.step != Step::Language)
}

/// Reports fields of a container on its pod: `pod web image="nginx:1.27"`.
pub(super) fn container_fields(
    cx: &mut Reporter<'_>,
    object: &Object<'_>,
    fields: &[(&Text, &Entry)],
) {
    let Some((key, first)) = fields.first() else { return };
    let kind = object.kind;
    let mut found = Diagnostic::error(
        codes::MISPLACED,
        format!("{} has no `{}`; its containers have", kind.article, key.text),
    )
    .label(first.span, "");
    for (_, entry) in fields.iter().skip(1).take(7) {
        found = found.label(entry.span, "and this");
    }
    let head = format!("{} {}", kind.word, object.name);
    let few = object.node.entries.len() <= 16;
    let own = object.node.properties().filter(|_| few);
    let own = own.filter(|(_, entry)| !fields.iter().any(|(_, field)| field.span == entry.span));
    let own: String = own.map(|(_, entry)| format!(" {}", cx.raw(entry.span))).collect();
    let theirs: String =
        fields.iter().take(16).map(|(_, entry)| format!(" {}", cx.raw(entry.span))).collect();
    if few
        && object.node.block.is_none()
        && !object.name.is_empty()
        && head.len() + theirs.len() < 120
    {
        let whole = Span { start: object.node.name.span.start, ..object.node.head };
        let meant = format!("{head}{own} {{ container {}{theirs} }}", object.name);
        found = found.maybe(format!("write `{meant}`"), whole, meant);
    } else {
        found = found.help(format!("In the block: `container {}{theirs}`", object.name));
    }
    cx.report(found);
}

/// Reports nodes of a container in its pod: `pod web { image "nginx:1.27"; env A=1 }`.
pub(super) fn container_nodes(cx: &mut Reporter<'_>, object: &Object<'_>, nodes: &[&Node]) {
    let Some(first) = nodes.first() else { return };
    let kind = object.kind;
    let mut found = Diagnostic::error(
        codes::MISPLACED,
        format!("{} has no `{}`; its containers have", kind.article, first.name.text),
    )
    .label(first.name.span, "this belongs in a container");
    for node in nodes.iter().skip(1).take(7) {
        found = found.label(node.name.span, "and this");
    }
    cx.report(found.help(format!(
        "Put it into `container {} {{ … }}`.",
        if object.name.is_empty() { "NAME" } else { &object.name }
    )));
}
