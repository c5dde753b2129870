//! `tally apply`: plan, ask, execute and observe until nothing differs.

use std::path::PathBuf;

use tally_host::Secrets;
use tally_reconcile::Options;
use tally_reconcile::rollback::apply::{apply_rollbacks, ended_rollbacks};

use crate::args;
use crate::commands::converge::{Work, converge, moved_on};
use crate::commands::plan::target;
use crate::errors::{CliError, Exit};
use crate::memory::Remembered;
use crate::project::Project;
use crate::saved::Saved;
use crate::secrets;
use crate::show::report;
use crate::show::terminal::{Terminal, err};

pub async fn run(args: args::ApplyArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    if let Some(saved) = Saved::read(&args.spec)? {
        return run_saved(saved, &args, terminal).await;
    }
    let project = Project::find(&args.spec)?;
    let (mut graph, warnings) = project.graph()?;
    let remembered = Remembered::read(&graph, &project)?;
    // With `--target` the newer spec of another workload is not followed yet.
    let ended_rollbacks = match args.target {
        None => ended_rollbacks(&graph, &remembered.memory.declared.rolled_back),
        Some(_) => Vec::new(),
    };
    remembered.apply_rollbacks(&mut graph);
    err(&report::people(&warnings, &graph.sources, terminal));
    let target = args.target.as_deref().map(|text| target(&graph, text)).transpose()?;
    let options = Options { target, rebalance: args.rebalance, ..Options::default() };
    let work = Work {
        project: &project,
        graph: &graph,
        options,
        parallel: args.parallel,
        agreed: None,
        secrets: secrets::read(&graph, &project).await?,
        ended_rollbacks,
    };
    converge(work, remembered, args.yes, terminal).await
}

async fn run_saved(
    saved: Saved,
    args: &args::ApplyArgs,
    terminal: &Terminal,
) -> Result<Exit, CliError> {
    if args.target.is_some() {
        return Err(CliError::Usage(
            "a saved plan has its target already".to_owned(),
            "Leave `--target` out, or plan again with it.".to_owned(),
        ));
    }
    if args.rebalance {
        return Err(CliError::Usage(
            "a saved plan has its moves already".to_owned(),
            "Leave `--rebalance` out, or save a plan with it: `tally plan --rebalance --out FILE`."
                .to_owned(),
        ));
    }
    let project = Project {
        folder: PathBuf::from(&saved.folder),
        entry: String::new(),
        shown: String::new(),
    };
    let graph = &saved.graph;
    let remembered = Remembered::read(graph, &project)?;
    // A plan of a revision that was rolled back since it was saved is refused.
    if !apply_rollbacks(&mut graph.clone(), &remembered.memory.declared.rolled_back).is_empty() {
        return Err(moved_on(graph));
    }
    let target = saved.target.as_deref().map(|text| target(graph, text)).transpose()?;
    let options = Options {
        target,
        destroy: saved.destroy,
        remove_volumes: saved.remove_volumes,
        rebalance: saved.rebalance,
        ..Options::default()
    };
    let secrets =
        if saved.destroy { Secrets::default() } else { secrets::read(graph, &project).await? };
    let work = Work {
        project: &project,
        graph,
        options,
        parallel: args.parallel,
        agreed: Some(saved.operations().to_vec()),
        secrets,
        ended_rollbacks: Vec::new(),
    };
    // The plan was read when it was saved.
    converge(work, remembered, true, terminal).await
}
