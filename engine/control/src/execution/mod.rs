//! Execution: plans that are carried out in the background, and the pods that they keep busy.

mod busy;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::FuturesUnordered;
use tally_graph::Graph;
use tally_host::{Event, ExecuteOptions, Host, Progress, Report, execute};
use tally_reconcile::plan::{OpId, Plan};
use tokio::sync::{Notify, watch};

use self::busy::Busy;
use crate::task::Task;

/// Maximum number of executions at once: each one but the last waits for slow calls only.
const MAX_RUNNING: usize = 32;

/// Operations that have ended, with their plans.
type EndedOps = Arc<Mutex<Vec<(Arc<Plan>, OpId)>>>;

/// A plan that was executed.
pub(crate) struct Executed {
    pub plan: Arc<Plan>,
    pub report: Report,
}

/// The executions in progress.
pub(crate) struct Execution {
    pub running: FuturesUnordered<Task<Executed>>,
    /// Operations that have ended, of all executions, as they end.
    ended: EndedOps,
    /// Is notified when an operation ends.
    pub notify: Arc<Notify>,
    cancel: watch::Sender<bool>,
    /// The pods and objects with operations in progress, or with operations that ended after their last observation.
    pub busy: Busy,
}

impl Execution {
    pub fn new() -> Self {
        Self {
            running: FuturesUnordered::new(),
            ended: Arc::default(),
            notify: Arc::default(),
            cancel: watch::channel(false).0,
            busy: Busy::default(),
        }
    }

    /// Checks whether nothing is in progress, and everything that was has been observed since.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.busy.is_empty()
    }

    /// Checks whether another plan may be executed.
    pub fn has_room(&self) -> bool {
        self.running.len() < MAX_RUNNING
    }

    /// Starts to execute a plan.
    pub fn start(
        &mut self,
        plan: Plan,
        graph: &Arc<Graph>,
        hosts: BTreeMap<String, Arc<dyn Host>>,
        options: ExecuteOptions,
    ) {
        let plan = Arc::new(plan);
        for operation in &plan.operations {
            self.busy.begin(&operation.lock_key());
        }
        let heard = Heard {
            plan: Arc::clone(&plan),
            ended: Arc::clone(&self.ended),
            notify: Arc::clone(&self.notify),
        };
        let (graph, cancel) = (Arc::clone(graph), self.cancel.subscribe());
        self.running.push(Box::pin(async move {
            let report = execute(&plan, &graph, &hosts, &heard, cancel, &options).await;
            Executed { plan, report }
        }));
    }

    /// Stops all executions: calls in flight finish, no other starts.
    pub fn stop(&self) {
        // Nobody listens when nothing is in progress.
        let _ = self.cancel.send(true);
    }

    /// Lets executions start again after [`Execution::stop`].
    pub fn allow(&mut self) {
        self.cancel = watch::channel(false).0;
    }

    /// Takes the operations that have ended since the last call.
    pub fn take_ended(&self) -> Vec<(Arc<Plan>, OpId)> {
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Hears of operations as they end.
struct Heard {
    plan: Arc<Plan>,
    ended: EndedOps,
    notify: Arc<Notify>,
}

impl Progress for Heard {
    fn event(&self, event: Event<'_>) {
        let id = match event {
            Event::Done(id)
            | Event::NotNeeded(id)
            | Event::Failed(id, _)
            | Event::Skipped { id, .. } => id,
            Event::Started(_) | Event::Pulling(..) | Event::Waiting(..) => return,
        };
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push((Arc::clone(&self.plan), id));
        self.notify.notify_one();
    }
}
