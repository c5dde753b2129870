//! The whole way, from the first file to the graph.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::Graph;
use tally_graph::schema::{self, Form, Step};
use tally_source::{Diagnostic, OriginArena, Severity, SourceMap, Span};

use crate::decode::{self, Context};
use crate::loader::Loader;
use crate::lower::{self, Lowering, Top};
use crate::resolve;
use crate::syntax::Ast;

/// What compiling gives.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The graph; `None` when there is any error.
    pub graph: Option<Graph>,
    /// The texts, also when there is no graph.
    pub sources: SourceMap,
    /// What is to be said of them, in the order in which it is shown.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles the spec that begins at the file `entry`.
pub fn compile(entry: &str, loader: &mut dyn Loader) -> Compiled {
    let files = resolve::load(entry, loader);
    let sources = files.sources;
    let mut low = Lowering {
        cx: Context { sources: &sources, out: files.out, incomplete: files.incomplete },
        loader,
        origins: OriginArena::default(),
        contents: BTreeMap::new(),
        content_bytes: 0,
        read: BTreeMap::new(),
        used_volumes: BTreeSet::new(),
        used_secrets: BTreeSet::new(),
    };
    let top = top(&mut low.cx, &files.asts);
    let parts = lower::lower(&mut low, &top, files.incomplete, &sources);
    // The trees are the larger half of what is held, and no longer needed.
    drop(top);
    drop(files.asts);
    let Lowering { cx, origins, contents, .. } = low;
    let mut diagnostics = cx.out;
    diagnostics.retain(|found| !is_silenced(found, &files.silent));
    diagnostics.sort_by_key(Diagnostic::sort_key);
    let failed = diagnostics.iter().any(|found| found.severity == Severity::Error);
    let graph = (!failed).then(|| Graph {
        sources: sources.clone(),
        origins,
        contents,
        ..lower::join(parts)
    });
    Compiled { graph, sources, diagnostics }
}

/// Whether a report is about a line that is reported for not holding together.
fn is_silenced(found: &Diagnostic, silent: &[Span]) -> bool {
    // Syntax is never silenced: it is what says so.
    let Some(span) = found.primary().filter(|_| found.code.0 >= 200) else { return false };
    silent
        .iter()
        .any(|line| line.file == span.file && line.start <= span.start && span.end <= line.end)
}

/// Reads the top of every file.
fn top<'a>(cx: &mut Context<'_>, asts: &'a [Ast]) -> Top<'a> {
    let mut top = Top::default();
    let Some(spec) = schema::kind("spec") else { return top };
    for node in asts.iter().flat_map(|ast| &ast.nodes) {
        let row = spec.field(&node.name.text).filter(|row| row.step != Step::Language);
        let kind = row.and_then(|row| match row.form {
            Form::Child(key) => schema::kind(key),
            _ => None,
        });
        let Some(kind) = kind else {
            // What it declares is not known, so nothing may be called missing.
            top.bad = true;
            decode::unknown_child(cx, spec, node);
            continue;
        };
        let object = decode::object(cx, kind, node);
        match kind.key {
            "cluster" => top.clusters.push(object),
            "volume" => top.volumes.push(object),
            "pod" | "controller" => top.workloads.push(object),
            "service" => top.services.push(object),
            "secret" => top.secrets.push(object),
            _ => {}
        }
    }
    // A thing whose name is missing may be the one that another names.
    let all = top.volumes.iter().chain(&top.workloads).chain(&top.services).chain(&top.secrets);
    top.bad |= all.into_iter().any(|object| object.name.is_empty());
    top
}
