//! `tally destroy`: removes everything of a cluster, and nothing else.

use tally_reconcile::Options;

use crate::args;
use crate::commands::converge::{Work, converge};
use crate::errors::{CliError, Exit};
use crate::memory::Remembered;
use crate::project::Project;
use crate::show::terminal::Terminal;

pub async fn run(args: args::DestroyArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (graph, _) = project.graph()?;
    let remembered = Remembered::read(&graph, &project)?;
    let options = Options { destroy: true, remove_volumes: args.volumes, ..Options::default() };
    let work = Work {
        project: &project,
        graph: &graph,
        options,
        parallel: 8,
        agreed: None,
        // Removing needs none.
        secrets: tally_host::Secrets::default(),
        // A rollback ends with its workload: a later apply of this spec is a new rollout.
        ended_rollbacks: remembered.memory.declared.rolled_back.keys().cloned().collect(),
    };
    converge(work, remembered, args.yes, terminal).await
}
