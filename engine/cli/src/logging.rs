//! `TALLY_LOG`: a trace of calls on standard error, for finding out why something hangs or fails.

use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use crate::errors::CliError;

/// The environment variable.
const VARIABLE: &str = "TALLY_LOG";

/// Starts logging if `TALLY_LOG` is set. Only events of our own crates are logged, because the HTTP and the Docker
/// client would log whole requests, and those may hold secrets.
///
/// # Errors
/// When the value is not a filter.
pub fn start() -> Result<(), CliError> {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    if value.is_empty() {
        return Ok(());
    }
    let targets: Targets = value.parse().map_err(|error| {
        CliError::Usage(
            format!("{VARIABLE} is not a filter: {error}"),
            "Set a level, such as `debug`, or levels by target: `tally_store=debug`.".to_owned(),
        )
    })?;
    let ours = filter_fn(|event| event.target().starts_with("tally"));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_filter(targets.and(ours));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        .map_err(|error| CliError::Internal(format!("logging cannot start: {error}")))
}
