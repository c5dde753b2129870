//! What secrets hold, and putting it where it belongs: at the last moment, and nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tally_graph::{Part, Template};
use tally_reconcile::plan::request::{ContainerRequest, Hidden};

/// Shorter lines of a secret are not looked for in what is shown: they would be found everywhere.
const LEAST_REDACTED: usize = 4;

/// What secrets hold, by name, with their keyed hashes. It is not printed, and cannot be written down.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    values: Arc<BTreeMap<String, Vec<u8>>>,
    hashes: BTreeMap<String, String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Secrets {
    /// Secrets by name: what each holds, and its keyed hash.
    #[must_use]
    pub fn new(all: impl IntoIterator<Item = (String, Vec<u8>, String)>) -> Self {
        let mut values = BTreeMap::new();
        let mut hashes = BTreeMap::new();
        for (name, value, hash) in all {
            hashes.insert(name.clone(), hash);
            values.insert(name, value);
        }
        Self { values: Arc::new(values), hashes }
    }

    /// The keyed hashes by name: what planning may know.
    #[must_use]
    pub fn hashes(&self) -> &BTreeMap<String, String> {
        &self.hashes
    }

    /// Puts a text together; the name of a secret that was not read is the error.
    pub(crate) fn join(&self, template: &Template) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        for part in &template.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Whole(name) => out.extend_from_slice(self.value(name)?),
                Part::Secret(name) => out.extend_from_slice(without_end(self.value(name)?)),
            }
        }
        Ok(out)
    }

    fn value(&self, name: &str) -> Result<&[u8], String> {
        self.values.get(name).map(Vec::as_slice).ok_or_else(|| name.to_owned())
    }

    /// The request with its environment put together.
    pub(crate) fn joined(&self, request: &ContainerRequest) -> Result<ContainerRequest, String> {
        let mut joined = request.clone();
        for (key, template) in &request.secret_env {
            let text = String::from_utf8_lossy(&self.join(template)?).into_owned();
            joined.joined_env.insert(key.clone(), Hidden::new(text));
        }
        Ok(joined)
    }

    /// A text that came from outside, without what the secrets hold: a daemon may quote what it was
    /// sent, and a program print what it was told.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let lines = self.values.values().flat_map(|value| value.split(|byte| *byte == b'\n'));
        let mut lines: Vec<&str> = lines
            .filter_map(|line| std::str::from_utf8(line).ok())
            .map(str::trim)
            .filter(|line| line.len() >= LEAST_REDACTED)
            .collect();
        // The longest first: one may be a part of another.
        lines.sort_unstable_by_key(|line| std::cmp::Reverse(line.len()));
        for line in lines {
            if text.contains(line) {
                text = text.replace(line, "(secret)");
            }
        }
        text
    }
}

/// Without the end of its last line, which editors and commands put there, and which no password has.
fn without_end(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    value.strip_suffix(b"\r").unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let all = [("db", &b"pa$$\r\n"[..], "1"), ("key", b"-----BEGIN\nabcd1234\n", "2")];
        Secrets::new(all.map(|(name, value, hash)| (name.into(), value.to_vec(), hash.into())))
    }

    #[test]
    fn in_a_text_a_secret_has_no_line_end_and_as_a_file_it_is_whole() {
        let text = Template(vec![
            Part::Text("u:".into()),
            Part::Secret("db".into()),
            Part::Text("@h".into()),
        ]);
        assert_eq!(secrets().join(&text), Ok(b"u:pa$$@h".to_vec()));
        assert_eq!(secrets().join(&Template::whole("db")), Ok(b"pa$$\r\n".to_vec()));
        assert_eq!(secrets().join(&Template::whole("none")), Err("none".to_owned()));
    }

    #[test]
    fn nothing_that_is_shown_holds_a_secret() {
        assert_eq!(secrets().redact("got pa$$ and abcd1234."), "got (secret) and (secret).");
        let shown = format!("{:?}", secrets());
        assert_eq!(shown, "{\"db\", \"key\"}");
    }
}
