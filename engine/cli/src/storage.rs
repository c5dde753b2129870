//! Memory, declarations and history in files next to the spec.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tally_control::convergence::Actor;
use tally_control::lease::Common;
use tally_control::{Storage, StorageError, Stored};
use tally_graph::Graph;
use tally_host::Secrets;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::memory::{Clocks, Declarations, Memory};
use tally_reconcile::rollback::PreviousRevision;

use crate::clocks::clocks;
use crate::errors::CliError;
use crate::history::HistoryFile;
use crate::memory::Remembered;
use crate::project::Project;
use crate::secrets;

/// Returns the folder `.tally` of a project.
pub struct Folder {
    project: Project,
    actor: Actor,
    remembered: Mutex<Remembered>,
    /// The history of the first cluster.
    history: HistoryFile,
}

impl Folder {
    /// Creates the storage of a project; `actor` is who the history says that applied a spec.
    #[must_use]
    pub fn new(project: &Project, graph: &Graph, actor: Actor, remembered: Remembered) -> Self {
        Self {
            project: project.clone(),
            actor,
            remembered: Mutex::new(remembered),
            history: HistoryFile::new(graph, project),
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for Folder {
    fn remember(&self, memory: &Memory, now_ms: i64) -> Stored {
        let mut remembered = self.remembered();
        remembered.memory = memory.clone();
        remembered.write(now_ms).map_err(StorageError::from)
    }

    fn settled(&self, graph: &Graph, workloads: &BTreeSet<String>, now_ms: i64) -> Stored {
        let history = HistoryFile::new(graph, &self.project);
        history.keep(graph, workloads, self.actor.name(), now_ms).map_err(StorageError::from)
    }

    fn previous_revisions(&self, spec: &Graph) -> BTreeMap<String, PreviousRevision> {
        HistoryFile::new(spec, &self.project).previous_revisions(spec)
    }

    fn rolled_back(&self, address: &str, rolled_back: Option<&RolledBack>) -> Stored {
        let set = self.remembered().set_rolled_back(address, rolled_back);
        let kept = rolled_back
            .map_or(Ok(()), |rolled_back| self.history.keep_rollback(address, rolled_back));
        set.and(kept).map_err(StorageError::from)
    }

    fn shared(&self, common: &Common, declared: &Declarations) -> Stored {
        self.remembered().share(common, declared).map_err(StorageError::from)
    }

    fn clocks(&self, now_ms: i64) -> Option<Clocks> {
        clocks(now_ms)
    }

    async fn secrets(&self, graph: &Graph) -> Result<Option<Secrets>, StorageError> {
        let secrets: Result<Secrets, CliError> = secrets::read(graph, &self.project).await;
        Ok(Some(secrets.map_err(StorageError::from)?))
    }
}
