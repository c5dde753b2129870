//! `tally rollout`: how far a controller's change is, and pausing it.

use tally_graph::{Address, Graph};
use tally_reconcile::plan::ChangeKind;
use tally_reconcile::{Options, reconcile};

use crate::args::{Rollout, RolloutCommand};
use crate::commands::plan::target;
use crate::errors::{CliError, Exit};
use crate::hosts;
use crate::memory::Remembered;
use crate::project::Project;
use crate::show::status;
use crate::show::terminal::{Terminal, out};
use crate::show::values::count;

pub async fn run(args: Rollout, terminal: &Terminal) -> Result<Exit, CliError> {
    let (name, spec) = match &args.what {
        RolloutCommand::Status(of) | RolloutCommand::Resume(of) => (&of.controller, &of.spec),
        RolloutCommand::Pause(of) => (&of.controller, &of.spec),
    };
    let project = Project::find(&spec.spec)?;
    let (graph, _) = project.graph()?;
    let address = controller(&graph, name)?;
    let mut remembered = Remembered::read(&graph, &project)?;
    match &args.what {
        RolloutCommand::Pause(pause) => {
            let why = pause.message.clone();
            remembered.declare(|all| {
                all.paused.insert(address.to_string(), why);
            })?;
            out(&format!(
                "{address} is paused: a change of it goes no further, what is missing is still \
                 made.\n"
            ));
            Ok(Exit::Done)
        }
        RolloutCommand::Resume(_) => {
            remembered.declare(|all| {
                all.paused.remove(&address.to_string());
            })?;
            out(&format!("{address} goes on.\n"));
            Ok(Exit::Done)
        }
        RolloutCommand::Status(_) => status(&graph, &project, &address, remembered, terminal).await,
    }
}

fn controller(graph: &Graph, name: &str) -> Result<Address, CliError> {
    match name.contains('/') {
        true => target(graph, name),
        false => target(graph, &format!("controller/{name}")),
    }
}

/// How many pods are as the spec says, how many are not yet, and what holds them.
async fn status(
    graph: &Graph,
    project: &Project,
    address: &Address,
    mut remembered: Remembered,
    terminal: &Terminal,
) -> Result<Exit, CliError> {
    let readers = hosts::readers(graph, project).await?;
    let observed = hosts::look(graph, &readers).await;
    let now_ms = hosts::now_ms();
    remembered.learn(&observed, now_ms);
    let options = Options { now_ms, ..Options::default() };
    let plan = reconcile(graph, &observed, &remembered.memory, &options);
    let name = address.to_string();
    let all = status::status(graph, &observed, now_ms);
    let Some(own) = all.workloads.iter().find(|workload| workload.address == name) else {
        return Err(CliError::Internal(format!("no status of {name}")));
    };
    let pods = |wanted: fn(ChangeKind) -> bool| {
        let of = plan.changes.iter().filter(|c| c.subject.workload == name && wanted(c.kind));
        of.map(|change| change.subject.pod.as_str()).collect::<std::collections::BTreeSet<_>>()
    };
    let old = pods(|kind| matches!(kind, ChangeKind::Replace | ChangeKind::Update));
    let held = plan.held.iter().filter(|held| held.subject.workload == name).count();
    let left = old.len() + held;
    let wanted = own.wanted as usize;
    out(&format!(
        "{name}: {} of {} as the spec says, {} ready\n",
        wanted.saturating_sub(left),
        count(wanted, "pod", "pods"),
        own.ready
    ));
    if let Some(why) = remembered.memory.declared.paused.get(&name) {
        out(&format!("  paused: {why}\n"));
    }
    let of = tally_reconcile::plan::Plan {
        held: plan.held.iter().filter(|held| held.subject.workload == name).cloned().collect(),
        ..tally_reconcile::plan::Plan::default()
    };
    out(&crate::show::plan::held(&of, graph, terminal));
    let done = left == 0 && own.ready == own.wanted;
    Ok(if done { Exit::Done } else { Exit::Differs })
}
