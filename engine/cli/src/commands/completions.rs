//! `tally completions SHELL`.

use clap::CommandFactory as _;

use crate::args::{Args, CompletionsArgs};
use crate::errors::{CliError, Exit};
use crate::show::terminal::out;

pub fn run(args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "tally", &mut text);
    out(&String::from_utf8_lossy(&text));
    Ok(Exit::Done)
}
