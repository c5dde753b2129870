//! Connections over TCP, in plain text or with TLS.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use tally_host::TransportError;
use tokio::net::TcpStream;
use tower_service::Service as _;

use crate::address::TcpAddress;
use crate::cause::innermost;
use crate::connector::{Connecting, Route, Stream};
use crate::tls::{Tls, TlsPaths};

/// After this time without traffic the system checks whether the other end still exists.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A route over TCP.
pub enum TcpRoute {
    /// In plain text.
    Plain(TcpAddress),
    /// With TLS.
    Tls(TcpAddress, Tls),
}

impl TcpRoute {
    /// Returns the route to an address: with TLS when `tls` names its files, in plain text otherwise.
    ///
    /// # Errors
    /// The `Tls…` kinds for files that cannot be used; [`TransportError::PlainTcp`] for plain text that would
    /// leave this machine although `allow_plain` is not set.
    pub fn new(
        address: TcpAddress,
        tls: Option<&TlsPaths>,
        allow_plain: bool,
    ) -> Result<Self, TransportError> {
        if let Some(paths) = tls {
            let tls = Tls::read(&address.host, paths)?;
            return Ok(TcpRoute::Tls(address, tls));
        }
        // A plain port gives full access to everyone who reaches it, so plain text is never the default.
        if !address.is_loopback() && !allow_plain {
            let address = format!("tcp://{}", address.authority());
            return Err(TransportError::PlainTcp { address });
        }
        Ok(TcpRoute::Plain(address))
    }

    /// Returns `HOST:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        match self {
            TcpRoute::Plain(address) | TcpRoute::Tls(address, _) => address.authority(),
        }
    }
}

impl Route for TcpRoute {
    fn connect(&self, limit: Duration) -> Connecting<'_> {
        Box::pin(async move {
            match self {
                TcpRoute::Plain(address) => Ok(Stream::new(tcp(address, limit).await?)),
                TcpRoute::Tls(address, tls) => {
                    let plain = tcp(address, limit).await?;
                    Ok(Stream::new(tls.wrap(plain).await?))
                }
            }
        })
    }
}

async fn tcp(address: &TcpAddress, limit: Duration) -> Result<TcpStream, TransportError> {
    let mut connector = HttpConnector::new();
    connector.set_keepalive(Some(KEEPALIVE));
    connector.set_nodelay(true);
    let unreachable = |reason: String| TransportError::Unreachable { reason };
    let uri = format!("http://{}", address.authority())
        .parse()
        .map_err(|_| unreachable("its address is none".to_owned()))?;
    // A little less than the deadline of the whole call, so that the error names the failed connection.
    let limit = limit - limit / 10;
    match tokio::time::timeout(limit, connector.call(uri)).await {
        Ok(Ok(io)) => Ok(io.into_inner()),
        Ok(Err(error)) => Err(unreachable(innermost(&error))),
        Err(_) => Err(unreachable(format!("no connection within {limit:?}"))),
    }
}
