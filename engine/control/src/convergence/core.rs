//! The steps of convergence that every driver shares, and the state that one pass hands to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tally_graph::Graph;
use tally_host::{ExecuteOptions, Report, ResolvedTags, Secrets, failed_versions};
use tally_reconcile::input::observed::Observed;
use tally_reconcile::memory::Memory;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::plan::Plan;
use tally_reconcile::rollback::apply::apply_rollbacks;
use tally_reconcile::rollback::{Decision, RolloutFailure, decide};
use tally_reconcile::{Options, Prepared, reconcile_prepared};

use crate::storage::{Storage, StorageError, Stored};

/// Who drives a convergence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A bounded session, such as `tally apply`.
    Apply,
    /// The control loop.
    Run,
}

impl Actor {
    /// Returns the name that the history and failed rollouts show.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Run => "run",
        }
    }
}

/// A cluster that is brought to its spec: the graph, the memory, the secrets, the latest observation, and the
/// digests that image tags were resolved to.
pub struct Convergence {
    actor: Actor,
    /// The spec as it is written.
    spec: Graph,
    /// The spec with the workloads that follow a previous revision.
    graph: Arc<Graph>,
    cluster: String,
    /// The learned values and the declarations of people.
    pub memory: Memory,
    /// The values of the secrets.
    pub secrets: Secrets,
    /// The latest view of every host.
    pub observed: Observed,
    /// The prepared form of a graph and its secrets, for all plans of both.
    prepared: Option<(Arc<Graph>, BTreeMap<String, String>, Prepared)>,
    resolved_tags: ResolvedTags,
    storage: Arc<dyn Storage>,
}

impl Convergence {
    /// Creates the state of a cluster whose spec is followed as it is written.
    #[must_use]
    pub fn new(
        actor: Actor,
        spec: Graph,
        memory: Memory,
        secrets: Secrets,
        storage: Arc<dyn Storage>,
    ) -> Self {
        let cluster = spec.cluster().map(|cluster| cluster.name.clone()).unwrap_or_default();
        Self {
            actor,
            graph: Arc::new(spec.clone()),
            spec,
            cluster,
            memory,
            secrets,
            observed: Observed::default(),
            prepared: None,
            resolved_tags: ResolvedTags::default(),
            storage,
        }
    }

    /// Returns the spec as it is written.
    #[must_use]
    pub fn spec(&self) -> &Graph {
        &self.spec
    }

    /// Returns the spec that is followed: with the workloads that follow a previous revision.
    #[must_use]
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Returns the name of the cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Returns where memory and history are kept.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Returns the name of who drives this.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Replaces the spec, before [`Convergence::follow`] puts it into effect.
    pub fn set_spec(&mut self, spec: Graph) {
        self.spec = spec;
    }

    /// Follows the spec, with the workloads that were rolled back as they were before; returns their
    /// addresses. Image tags are resolved again.
    pub fn follow(&mut self) -> Vec<String> {
        let mut followed = self.spec.clone();
        let rolled_back = apply_rollbacks(&mut followed, &self.memory.declared.rolled_back);
        self.graph = Arc::new(followed);
        self.resolved_tags = ResolvedTags::default();
        rolled_back
    }

    /// Reads the previous revisions of the spec's workloads from the history.
    pub fn read_previous_revisions(&mut self) {
        self.memory.history.previous = self.storage.previous_revisions(&self.spec);
    }

    /// Takes the latest observation into the memory; returns whether it holds anything new, so that it should be
    /// kept.
    pub fn learn(&mut self, now_ms: i64) -> bool {
        self.memory.learn(&self.cluster, &self.observed, now_ms)
    }

    /// Returns the fingerprint of a workload as it is followed, by its address.
    #[must_use]
    pub fn fingerprint(&self, address: &str) -> Option<String> {
        Some(self.graph.workload_at(address)?.fingerprint())
    }

    /// Prepares plans of the graph that is followed now, unless that is done.
    pub fn prepare(&mut self) {
        if self.prepared().is_none() {
            let secrets = self.secrets.hashes();
            let prepared = Prepared::of(&self.graph, secrets);
            self.prepared = Some((Arc::clone(&self.graph), secrets.clone(), prepared));
        }
    }

    /// Returns the prepared form, if it is of the current graph.
    #[must_use]
    pub fn prepared(&self) -> Option<&Prepared> {
        let (graph, secrets, prepared) = self.prepared.as_ref()?;
        let is_current = Arc::ptr_eq(graph, &self.graph) && secrets == self.secrets.hashes();
        is_current.then_some(prepared)
    }

    /// Makes the plan of the latest observation; the secrets of `options` are filled in.
    #[must_use]
    pub fn plan(&self, options: Options) -> Plan {
        let options = self.with_secrets(options);
        if let Some(prepared) = self.prepared() {
            reconcile_prepared(&self.graph, &self.observed, &self.memory, &options, prepared)
        } else {
            tally_reconcile::reconcile(&self.graph, &self.observed, &self.memory, &options)
        }
    }

    /// Returns planning options with the keyed hashes of the secrets.
    #[must_use]
    pub fn with_secrets(&self, options: Options) -> Options {
        Options { secrets: self.secrets.hashes().clone(), ..options }
    }

    /// Notes the pods that a plan makes, before its first call: a create whose reply is lost may have been
    /// done.
    ///
    /// # Errors
    /// When the memory cannot be kept.
    pub fn intend(&mut self, plan: &Plan, now_ms: i64) -> Stored {
        self.memory.intend(plan);
        self.storage.remember(&self.memory, now_ms)
    }

    /// Returns how plans of this graph are executed.
    #[must_use]
    pub fn execute_options(&self, calls_per_host: usize) -> ExecuteOptions {
        ExecuteOptions {
            calls_per_host,
            secrets: self.secrets.clone(),
            resolved_tags: self.resolved_tags.clone(),
            ..ExecuteOptions::default()
        }
    }

    /// Forgets the image IDs that tags resolved to: the next plan resolves them again.
    pub fn forget_resolved_tags(&mut self) {
        self.resolved_tags = ResolvedTags::default();
    }

    /// Returns the rollouts that failed according to an execution, by workload.
    #[must_use]
    pub fn failed_rollouts(
        &self,
        plan: &Plan,
        report: &Report,
        at_ms: i64,
    ) -> BTreeMap<String, RolloutFailure> {
        failed_versions(plan, report, self.actor.name(), at_ms)
    }

    /// Decides about a workload whose rollout failed; `None` when it is no rollout that is rolled back.
    #[must_use]
    pub fn decide(&self, address: &str, failed: RolloutFailure) -> Option<Decision> {
        decide(&self.graph, &self.observed, &self.memory, address, failed)
    }

    /// Keeps that a workload follows a previous revision from now on. [`Convergence::follow`] puts it into
    /// effect.
    ///
    /// # Errors
    /// When it cannot be kept; it is in the memory all the same.
    pub fn roll_back(&mut self, address: &str, rolled_back: RolledBack) -> Stored {
        let kept = self.storage.rolled_back(address, Some(&rolled_back));
        self.memory.declared.rolled_back.insert(address.to_owned(), rolled_back);
        kept
    }

    /// Ends the rollbacks of these workloads: a newer spec came for them.
    ///
    /// # Errors
    /// The first one that cannot be kept.
    pub fn end_rollbacks(&mut self, addresses: &[String]) -> Stored {
        let mut result = Ok(());
        for address in addresses {
            self.memory.declared.rolled_back.remove(address);
            let kept = self.storage.rolled_back(address, None);
            result = result.and(kept);
        }
        result
    }

    /// Adds to the history which workloads have become as specified.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn settled(&self, workloads: &BTreeSet<String>, now_ms: i64) -> Stored {
        self.storage.settled(&self.graph, workloads, now_ms)
    }

    /// Reads the secrets of the graph that is followed now.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub async fn read_secrets(&mut self) -> Result<(), StorageError> {
        if let Some(secrets) = self.storage.secrets(&self.graph).await? {
            self.secrets = secrets;
        }
        Ok(())
    }
}
