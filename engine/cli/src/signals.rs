//! Signals that stop a command.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::errors::CliError;

/// Turns true at the first Ctrl-C or SIGTERM, after `say` was called: calls in progress finish, no new one starts. A
/// second Ctrl-C ends the process at once; Docker still finishes the calls that it received.
///
/// # Errors
/// If signal handlers cannot be installed.
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
        // The receiver is dropped if the work is already done.
        let _ = sender.send(true);
        let _ = tokio::signal::ctrl_c().await;
        std::process::exit(130);
    });
    Ok(receiver)
}
