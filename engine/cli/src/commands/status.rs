//! `tally status`.

use tally_reconcile::input::observed::HostView;

use crate::args;
use crate::errors::{CliError, Exit};
use crate::hosts;
use crate::memory::Remembered;
use crate::project::Project;
use crate::show::status;
use crate::show::terminal::{Terminal, out};

pub async fn run(args: &args::StatusArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (mut graph, _) = project.graph()?;
    let readers = hosts::readers(&graph, &project).await?;
    let mut remembered = Remembered::read(&graph, &project)?;
    let (observed, now) = remembered.look(&graph, &readers).await;
    if observed.hosts.values().all(|view| view.ready().is_none())
        && let Some((name, HostView::Unknown { reason, .. })) = observed.hosts.iter().next()
    {
        return Err(CliError::Usage(
            format!("host `{name}` does not answer: {reason}"),
            "The state of its containers is unknown.".to_owned(),
        ));
    }
    tally_reconcile::rollback::apply::apply_rollbacks(
        &mut graph,
        &remembered.memory.declared.rolled_back,
    );
    let status = status::status(&graph, &observed, &remembered.memory, now);
    out(&if args.json {
        format!("{}\n", serde_json::to_string_pretty(&status).unwrap_or_default())
    } else {
        status::people(&status, now, terminal)
    });
    Ok(Exit::Done)
}
