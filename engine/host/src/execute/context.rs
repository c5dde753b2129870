//! The environment of the operations of a walk, and how they end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tally_graph::Graph;
use tokio::sync::watch;

use super::failure::Failure;
use super::options::ExecuteOptions;
use super::permit::Withheld;
use super::progress::Progress;
use crate::host::Host;

/// The environment of every operation of a walk.
pub(super) struct ExecuteContext<'a> {
    pub(super) graph: &'a Graph,
    pub(super) hosts: &'a BTreeMap<String, Arc<dyn Host>>,
    pub(super) progress: &'a dyn Progress,
    pub(super) cancel: &'a watch::Receiver<bool>,
    pub(super) options: &'a ExecuteOptions,
    /// Number of running waits: they share a polling rate.
    pub(super) waiting: AtomicUsize,
}

/// How an operation ended.
pub(super) enum Ending {
    /// It is done; holds the full ID of the object that it created.
    Done(Option<String>),
    /// It failed.
    Failed(Failure),
    /// It was a wait, and the plan was cancelled.
    Cancelled,
    /// It was not started, or its wait was cancelled, because the permit does not hold.
    Withheld(Withheld),
}

impl<'a> ExecuteContext<'a> {
    /// Returns the environment of a walk.
    pub(super) fn new(
        graph: &'a Graph,
        hosts: &'a BTreeMap<String, Arc<dyn Host>>,
        progress: &'a dyn Progress,
        cancel: &'a watch::Receiver<bool>,
        options: &'a ExecuteOptions,
    ) -> Self {
        let waiting = AtomicUsize::new(0);
        Self { graph, hosts, progress, cancel, options, waiting }
    }
}

/// Counts a wait while it exists.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// Counts one more wait.
    pub(super) fn start(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
