//! The last lines of a container's output.

use std::time::Duration;

use futures_util::StreamExt as _;

use crate::clean;
use crate::host::{Host, LogRequest};

/// Reading the last lines must not delay the report of a failure for longer.
const LAST_LINES_DEADLINE: Duration = Duration::from_secs(3);
/// Maximum number of bytes that are read for them.
const LAST_LINES_BYTES: usize = 256 << 10;

/// Returns the last lines of a container's output, cleaned; at most `count`. Returns none when they cannot be read
/// within three seconds. They may contain secrets.
pub async fn last_lines(host: &dyn Host, id: &str, count: u32) -> Vec<String> {
    let request = LogRequest { tail: Some(count), follow: false, timestamps: false };
    let read = async {
        let mut bytes = Vec::new();
        let mut stream = host.logs(id, request).await.ok()?;
        while let Some(Ok(chunk)) = stream.next().await {
            bytes.extend_from_slice(&chunk.bytes);
            if bytes.len() > LAST_LINES_BYTES {
                break;
            }
        }
        Some(bytes)
    };
    let bytes = tokio::time::timeout(LAST_LINES_DEADLINE, read).await.ok().flatten();
    clean::last_lines(&bytes.unwrap_or_default(), count as usize)
}
