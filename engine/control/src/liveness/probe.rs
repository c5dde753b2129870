//! Probes one container.

use std::time::Duration;

use futures_util::StreamExt as _;
use tally_host::{ExecRequest, Host};

use super::schedule::ProbeRequest;

/// Runs the command of a liveness: it must end with exit code 0 in time. A container that cannot be probed, since
/// its host is unreachable or it ended meanwhile, has not failed.
pub(crate) async fn probe(host: &dyn Host, request: &ProbeRequest) -> Result<(), String> {
    let exec =
        ExecRequest { command: request.command.clone(), tty: false, stdin: false, size: None };
    let asked = async {
        // An unreachable host says nothing of the container.
        let Ok(mut session) = host.exec(&request.id, &exec).await else { return Ok(()) };
        let mut last = Vec::new();
        while let Some(chunk) = session.output.next().await {
            match chunk {
                Ok(chunk) => last = chunk.bytes,
                Err(_) => return Ok(()),
            }
        }
        match host.exec_exit_code(&session.id).await {
            Ok(Some(code)) if code != 0 => {
                let text = String::from_utf8_lossy(&last);
                let line: String =
                    text.lines().last().unwrap_or_default().chars().take(200).collect();
                Err(if line.is_empty() {
                    format!("exit code {code}")
                } else {
                    format!("exit code {code}: {line}")
                })
            }
            _ => Ok(()),
        }
    };
    match tokio::time::timeout(Duration::from_millis(request.timeout_ms), asked).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} ms", request.timeout_ms)),
    }
}
