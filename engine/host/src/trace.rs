//! Tracing of calls. `TALLY_LOG=debug` shows the start and the end of each call, so that a call that hangs leaves a
//! trace. Texts of daemons are not traced here, because they may quote a secret: only the kind of an error is.

use std::time::Instant;

use tracing::debug;

use crate::error::HostError;

/// Makes a call and traces its start, and its end with its duration and outcome.
///
/// # Errors
/// The error of the call.
pub async fn traced<T>(
    host: &str,
    call: &'static str,
    future: impl Future<Output = Result<T, HostError>>,
) -> Result<T, HostError> {
    let mut running = RunningCall { host, call, started: Instant::now(), outcome: "cancelled" };
    debug!(target: "tally_host::calls", host, call, "call started");
    let result = future.await;
    running.outcome = match &result {
        Ok(_) => "ok",
        Err(error) => error.kind(),
    };
    result
}

/// A running call. Its end is traced when it is dropped, also when the call is cancelled.
struct RunningCall<'a> {
    host: &'a str,
    call: &'static str,
    started: Instant,
    outcome: &'static str,
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        let (host, call, outcome) = (self.host, self.call, self.outcome);
        let took = self.started.elapsed();
        debug!(target: "tally_host::calls", host, call, outcome, ?took, "call ended");
    }
}
