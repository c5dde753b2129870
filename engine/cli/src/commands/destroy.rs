//! `tally destroy`: takes everything of a cluster away, and nothing else.

use tally_reconcile::Options;

use crate::args;
use crate::commands::apply::{Work, carry_out};
use crate::errors::{CliError, Exit};
use crate::memory::Remembered;
use crate::project::Project;
use crate::show::terminal::Terminal;

pub async fn run(args: args::Destroy, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (graph, _) = project.graph()?;
    let remembered = Remembered::read(&graph, &project)?;
    let options = Options { destroy: true, remove_volumes: args.volumes, ..Options::default() };
    let work = Work {
        project: &project,
        graph: &graph,
        options,
        parallel: 8,
        saved: None,
        // What goes needs none.
        secrets: tally_docker::Secrets::default(),
        // What went back is no more, and the spec is new to who begins again.
        ended: remembered.memory.declared.undone.keys().cloned().collect(),
    };
    carry_out(work, remembered, args.yes, terminal).await
}
