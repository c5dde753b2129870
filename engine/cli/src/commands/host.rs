//! `tally host`: declarations about hosts.

use tally_reconcile::memory::Declared;

use crate::args::{HostArgs, HostCommand};
use crate::commands::plan::host_named;
use crate::errors::{CliError, Exit};
use crate::memory::Remembered;
use crate::project::Project;
use crate::show::terminal::{Terminal, out};

pub fn run(args: &HostArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let (host, declared) = match &args.what {
        HostCommand::Lost(host) => (host, Some(Declared::Lost)),
        HostCommand::Fence(host) => (host, Some(Declared::Fenced)),
        HostCommand::Restore(host) => (host, None),
    };
    let project = Project::find(&host.spec.spec)?;
    let (graph, _) = project.graph()?;
    let name = host_named(&graph, &host.name)?;
    let mut remembered = Remembered::read(&graph, &project)?;
    remembered.declare(|all| {
        match declared {
            Some(declared) => all.hosts.insert(name.clone(), declared),
            None => all.hosts.remove(&name),
        };
    })?;
    let said = match declared {
        Some(Declared::Lost) => [
            format!(
                "{name} is declared lost: its pods without data are replaced at the next `tally apply`, \
                 or by `tally run` now."
            ),
            format!(
                "Pods with a named volume are not replaced until you declare that it is off: `tally host \
                 fence {name}`. When it answers again, the declaration ends."
            ),
        ],
        Some(Declared::Fenced) => [
            format!(
                "{name} is fenced (confirmed off): its pods are replaced, those with named volumes with new, \
                 empty ones."
            ),
            format!(
                "Make sure that it is off: two copies of one database would be the worst that can \
                 happen. When it comes back what runs there is stopped first, its volumes stay, and \
                 it takes no pods until `tally host restore {name}`."
            ),
        ],
        None => [format!("{name} is no longer declared lost or fenced."), String::new()],
    };
    for line in said.iter().filter(|line| !line.is_empty()) {
        out(&format!("{}\n", terminal.wrap(line, 0)));
    }
    Ok(Exit::Done)
}
