//! Where an engine is, and what is needed to get there.

use std::path::PathBuf;

use tally_graph::HostAddress;
use tally_transport::TlsPaths;

/// Where an engine is, and what is needed to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: HostAddress,
    /// Files for mutual TLS, for `tcp://`.
    pub tls: Option<TlsPaths>,
    /// Whether somebody said that `tcp://` without TLS may leave this machine.
    pub allow_plain_tcp: bool,
    /// The configuration that `ssh` reads instead of the user's, for `ssh://`.
    pub ssh_config: Option<PathBuf>,
}

impl From<&HostAddress> for Endpoint {
    fn from(address: &HostAddress) -> Self {
        Self { address: address.clone(), tls: None, allow_plain_tcp: false, ssh_config: None }
    }
}

impl From<&Endpoint> for Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        endpoint.clone()
    }
}
