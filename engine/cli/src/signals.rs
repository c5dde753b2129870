//! Being told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::errors::CliError;

/// Turns true at the first Ctrl-C or SIGTERM, after `say` was called: calls in flight finish, no new
/// one begins. A second Ctrl-C ends the process at once; Docker finishes what it was asked all the
/// same.
///
/// # Errors
/// When signals cannot be heard.
pub fn stop(say: impl FnOnce() + Send + 'static) -> Result<watch::Receiver<bool>, CliError> {
    let (sender, receiver) = watch::channel(false);
    let mut term = signal(SignalKind::terminate())
        .map_err(|error| CliError::Internal(format!("no signals: {error}")))?;
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
        say();
        // The receiver is gone when the work is done already.
        let _ = sender.send(true);
        let _ = tokio::signal::ctrl_c().await;
        std::process::exit(130);
    });
    Ok(receiver)
}
