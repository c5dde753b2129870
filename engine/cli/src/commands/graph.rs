//! `tally graph`.

use crate::args::{GraphArgs, GraphFormat};
use crate::errors::{CliError, Exit};
use crate::project::Project;
use crate::show::terminal::{Terminal, err, out};
use crate::show::{graph, report};

pub fn run(args: &GraphArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (compiled, warnings) = project.graph()?;
    err(&report::people(&warnings, &compiled.sources, terminal));
    out(&match args.format {
        GraphFormat::Text => graph::text(&compiled),
        GraphFormat::Dot => graph::dot(&compiled),
        GraphFormat::Json => graph::json(&compiled),
        GraphFormat::Mermaid => graph::mermaid(&compiled),
    });
    Ok(Exit::Done)
}
