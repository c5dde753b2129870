//! Tracing of operations. Failures are traced after secrets were removed from them.

use tally_reconcile::plan::Operation;
use tracing::debug;

use super::context::Ending;

/// Traces the start of an operation.
pub(super) fn started(operation: &Operation) {
    let (number, host, action) = numbered(operation);
    debug!(target: "tally_host::operations", number, host, action, "operation started");
}

/// Traces the end of an operation.
pub(super) fn ended(operation: &Operation, ending: &Ending) {
    let (number, host, action) = numbered(operation);
    let outcome = match ending {
        Ending::Done(_) => "done",
        Ending::Cancelled => "cancelled",
        Ending::Withheld(_) => "withheld",
        Ending::Failed(failure) => {
            let error = failure.kind.to_string();
            debug!(target: "tally_host::operations", number, host, action, error, "operation failed");
            return;
        }
    };
    debug!(target: "tally_host::operations", number, host, action, outcome, "operation ended");
}

fn numbered(operation: &Operation) -> (u32, &str, &'static str) {
    (operation.id.0, operation.host.as_str(), operation.action.word())
}
