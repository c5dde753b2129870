//! Asking one container whether it is well.

use std::time::Duration;

use futures_util::StreamExt as _;
use tally_host::{ExecRequest, Host};

use crate::liveness::Ask;

/// Asks a container whether it is well: the command must end with exit code 0 in time.
pub(crate) async fn probe(door: &dyn Host, ask: &Ask) -> Result<(), String> {
    let request =
        ExecRequest { command: ask.command.clone(), tty: false, stdin: false, size: None };
    let asked = async {
        // A host that does not answer says nothing of the container.
        let Ok(mut session) = door.exec(&ask.id, &request).await else { return Ok(()) };
        let mut last = Vec::new();
        while let Some(chunk) = session.output.next().await {
            match chunk {
                Ok(chunk) => last = chunk.bytes,
                Err(_) => return Ok(()),
            }
        }
        match door.exec_exit_code(&session.id).await {
            Ok(Some(code)) if code != 0 => {
                let text = String::from_utf8_lossy(&last);
                let line: String =
                    text.lines().last().unwrap_or_default().chars().take(200).collect();
                match line.is_empty() {
                    true => Err(format!("exit code {code}")),
                    false => Err(format!("exit code {code}: {line}")),
                }
            }
            _ => Ok(()),
        }
    };
    match tokio::time::timeout(Duration::from_millis(ask.timeout_ms), asked).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} ms", ask.timeout_ms)),
    }
}
