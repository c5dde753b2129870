//! `tally events`: the actions of the loop and their causes.

use std::time::Duration;

use crate::args;
use crate::args::ReportFormat;
use crate::errors::{CliError, Exit};
use crate::events::{last, path, people, read_from};
use crate::project::Project;
use crate::show::terminal::{Terminal, out};

/// Interval between two reads of the file with `--follow`.
const PAUSE: Duration = Duration::from_millis(250);

pub async fn run(args: args::EventsArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (graph, _) = project.graph()?;
    let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
    let path = path(&project.kept(), cluster);
    let failed = |error: std::io::Error| {
        CliError::Usage(
            format!("`{}` cannot be read: {error}", path.display()),
            "`tally run` writes it.".to_owned(),
        )
    };
    let show = |entry: &tally_control::JournalEntry| match args.format {
        ReportFormat::Json => {
            out(&format!("{}\n", serde_json::to_string(entry).unwrap_or_default()));
        }
        ReportFormat::Human => out(&people(entry, terminal)),
    };
    let (entries, mut end) = last(&path, args.tail).map_err(failed)?;
    if entries.is_empty() && !args.follow {
        return Err(CliError::Usage(
            format!("there are no events of `{cluster}` in this folder"),
            "`tally run` writes them to `.tally/run/`, next to the spec.".to_owned(),
        ));
    }
    entries.iter().for_each(show);
    if !args.follow {
        return Ok(Exit::Done);
    }
    loop {
        tokio::time::sleep(PAUSE).await;
        match read_from(&path, end) {
            Ok((entries, at)) => {
                entries.iter().for_each(show);
                end = at;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => end = 0,
            Err(error) => return Err(failed(error)),
        }
    }
}
