//! Connecting to a Docker engine.

use std::sync::Arc;

use bollard::ClientVersion;
use tally_graph::HostAddress;
use tally_host::{Host, HostError, HostRead, traced};
use tally_transport::{TcpAddress, TcpRoute};

use crate::classify::{Call, classify};
use crate::docker_host::{ConnectOptions, DockerHost};

mod api_version;
mod endpoint;
mod requests;
mod ssh;
mod transport;

use api_version::{SPOKEN, agreed};
pub use endpoint::Endpoint;
use requests::modifier;
use ssh::{SshAddress, Tunnel};
use transport::EngineRoute;

/// Connects to the host called `name` for mutating it.
///
/// # Errors
/// [`HostError::Unreachable`] when nothing answers, [`HostError::Deadline`] when the answer takes
/// too long, [`HostError::TooOld`] for an engine before Docker 20.10, [`HostError::Simulated`] for
/// the address of a simulated host.
pub async fn connect(
    name: &str,
    endpoint: impl Into<Endpoint>,
    options: &ConnectOptions,
) -> Result<Arc<dyn Host>, HostError> {
    Ok(Arc::new(traced(name, "connect", reach(name, endpoint.into(), options)).await?))
}

/// Connects to the host called `name` for reading only: the result has no mutating method.
///
/// # Errors
/// As [`connect`].
pub async fn connect_read(
    name: &str,
    endpoint: impl Into<Endpoint>,
    options: &ConnectOptions,
) -> Result<Arc<dyn HostRead>, HostError> {
    Ok(Arc::new(traced(name, "connect", reach(name, endpoint.into(), options)).await?))
}

async fn reach(
    name: &str,
    endpoint: Endpoint,
    options: &ConnectOptions,
) -> Result<DockerHost, HostError> {
    let address = endpoint.address.to_string();
    // The timeout of the client library is only a fallback, so it is longer than all our deadlines.
    let backstop_s = options.pull_total.as_secs().saturating_add(60);
    let version = ClientVersion { major_version: SPOKEN.0, minor_version: SPOKEN.1 };
    let route = route(&endpoint, options)?;
    let tunnel = match &route {
        EngineRoute::Ssh(tunnel) => Some(Arc::clone(tunnel)),
        EngineRoute::Unix(_) | EngineRoute::Tcp(_) => None,
    };
    let docker = transport::client(route, options.connect, backstop_s, &version);
    let docker = docker.map_err(|error| {
        classify(Call { name: "version", address: &address, image: None }, error)
    })?;
    let spoken = match agreed(&docker, &address, options.connect).await {
        Ok(spoken) => spoken,
        Err(error) => return Err(diagnosed(error, tunnel.as_deref()).await),
    };
    let docker = docker.with_request_modifier(modifier(&spoken));
    Ok(DockerHost::new(name, address, docker, options, spoken))
}

/// Returns the route to an engine.
fn route(endpoint: &Endpoint, options: &ConnectOptions) -> Result<EngineRoute, HostError> {
    match &endpoint.address {
        HostAddress::Unix(path) => Ok(EngineRoute::Unix(path.into())),
        HostAddress::Ssh(url) => {
            let to = SshAddress::parse(url)?;
            let tunnel = Tunnel::new(to, endpoint.ssh_config.clone(), options.connect);
            Ok(EngineRoute::Ssh(Arc::new(tunnel)))
        }
        HostAddress::Tcp(url) => {
            let address = TcpAddress::parse(url)?;
            let tcp = TcpRoute::new(address, endpoint.tls.as_ref(), endpoint.allow_plain_tcp)?;
            Ok(EngineRoute::Tcp(tcp))
        }
        HostAddress::Sim(name) => Err(HostError::Simulated { name: name.clone() }),
    }
}

/// Returns the error of the first answer. Through `ssh`, a reply that breaks off means that the socket on the host
/// cannot be used.
async fn diagnosed(error: HostError, tunnel: Option<&Tunnel>) -> HostError {
    match (&error, tunnel) {
        (HostError::Broken(_), Some(tunnel)) => {
            tunnel.diagnose().await.map_or(error, HostError::from)
        }
        _ => error,
    }
}
