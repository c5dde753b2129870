//! The stages of the compiler in order, from the first file to the graph.

use tally_graph::Graph;
use tally_source::{Diagnostic, Severity, SourceMap, Span};

use crate::check::{self, Used};
use crate::decode;
use crate::loader::Loader;
use crate::lower::{self, Lowering};
use crate::reporter::Reporter;
use crate::resolve::{self, Names};

/// The result of compiling.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The graph; `None` when there is any error.
    pub graph: Option<Graph>,
    /// The texts, also when there is no graph.
    pub sources: SourceMap,
    /// The diagnostics, in the order in which they are shown.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles the spec that starts at the file `entry`.
pub fn compile(entry: &str, loader: &mut dyn Loader) -> Compiled {
    let files = resolve::load(entry, loader);
    let sources = files.sources;
    let mut cx = Reporter { sources: &sources, out: files.out, hidden: files.hidden };
    let top = decode::top(&mut cx, &files.asts);
    let incomplete = top.bad || !cx.hidden.is_empty();
    let mut low = Lowering::new(cx, loader);
    let cluster = lower::cluster(&mut low, &top.clusters, incomplete);
    let names = Names::collect(&mut low.cx, &top);
    let spec = lower::lower(&mut low, &names, &top, cluster);
    let Lowering { mut cx, origins, contents, used_volumes, used_secrets, .. } = low;
    let used = Used { volumes: used_volumes, secrets: used_secrets };
    check::check(&mut cx, &top, &names, &spec, &used);
    // The trees are the larger half of the memory, and no longer needed.
    drop(names);
    drop(top);
    drop(files.asts);
    let mut diagnostics = cx.out;
    diagnostics.retain(|found| !is_in_unpaired_line(found, &files.unpaired));
    diagnostics.sort_by_key(Diagnostic::sort_key);
    let failed = diagnostics.iter().any(|found| found.severity == Severity::Error);
    let graph = (!failed).then(|| Graph {
        sources: sources.clone(),
        origins,
        contents,
        ..lower::into_graph(spec)
    });
    Compiled { graph, sources, diagnostics }
}

/// Checks whether a report is about a line whose quotes or braces do not pair up, which is reported already.
fn is_in_unpaired_line(found: &Diagnostic, unpaired: &[Span]) -> bool {
    // Syntax is never suppressed: it includes that report.
    let Some(span) = found.primary().filter(|_| found.code.0 >= 200) else { return false };
    unpaired
        .iter()
        .any(|line| line.file == span.file && line.start <= span.start && span.end <= line.end)
}
