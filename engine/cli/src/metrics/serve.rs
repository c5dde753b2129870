//! Answers `GET /metrics` within bounds: a maximum number of connections, one small request for each, a few seconds
//! in all. A slow or invalid client is disconnected and affects nobody else.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tally_control::Board;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::errors::CliError;
use crate::metrics::text::text;

/// Maximum number of concurrent connections; the next one waits.
const MOST_CONNECTIONS: usize = 16;
/// Maximum size of the head of a request, in bytes. The minimum that hyper accepts.
const LARGEST_HEAD: usize = 8 << 10;
/// Maximum duration of a connection.
const LONGEST: Duration = Duration::from_secs(5);
/// The pause after a connection could not be accepted, for example because of too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The address of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `unix:///run/tally/metrics.sock`
    Unix(PathBuf),
    /// `127.0.0.1:9464`
    Tcp(SocketAddr),
}

impl std::str::FromStr for ListenAddress {
    type Err = String;

    /// An address without a host is invalid: metrics are open to other machines only if the address says so.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') {
                Ok(ListenAddress::Unix(PathBuf::from(path)))
            } else {
                Err("a socket needs its whole path: `unix:///run/tally.sock`".to_owned())
            };
        }
        let address = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        address.parse().map(ListenAddress::Tcp).map_err(|_| {
            "write `127.0.0.1:9464`, `[::1]:9464` or `unix:///run/tally.sock`; for other machines \
             the address of an interface, or `0.0.0.0:9464`"
                .to_owned()
        })
    }
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// The listening server; dropping it removes its socket file.
pub struct Server {
    listener: Option<Listener>,
    socket: Option<PathBuf>,
    /// The address, for people.
    pub shown: String,
    /// Whether other machines can reach it.
    pub is_open: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(path) = &self.socket {
            // The file may already be removed.
            let _ = fs::remove_file(path);
        }
    }
}

impl Server {
    /// Listens at the address.
    ///
    /// # Errors
    /// If the address is not available.
    pub async fn bind(address: &ListenAddress) -> Result<Self, CliError> {
        let failed = |what: String| {
            let help = "`--metrics` needs an address that is free and that you may use.";
            CliError::Usage(format!("no metrics: {what}"), help.to_owned())
        };
        match address {
            ListenAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await;
                let listener = listener.map_err(|error| failed(format!("{address}: {error}")))?;
                let bound = listener.local_addr().unwrap_or(*address);
                Ok(Self {
                    listener: Some(Listener::Tcp(listener)),
                    socket: None,
                    shown: format!("http://{bound}/metrics"),
                    is_open: !bound.ip().is_loopback(),
                })
            }
            ListenAddress::Unix(path) => {
                let shown = format!("unix://{}", path.display());
                let failed = |what: String| failed(format!("{shown}: {what}"));
                clear(path).await.map_err(failed)?;
                let listener = UnixListener::bind(path).map_err(|e| failed(e.to_string()))?;
                // The owner and the group may connect.
                fs::set_permissions(path, fs::Permissions::from_mode(0o660))
                    .map_err(|error| failed(error.to_string()))?;
                let (listener, socket) = (Some(Listener::Unix(listener)), Some(path.clone()));
                Ok(Self { listener, socket, shown, is_open: false })
            }
        }
    }

    /// Serves in the background for as long as the runtime lives.
    pub fn serve(&mut self, board: Board) {
        let Some(listener) = self.listener.take() else { return };
        tokio::spawn(async move {
            let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
            while let Ok(permit) = Arc::clone(&free).acquire_owned().await {
                let board = board.clone();
                let taken = match &listener {
                    Listener::Unix(of) => {
                        of.accept().await.map(|(stream, _)| begin(stream, board, permit))
                    }
                    Listener::Tcp(of) => {
                        of.accept().await.map(|(stream, _)| begin(stream, board, permit))
                    }
                };
                if taken.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
    }
}

/// Removes a socket that no process listens at; nothing else.
async fn clear(path: &Path) -> Result<(), String> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err("there is a file that is no socket".to_owned());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
        Ok(_) => Err("somebody listens there already".to_owned()),
    }
}

/// Serves one connection, for one request.
fn begin(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    board: Board,
    permit: OwnedSemaphorePermit,
) {
    tokio::spawn(async move {
        let service = service_fn(move |request| {
            let answer = answer(&request, &board);
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(LONGEST)
            .max_buf_size(LARGEST_HEAD)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        // A client that is too slow, or does not speak HTTP, gets no answer.
        let _ = tokio::time::timeout(LONGEST, connection).await;
        drop(permit);
    });
}

fn answer(request: &Request<Incoming>, board: &Board) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, body) = match (is_read, request.uri().path()) {
        (false, _) => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
        (true, "/metrics") => (StatusCode::OK, text(&board.read())),
        (true, _) => (StatusCode::NOT_FOUND, "see /metrics\n".to_owned()),
    };
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    if !is_read {
        let methods = hyper::header::HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, methods);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_let_in_only_by_an_address_that_says_so() {
        for (text, is_good) in [
            ("127.0.0.1:9464", true),
            ("localhost:9464", true),
            ("[::1]:9464", true),
            ("0.0.0.0:9464", true),
            ("unix:///run/tally.sock", true),
            (":9464", false),
            ("9464", false),
            ("unix://tally.sock", false),
            ("example.com:9464", false),
            ("http://127.0.0.1:9464", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<ListenAddress>().is_ok(), is_good, "{text}");
        }
    }
}
