//! Changes that people make while the loop runs: the spec, declarations, secrets.

use async_trait::async_trait;
use tally_graph::Graph;
use tally_host::Secrets;
use tally_reconcile::memory::Declarations;

/// Where changes come from.
#[async_trait]
pub trait SpecSource: Send {
    /// Waits for the next change. It does not end while nothing changes, and loses nothing when it is dropped
    /// before it ends.
    async fn changed(&mut self) -> SpecChange;
}

/// A change that people made.
pub enum SpecChange {
    /// The spec is another one.
    Spec(Box<Graph>),
    /// The changed spec does not compile: the report.
    Broken(String),
    /// The declarations are others.
    Declared(Declarations),
    /// The spec is another one, with the values of its secrets.
    SpecWithSecrets(Box<Graph>, Secrets),
    /// Secrets of the spec that is followed have other values.
    Secrets(Secrets),
    /// A secret can no longer be read: the report.
    SecretsUnreadable(String),
}

/// The spec that is followed once the executions in progress have ended.
#[derive(Default)]
pub(crate) struct PendingSpec {
    next: Option<Graph>,
    secrets: Option<Secrets>,
}

impl PendingSpec {
    /// Checks whether a spec waits to be followed.
    pub fn is_some(&self) -> bool {
        self.next.is_some()
    }

    /// Replaces the spec that waits.
    pub fn set(&mut self, spec: Graph) {
        self.next = Some(spec);
    }

    /// Sets the values of the secrets of the spec that waits.
    pub fn set_secrets(&mut self, secrets: Secrets) {
        self.secrets = Some(secrets);
    }

    /// Has the current spec followed again, unless another one waits.
    pub fn follow_again(&mut self, spec: &Graph) {
        self.next.get_or_insert_with(|| spec.clone());
    }

    /// Takes the spec that waits, with the values of its secrets where they were read with it.
    pub fn take(&mut self) -> Option<(Graph, Option<Secrets>)> {
        let spec = self.next.take()?;
        Some((spec, self.secrets.take()))
    }
}
