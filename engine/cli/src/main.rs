//! The command `tally`. One file per command, one file for errors, one folder for output.

mod args;
mod clocks;
mod commands;
mod errors;
mod events;
mod history;
mod hosts;
mod json_file;
mod logging;
mod memory;
mod metrics;
mod project;
mod saved;
mod secrets;
mod shared_store;
mod show;
mod signals;
mod storage;

use std::process::ExitCode;

use clap::Parser as _;

use crate::errors::Exit;
use crate::show::terminal::Terminal;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors; clap knows the stream of each.
            let _ = error.print();
            return if error.use_stderr() { Exit::Failed.into() } else { Exit::Done.into() };
        }
    };
    let terminal = Terminal::detect();
    match logging::start().and_then(|()| commands::run(args.command, &terminal)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.show(&terminal);
            Exit::Failed.into()
        }
    }
}
