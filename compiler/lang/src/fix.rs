//! Certain edits: each is tried alone, and kept only if the compiler confirms it.

use std::collections::{BTreeMap, BTreeSet};

use tally_source::{Diagnostic, Severity, SourceMap, apply_edit};

use crate::compile::{Compiled, compile};
use crate::loader::{LoadError, Loader};

/// The maximum number of edits that are tried for one spec: each is compiled.
const MOST_TRIALS: usize = 200;

/// A spec with its confirmed edits.
#[derive(Debug, Clone)]
pub struct FixedSpec {
    /// The result of compiling the edited texts. An edit that was refused is no longer certain in it.
    pub compiled: Compiled,
    /// The texts that changed, by the path that the loader knows.
    pub texts: BTreeMap<String, String>,
    /// The number of edits that were kept.
    pub kept: usize,
}

/// The identity of a report that does not depend on its place: its code, its headline, its file and its characters.
type ReportKey = (u16, String, String, String);

/// Compiles a spec and applies its certain edits.
///
/// One report is fixed at a time. An edit is kept only if its report is then gone and no other appeared, so an edit
/// that moves a mistake or hides one is refused.
pub fn fix(entry: &str, loader: &mut dyn Loader) -> FixedSpec {
    let mut texts = BTreeMap::new();
    let mut compiled = compile(entry, loader);
    let mut refused: BTreeSet<(ReportKey, String)> = BTreeSet::new();
    let mut kept = 0;
    for _ in 0..MOST_TRIALS {
        let Some((key, title, changed)) = next_edit(&compiled, &refused) else { break };
        let mut trial_texts = texts.clone();
        trial_texts.extend(changed);
        let trial = compile(entry, &mut Overlay { texts: &trial_texts, loader });
        if confirms(&compiled, &trial, &key) {
            texts = trial_texts;
            compiled = trial;
            kept += 1;
        } else {
            refused.insert((key, title));
        }
    }
    let Compiled { sources, diagnostics, .. } = &mut compiled;
    for found in diagnostics {
        let key = report_key(found, sources);
        for edit in &mut found.edits {
            edit.certain &= !refused.contains(&(key.clone(), edit.title.clone()));
        }
    }
    FixedSpec { compiled, texts, kept }
}

/// Returns the first certain edit that is not refused: its report, its title, and the texts that it changes.
fn next_edit(
    compiled: &Compiled,
    refused: &BTreeSet<(ReportKey, String)>,
) -> Option<(ReportKey, String, BTreeMap<String, String>)> {
    let Compiled { sources, diagnostics, .. } = compiled;
    diagnostics.iter().find_map(|found| {
        let edit = found.edits.iter().find(|edit| edit.certain)?;
        let tried = (report_key(found, sources), edit.title.clone());
        if refused.contains(&tried) {
            return None;
        }
        let texts = apply_edit(edit, sources)?;
        let named = texts.into_iter().filter_map(|(file, text)| {
            let source = sources.get(file)?;
            Some((source.name.clone(), text))
        });
        Some((tried.0, tried.1, named.collect()))
    })
}

/// Checks whether an edit removed its report and caused no other.
fn confirms(before: &Compiled, after: &Compiled, key: &ReportKey) -> bool {
    let mut left = counted(before);
    match left.get_mut(key) {
        Some(count) => *count -= 1,
        None => return false,
    }
    let fits = |(key, count): (&ReportKey, &usize)| left.get(key).is_some_and(|had| count <= had);
    counted(after).iter().all(fits)
}

fn counted(compiled: &Compiled) -> BTreeMap<ReportKey, usize> {
    let mut counts = BTreeMap::new();
    for found in &compiled.diagnostics {
        *counts.entry(report_key(found, &compiled.sources)).or_default() += 1;
    }
    counts
}

fn report_key(found: &Diagnostic, sources: &SourceMap) -> ReportKey {
    let span = found.primary();
    let file = span.and_then(|span| sources.get(span.file));
    // Of a long text the length is enough.
    let text = span.map(|span| sources.text(span)).unwrap_or_default();
    let text = match text.len() {
        0..=200 => text.to_owned(),
        length => length.to_string(),
    };
    let warning = if found.severity == Severity::Warning { "warning: " } else { "" };
    let name = file.map(|file| file.name.clone()).unwrap_or_default();
    (found.code.0, format!("{warning}{}", found.headline), name, text)
}

/// A loader whose texts are partly replaced.
struct Overlay<'l> {
    texts: &'l BTreeMap<String, String>,
    loader: &'l mut dyn Loader,
}

impl Loader for Overlay<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, LoadError> {
        match self.texts.get(path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => self.loader.read(path),
        }
    }
}
