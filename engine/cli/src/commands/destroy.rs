//! `tally destroy`: takes everything of a cluster away, and nothing else.

use tally_graph::Graph;
use tally_reconcile::Options;
use tally_reconcile::input::observed::{Observed, ObservedVolume};
use tally_reconcile::labels::Role;
use tally_reconcile::owns;

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
        secrets: tally_host::Secrets::default(),
        // What went back is no more, and the spec is new to who begins again.
        ended: remembered.memory.declared.undone.keys().cloned().collect(),
    };
    carry_out(work, remembered, args.yes, terminal).await
}

/// What a destroy and its plan say where nothing is to be removed.
pub fn nothing_to_destroy(header: &str, cluster: &str, left: &str) -> String {
    let what = if left.is_empty() { "is here" } else { "runs here" };
    format!("{header}\n\nNothing of {cluster} {what}.\n{left}")
}

/// What a destroy leaves, in words: named volumes hold data, and go only when somebody says so.
pub fn staying(
    graph: &Graph,
    observed: &Observed,
    options: &Options,
    terminal: &Terminal,
) -> String {
    let text = match &volumes_left(graph, observed, options)[..] {
        [] => return String::new(),
        [one] => format!("volume {one} stays, with its data; `--volumes` removes it too"),
        all => {
            let all = all.join(", ");
            format!("these volumes stay, with their data; `--volumes` removes them too: {all}")
        }
    };
    format!("  {}\n", terminal.wrap(&text, 2))
}

/// The named volumes that a destroy leaves, each with its host where there are several hosts.
fn volumes_left(graph: &Graph, observed: &Observed, options: &Options) -> Vec<String> {
    let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
    let several = graph.hosts().nth(1).is_some();
    let kept = |volume: &&ObservedVolume| owns(cluster, Role::Volume, &volume.labels);
    let mut names = Vec::new();
    if !options.destroy || options.remove_volumes {
        return names;
    }
    for (host, view) in &observed.hosts {
        let volumes = view.ready().into_iter().flat_map(|state| &state.volumes);
        for volume in volumes.filter(kept) {
            let name = volume.name.split_once('.').map_or(volume.name.as_str(), |(_, name)| name);
            names.push(match several {
                true => format!("{name} on {host}"),
                false => name.to_owned(),
            });
        }
    }
    names.sort_unstable();
    names
}
