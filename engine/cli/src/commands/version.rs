//! `tally version`.

use crate::errors::{CliError, Exit};
use crate::show::terminal::out;

pub fn run() -> Result<Exit, CliError> {
    out(&format!("tally {}\n", env!("CARGO_PKG_VERSION")));
    Ok(Exit::Done)
}
