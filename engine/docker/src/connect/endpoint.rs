//! The address of an engine, and the settings to connect to it.

use std::path::PathBuf;

use tally_graph::HostAddress;
use tally_transport::TlsPaths;

/// The address of an engine, and the settings to connect to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: HostAddress,
    /// Files for mutual TLS, for `tcp://`.
    pub tls: Option<TlsPaths>,
    /// Whether the user allows `tcp://` without TLS to another machine.
    pub allow_plain_tcp: bool,
    /// The configuration file that `ssh` reads instead of the user's, for `ssh://`.
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
