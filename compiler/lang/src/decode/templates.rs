//! `${secret.NAME}` in texts, and the fields that allow it.
//!
//! Some values are known only when the spec is applied. The row of a field says whether it takes such values; the
//! values of all other fields reach names, labels, diagnostics, plans or logs, where a secret must not appear.

use std::borrow::Cow;

use tally_graph::schema::{FieldRow, ValueType};
use tally_graph::{PartKind, Template, TemplatePart};
use tally_source::{Diagnostic, Edit, Span, TextChange};

use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Value, ValueKind, holes};
use crate::write;

/// Returns the template of a text with secrets; `None` when it holds no secret, or another `${…}`, which the caller
/// reports.
pub(super) fn template(cx: &Reporter<'_>, row: &FieldRow<'_>, value: &Value) -> Option<Template> {
    let ValueKind::Text(text, _) = &value.kind else { return None };
    if !row.at_apply || !text.contains("${secret.") || text.contains('\0') {
        return None;
    }
    let raw = cx.raw(value.span);
    let mut parts = Vec::new();
    let mut plain = String::new();
    let (mut from, mut seen) = (0, 0);
    while let Some(opening) = holes::next(text, from) {
        let before = text.get(from..opening.at).unwrap_or_default();
        if opening.escaped {
            plain.push_str(before.strip_suffix('$').unwrap_or(before));
            plain.push_str("${");
            from = opening.at + 2;
            continue;
        }
        plain.push_str(before);
        let name = secret_name(text.get(opening.at..).unwrap_or_default())?;
        let written = format!("${{secret.{name}}}");
        let place = raw.get(seen..).and_then(|raw| raw.find(&written)).map(|found| seen + found);
        // The search is not repeated: a text can hold a million of them.
        seen = place.unwrap_or(raw.len());
        let span = match place {
            Some(place) => {
                seen = place + written.len();
                let start = value.span.start as usize + place;
                Span::new(value.span.file, start, start + written.len())
            }
            // It is written with an escape, so it is not found in the source: the span of the whole text is used.
            None => value.span,
        };
        if !plain.is_empty() {
            parts.push(TemplatePart::at(PartKind::Text(std::mem::take(&mut plain)), value.span));
        }
        parts.push(TemplatePart::at(PartKind::Secret(name.to_owned()), span));
        from = opening.at + written.len();
    }
    plain.push_str(text.get(from..).unwrap_or_default());
    if !plain.is_empty() {
        parts.push(TemplatePart::at(PartKind::Text(plain), value.span));
    }
    let template = Template::Parts(parts);
    (!template.secret_uses().is_empty()).then_some(template)
}

/// The maximum number of `${` that one edit escapes.
const MOST_ESCAPES: usize = 100;

/// Returns the name in a text that begins with `${secret.NAME}`.
fn secret_name(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("${secret.")?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))?;
    let (name, rest) = rest.split_at(end);
    (rest.starts_with('}') && !name.is_empty()).then_some(name)
}

/// The owner of a text, for reports of a secret in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder<'r> {
    /// A field.
    Field(&'r FieldRow<'r>),
    /// A name of something.
    Name,
    /// A key of a map.
    Key,
}

/// Reports a secret in a place that does not allow it.
fn misplaced(cx: &mut Reporter<'_>, holder: Holder<'_>, name: &str, span: Span) {
    let what = match holder {
        Holder::Field(row) if row.word == "label" => "a label".to_owned(),
        Holder::Field(row) => format!("`{}`", row.word),
        Holder::Name => "a name".to_owned(),
        Holder::Key => "a key".to_owned(),
    };
    let whole = matches!(holder, Holder::Field(row) if row.word == "secret");
    let headline = if whole {
        "`secret` takes the name of a secret".to_owned()
    } else {
        format!("{what} cannot hold a secret")
    };
    let found = Diagnostic::error(codes::SECRET_PLACE, headline).label(span, "");
    let found = if whole {
        let meant = write::text(name);
        found.help("It is named here, and read when the spec is applied.").maybe(
            format!("write `secret={}`", write::shortened(&meant)),
            span,
            meant,
        )
    } else {
        found.help(
            "Docker, plans and logs would show it to everybody. Use a secret in a value of `env`, or in a `file` of a container by `text=` or `secret=`; both are filled in when the spec is applied.",
        )
    };
    cx.report(found);
}

/// Returns the text with `$${` replaced by `${`; reports any other `${`, which belongs to a later version.
pub(super) fn unescaped<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    text: &'a str,
    span: Span,
) -> Option<Cow<'a, str>> {
    let Some(text) = holes::unescaped(text) else {
        let kept = matches!(row.value, ValueType::Text | ValueType::Word);
        interpolation(cx, text, span, Holder::Field(row), kept);
        return None;
    };
    Some(Cow::Owned(text))
}

/// Reports `${…}` in a text. `kept` is whether the text could contain these characters literally, which the fix
/// then offers.
pub(super) fn interpolation(
    cx: &mut Reporter<'_>,
    text: &str,
    span: Span,
    holder: Holder<'_>,
    kept: bool,
) {
    let raw = cx.raw(span);
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(opening) = holes::next(raw, from) {
        if !opening.escaped {
            places.push(opening.at);
        }
        from = opening.at + 2;
    }
    // In a field that allows secrets, the mistake is another `${…}`.
    if matches!(holder, Holder::Field(row) if row.at_apply) {
        places.retain(|at| raw.get(*at..).and_then(secret_name).is_none());
    }
    let first = places.first().copied().unwrap_or(0);
    let body = raw.get(first..).unwrap_or(text);
    let end = body.find('}').map_or(body.len(), |end| end + 1);
    let expression = body.get(..end).unwrap_or(body);
    let inner = expression.trim_start_matches("${").trim_end_matches('}');
    let shell = inner.contains(":-")
        || inner.contains(":+")
        || inner.contains(":?")
        || (!inner.is_empty()
            && inner.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'));
    let headline = if shell {
        format!("`{}` is shell; the compiler has no environment", write::shortened(expression))
    } else {
        format!("`{}` is not in this version yet", write::shortened(expression))
    };
    let start = span.start as usize + first;
    if let Some(name) = secret_name(expression) {
        let at = Span::new(span.file, start, start + expression.len());
        return misplaced(cx, holder, name, at);
    }
    let label = if places.is_empty() { span } else { Span::new(span.file, start, start + end) };
    let help = if !kept {
        "Named values and expressions are not supported yet. Write the value itself."
    } else if shell {
        "Write the value itself. A literal `${` for the program is written `$${`."
    } else {
        "Named values and expressions are not supported yet. Write the value itself; a literal `${` is written `$${`."
    };
    let mut found = Diagnostic::error(codes::LATER_TEXT, headline).label(label, "").help(help);
    if kept && (1..=MOST_ESCAPES).contains(&places.len()) {
        let changes = places.iter().map(|place| {
            let at = span.start as usize + place;
            TextChange { span: Span::new(span.file, at, at), text: "$".into() }
        });
        let title =
            format!("write `{}` to pass it on as it is", write::shortened(&escaped(raw, &places)));
        found = found.edit(Edit { title, certain: false, changes: changes.collect() });
    }
    cx.report(found);
}

/// Returns a text with a `$` inserted before each of the offsets.
fn escaped(raw: &str, places: &[usize]) -> String {
    let mut text = String::with_capacity(raw.len() + places.len());
    let mut done = 0;
    for place in places {
        text.push_str(raw.get(done..*place).unwrap_or_default());
        text.push('$');
        done = *place;
    }
    text.push_str(raw.get(done..).unwrap_or_default());
    text
}
