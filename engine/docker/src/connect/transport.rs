//! The transport of the Docker client: one connector over Unix sockets, TCP, TLS and SSH.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::{BollardRequest, ClientVersion, Docker};
use tally_host::TransportError;
use tally_transport::{Connecting, Route, Stream, StreamConnector, TcpRoute, pooled};
use tokio::net::UnixStream;

use super::ssh::Tunnel;

/// How an engine is reached.
pub(crate) enum EngineRoute {
    /// By a socket of this machine.
    Unix(PathBuf),
    /// Over TCP, in plain text or with TLS.
    Tcp(TcpRoute),
    /// Through `ssh`.
    Ssh(Arc<Tunnel>),
}

/// Returns a client over a route. `limit` bounds one connection attempt, `backstop_s` any call.
///
/// # Errors
/// Errors of the client library; none has been observed.
pub(crate) fn client(
    route: EngineRoute,
    limit: Duration,
    backstop_s: u64,
    version: &ClientVersion,
) -> Result<Docker, bollard::errors::Error> {
    // For the Host header only; the connector decides where a connection goes.
    let shown = match &route {
        EngineRoute::Tcp(tcp) => format!("http://{}", tcp.authority()),
        EngineRoute::Unix(_) | EngineRoute::Ssh(_) => "http://docker".to_owned(),
    };
    let client = pooled(StreamConnector::new(route, limit));
    let transport = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { answer.await.map_err(bollard::errors::Error::from) }
    };
    Docker::connect_with_custom_transport(transport, Some(shown), backstop_s, version)
}

impl Route for EngineRoute {
    fn connect(&self, limit: Duration) -> Connecting<'_> {
        match self {
            EngineRoute::Unix(path) => Box::pin(async move { Ok(Stream::new(unix(path).await?)) }),
            EngineRoute::Tcp(tcp) => tcp.connect(limit),
            EngineRoute::Ssh(tunnel) => {
                Box::pin(async move { Ok(Stream::new(tunnel.connect().await?)) })
            }
        }
    }
}

async fn unix(path: &Path) -> Result<UnixStream, TransportError> {
    UnixStream::connect(path).await.map_err(|error| TransportError::Unreachable {
        reason: match error.kind() {
            io::ErrorKind::NotFound => format!("there is no socket {}", path.display()),
            _ => error.to_string(),
        },
    })
}
