//! Output of `tally destroy` and of its plan, apart from the plan itself.

use tally_graph::Graph;
use tally_reconcile::Options;
use tally_reconcile::input::observed::{Observed, ObservedVolume};
use tally_reconcile::labels::Role;
use tally_reconcile::owns;

use crate::show::terminal::Terminal;

/// Returns the text of a destroy, or of its plan, that has nothing to remove.
pub fn nothing_to_destroy(header: &str, cluster: &str, left: &str) -> String {
    let what = if left.is_empty() { "is here" } else { "runs here" };
    format!("{header}\n\nNothing of {cluster} {what}.\n{left}")
}

/// Returns which volumes a destroy leaves: named volumes hold data, and are removed only on request.
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

/// Returns the named volumes that a destroy leaves, each with its host where there are several hosts.
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
            names.push(if several { format!("{name} on {host}") } else { name.to_owned() });
        }
    }
    names.sort_unstable();
    names
}
