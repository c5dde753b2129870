//! `tally rollout`: shows, pauses, restarts and rolls back the rollout of a controller.

use tally_graph::{Address, Graph, Workload};
use tally_reconcile::labels::Role;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::plan::ChangeKind;
use tally_reconcile::{Options, reconcile};

use crate::args::{RolloutArgs, RolloutCommand};
use crate::commands::plan::target;
use crate::errors::{CliError, Exit};
use crate::history::{HistoryFile, Rollback};
use crate::hosts;
use crate::memory::Remembered;
use crate::project::Project;
use crate::show::status;
use crate::show::terminal::{Style, Terminal, clean, out};
use crate::show::values::count;

pub async fn run(args: RolloutArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let (name, spec) = match &args.what {
        RolloutCommand::Status(of)
        | RolloutCommand::Resume(of)
        | RolloutCommand::History(of)
        | RolloutCommand::Restart(of) => (&of.controller, &of.spec),
        RolloutCommand::Undo(of) => (&of.controller, &of.spec),
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
                "{address} is paused: its changes wait, missing pods are still created.\n"
            ));
            Ok(Exit::Done)
        }
        RolloutCommand::Resume(_) => resume(&address, &mut remembered),
        RolloutCommand::History(_) => {
            history(&HistoryFile::new(&graph, &project), &address, terminal)
        }
        RolloutCommand::Undo(undo) => {
            let number = undo.to;
            undo_change(&graph, &project, &address, number, &mut remembered)
        }
        RolloutCommand::Restart(_) => restart(&graph, &project, &address, &mut remembered).await,
        RolloutCommand::Status(_) => status(&graph, &project, &address, remembered, terminal).await,
    }
}

/// Resumes a paused rollout; without a pause it tries a rolled back change again.
fn resume(address: &Address, remembered: &mut Remembered) -> Result<Exit, CliError> {
    let name = address.to_string();
    let declared = &remembered.memory.declared;
    let failed =
        declared.rolled_back.get(&name).is_some_and(|rolled_back| rolled_back.failed.is_some());
    let again = failed && !declared.paused.contains_key(&name);
    remembered.declare(|all| {
        if all.paused.remove(&name).is_none() && again {
            all.rolled_back.remove(&name);
        }
    })?;
    out(&if again {
        format!(
            "{address} follows the spec again, which failed and was rolled back.\n`tally apply` \
             tries it again; a running `tally run` does so now.\n"
        )
    } else {
        format!("{address} is resumed.\n")
    });
    Ok(Exit::Done)
}

fn controller(graph: &Graph, name: &str) -> Result<Address, CliError> {
    if name.contains('/') {
        target(graph, name)
    } else {
        target(graph, &format!("controller/{name}"))
    }
}

/// Shows the revisions of the controller, newest last.
fn history(
    history: &HistoryFile,
    address: &Address,
    terminal: &Terminal,
) -> Result<Exit, CliError> {
    let name = address.to_string();
    let mut before: Option<String> = None;
    let mut shown = 0;
    let rollbacks = history.rollbacks().into_iter().filter(|it| it.workload == name);
    let mut rollbacks = rollbacks.peekable();
    let show_rollback = |rollback: &Rollback| {
        let words = terminal.paint(Style::Remove, &clean(&rollback.failed.words(&name)));
        let time = crate::events::time(rollback.failed.at_ms);
        out(&format!("   -  {time}  {:6}  {words}\n", rollback.failed.by));
    };
    for number in history.numbers() {
        let entry = history.entry(number)?;
        while let Some(rollback) = rollbacks.next_if(|it| it.failed.at_ms <= entry.at_ms) {
            show_rollback(&rollback);
        }
        let Some(fingerprint) = entry.workloads.get(&name) else { continue };
        // This entry changed only other workloads.
        if before.as_ref() == Some(fingerprint) {
            continue;
        }
        before = Some(fingerprint.clone());
        shown += 1;
        let images: Vec<String> = entry
            .graph
            .workload(address)
            .into_iter()
            .flat_map(|workload| workload.containers.iter().map(|c| c.image.to_string()))
            .collect();
        out(&format!(
            "{:>4}  {}  {:6}  {}  {}\n",
            entry.number,
            crate::events::time(entry.at_ms),
            entry.by,
            entry.who,
            terminal.paint(Style::Dim, &images.join(", "))
        ));
    }
    for rollback in rollbacks {
        show_rollback(&rollback);
        shown += 1;
    }
    if shown == 0 {
        out(&format!("{name} has not been applied from this folder yet\n"));
    }
    Ok(Exit::Done)
}

/// Rolls the controller back to an earlier revision until its spec changes.
fn undo_change(
    graph: &Graph,
    project: &Project,
    address: &Address,
    number: Option<u64>,
    remembered: &mut Remembered,
) -> Result<Exit, CliError> {
    let name = address.to_string();
    // The current revision: that of an earlier rollback, if there is one.
    let mut followed = graph.clone();
    tally_reconcile::rollback::apply::apply_rollbacks(
        &mut followed,
        &remembered.memory.declared.rolled_back,
    );
    let find = |graph: &Graph| graph.workload(address).map(Workload::fingerprint);
    let now = find(&followed).unwrap_or_default();
    let entry = HistoryFile::new(graph, project).before(&name, &now, number)?;
    let rolled_back = RolledBack::between(graph, &entry.graph, &name);
    remembered.declare(|all| {
        match rolled_back {
            Some(rolled_back) => all.rolled_back.insert(name.clone(), rolled_back),
            // The revision of the spec is current again.
            None => all.rolled_back.remove(&name),
        };
    })?;
    out(&format!(
        "{name} follows entry {} of the history until its spec changes.\n`tally apply` rolls it back; \
         a running `tally run` does so now.\n",
        entry.number
    ));
    Ok(Exit::Done)
}

/// Marks all running containers of a controller for one restart, as its `update` allows.
async fn restart(
    graph: &Graph,
    project: &Project,
    address: &Address,
    remembered: &mut Remembered,
) -> Result<Exit, CliError> {
    let readers = hosts::readers(graph, project).await?;
    let observed = hosts::look(graph, &readers).await;
    let name = address.to_string();
    let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
    let mut marked = std::collections::BTreeMap::new();
    for state in observed.hosts.values().filter_map(|view| view.ready()) {
        let inventory = tally_reconcile::inventory::collect::inventory(cluster, state);
        let all = inventory.pods.values().flat_map(|pod| pod.values());
        for found in all.filter(|found| found.identity.workload == name) {
            let runs =
                found.container.state == tally_reconcile::input::observed::ContainerState::Running;
            if let (true, Role::Container, Some(started)) =
                (runs, found.identity.role, found.details.started_at_ms)
            {
                marked.insert(found.container.id.clone(), started);
            }
        }
    }
    let number = marked.len();
    remembered.declare(|all| {
        all.restarts.insert(name.clone(), marked);
    })?;
    out(&format!(
        "{} of {name} will be restarted, a few at a time as `update` allows.\n`tally apply` restarts \
         them; a running `tally run` does so now.\n",
        count(number, "container", "containers")
    ));
    Ok(Exit::Done)
}

/// Shows the numbers of pods that are up to date and that are not yet, and why.
async fn status(
    graph: &Graph,
    project: &Project,
    address: &Address,
    mut remembered: Remembered,
    terminal: &Terminal,
) -> Result<Exit, CliError> {
    let readers = hosts::readers(graph, project).await?;
    let (observed, now_ms) = remembered.look(graph, &readers).await;
    let mut followed = graph.clone();
    let rolled_back = tally_reconcile::rollback::apply::apply_rollbacks(
        &mut followed,
        &remembered.memory.declared.rolled_back,
    );
    let graph = &followed;
    let options = Options { now_ms, ..Options::default() };
    let plan = reconcile(graph, &observed, &remembered.memory, &options);
    let name = address.to_string();
    let all = status::status(graph, &observed, &remembered.memory, now_ms);
    let Some(own) = all.workloads.iter().find(|workload| workload.address == name) else {
        return Err(CliError::Internal(format!("no status of {name}")));
    };
    let pods = |wanted: fn(ChangeKind) -> bool| {
        let of = plan.changes.iter().filter(|c| c.subject.address() == name && wanted(c.kind));
        of.filter_map(|change| change.subject.pod()).collect::<std::collections::BTreeSet<_>>()
    };
    let old = pods(|kind| matches!(kind, ChangeKind::Replace | ChangeKind::Update));
    let blocked = plan.blocked.iter().filter(|it| it.subject.address() == name);
    let wanted = own.wanted as usize;
    let left = match own.rolled_back {
        // None of them is.
        Some(_) => wanted,
        None => old.len() + blocked.clone().count(),
    };
    out(&format!(
        "{name}: {} of {} up to date, {} ready\n",
        wanted.saturating_sub(left),
        count(wanted, "pod", "pods"),
        own.ready
    ));
    if let Some(why) = remembered.memory.declared.paused.get(&name) {
        out(&format!("  paused: {why}\n"));
    }
    if rolled_back.contains(&name) && own.rolled_back.is_none() {
        out("  its last change is rolled back, until its spec changes\n");
    }
    out(&crate::show::plan::blocked(blocked, graph, terminal));
    let done = left == 0 && own.ready == own.wanted;
    Ok(if done { Exit::Done } else { Exit::Differs })
}
