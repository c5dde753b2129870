//! How the loop reaches hosts.

use std::sync::Arc;

use async_trait::async_trait;
use tally_graph::Graph;
use tally_host::{Host, HostError};

/// Opens connections to the hosts of a spec.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Opens a new connection to the host of that name.
    ///
    /// # Errors
    /// Why the host cannot be reached.
    async fn connect(&self, graph: &Graph, host: &str) -> Result<Arc<dyn Host>, HostError>;

    /// Returns the names of the hosts of a spec.
    fn hosts(&self, graph: &Graph) -> Vec<String>;
}
