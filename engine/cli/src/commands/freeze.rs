//! `tally freeze` and `tally unfreeze`.

use crate::args;
use crate::errors::{CliError, Exit};
use crate::memory::Remembered;
use crate::project::Project;
use crate::show::terminal::out;

pub fn freeze(args: &args::FreezeArgs) -> Result<Exit, CliError> {
    let why = args.message.clone();
    declare(&args.spec, Some(why), |cluster| {
        format!("{cluster} is frozen: nothing is changed until `tally unfreeze`.\n")
    })
}

pub fn unfreeze(args: &args::UnfreezeArgs) -> Result<Exit, CliError> {
    declare(&args.spec, None, |cluster| format!("changes to {cluster} are allowed again.\n"))
}

fn declare(
    spec: &args::SpecArgs,
    why: Option<String>,
    words: impl Fn(&str) -> String,
) -> Result<Exit, CliError> {
    let project = Project::find(&spec.spec)?;
    let (graph, _) = project.graph()?;
    let mut remembered = Remembered::read(&graph, &project)?;
    remembered.declare(|all| all.frozen = why)?;
    let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
    out(&words(cluster));
    Ok(Exit::Done)
}
