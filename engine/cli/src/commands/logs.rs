//! `tally logs ADDRESS`.

use futures_util::StreamExt as _;
use futures_util::stream::SelectAll;
use tally_host::LogRequest;

use crate::args;
use crate::commands::select::{host_of, select};
use crate::errors::{CliError, Exit};
use crate::hosts;
use crate::project::Project;
use crate::show::terminal::{Style, Terminal, clean, out};

/// A line that does not end is cut, so that a container cannot fill our memory.
const LONGEST_LINE: usize = 64 << 10;

pub async fn run(args: args::LogsArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let (graph, _) = project.graph()?;
    let readers = hosts::readers(&graph, &project).await?;
    let observed = hosts::look(&graph, &readers).await;
    let selected = select(&graph, &observed, &args.address)?;
    let request = LogRequest { tail: args.tail, follow: args.follow, timestamps: args.timestamps };
    let several = selected.len() > 1;
    let width =
        selected.iter().map(|s| s.pod.len() + s.container.len() + 1).max().unwrap_or_default();
    let mut lines: Vec<Lines> = Vec::new();
    let mut streams = SelectAll::new();
    for (number, one) in selected.iter().enumerate() {
        let host = host_of(&readers, one)?;
        let stream = host
            .logs(&one.id, request)
            .await
            .map_err(|error| CliError::Host(one.host.clone(), error))?;
        streams.push(stream.map(move |chunk| (number, chunk)).boxed());
        let name = format!("{}/{}", one.pod, one.container);
        let prefix = if several {
            format!("{}  ", terminal.paint(Style::Dim, &format!("{name:width$}")))
        } else {
            String::new()
        };
        lines.push(Lines { prefix, pending: Vec::new() });
    }
    while let Some((number, chunk)) = streams.next().await {
        let Some(of) = lines.get_mut(number) else { continue };
        match chunk {
            Ok(chunk) => of.push(&chunk.bytes),
            Err(error) => {
                let host = selected.get(number).map(|s| s.host.clone()).unwrap_or_default();
                return Err(CliError::Host(host, error));
            }
        }
    }
    for of in &mut lines {
        of.flush();
    }
    Ok(Exit::Done)
}

/// Prints the lines of one container, each as a whole, so that lines of two containers do not mix.
struct Lines {
    prefix: String,
    pending: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.flush(),
                byte if self.pending.len() < LONGEST_LINE => self.pending.push(*byte),
                _ => {}
            }
        }
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let line = String::from_utf8_lossy(&self.pending);
            out(&format!("{}{}\n", self.prefix, clean(line.trim_end_matches('\r'))));
            self.pending.clear();
        }
    }
}
