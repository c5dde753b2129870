//! Selects the containers of an address of `logs` or `exec`.

use tally_graph::Graph;
use tally_host::HostRead;
use tally_reconcile::input::observed::Observed;
use tally_reconcile::inventory::collect::inventory;
use tally_reconcile::labels::Role;
use tally_source::nearest;

use crate::errors::CliError;

/// A selected container.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Its host.
    pub host: String,
    /// Full ID.
    pub id: String,
    /// Its pod.
    pub pod: String,
    /// Its name in the pod.
    pub container: String,
}

/// Returns the containers of `address`: `controller/web`, `pod/web-0`, `web-0`, `web-0/web`, and the first two
/// followed by a container.
///
/// # Errors
/// If there is none; the message contains the most similar address.
pub fn select(
    graph: &Graph,
    observed: &Observed,
    address: &str,
) -> Result<Vec<Selected>, CliError> {
    let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
    let mut selected = Vec::new();
    let mut known: Vec<String> = Vec::new();
    let mut hosts_silent = Vec::new();
    for (host, view) in &observed.hosts {
        let Some(state) = view.ready() else {
            hosts_silent.push(host.clone());
            continue;
        };
        let inventory = inventory(cluster, state);
        for (pod, containers) in &inventory.pods {
            for found in containers.values() {
                if found.identity.role == Role::Infra {
                    continue;
                }
                let (workload, name) = (found.identity.workload, found.identity.name);
                let all = [
                    workload.to_owned(),
                    format!("{workload}/{name}"),
                    format!("pod/{pod}"),
                    format!("pod/{pod}/{name}"),
                    (*pod).to_owned(),
                    format!("{pod}/{name}"),
                ];
                // Inits are selected only by name.
                let meant = all.iter().position(|known| known == address);
                if meant.is_some_and(|at| found.identity.role == Role::Container || at % 2 == 1) {
                    selected.push(Selected {
                        host: host.clone(),
                        id: found.container.id.clone(),
                        pod: (*pod).to_owned(),
                        container: name.to_owned(),
                    });
                }
                known.extend(all);
            }
        }
    }
    if selected.is_empty() {
        if let Some(host) = hosts_silent.first() {
            let help = "Check that Docker is running there.".to_owned();
            return Err(CliError::Usage(format!("host `{host}` does not answer"), help));
        }
        let help = match nearest(address, known.iter().map(String::as_str)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None if known.is_empty() => format!("Nothing of `{cluster}` runs."),
            None => "`tally status` shows what runs.".to_owned(),
        };
        return Err(CliError::Usage(format!("no container `{address}`"), help));
    }
    Ok(selected)
}

/// Returns the host of this name.
///
/// # Errors
/// Never, for containers that were selected from the same hosts.
pub fn host_of<'a, H: HostRead + ?Sized>(
    hosts: &'a [std::sync::Arc<H>],
    selected: &Selected,
) -> Result<&'a std::sync::Arc<H>, CliError> {
    hosts
        .iter()
        .find(|host| host.name() == selected.host)
        .ok_or_else(|| CliError::Internal(format!("no host `{}`", selected.host)))
}
