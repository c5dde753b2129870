//! Connects to all hosts of a spec concurrently; for planning by connections that can only read. A host that cannot
//! be reached stays in the list as `Unknown` with the reason, and delays no other.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future;
use tally_docker::{ConnectOptions, Endpoint};
use tally_graph::{Graph, HostAddress};
use tally_host::{Host, HostError, HostRead, observe, unreachable_host};
use tally_reconcile::LOCAL_HOST;
use tally_reconcile::input::observed::Observed;
use tally_source::{Diagnostic, Span};
use tally_transport::TlsPaths;

use crate::errors::{CliError, unreachable};
use crate::project::Project;

pub use tally_host::now_ms;

/// A host of a spec, and its place in the spec.
#[derive(Debug, Clone)]
pub struct HostPlace {
    /// Its name.
    pub name: String,
    /// Its address.
    pub endpoint: Endpoint,
    /// Its node; `None` for the default host.
    pub span: Option<Span>,
}

/// Returns the hosts of a spec; the host that Docker's own client would use if the spec has none.
///
/// # Errors
/// If Docker's own settings have no host.
pub fn places(graph: &Graph, project: &Project) -> Result<Vec<HostPlace>, CliError> {
    let named: Vec<HostPlace> = graph
        .hosts()
        .map(|host| HostPlace {
            name: host.name.clone(),
            endpoint: Endpoint {
                address: host.address.clone(),
                tls: host.tls.as_ref().map(|files| TlsPaths {
                    ca: project.folder.join(&files.ca),
                    cert: project.folder.join(&files.cert),
                    key: project.folder.join(&files.key),
                }),
                allow_plain_tcp: false,
                ssh_config: ssh_config(),
            },
            span: Some(host.span),
        })
        .collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let variable = |name: &str| std::env::var(name).ok();
    let endpoint = tally_docker::default_host(&variable).map_err(|fault| {
        CliError::report(unreachable(LOCAL_HOST, &fault.into(), None), &graph.sources)
    })?;
    let endpoint =
        Endpoint { ssh_config: ssh_config(), allow_plain_tcp: allow_plain_tcp(), ..endpoint };
    Ok(vec![HostPlace { name: LOCAL_HOST.to_owned(), endpoint, span: None }])
}

/// `TALLY_SSH_CONFIG`: the configuration file of `ssh`, instead of the user's.
fn ssh_config() -> Option<PathBuf> {
    std::env::var_os("TALLY_SSH_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// `TALLY_ALLOW_PLAIN_TCP=1`: allows plain TCP to other machines. It cannot be set in a spec, because the author of a
/// spec is not always the person who runs it.
fn allow_plain_tcp() -> bool {
    std::env::var_os("TALLY_ALLOW_PLAIN_TCP").is_some_and(|value| value == "1")
}

/// Returns hosts that can only be read, in the order of the spec. All connections are made concurrently, each with
/// its own deadline.
///
/// # Errors
/// The reports of all hosts if none can be reached. If only some cannot, they stay in the list, and observing them
/// gives `Unknown` with the reason.
pub async fn readers(graph: &Graph, project: &Project) -> Result<Vec<Arc<dyn HostRead>>, CliError> {
    let places = places(graph, project)?;
    let reached = reach_all(graph, &places, async |place| match &place.endpoint.address {
        HostAddress::Sim(name) => {
            simulated(&place.name, name, project).map(|host| host as Arc<dyn HostRead>)
        }
        _ => {
            let options = ConnectOptions::default();
            tally_docker::connect_read(&place.name, &place.endpoint, &options).await
        }
    });
    let settle = |(place, reached): (&HostPlace, Result<Arc<dyn HostRead>, HostError>)| {
        reached.unwrap_or_else(|why| unreachable_host(&place.name, why))
    };
    Ok(reached.await?.into_iter().map(settle).collect())
}

/// Returns hosts that can be changed, by name. All connections are made concurrently, each with its own deadline.
///
/// # Errors
/// As [`readers`].
pub async fn writers(
    graph: &Graph,
    project: &Project,
) -> Result<BTreeMap<String, Arc<dyn Host>>, CliError> {
    let places = places(graph, project)?;
    let reached = reach_all(graph, &places, async |place| writer(place, project).await);
    let settle = |(place, reached): (&HostPlace, Result<Arc<dyn Host>, HostError>)| {
        let host = reached.unwrap_or_else(|why| unreachable_host(&place.name, why));
        (place.name.clone(), host)
    };
    Ok(reached.await?.into_iter().map(settle).collect())
}

/// Connects to one host for changing it.
///
/// # Errors
/// The reason why the host cannot be reached.
pub async fn writer(place: &HostPlace, project: &Project) -> Result<Arc<dyn Host>, HostError> {
    match &place.endpoint.address {
        HostAddress::Sim(name) => {
            simulated(&place.name, name, project).map(|host| host as Arc<dyn Host>)
        }
        _ => {
            let options = ConnectOptions::default();
            let host = tally_docker::connect(&place.name, &place.endpoint, &options).await?;
            Ok(host)
        }
    }
}

/// Connects to all hosts concurrently.
///
/// # Errors
/// The reports of all hosts if none can be reached.
async fn reach_all<'p, T, F>(
    graph: &Graph,
    places: &'p [HostPlace],
    reach: impl Fn(&'p HostPlace) -> F,
) -> Result<Vec<(&'p HostPlace, Result<T, HostError>)>, CliError>
where
    F: Future<Output = Result<T, HostError>>,
{
    let reached = future::join_all(places.iter().map(reach)).await;
    let reached: Vec<_> = places.iter().zip(reached).collect();
    if reached.iter().any(|(_, reached)| reached.is_ok()) {
        return Ok(reached);
    }
    let report = |(place, reached): &(&HostPlace, Result<T, HostError>)| {
        let error = reached.as_ref().err()?;
        Some(unreachable(&place.name, error, place.span))
    };
    let reports: Vec<Diagnostic> = reached.iter().filter_map(report).collect();
    Err(CliError::Reports(reports, Box::new(graph.sources.clone())))
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

/// Observes the hosts concurrently; an unreachable host is `Unknown`.
pub async fn look(graph: &Graph, hosts: &[Arc<dyn HostRead>]) -> Observed {
    let cluster = graph.cluster().map(|cluster| cluster.name.clone()).unwrap_or_default();
    observe(hosts, &cluster).await
}

/// Returns the reading part of the hosts.
#[must_use]
pub fn reading(hosts: &BTreeMap<String, Arc<dyn Host>>) -> Vec<Arc<dyn HostRead>> {
    hosts.values().map(|host| Arc::clone(host) as Arc<dyn HostRead>).collect()
}

/// Returns the first line of a plan: `cluster shop on local (Docker 20.10.24)`.
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
