//! Wrong specs as data: `tests/cases/compile/NAME.kdl`, the report beside it as `NAME.snap`.
//!
//! The first lines of a case contain the expected result:
//! `// expect: E0302 "512m"`: one error with this code, whose primary label covers these characters
//! (`\n` for a line break); `// errors: N`: that number of errors instead of one; `// warning`: the one
//! report is a warning. Files that the case names lie in the folder `NAME`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop, and reads its cases"
)]

mod common;

use std::path::{Path, PathBuf};

use common::rendered;
use tally_lang::{Compiled, MemoryLoader, compile, fix};
use tally_source::Severity;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/compile")
}

struct Case {
    name: String,
    text: String,
    expect: Option<(String, String)>,
    errors: usize,
    warning: bool,
    loader: MemoryLoader,
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "kdl"))
        .collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let mut case = Case {
        loader: MemoryLoader::single("tally.kdl", &text),
        name,
        text: text.clone(),
        expect: None,
        errors: 1,
        warning: false,
    };
    for line in text.lines().map_while(|line| line.strip_prefix("// ")) {
        if let Some(rest) = line.strip_prefix("expect: ") {
            let (code, span) = rest.split_once(' ').unwrap_or((rest, ""));
            let span =
                span.replace("\\n", "\n").replace("\\\\", "\\").replace("\\u{202e}", "\u{202e}");
            case.expect = Some((code.to_owned(), span));
        } else if let Some(count) = line.strip_prefix("errors: ") {
            case.errors = count.parse().unwrap();
        } else if line == "warning" {
            case.warning = true;
        }
    }
    if let Ok(files) = std::fs::read_dir(path.with_extension("")) {
        for file in files {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            case.loader.files.insert(name, std::fs::read(&path).unwrap());
        }
    }
    case
}

/// Describes the failure of a case, in one line.
fn judge(case: &mut Case, compiled: &Compiled) -> Vec<String> {
    let mut wrong = Vec::new();
    let errors: Vec<_> =
        compiled.diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
    let warnings = compiled.diagnostics.len() - errors.len();
    let (want_errors, want_warnings) = if case.warning { (0, 1) } else { (case.errors, 0) };
    if (errors.len(), warnings) != (want_errors, want_warnings) {
        wrong.push(format!("{} errors and {warnings} warnings", errors.len()));
    }
    if compiled.graph.is_some() != errors.is_empty() {
        wrong.push("a graph in spite of errors, or none without".to_owned());
    }
    if let (Some((code, text)), Some(first)) = (&case.expect, compiled.diagnostics.first()) {
        if first.code.to_string() != *code {
            wrong.push(format!("{} instead of {code}", first.code));
        }
        let span = first.primary().map(|span| compiled.sources.text(span)).unwrap_or_default();
        if span != text {
            wrong.push(format!("{span:?} instead of {text:?}"));
        }
    }
    wrong.extend(fixes(case, compiled));
    wrong
}

/// Every certain edit is confirmed: its report is gone, and none is new.
fn fixes(case: &mut Case, compiled: &Compiled) -> Option<String> {
    let certain = |compiled: &Compiled| {
        let mut found = compiled.diagnostics.iter();
        found.any(|found| found.edits.iter().any(|edit| edit.certain))
    };
    if !certain(compiled) {
        return None;
    }
    let fixed = fix("tally.kdl", &mut case.loader);
    let left = fixed.compiled.diagnostics.iter().filter(|f| f.severity == Severity::Error).count();
    let before = compiled.diagnostics.iter().filter(|f| f.severity == Severity::Error).count();
    let fixable = compiled.diagnostics.iter().filter(|f| f.edits.iter().any(|e| e.certain));
    (left + fixable.count() != before || certain(&fixed.compiled)).then(|| {
        let texts: Vec<&String> = fixed.texts.values().collect();
        format!("after its fix:\n{texts:?}\n{}", rendered(&fixed.compiled))
    })
}

#[test]
fn every_wrong_spec_produces_its_report() {
    let mut wrong = String::new();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for mut case in cases() {
            let compiled = compile("tally.kdl", &mut case.loader);
            let report = rendered(&compiled);
            let name = case.name.clone();
            insta::assert_snapshot!(name.clone(), report);
            for why in judge(&mut case, &compiled) {
                wrong.push_str(&format!("{name}: {why}\n{}\n{report}\n", case.text));
            }
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_number_of_cases_does_not_shrink() {
    assert!(cases().len() >= 120);
}
