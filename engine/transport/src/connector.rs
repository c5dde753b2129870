//! HTTP clients that keep their connections for a while: a new connection costs a handshake, and on a Unix socket
//! it costs a third of the time of observing 60 containers.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tally_host::TransportError;
use tower_service::Service;

/// An unused connection is closed after this time.
const IDLE: Duration = Duration::from_secs(30);
/// Maximum number of unused connections per host: twice the maximum number of concurrent calls.
const KEPT: usize = 16;

/// A pending connection.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Stream, TransportError>> + Send + 'a>>;

/// A route to one server.
pub trait Route: Send + Sync + 'static {
    /// Makes a connection. `limit` is the maximum duration of the attempt.
    fn connect(&self, limit: Duration) -> Connecting<'_>;
}

/// Returns an HTTP client that keeps its connections for a while.
#[must_use]
pub fn pooled<R, B>(connector: StreamConnector<R>) -> Client<StreamConnector<R>, B>
where
    R: Route,
    B: hyper::body::Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(KEPT)
        .build(connector)
}

/// Makes connections over one route, whatever URL is requested.
pub struct StreamConnector<R> {
    route: Arc<R>,
    limit: Duration,
}

impl<R> StreamConnector<R> {
    /// Returns a connector. `limit` is the maximum duration of one connection attempt.
    #[must_use]
    pub fn new(route: R, limit: Duration) -> Self {
        Self { route: Arc::new(route), limit }
    }
}

impl<R> Clone for StreamConnector<R> {
    fn clone(&self) -> Self {
        Self { route: Arc::clone(&self.route), limit: self.limit }
    }
}

impl<R: Route> Service<Uri> for StreamConnector<R> {
    type Response = Stream;
    type Error = TransportError;
    type Future = Connecting<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.route.connect(connector.limit).await })
    }
}

/// A byte stream in both directions.
trait ByteStream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection.
pub struct Stream(TokioIo<Box<dyn ByteStream>>);

impl Stream {
    /// Wraps a byte stream.
    pub fn new(
        bytes: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
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
