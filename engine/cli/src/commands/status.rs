//! `tally status`.

use tally_reconcile::found::inventory;
use tally_reconcile::observed::HostView;

use crate::args;
use crate::errors::{CliError, Exit};
use crate::hosts;
use crate::project::Project;
use crate::show::status;
use crate::show::terminal::{Terminal, out};

pub async fn run(args: &args::Status, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (graph, _) = project.graph()?;
    let readers = hosts::readers(&graph, &project).await?;
    let observed = hosts::look(&graph, &readers).await;
    let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
    let now = hosts::now_ms();
    for (name, view) in &observed.hosts {
        match view {
            HostView::Ready(state) => {
                let host = match state.engine.simulated {
                    true => format!("{name} (SIMULATED)"),
                    false => format!("{name} (Docker {})", state.engine.version),
                };
                let status = status::status(&graph, &host, &inventory(cluster, state), now);
                out(&match args.json {
                    true => {
                        let text = serde_json::to_string_pretty(&status).unwrap_or_default();
                        format!("{text}\n")
                    }
                    false => status::people(&status, now, terminal),
                });
            }
            HostView::Unknown { reason } => {
                return Err(CliError::Usage(
                    format!("host `{name}` does not answer: {reason}"),
                    "Nothing is known of what runs there.".to_owned(),
                ));
            }
        }
    }
    Ok(Exit::Done)
}
