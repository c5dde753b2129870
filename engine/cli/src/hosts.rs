//! Reaching the hosts of a spec: for planning through a door that cannot change anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use tally_docker::{ConnectOptions, Host, HostError, HostRead, observe};
use tally_graph::{Graph, HostAddress};
use tally_reconcile::LOCAL_HOST;
use tally_reconcile::observed::Observed;
use tally_source::Span;

use crate::errors::{CliError, unreachable};
use crate::project::Project;

/// Docker's own default.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// A host of a spec, and where the spec says so.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub address: HostAddress,
    /// Its node; `None` for the default host.
    pub span: Option<Span>,
}

/// The hosts of a spec; the local Docker engine when it names none.
///
/// # Errors
/// When a host cannot be reached by this version, or `DOCKER_HOST` names something other than a
/// Unix socket.
pub fn places(graph: &Graph) -> Result<Vec<Place>, CliError> {
    let refused = tally_reconcile::refused_hosts(graph);
    if !refused.is_empty() {
        return Err(CliError::Reports(refused, Box::new(graph.sources.clone())));
    }
    let named: Vec<Place> = graph
        .hosts()
        .map(|host| Place {
            name: host.name.clone(),
            address: host.address.clone(),
            span: Some(host.span),
        })
        .collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let socket = match std::env::var("DOCKER_HOST") {
        Ok(value) if !value.is_empty() => match value.strip_prefix("unix://") {
            Some(path) => path.to_owned(),
            None => {
                return Err(CliError::Usage(
                    format!("DOCKER_HOST is `{value}`, which this version cannot reach"),
                    "It reaches `unix://` sockets. Unset DOCKER_HOST, or name a host in the \
                     cluster."
                        .to_owned(),
                ));
            }
        },
        _ => DEFAULT_SOCKET.to_owned(),
    };
    let address = HostAddress::Unix(socket);
    Ok(vec![Place { name: LOCAL_HOST.to_owned(), address, span: None }])
}

/// Hosts that can be read and not changed.
///
/// # Errors
/// A report for the first that cannot be reached.
pub async fn readers(graph: &Graph, project: &Project) -> Result<Vec<Arc<dyn HostRead>>, CliError> {
    let mut hosts: Vec<Arc<dyn HostRead>> = Vec::new();
    for place in places(graph)? {
        let reached = match &place.address {
            HostAddress::Sim(name) => {
                simulated(&place.name, name, project).map(|host| host as Arc<dyn HostRead>)
            }
            address => {
                let options = ConnectOptions::default();
                tally_docker::connect_read(&place.name, address, &options).await
            }
        };
        hosts.push(reached.map_err(|error| report(graph, &place, &error))?);
    }
    Ok(hosts)
}

/// Hosts that can be changed, by name.
///
/// # Errors
/// A report for the first that cannot be reached.
pub async fn writers(
    graph: &Graph,
    project: &Project,
) -> Result<BTreeMap<String, Arc<dyn Host>>, CliError> {
    let mut hosts: BTreeMap<String, Arc<dyn Host>> = BTreeMap::new();
    for place in places(graph)? {
        let reached = match &place.address {
            HostAddress::Sim(name) => {
                simulated(&place.name, name, project).map(|host| host as Arc<dyn Host>)
            }
            address => {
                let options = ConnectOptions::default();
                tally_docker::connect(&place.name, address, &options).await
            }
        };
        let host = reached.map_err(|error| report(graph, &place, &error))?;
        hosts.insert(place.name, host);
    }
    Ok(hosts)
}

fn simulated(
    host: &str,
    name: &str,
    project: &Project,
) -> Result<Arc<tally_simulator::SimHost>, HostError> {
    let options = tally_simulator::SimOptions::new(0, tally_simulator::wall_clock());
    let folder = project.kept().join("sim");
    tally_simulator::open_file(host, &folder, name, options).map(Arc::new)
}

fn report(graph: &Graph, place: &Place, error: &HostError) -> CliError {
    CliError::report(unreachable(&place.name, error, place.span), &graph.sources)
}

/// What is on the hosts; one that does not answer is an error here, since there is one.
///
/// # Errors
/// A report when the cluster's host does not answer.
pub async fn look(graph: &Graph, hosts: &[Arc<dyn HostRead>]) -> Observed {
    let cluster = graph.cluster().map(|cluster| cluster.name.clone()).unwrap_or_default();
    observe(hosts, &cluster).await
}

/// The part of hosts that reads.
#[must_use]
pub fn reading(hosts: &BTreeMap<String, Arc<dyn Host>>) -> Vec<Arc<dyn HostRead>> {
    hosts.values().map(|host| Arc::clone(host) as Arc<dyn HostRead>).collect()
}

/// One line that says what a plan is for: `cluster shop on local (Docker 20.10.24)`.
#[must_use]
pub fn header(graph: &Graph, observed: &Observed) -> String {
    let cluster = graph.cluster().map(|cluster| cluster.name.as_str()).unwrap_or_default();
    let hosts: Vec<String> = observed
        .hosts
        .iter()
        .map(|(name, view)| match view.ready() {
            Some(state) if state.engine.simulated => format!("{name} (SIMULATED)"),
            Some(state) => format!("{name} (Docker {})", state.engine.version),
            None => format!("{name} (does not answer)"),
        })
        .collect();
    format!("cluster {cluster} on {}", hosts.join(", "))
}

/// Milliseconds since 1970 by this machine's clock.
#[must_use]
pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}
