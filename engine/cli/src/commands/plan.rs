//! `tally plan`: plans without changing anything. It gets hosts that can only be read.

use tally_graph::{Address, Graph, Workload};
use tally_host::Secrets;
use tally_reconcile::{Options, reconcile};
use tally_source::nearest;

use crate::args;
use crate::errors::{CliError, Exit};
use crate::hosts;
use crate::memory::Remembered;
use crate::project::Project;
use crate::saved::Saved;
use crate::secrets;
use crate::show::destroy::{nothing_to_destroy, staying};
use crate::show::terminal::{Terminal, err, out};
use crate::show::{plan as shown, plan_json, report};

pub async fn run(args: args::PlanArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (mut graph, warnings) = project.graph()?;
    let mut remembered = Remembered::read(&graph, &project)?;
    remembered.apply_rollbacks(&mut graph);
    let target = args.target.as_deref().map(|text| target(&graph, text)).transpose()?;
    let secrets =
        if args.destroy { Secrets::default() } else { secrets::read(&graph, &project).await? };
    let readers = hosts::readers(&graph, &project).await?;
    let (observed, now_ms) = remembered.look(&graph, &readers).await;
    let without =
        args.without.iter().map(|name| host_named(&graph, name)).collect::<Result<_, _>>()?;
    let options = Options {
        now_ms,
        target,
        destroy: args.destroy,
        remove_volumes: args.volumes,
        without,
        rebalance: args.rebalance,
        secrets: secrets.hashes().clone(),
        ..Options::default()
    };
    let plan = reconcile(&graph, &observed, &remembered.memory, &options);
    if args.json {
        out(&plan_json::json(&plan, &graph, &warnings));
    } else {
        err(&report::people(&warnings, &graph.sources, terminal));
        err(&report::people(&plan.diagnostics, &graph.sources, terminal));
    }
    if plan.has_errors() {
        return Ok(Exit::Failed);
    }
    if !args.json {
        let header = hosts::header(&graph, &observed);
        let left = staying(&graph, &observed, &options, terminal);
        out(&if args.destroy && plan.is_empty() && plan.blocked.is_empty() {
            nothing_to_destroy(&header, &plan.cluster, &left)
        } else {
            format!("{}{left}", shown::people(&plan, &graph, &header, terminal))
        });
    }
    let empty = plan.is_empty() && plan.blocked.is_empty();
    if let Some(path) = &args.out {
        Saved::new(graph, plan, &project.folder, args.target, &options).write(path)?;
        err(&format!("saved; execute it with `tally apply {}`\n", path.display()));
    }
    Ok(if args.detailed_exitcode && !empty { Exit::Differs } else { Exit::Done })
}

/// Returns the host of this name, for `--without`.
///
/// # Errors
/// If the spec has no host of this name.
pub fn host_named(graph: &Graph, name: &str) -> Result<String, CliError> {
    if graph.hosts().any(|host| host.name == name) {
        return Ok(name.to_owned());
    }
    let help = match nearest(name, graph.hosts().map(|host| host.name.as_str())) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "The cluster names its hosts in its block.".to_owned(),
    };
    Err(CliError::Usage(format!("no host `{name}` in this spec"), help))
}

/// Returns the workload that `--target` names: by its address, or by its name if that is unique.
///
/// # Errors
/// If there is none; the message contains the most similar one.
pub fn target(graph: &Graph, text: &str) -> Result<Address, CliError> {
    let all: Vec<Address> = graph.workloads().map(Workload::address).collect();
    if let Some(address) = all.iter().find(|address| address.to_string() == text) {
        return Ok(address.clone());
    }
    let mut named = all.iter().filter(|address| address.name == text);
    if let (Some(address), None) = (named.next(), named.next()) {
        return Ok(address.clone());
    }
    let known: Vec<String> = all.iter().map(Address::to_string).collect();
    let help = match nearest(text, known.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("The spec has {}.", known.join(", ")),
    };
    Err(CliError::Usage(format!("no pod or controller `{text}` in this spec"), help))
}
