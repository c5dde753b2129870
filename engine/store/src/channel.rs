//! HTTP/1.1 requests to one member of the store. `tally-transport` makes the connections: TLS trusts the given
//! authority only, and plain text stays on this machine unless the user allows more.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;

use tally_host::{TransportError, clean};
use tally_transport::{
    StreamConnector, TcpAddress, TcpRoute, TlsPaths, innermost, pooled, transport_error_in,
};

/// HTTP requests to one address, with pooled connections.
pub struct Channel {
    client: Client<StreamConnector<TcpRoute>, Full<Bytes>>,
    authority: String,
    limit: Duration,
}

/// A response.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// No connection can be made.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// No response within the deadline.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The response broke off, or is not HTTP.
    #[error("{0}")]
    Broken(String),
    /// The response is larger than the limit.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Channel {
    /// Returns a channel to `tcp://HOST:PORT`. Each request ends within `limit`. Nothing is sent yet.
    ///
    /// # Errors
    /// An invalid address, TLS files that cannot be used, and [`TransportError::PlainTcp`] for another machine without
    /// TLS when `allow_plain` is not set.
    pub fn new(
        address: &str,
        tls: Option<&TlsPaths>,
        allow_plain: bool,
        limit: Duration,
    ) -> Result<Self, TransportError> {
        let address = TcpAddress::parse(address)?;
        let authority = address.authority();
        let route = TcpRoute::new(address, tls, allow_plain)?;
        Ok(Self { client: pooled(StreamConnector::new(route, limit)), authority, limit })
    }

    /// Returns `HOST:PORT`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Posts JSON, and reads a response of at most `limit_bytes` bytes.
    ///
    /// # Errors
    /// When there is no response, or a larger one.
    pub async fn post(
        &self,
        path: &str,
        json: Vec<u8>,
        limit_bytes: usize,
    ) -> Result<Reply, ChannelError> {
        match tokio::time::timeout(self.limit, self.answer(path, json, limit_bytes)).await {
            Ok(answer) => answer,
            Err(_) => Err(ChannelError::Deadline(self.limit)),
        }
    }

    async fn answer(
        &self,
        path: &str,
        json: Vec<u8>,
        limit_bytes: usize,
    ) -> Result<Reply, ChannelError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}{path}", self.authority))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(json)))
            .map_err(|error| ChannelError::Broken(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| broken(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), limit_bytes).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ChannelError::TooLarge(limit_bytes)
            } else {
                broken(error.as_ref())
            }
        })?;
        Ok(Reply { status, body: body.to_bytes().to_vec() })
    }
}

fn broken(error: &(dyn std::error::Error + 'static)) -> ChannelError {
    match transport_error_in(error) {
        Some(fault) => ChannelError::Transport(fault),
        None => ChannelError::Broken(clean::line(&innermost(error))),
    }
}
