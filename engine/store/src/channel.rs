//! Requests in plain HTTP/1.1 to something that is no engine, over the same ways and by the same rules: TLS
//! trusts the given authority only, and what is not encrypted stays on this machine unless somebody
//! said otherwise.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;

use tally_host::{TransportError, clean};
use tally_transport::{
    Connector, TcpAddress, TcpRoute, TlsPaths, innermost, pooled, transport_error_in,
};

/// A way to one address, whose connections are kept for a while.
pub struct Channel {
    client: Client<Connector<TcpRoute>, Full<Bytes>>,
    authority: String,
    limit: Duration,
}

/// An answer: its status, and its body.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The way is closed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The answer broke off, or is none.
    #[error("{0}")]
    Broken(String),
    /// The answer is larger than any that is expected.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Channel {
    /// A way to `tcp://HOST:PORT`. Each call ends within `limit`. Nothing is sent yet.
    ///
    /// # Errors
    /// An address that is none, files for TLS that cannot be used, and
    /// [`TransportError::PlainTcp`] where something else than this machine is named without TLS and
    /// `allow_plain` is not set.
    pub fn new(
        address: &str,
        tls: Option<&TlsPaths>,
        allow_plain: bool,
        limit: Duration,
    ) -> Result<Self, TransportError> {
        let address = TcpAddress::parse(address)?;
        let authority = address.authority();
        let route = TcpRoute::new(address, tls, allow_plain)?;
        Ok(Self { client: pooled(Connector::new(route, limit)), authority, limit })
    }

    /// `HOST:PORT`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Posts JSON, and reads an answer of at most `most` bytes.
    ///
    /// # Errors
    /// When there is none, or a larger one.
    pub async fn post(
        &self,
        path: &str,
        json: Vec<u8>,
        most: usize,
    ) -> Result<Reply, ChannelError> {
        match tokio::time::timeout(self.limit, self.answer(path, json, most)).await {
            Ok(answer) => answer,
            Err(_) => Err(ChannelError::Deadline(self.limit)),
        }
    }

    async fn answer(&self, path: &str, json: Vec<u8>, most: usize) -> Result<Reply, ChannelError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}{path}", self.authority))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(json)))
            .map_err(|error| ChannelError::Broken(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| broken(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), most).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ChannelError::TooLarge(most)
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
