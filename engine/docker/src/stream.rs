//! Streams of an engine: logs, events and the output of commands.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::StartExecOptions;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::query_parameters::{EventsOptions, LogsOptions};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};

use crate::classify::{Call, classify};
use crate::docker_host::{DockerHost, within};
use tally_host::{ExecRequest, ExecSession, HostError, HostEvent, LogChunk, LogRequest};
use tally_reconcile::labels;

type Chunks = BoxStream<'static, Result<LogChunk, HostError>>;

/// Streams a container's output. An error of the container is the first item.
pub(crate) fn logs(host: &DockerHost, id: &str, request: LogRequest) -> Chunks {
    let options = LogsOptions {
        follow: request.follow,
        stdout: true,
        stderr: true,
        timestamps: request.timestamps,
        tail: request.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
        ..LogsOptions::default()
    };
    let raw = host.docker.logs(id, Some(options));
    // Following has no deadline, because a container may write nothing for any time.
    let idle = (!request.follow).then_some(host.options.read);
    chunks("logs", host.address.clone(), idle, raw)
}

/// Streams the events of a cluster's containers. Events of commands in containers are omitted: health checks alone
/// cause several per second.
pub(crate) fn events(
    host: &DockerHost,
    cluster: &str,
) -> BoxStream<'static, Result<HostEvent, HostError>> {
    let filters = std::collections::HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("label".to_owned(), vec![format!("{}={cluster}", labels::CLUSTER)]),
    ]);
    let options = EventsOptions { filters: Some(filters), ..EventsOptions::default() };
    let address = host.address.clone();
    let raw = host.docker.events(Some(options));
    let events = raw.filter_map(move |event| {
        let found = match event {
            Ok(event) => {
                let action = event.action.unwrap_or_default();
                let id = event.actor.and_then(|actor| actor.id).unwrap_or_default();
                let noise = action.starts_with("exec_") || action == "top";
                let at_ms = event.time_nano.map(|nanos| nanos.div_euclid(1_000_000));
                (!noise).then_some(Ok(HostEvent { id, action, at_ms }))
            }
            Err(error) => {
                let call = Call { name: "events", address: &address, image: None };
                Some(Err(classify(call, error)))
            }
        };
        std::future::ready(found)
    });
    events.boxed()
}

fn chunks(
    name: &'static str,
    address: String,
    idle: Option<Duration>,
    raw: impl Stream<Item = Result<LogOutput, Error>> + Send + 'static,
) -> Chunks {
    // The stream ends with its first error.
    let state = Some(Box::pin(raw));
    let pieces = stream::unfold(state, move |state| {
        let address = address.clone();
        async move {
            let mut raw = state?;
            let next = match idle {
                Some(after) => within(name, after, raw.next()).await,
                None => Ok(raw.next().await),
            };
            match next {
                Err(error) => Some((Err(error), None)),
                Ok(None) => None,
                Ok(Some(Err(error))) => {
                    let call = Call { name, address: &address, image: None };
                    Some((Err(classify(call, error)), None))
                }
                Ok(Some(Ok(output))) => {
                    let stderr = matches!(output, LogOutput::StdErr { .. });
                    let bytes = output.into_bytes().to_vec();
                    Some((Ok(LogChunk { stderr, bytes }), Some(raw)))
                }
            }
        }
    });
    pieces.boxed()
}

/// Runs a command in a container.
pub(crate) async fn exec(
    host: &DockerHost,
    id: &str,
    request: &ExecRequest,
) -> Result<ExecSession, HostError> {
    let config = ExecConfig {
        attach_stdin: Some(request.stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(request.tty),
        cmd: Some(request.command.clone()),
        ..ExecConfig::default()
    };
    let limit = host.options.mutate;
    let made = host.call("make an exec", limit, host.docker.create_exec(id, config)).await?;
    let options = StartExecOptions { detach: false, tty: request.tty, output_capacity: None };
    let start = host.docker.start_exec(&made.id, Some(options));
    let started = host.call("start an exec", limit, start).await?;
    let StartExecResults::Attached { output, input } = started else {
        return Err(HostError::Broken("the engine did not attach to the command".to_owned()));
    };
    if let Some((columns, rows)) = request.size.filter(|_| request.tty) {
        // A terminal of the wrong size is no reason to stop.
        let _ = resize(host, &made.id, columns, rows).await;
    }
    Ok(ExecSession {
        output: chunks("exec", host.address.clone(), None, output),
        input: request.stdin.then_some(input),
        id: made.id,
    })
}

/// Returns the exit code of a command; `None` while it runs.
pub(crate) async fn exit_code(host: &DockerHost, id: &str) -> Result<Option<i64>, HostError> {
    let inspect = host.docker.inspect_exec(id);
    let shown = host.call("inspect an exec", host.options.read, inspect).await?;
    if shown.running == Some(true) { Ok(None) } else { Ok(shown.exit_code) }
}

/// Resizes the terminal of a command.
pub(crate) async fn resize(
    host: &DockerHost,
    id: &str,
    columns: u16,
    rows: u16,
) -> Result<(), HostError> {
    let size = bollard::exec::ResizeExecOptions { height: rows, width: columns };
    let resize = host.docker.resize_exec(id, size);
    host.call("resize an exec", host.options.read, resize).await
}
