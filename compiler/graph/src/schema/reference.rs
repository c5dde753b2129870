//! The reference, generated from the table: one page for each kind.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::lookup::{kind, kinds};
use super::rows::{FieldRow, Form, KindRow, Naming, Step, UpdateClass};

/// Returns the pages of the reference by file name. They are committed, and a test fails when they drift.
#[must_use]
pub fn reference_pages() -> BTreeMap<String, String> {
    let mut pages: BTreeMap<String, String> =
        kinds().map(|kind| (file_name(kind), page(kind))).collect();
    pages.insert("README.md".to_owned(), index());
    pages
}

fn file_name(kind: &KindRow<'_>) -> String {
    format!("{}.md", kind.key.replace(' ', "-"))
}

fn title(kind: &KindRow<'_>) -> String {
    match kind.key {
        "spec" => "the top of a spec".to_owned(),
        key => format!("`{key}`"),
    }
}

const NOTE: &str = "<!-- Generated from the schema table. Change the table, then run: UPDATE=1 cargo test -p tally-graph --test reference -->\n";

fn index() -> String {
    let mut out = format!(
        "{NOTE}# Reference\n\nEvery kind of the language and its fields. Scalar and map fields are written as properties of the\nline or as lines of the block, whichever you prefer; lists and blocks are lines of the block.\n\n| kind | description |\n|---|---|\n"
    );
    for kind in kinds() {
        let later = if kind.step == Step::Now { "" } else { " °" };
        let _ = writeln!(out, "| [{}]({}){later} | {} |", title(kind), file_name(kind), kind.doc);
    }
    out.push_str("\n° compiles, is checked and shown; a later version acts on it.\n");
    out
}

fn page(kind: &KindRow<'_>) -> String {
    let mut out = format!("{NOTE}# {}\n\n{}\n", title(kind), kind.doc);
    if let Step::Later(sentence) = kind.step {
        let _ = write!(out, "\n{sentence}\n");
    }
    if kind.key != "spec" {
        let _ = write!(out, "\n```\n{}\n```\n", usage(kind));
    }
    let around: Vec<String> = parents(kind).map(link).collect();
    if !around.is_empty() {
        let _ = write!(out, "\nBelongs in: {}.\n", around.join(", "));
    }
    let fields: Vec<&FieldRow<'_>> =
        kind.fields.iter().filter(|row| row.step != Step::Language).collect();
    let classes = fields.iter().any(|row| row.class != UpdateClass::Nothing);
    if !fields.is_empty() {
        out.push_str("\n| field | written as | value | description |");
        out.push_str(if classes {
            " a change |\n|---|---|---|---|---|\n"
        } else {
            "\n|---|---|---|---|\n"
        });
        for row in &fields {
            let _ =
                write!(out, "| {} | {} | {} | {} |", name(row), form(row), value(row), says(row));
            if classes {
                let _ = write!(out, " {} |", kind.class_of(row).phrase());
            }
            out.push('\n');
        }
    }
    let later: Vec<&FieldRow<'_>> =
        kind.fields.iter().filter(|row| row.step == Step::Language).collect();
    if !later.is_empty() {
        out.push_str("\nOf a later version, and refused in this one:\n\n");
        for row in later {
            let _ = writeln!(out, "- `{}`: {}", row.word, row.doc);
        }
    }
    out
}

/// Returns how a node of the kind is written.
fn usage(kind: &KindRow<'_>) -> String {
    let mut out = kind.word.to_owned();
    if kind.naming != Naming::None {
        out.push_str(" NAME");
    }
    for row in kind.arguments() {
        let word = row.word.to_uppercase();
        let _ = if row.required { write!(out, " {word}") } else { write!(out, " [{word}]") };
    }
    if kind.fields.iter().any(|row| row.form != Form::Argument && row.step != Step::Language) {
        out.push_str(" { … }");
    }
    out
}

fn parents(kind: &KindRow<'_>) -> impl Iterator<Item = &'static KindRow<'static>> {
    kinds().filter(move |parent| {
        let inner = |row: &FieldRow<'_>| match row.form {
            Form::Block(key) | Form::Child(key) => key == kind.key,
            _ => false,
        };
        parent.fields.iter().any(inner)
    })
}

fn link(kind: &KindRow<'_>) -> String {
    format!("[{}]({})", title(kind), file_name(kind))
}

fn name(row: &FieldRow<'_>) -> String {
    let later = if matches!(row.step, Step::Later(_)) { " °" } else { "" };
    match row.form {
        Form::Argument => format!("{}{later}", row.word.to_uppercase()),
        Form::Block(key) | Form::Child(key) => match kind(key) {
            Some(inner) => format!("[`{}`]({}){later}", row.word, file_name(inner)),
            None => format!("`{}`{later}", row.word),
        },
        _ => format!("`{}`{later}", row.word),
    }
}

fn form(row: &FieldRow<'_>) -> &'static str {
    match row.form {
        Form::Argument => "value after the word",
        Form::Scalar => "property or line",
        Form::Map => "map",
        Form::List => "list",
        Form::Block(_) => "block, once",
        Form::Child(_) => "line, any number",
        Form::Selector => "selector",
    }
}

fn value(row: &FieldRow<'_>) -> String {
    match row.form {
        Form::Block(_) | Form::Child(_) | Form::Selector => String::new(),
        _ if row.at_apply => {
            format!("{}; may hold `${{secret.NAME}}`", row.value.phrase().replace('|', "\\|"))
        }
        _ => row.value.phrase().replace('|', "\\|"),
    }
}

fn says(row: &FieldRow<'_>) -> String {
    let mut out = row.doc.to_owned();
    if row.required {
        out.push_str(" Required.");
    }
    if let Some(default) = row.default {
        let _ = write!(out, " Default: `{default}`.");
    }
    out
}
