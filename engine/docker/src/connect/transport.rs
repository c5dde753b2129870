//! The client's transport to engines: one connector over sockets of this machine, TCP, TLS and SSH. Connections
//! are kept for a while: a new one costs a handshake, and on a socket of this machine it costs a look at 60
//! containers a third of its time.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::{BollardRequest, ClientVersion, Docker};
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpStream, UnixStream};
use tower_service::Service;

use super::address::TcpAddress;
use super::ssh::Tunnel;
use super::tls::Tls;
use crate::TransportError;

/// A connection that is not used for so long is closed.
const IDLE: Duration = Duration::from_secs(30);
/// So many connections are kept; as many as there are calls at once on a host, twice.
const KEPT: usize = 16;
/// The system asks a silent connection whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How an engine is reached.
pub(crate) enum Way {
    /// By a socket of this machine.
    Unix(PathBuf),
    /// In plain text.
    Tcp(TcpAddress),
    /// With TLS.
    Tls(TcpAddress, Tls),
    /// Through `ssh`.
    Ssh(Arc<Tunnel>),
}

/// A client over a way. `limit` bounds setting up one connection, `backstop_s` any call.
///
/// # Errors
/// What the client library says; never seen.
pub(crate) fn client(
    way: Way,
    limit: Duration,
    backstop_s: u64,
    version: &ClientVersion,
) -> Result<Docker, bollard::errors::Error> {
    // For the Host header only; where a connection goes is the connector's.
    let shown = match &way {
        Way::Tcp(address) | Way::Tls(address, _) => format!("http://{}", address.authority()),
        Way::Unix(_) | Way::Ssh(_) => "http://docker".to_owned(),
    };
    let client = pooled(Connector::new(way, limit));
    let transport = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { answer.await.map_err(bollard::errors::Error::from) }
    };
    Docker::connect_with_custom_transport(transport, Some(shown), backstop_s, version)
}

/// A client that keeps its connections for a while.
pub(super) fn pooled<B>(connector: Connector) -> Client<Connector, B>
where
    B: hyper::body::Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(KEPT)
        .build(connector)
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    way: Arc<Way>,
    limit: Duration,
}

impl Connector {
    /// Over that way; `limit` bounds setting up one connection.
    pub(super) fn new(way: Way, limit: Duration) -> Self {
        Self { way: Arc::new(way), limit }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            match &*connector.way {
                Way::Unix(path) => Ok(Stream::new(unix(path).await?)),
                Way::Tcp(address) => Ok(Stream::new(tcp(address, connector.limit).await?)),
                Way::Tls(address, tls) => {
                    let plain = tcp(address, connector.limit).await?;
                    Ok(Stream::new(tls.wrap(plain).await?))
                }
                Way::Ssh(tunnel) => Ok(Stream::new(tunnel.connect().await?)),
            }
        })
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

async fn tcp(address: &TcpAddress, limit: Duration) -> Result<TcpStream, TransportError> {
    let mut connector = HttpConnector::new();
    connector.set_keepalive(Some(KEEPALIVE));
    connector.set_nodelay(true);
    let unreachable = |reason: String| TransportError::Unreachable { reason };
    let uri = format!("http://{}", address.authority())
        .parse()
        .map_err(|_| unreachable("its address is none".to_owned()))?;
    // A little less than the bound of the whole call, so that it says what did not come about.
    let limit = limit - limit / 10;
    match tokio::time::timeout(limit, connector.call(uri)).await {
        Ok(Ok(io)) => Ok(io.into_inner()),
        Ok(Err(error)) => Err(unreachable(crate::classify::innermost(&error))),
        Err(_) => Err(unreachable(format!("no connection within {limit:?}"))),
    }
}

/// What bytes go over, whatever it is.
trait Bytes: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Bytes for T {}

/// A connection.
pub(super) struct Stream(TokioIo<Box<dyn Bytes>>);

impl Stream {
    fn new(bytes: impl Bytes + 'static) -> Self {
        Self(TokioIo::new(Box::new(bytes)))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
