//! `tally check`: compiles a spec and reports its errors; `--fix` applies the certain edits.

use tally_lang::FixedSpec;
use tally_source::render_json;

use crate::args::{CheckArgs, ReportFormat};
use crate::errors::{CliError, Exit};
use crate::project::{Project, has_errors};
use crate::show::report;
use crate::show::terminal::{Terminal, err, out};
use crate::show::values::count;

pub fn run(args: &CheckArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (compiled, fixed) = if args.fix {
        let FixedSpec { compiled, texts, kept } = project.fix();
        for (name, text) in texts {
            let path = project.folder.join(&name);
            std::fs::write(&path, text).map_err(|error| {
                CliError::File(format!("cannot write `{}`", path.display()), error)
            })?;
        }
        (compiled, kept)
    } else {
        (project.compile(), 0)
    };
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
