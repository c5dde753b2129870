//! Observes a host's engine without Tally: tests compare Tally's effects with these observations. The requests use the
//! host's socket, which works although the cable is disconnected.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::host::LabHost;
use super::run::LabError;

/// Timeout of a read: a healthy engine needs milliseconds; a frozen one never answers.
const LIMIT: Duration = Duration::from_secs(3);
/// Timeout of slow operations: stop, start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A container as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Full ID.
    pub id: String,
    /// The name, without the slash.
    pub name: String,
    /// The state: `running`, `paused`, `exited`, …
    pub state: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
}

impl Seen {
    /// Returns a label's value; empty if it has none.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Checks whether its process exists: a paused container has one too.
    #[must_use]
    pub fn lives(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    names: Vec<String>,
    state: String,
    labels: Option<BTreeMap<String, String>>,
}

impl LabHost {
    /// Returns all containers of this host, managed by Tally or not.
    ///
    /// # Errors
    /// If the engine does not answer within 3 s.
    pub fn seen(&self) -> Result<Vec<Seen>, LabError> {
        let (_, text) = self.ask("GET", "/containers/json?all=1", None, LIMIT)?;
        let listed: Vec<Listed> = serde_json::from_str(&text).map_err(|e| self.odd(&e))?;
        let seen = |one: Listed| Seen {
            id: one.id,
            name: one.names.first().map(|n| n.trim_start_matches('/')).unwrap_or_default().into(),
            state: one.state,
            labels: one.labels.unwrap_or_default(),
        };
        Ok(listed.into_iter().map(seen).collect())
    }

    /// Returns an answer of the engine as JSON; `null` for an object that does not exist.
    ///
    /// # Errors
    /// If the engine does not answer within 3 s.
    pub fn get(&self, path: &str) -> Result<Value, LabError> {
        match self.ask("GET", path, None, LIMIT)? {
            (404, _) => Ok(Value::Null),
            (_, text) => serde_json::from_str(&text).map_err(|error| self.odd(&error)),
        }
    }

    /// Sends the engine a request that changes something, as a person does by hand, and returns the status of its
    /// answer.
    ///
    /// # Errors
    /// If the engine does not answer within a minute.
    pub fn act(&self, method: &str, path: &str, body: Option<&Value>) -> Result<u16, LabError> {
        Ok(self.ask(method, path, body, PATIENCE)?.0)
    }

    fn odd(&self, error: &serde_json::Error) -> LabError {
        LabError::new(self.name(), &format!("unexpected answer of its engine: {error}"))
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<(u16, String), LabError> {
        let asked = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(limit))?;
            stream.set_write_timeout(Some(limit))?;
            let body = body.map(Value::to_string).unwrap_or_default();
            // HTTP/1.0: the answer comes in one piece and ends with the connection.
            let head = format!(
                "{method} {path} HTTP/1.0\r\nHost: lab\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(head.as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        let what = || format!("{method} {path} on {}", self.name());
        let answer = asked().map_err(|error| LabError::new(&what(), &error.to_string()))?;
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| LabError::new(&what(), "no HTTP"))?;
        Ok((status, text.to_owned()))
    }
}
