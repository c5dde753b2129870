//! Selectors: pairs, and in the block `not`, `any`, `has`, `lacks`.

use std::borrow::Cow;

use tally_graph::schema::FieldRow;
use tally_source::{Diagnostic, Edit, Span, TextChange, misspelt, nearest};

use super::decoded::{Data, Pair, SelectorDraft, TextAt};
use super::{unknown, values};
use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Entry, Node, Quotes, Text};
use crate::write;

/// Words in the block of a selector.
const CONDITIONS: [&str; 4] = ["not", "any", "has", "lacks"];

/// Reads a selector such as `select app=shop { not track=canary }`.
pub(super) fn selector<'a>(
    cx: &mut Reporter<'_>,
    row: &'a FieldRow<'a>,
    node: &'a Node,
) -> Data<'a> {
    let before = cx.out.len();
    let mut draft = SelectorDraft { all: pairs(cx, row, node), ..SelectorDraft::default() };
    for child in node.children() {
        match &*child.name.text {
            "not" => draft.not.extend(pairs(cx, row, child)),
            "any" => draft.any.extend(any(cx, row, child)),
            "has" => draft.has.extend(words(cx, child)),
            "lacks" => draft.lacks.extend(words(cx, child)),
            "when" | "for-each" | "insert" | "remove" => {
                unknown::later(cx, &child.name.text, child.name.span)
            }
            _ if is_pair(child) => draft.all.extend(child_pair(cx, row, child)),
            other => {
                let mut found = Diagnostic::error(
                    codes::SELECTOR,
                    format!("no `{}` in a selector", write::shortened(other)),
                )
                .label(child.name.span, "")
                .help("A selector has pairs, and in its block `not k=v`, `any k a b`, `has k`, `lacks k`.");
                if let Some(meant) = nearest(other, CONDITIONS) {
                    let certain = misspelt(other, CONDITIONS).is_some()
                        && cx.is_whole(child.name.span, meant);
                    let title = format!("write `{meant}`");
                    found = found.suggest(certain, title, child.name.span, meant);
                } else if let (Some(value), 1) = (child.entries.first(), child.entries.len()) {
                    let meant = format!("{}={}", write::text(other), cx.raw(value.span));
                    found = found.help(format!(
                        "Pairs are written on the line of the selector: `{} {meant}`",
                        row.word
                    ));
                }
                cx.report(found);
            }
        }
    }
    if cx.out.len() == before {
        twice(cx, row, node, &draft.all);
    }
    let empty = draft.all.is_empty() && node.block.is_none();
    if empty && cx.out.len() == before {
        cx.report(
            Diagnostic::error(codes::SELECTOR, format!("`{}` has no conditions", row.word))
                .label(node.name.span, "pairs belong after this")
                .help(format!(
                    "For example: `{}`",
                    row.example.split(';').next().unwrap_or_default()
                )),
        );
    }
    if cx.out.len() > before { Data::Poison } else { Data::Selector(draft) }
}

/// Checks whether a node in the block is a pair: a key, which is no typo of a condition, and one value.
fn is_pair(node: &Node) -> bool {
    let one = matches!(node.entries.as_slice(), [entry] if entry.key.is_none());
    let bare = node.name.quotes == Quotes::Bare;
    one && node.block.is_none() && !(bare && misspelt(&node.name.text, CONDITIONS).is_some())
}

fn child_pair<'a>(
    cx: &mut Reporter<'_>,
    row: &'a FieldRow<'a>,
    node: &'a Node,
) -> Option<Pair<'a>> {
    let entry = node.entries.first()?;
    let value = values::text(cx, row, &entry.value).into();
    let key = TextAt::new(&node.name);
    Some(Pair { key, span: node.head, value, value_span: entry.value.span })
}

/// Returns the pairs of a node; reports its other values.
fn pairs<'a>(cx: &mut Reporter<'_>, row: &'a FieldRow<'a>, node: &'a Node) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    let mut surplus: Vec<&Entry> = Vec::new();
    for entry in &node.entries {
        match &entry.key {
            Some(key) if key.text.ends_with('!') => not_equal(cx, row, node, key, entry),
            Some(key) => {
                let text = values::text(cx, row, &entry.value);
                pairs.push(Pair {
                    key: TextAt::new(key),
                    span: entry.span,
                    value: text.into(),
                    value_span: entry.value.span,
                });
            }
            None => surplus.push(entry),
        }
    }
    if let Some(first) = surplus.iter().find(|entry| !entry.value.is_poison()) {
        let text = first.value.text().unwrap_or_default();
        let joins = surplus
            .iter()
            .all(|e| matches!(e.value.text(), Some("and" | "&&" | "&" | "AND" | ",")));
        let found = if joins {
            let changes = surplus.iter().map(|entry| {
                let span = Span { start: entry.span.start.saturating_sub(1), ..entry.span };
                TextChange { span, text: String::new() }
            });
            let kept: Vec<&str> = pairs.iter().map(|pair| cx.raw(pair.span)).collect();
            let edit = Edit {
                title: format!("write `{} {}`", node.name.text, kept.join(" ")),
                certain: false,
                changes: changes.collect(),
            };
            Diagnostic::error(codes::SELECTOR, "pairs in a selector all hold; there is no `and`")
                .label(first.span, "leave this out")
                .edit(edit)
        } else if matches!(text, "or" | "||" | "OR") {
            Diagnostic::error(codes::SELECTOR, "a selector has no `or`")
                .label(first.span, "")
                .help("Several values of one label: `{ any KEY A B }`. Anything else needs a label of its own.")
        } else if let Some((key, value)) =
            text.split_once('=').filter(|(key, _)| !key.is_empty() && !key.ends_with('!'))
        {
            let meant = format!("{}={}", write::text(key), write::text(value));
            Diagnostic::error(codes::SELECTOR, "a key and its value are a property")
                .label(first.span, "this is one text")
                .maybe(format!("write `{meant}`"), first.span, meant)
        } else {
            let what = write::shortened(if text.is_empty() { cx.raw(first.span) } else { text });
            Diagnostic::error(
                codes::SELECTOR,
                format!("a selector takes pairs; `{what}` is a value without a key"),
            )
            .label(first.span, "")
            .help("For example `app=shop`; for a label with any value `{ has app }`.")
        };
        cx.report(found);
    }
    pairs
}

/// Reports `app!=db`.
fn not_equal(cx: &mut Reporter<'_>, row: &FieldRow<'_>, node: &Node, key: &Text, entry: &Entry) {
    let name = key.text.trim_end_matches('!');
    let meant = format!("not {}={}", write::text(name), cx.raw(entry.value.span));
    let found = Diagnostic::error(codes::SELECTOR, "a selector has no `!=`").label(entry.span, "");
    let alone = node.entries.len() == 1 && node.block.is_none() && *node.name.text == *row.word;
    cx.report(if alone {
        let block = format!("{{ {meant} }}");
        found.maybe(format!("write `{} {block}`", row.word), entry.span, block)
    } else {
        found.help(format!("In the block of the selector: `{meant}`"))
    });
}

/// Reports `zone=a zone=b`, which can never hold.
fn twice(cx: &mut Reporter<'_>, row: &FieldRow<'_>, node: &Node, pairs: &[Pair<'_>]) {
    let mut seen = std::collections::BTreeMap::new();
    for pair in pairs {
        let Some(first) = seen.insert(pair.key(), pair) else { continue };
        let (Some(a), Some(b)) = (first.text(), pair.text()) else { continue };
        let found = if a == b {
            Diagnostic::error(codes::TWICE, format!("`{}` is twice in this selector", pair.key()))
                .label(pair.span, "the second")
                .label(first.span, "the first")
        } else {
            let values = format!("{} {}", write::text(a), write::text(b));
            let block = format!("{{ any {} {values} }}", pair.key());
            let found = Diagnostic::error(
                codes::SELECTOR,
                format!("`{}` cannot be both `{a}` and `{b}`", pair.key()),
            )
            .label(pair.span, "this one too")
            .label(first.span, "this holds already");
            if node.block.is_none() && pairs.len() == 2 {
                let span = first.span.to(pair.span);
                found.maybe(format!("write `{} {block}`", row.word), span, block)
            } else {
                found.help(format!("Either of them: `{block}`"))
            }
        };
        cx.report(found);
    }
}

fn any<'a>(
    cx: &mut Reporter<'_>,
    row: &'a FieldRow<'a>,
    node: &'a Node,
) -> Option<(TextAt<'a>, Vec<TextAt<'a>>)> {
    let mut entries = node.entries.iter();
    let key = entries.next().filter(|entry| entry.key.is_none()).and_then(text_at);
    let property = node.properties().next();
    if let Some((name, entry)) = property {
        let value = cx.raw(entry.value.span);
        let meant = format!("{} {value}", name.text);
        cx.report(
            Diagnostic::error(codes::SELECTOR, "`any` takes a key and its values side by side")
                .label(entry.span, "")
                .maybe(format!("write `any {meant}`"), entry.span, meant),
        );
        return None;
    }
    let values: Vec<Option<TextAt<'a>>> = entries
        .map(|entry| {
            let text = values::text(cx, row, &entry.value)?;
            Some(TextAt { text, span: entry.value.span })
        })
        .collect();
    match key {
        Some(key) if !values.is_empty() => Some((key, values.into_iter().flatten().collect())),
        _ => {
            if !node.entries.iter().any(|entry| entry.value.is_poison()) {
                cx.report(
                    Diagnostic::error(
                        codes::SELECTOR,
                        "`any` takes a key and the values it may have",
                    )
                    .label(node.head, "")
                    .help("For example: `any tier frontend edge`"),
                );
            }
            None
        }
    }
}

/// Returns the text of a value with its span; `None` when the value is no string.
fn text_at(entry: &Entry) -> Option<TextAt<'_>> {
    let text = entry.value.text()?;
    Some(TextAt { text: Cow::Borrowed(text), span: entry.value.span })
}

/// Returns the label keys after `has` or `lacks`.
fn words<'a>(cx: &mut Reporter<'_>, node: &'a Node) -> Vec<TextAt<'a>> {
    let mut words = Vec::new();
    for entry in &node.entries {
        match (&entry.key, text_at(entry)) {
            (None, Some(text)) => words.push(text),
            (None, None) if entry.value.is_poison() => {}
            _ => cx.report(
                Diagnostic::error(
                    codes::SELECTOR,
                    format!("`{}` takes keys of labels", node.name.text),
                )
                .label(entry.span, "this is not a key"),
            ),
        }
    }
    if node.entries.is_empty() {
        cx.report(
            Diagnostic::error(
                codes::SELECTOR,
                format!("`{}` takes keys of labels", node.name.text),
            )
            .label(node.name.span, "keys belong after this"),
        );
    }
    words
}
