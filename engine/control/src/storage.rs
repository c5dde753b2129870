//! Where memory, declarations and history are kept, so that they outlive the process.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use tally_graph::Graph;
use tally_host::Secrets;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::memory::{Clocks, Declarations, Memory};
use tally_reconcile::rollback::PreviousRevision;

use crate::lease::Common;

/// A failure of the storage. It wraps the error of the implementation of [`Storage`], which can take it out again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(pub Box<dyn std::error::Error + Send + Sync>);

/// A result of the storage.
pub type Stored = Result<(), StorageError>;

/// Declarations and secrets that changed in the storage while the hosts were observed.
#[derive(Debug, Default)]
pub struct Current {
    /// The declarations, where they are read again with each observation.
    pub declared: Option<Declarations>,
    /// The values of the secrets, where they are read again with each observation.
    pub secrets: Option<Secrets>,
}

/// Keeps the data that must outlive the process.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Keeps the memory. Its times are of a clock that shows `now_ms` now, in milliseconds since 1970.
    ///
    /// # Errors
    /// When it cannot be written.
    fn remember(&self, memory: &Memory, now_ms: i64) -> Stored;

    /// Adds to the history that these workloads have become as `graph` specifies, so that a rollback may
    /// return to it. `now_ms` in milliseconds since 1970.
    ///
    /// # Errors
    /// When it cannot be written.
    fn settled(&self, _graph: &Graph, _workloads: &BTreeSet<String>, _now_ms: i64) -> Stored {
        Ok(())
    }

    /// Returns the previous revision of each workload that is rolled back when its rollout fails. Without a
    /// history nothing is rolled back.
    fn previous_revisions(&self, _spec: &Graph) -> BTreeMap<String, PreviousRevision> {
        BTreeMap::new()
    }

    /// Keeps that a workload follows a previous revision; with `None`, that it follows the spec again.
    ///
    /// # Errors
    /// When it cannot be written.
    fn rolled_back(&self, _address: &str, _rolled_back: Option<&RolledBack>) -> Stored {
        Ok(())
    }

    /// Keeps the declarations and which of them are, or may be, in the store that engines share.
    ///
    /// # Errors
    /// When it cannot be written.
    fn shared(&self, _common: &Common, _declared: &Declarations) -> Stored {
        Ok(())
    }

    /// Returns the clocks of this machine, where one of them does not follow the wall clock. `now_ms` is the
    /// wall clock, in milliseconds since 1970.
    fn clocks(&self, _now_ms: i64) -> Option<Clocks> {
        None
    }

    /// Returns the changes in the storage since the last call.
    fn current(&self) -> Current {
        Current::default()
    }

    /// Reads the values of the secrets that `graph` uses; `None` where the known values are still complete.
    ///
    /// # Errors
    /// When one of them cannot be read.
    async fn secrets(&self, _graph: &Graph) -> Result<Option<Secrets>, StorageError> {
        Ok(None)
    }
}
