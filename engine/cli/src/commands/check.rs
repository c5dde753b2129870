//! `tally check`: compiles a spec and reports its errors; `--fix` applies the certain edits.

use tally_source::{apply_certain_edits, render_json};

use crate::args::{CheckArgs, ReportFormat};
use crate::errors::{CliError, Exit};
use crate::project::{Project, has_errors};
use crate::show::report;
use crate::show::terminal::{Terminal, err, out};
use crate::show::values::count;

/// Maximum number of passes of `--fix`: a fix can uncover another error.
const MOST_ROUNDS: usize = 10;

pub fn run(args: &CheckArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let mut fixed = 0;
    let mut compiled = project.compile();
    for _ in 0..MOST_ROUNDS {
        let (texts, applied) = apply_certain_edits(&compiled.diagnostics, &compiled.sources);
        if !args.fix || applied == 0 {
            break;
        }
        for (file, text) in texts {
            let Some(source) = compiled.sources.get(file) else { continue };
            let path = project.path_of(&source.name);
            std::fs::write(&path, text).map_err(|error| {
                CliError::File(format!("cannot write `{}`", path.display()), error)
            })?;
        }
        fixed += applied;
        compiled = project.compile();
    }
    if args.format == ReportFormat::Json {
        for found in &compiled.diagnostics {
            out(&format!("{}\n", render_json(found, &compiled.sources)));
        }
    } else {
        err(&report::people(&compiled.diagnostics, &compiled.sources, terminal));
        if fixed > 0 {
            out(&format!("fixed {}\n", count(fixed, "mistake", "mistakes")));
        }
    }
    let Some(graph) = compiled.graph.filter(|_| !has_errors(&compiled.diagnostics)) else {
        return Ok(Exit::Failed);
    };
    if args.format == ReportFormat::Human {
        let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
        let pods = graph.workloads().count();
        out(&format!(
            "{cluster}: {} in {}, no errors\n",
            count(pods, "pod or controller", "pods and controllers"),
            count(compiled.sources.iter().count(), "file", "files"),
        ));
    }
    Ok(Exit::Done)
}
