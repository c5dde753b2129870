//! `tally exec ADDRESS -- COMMAND`.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use futures_util::StreamExt as _;
use tally_host::{ExecRequest, Host};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::args;
use crate::commands::select::select;
use crate::errors::{CliError, Exit};
use crate::hosts;
use crate::project::Project;

/// Maximum number of questions for the exit code, which Docker knows a moment after the output has ended.
const MOST_ASKS: u32 = 50;

pub async fn run(args: args::ExecArgs) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (graph, _) = project.graph()?;
    let writers = hosts::writers(&graph, &project).await?;
    let observed = hosts::look(&graph, &hosts::reading(&writers)).await;
    let selected = select(&graph, &observed, &args.address)?;
    let [one] = selected.as_slice() else {
        let names: Vec<String> =
            selected.iter().map(|s| format!("{}/{}", s.pod, s.container)).collect();
        return Err(CliError::Usage(
            format!("`{}` means {} containers", args.address, names.len()),
            format!("Name one: {}.", names.join(", ")),
        ));
    };
    let host = writers
        .get(&one.host)
        .ok_or_else(|| CliError::Internal(format!("no host `{}`", one.host)))?;
    let failed = |error| CliError::Host(one.host.clone(), error);
    let tty = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let request = ExecRequest {
        command: args.command,
        tty,
        stdin: true,
        size: tty.then(crossterm::terminal::size).and_then(Result::ok),
    };
    let mut session = host.exec(&one.id, &request).await.map_err(failed)?;
    let raw = tty.then(Raw::enter);
    if let Some(mut input) = session.input.take() {
        tokio::spawn(async move {
            let mut stdin = tokio::io::stdin();
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stdin.read(&mut buffer).await {
                let Some(bytes) = buffer.get(..read) else { break };
                if input.write_all(bytes).await.is_err() || input.flush().await.is_err() {
                    break;
                }
            }
            // The command sees the end of its input.
            let _ = input.shutdown().await;
        });
    }
    let id = session.id.clone();
    let result = copy_out(&mut session, host.as_ref(), tty).await;
    drop(raw);
    result.map_err(failed)?;
    for _ in 0..MOST_ASKS {
        if let Some(code) = host.exec_exit_code(&id).await.map_err(failed)? {
            // A thread still blocked on our standard input would keep the runtime from ending.
            let code = u8::try_from(code).unwrap_or(255);
            let _ = std::io::stdout().flush();
            std::process::exit(i32::from(code));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Exit::Code(255))
}

async fn copy_out(
    session: &mut tally_host::ExecSession,
    host: &dyn Host,
    tty: bool,
) -> Result<(), tally_host::HostError> {
    let kind = tokio::signal::unix::SignalKind::window_change();
    let mut resized = tokio::signal::unix::signal(kind).ok();
    loop {
        let resize = async {
            match &mut resized {
                Some(signal) if tty => signal.recv().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            chunk = session.output.next() => match chunk {
                Some(Ok(chunk)) => {
                    // These bytes are for the terminal of the container: they are passed on unchanged, as Docker
                    // does.
                    let written = if chunk.stderr {
                        std::io::stderr().lock().write_all(&chunk.bytes)
                    } else {
                        let mut out = std::io::stdout().lock();
                        out.write_all(&chunk.bytes).and_then(|()| out.flush())
                    };
                    if written.is_err() {
                        return Ok(());
                    }
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            _ = resize => {
                if let Ok((columns, rows)) = crossterm::terminal::size() {
                    host.exec_resize(&session.id, columns, rows).await?;
                }
            }
        }
    }
}

/// The terminal in raw mode, restored on drop.
struct Raw;

impl Raw {
    fn enter() -> Self {
        // Without raw mode the command still runs, only line by line.
        let _ = crossterm::terminal::enable_raw_mode();
        Self
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = crossterm::terminal::disable_raw_mode();
    }
}
