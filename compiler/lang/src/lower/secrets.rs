//! Secrets: their sources, and texts that hold them. None is read here.

use tally_graph::{Secret, SecretSource, Template};
use tally_source::{Diagnostic, Span};

use super::lowering::Lowering;
use super::origins::Notes;
use crate::codes;
use crate::decode::{Data, Field, Object};
use crate::resolve::{Names, not_found, resolve_path};

const SOURCES: [&str; 3] = ["file", "env", "command"];

/// Lowers a secret; `None` if its source is wrong.
pub(super) fn secret(low: &mut Lowering<'_, '_>, object: &Object<'_>) -> Option<Secret> {
    let source = match object.written(&SOURCES).as_slice() {
        [] => {
            if !object.bad {
                low.cx.report(
                    Diagnostic::error(
                        codes::MISSING_FIELD,
                        format!("`{}` has no source", object.name()),
                    )
                    .label(object.title_span, "`file`, `env` or `command` is missing")
                    .help(format!(
                        "For example: `secret {} file=\"secrets/{}\"`.",
                        object.name(),
                        object.name()
                    )),
                );
            }
            None
        }
        [field] => source(low, field),
        [first, .., second] => {
            low.cx.report(
                Diagnostic::error(codes::CONTRADICTION, "a secret is read from one place")
                    .label(second.span, "this is another")
                    .label(first.span, "this is one")
                    .help("Leave all but one out."),
            );
            None
        }
    }?;
    let mut notes = Notes::new(&mut low.origins);
    for word in SOURCES {
        notes.field(&[word], object, word);
    }
    Some(Secret {
        name: object.name().to_owned(),
        source,
        span: object.title_span,
        provenance: notes.provenance,
    })
}

fn source(low: &mut Lowering<'_, '_>, field: &Field<'_>) -> Option<SecretSource> {
    let text = match &field.data {
        Data::List(words) => {
            return Some(SecretSource::Command(
                words.iter().map(|word| word.text.to_string()).collect(),
            ));
        }
        Data::Value(crate::decode::Typed::Text(text)) => text,
        _ => return None,
    };
    if field.row.word == "env" {
        return Some(SecretSource::Env(text.to_string()));
    }
    // Secrets are usually kept outside of a repository.
    if text.starts_with('/') {
        return Some(SecretSource::File(text.to_string()));
    }
    let before = low.cx.out.len();
    let path = resolve_path(low.cx.sources, text, field.value_span, &mut low.cx.out);
    if let Some(found) = low.cx.out.get_mut(before..).and_then(<[Diagnostic]>::first_mut) {
        let help = "A relative path stays in the folder of the spec. For a secret elsewhere, use an absolute path: `file=\"/run/secrets/db\"`.";
        found.help = Some(help.to_owned());
    }
    path.map(SecretSource::File)
}

/// Returns a text with secrets, after their names are looked up.
pub(super) fn template(
    low: &mut Lowering<'_, '_>,
    names: &Names<'_>,
    template: &Template,
) -> Template {
    for (name, span) in template.secret_uses() {
        if let Some(span) = span {
            used(low, names, name, span, SecretForm::Interpolated);
        }
    }
    template.clone()
}

/// Returns the content of a file that is a secret.
pub(super) fn whole(
    low: &mut Lowering<'_, '_>,
    names: &Names<'_>,
    name: &str,
    span: Span,
) -> Template {
    used(low, names, name, span, SecretForm::Bare);
    Template::whole_secret(name, Some(span))
}

/// The notation of a use of a secret.
#[derive(Clone, Copy, PartialEq)]
enum SecretForm {
    /// `${secret.db}`
    Interpolated,
    /// `secret=db`
    Bare,
}

fn used(low: &mut Lowering<'_, '_>, names: &Names<'_>, name: &str, span: Span, form: SecretForm) {
    low.used_secrets.insert(name.to_owned());
    let hidden = low.cx.hidden.may_declare("secret", name);
    if names.secrets.contains_key(name) || hidden || low.cx.is_full() {
        return;
    }
    let name_span = match form {
        SecretForm::Interpolated if low.cx.raw(span).starts_with("${secret.") => {
            let start = span.start as usize + "${secret.".len();
            Span::new(span.file, start, start + name.len())
        }
        _ => span,
    };
    let found = not_found(&low.cx, "secret", name, name_span, names.secrets.keys().copied());
    low.cx.report(if names.secrets.is_empty() {
        found.help(format!(
            "Declare it at the top of the spec: `secret {name} file=\"secrets/{name}\"`."
        ))
    } else {
        found
    });
}
