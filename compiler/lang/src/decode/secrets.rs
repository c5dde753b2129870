//! `${secret.NAME}` in texts: where it may stand, and where it may not.
//!
//! A value is known when compiling or at apply only. The row of a field says whether it takes what is
//! known at apply; all others reach names, labels, diagnostics, plans or logs, which a secret must not.

use tally_graph::schema::FieldRow;
use tally_source::{Diagnostic, Span};

use super::Context;
use super::object::shown;
use crate::codes;
use crate::syntax::{Value, ValueKind};
use crate::write;

/// A piece of a text that holds secrets.
#[derive(Debug, Clone)]
pub(crate) enum DraftPart {
    /// Characters as they are.
    Text(String),
    /// A secret by its name, and where it is named.
    Secret(String, Span),
}

/// A text that holds secrets, whose names nobody has looked up yet.
pub(crate) type Draft = Vec<DraftPart>;

/// The value of a field that may hold secrets; `None` when it holds none, or something that is no secret
/// and must be reported as that.
pub(super) fn draft(cx: &Context<'_>, row: &FieldRow, value: &Value) -> Option<Draft> {
    let ValueKind::Text(text, _) = &value.kind else { return None };
    if !row.at_apply || !text.contains("${secret.") || text.contains('\0') {
        return None;
    }
    let raw = cx.raw(value.span);
    let mut parts = Vec::new();
    let mut plain = String::new();
    let (mut rest, mut seen) = (text.as_ref(), 0);
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if before.ends_with('$') {
            plain.push_str(before.strip_suffix('$').unwrap_or(before));
            plain.push_str("${");
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        plain.push_str(before);
        let name = secret_name(from)?;
        let written = format!("${{secret.{name}}}");
        let place = raw.get(seen..).and_then(|raw| raw.find(&written)).map(|found| seen + found);
        let span = match place {
            Some(place) => {
                seen = place + written.len();
                let start = value.span.start as usize + place;
                Span::new(value.span.file, start, start + written.len())
            }
            // Written with an escape in it: the whole text is near enough.
            None => value.span,
        };
        if !plain.is_empty() {
            parts.push(DraftPart::Text(std::mem::take(&mut plain)));
        }
        parts.push(DraftPart::Secret(name.to_owned(), span));
        rest = from.get(written.len()..).unwrap_or_default();
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(DraftPart::Text(plain));
    }
    parts.iter().any(|part| matches!(part, DraftPart::Secret(..))).then_some(parts)
}

/// The name in a text that begins with `${secret.NAME}`.
pub(super) fn secret_name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("${secret.")?.split_once('}')?;
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (fits && !name.is_empty()).then_some(name)
}

/// What holds a text, as the report of a secret in it says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder<'r> {
    /// A field.
    Field(&'r FieldRow),
    /// A name of something.
    Name,
    /// A key of a map.
    Key,
}

/// Reports a secret where none may be.
pub(super) fn misplaced(cx: &mut Context<'_>, holder: Holder<'_>, name: &str, span: Span) {
    let what = match holder {
        Holder::Field(row) if row.word == "label" => "a label".to_owned(),
        Holder::Field(row) => format!("`{}`", row.word),
        Holder::Name => "a name".to_owned(),
        Holder::Key => "a key".to_owned(),
    };
    let whole = matches!(holder, Holder::Field(row) if row.word == "secret");
    let headline = match whole {
        true => "`secret` takes the name of a secret".to_owned(),
        false => format!("{what} cannot hold a secret"),
    };
    let found = Diagnostic::error(codes::SECRET_PLACE, headline).label(span, "");
    let found = match whole {
        true => {
            let meant = write::text(name);
            found.help("It is named here, and read when applying.").maybe(
                format!("write `secret={}`", shown(&meant)),
                span,
                meant,
            )
        }
        false => found.help(
            "Docker, plans and logs show it to everybody. A secret goes into a value of `env`, or into a `file` of a container by `text=` or `secret=`; both are put together when applying.",
        ),
    };
    cx.report(found);
}
