//! One file per command.

mod apply;
mod check;
mod completions;
mod converge;
mod destroy;
mod events;
mod exec;
mod explain;
mod freeze;
mod graph;
mod host;
mod init;
mod logs;
mod plan;
mod rollout;
mod run;
mod select;
mod status;
mod version;

use std::future::Future;

use crate::args::Command;
use crate::errors::{CliError, Exit};
use crate::show::terminal::Terminal;

/// Runs a command.
///
/// # Errors
/// The reason why the command failed.
pub fn run(command: Command, terminal: &Terminal) -> Result<Exit, CliError> {
    match command {
        Command::Init(args) => init::run(&args),
        Command::Check(args) => check::run(&args, terminal),
        Command::Graph(args) => graph::run(&args, terminal),
        Command::Plan(args) => wait(plan::run(args, terminal)),
        Command::Apply(args) => wait(apply::run(args, terminal)),
        Command::Destroy(args) => wait(destroy::run(args, terminal)),
        Command::Status(args) => wait(status::run(&args, terminal)),
        Command::Run(args) => wait(run::run(args, terminal)),
        Command::Events(args) => wait(events::run(args, terminal)),
        Command::Host(args) => host::run(&args, terminal),
        Command::Freeze(args) => freeze::freeze(&args),
        Command::Unfreeze(args) => freeze::unfreeze(&args),
        Command::Rollout(args) => wait(rollout::run(args, terminal)),
        Command::Logs(args) => wait(logs::run(args, terminal)),
        Command::Exec(args) => wait(exec::run(args)),
        Command::Explain(args) => explain::run(&args, terminal),
        Command::Completions(args) => completions::run(&args),
        Command::Version => version::run(),
    }
}

/// One thread is enough: the work is waiting for sockets, and 16 concurrent calls fit into it.
fn wait(work: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Internal(format!("no runtime: {error}")))?
        .block_on(work)
}
