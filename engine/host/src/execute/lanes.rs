//! The limits on concurrent operations of a host.

use std::collections::BTreeSet;

use tally_reconcile::plan::{Action, OpId, Operation};

use super::options::ExecuteOptions;

/// The operations of one host: those that are ready to start, and the number of those that run.
#[derive(Default)]
pub(super) struct Lane {
    calls: Queue,
    stops: Queue,
    waits: Queue,
}

#[derive(Default)]
struct Queue {
    ready: BTreeSet<OpId>,
    running: usize,
}

impl Queue {
    fn next(&mut self, limit: usize) -> Option<OpId> {
        if self.running >= limit.max(1) {
            return None;
        }
        let id = self.ready.pop_first()?;
        self.running += 1;
        Some(id)
    }
}

impl Lane {
    /// Adds an operation that is ready to start.
    pub(super) fn add(&mut self, operation: &Operation) {
        self.queue(&operation.action).ready.insert(operation.id);
    }

    /// Removes and returns the next operation that may start within the limits, lowest number first.
    pub(super) fn next(&mut self, options: &ExecuteOptions) -> Option<OpId> {
        let calls = self.calls.next(options.calls_per_host);
        calls
            .or_else(|| self.stops.next(options.stops_per_host))
            .or_else(|| self.waits.next(options.waits_per_host))
    }

    /// Notes that an operation ended.
    pub(super) fn ended(&mut self, operation: &Operation) {
        let queue = self.queue(&operation.action);
        queue.running = queue.running.saturating_sub(1);
    }

    fn queue(&mut self, action: &Action) -> &mut Queue {
        match action {
            Action::AwaitReady { .. } | Action::AwaitExit { .. } => &mut self.waits,
            Action::Stop { .. } | Action::Restart { .. } => &mut self.stops,
            _ => &mut self.calls,
        }
    }
}
