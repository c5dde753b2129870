//! The values of secrets, inserted at the last moment, and redacted everywhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tally_graph::Template;
use tally_reconcile::plan::request::{ContainerRequest, EnvValue, Hidden};

/// Minimum length of a line of a secret that is redacted. Shorter lines would match everywhere.
const MIN_REDACTED: usize = 4;

/// The values of secrets by name, with their keyed hashes. They are never printed or serialized.
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
    /// Returns the secrets: name, value and keyed hash of each.
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

    /// Returns the keyed hashes by name, which planning may use.
    #[must_use]
    pub fn hashes(&self) -> &BTreeMap<String, String> {
        &self.hashes
    }

    /// Fills in a template. The error is the name of a secret that was not read.
    pub(crate) fn join(&self, template: &Template) -> Result<Vec<u8>, String> {
        template.fill(0, &|name| self.value(name))
    }

    fn value(&self, name: &str) -> Result<&[u8], String> {
        self.values.get(name).map(Vec::as_slice).ok_or_else(|| name.to_owned())
    }

    /// Returns the request with the secrets of its environment filled in.
    pub(crate) fn joined(&self, request: &ContainerRequest) -> Result<ContainerRequest, String> {
        let mut joined = request.clone();
        for value in joined.env.values_mut() {
            let template = value.template();
            if template.plain().is_none() {
                let text = String::from_utf8_lossy(&self.join(template)?).into_owned();
                *value = EnvValue::Filled(template.clone(), Hidden::new(text));
            }
        }
        Ok(joined)
    }

    /// Removes the values of the secrets from a text: a daemon may quote a request, and a program may print its
    /// environment.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let lines = self.values.values().flat_map(|value| value.split(|byte| *byte == b'\n'));
        let mut lines: Vec<&str> = lines
            .filter_map(|line| std::str::from_utf8(line).ok())
            .map(str::trim)
            .filter(|line| line.len() >= MIN_REDACTED)
            .collect();
        // The longest first, because one may be a part of another.
        lines.sort_unstable_by_key(|line| std::cmp::Reverse(line.len()));
        for line in lines {
            if text.contains(line) {
                text = text.replace(line, "(secret)");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use tally_graph::{PartKind, TemplatePart};

    use super::*;

    fn secrets() -> Secrets {
        let all = [("db", &b"pa$$\r\n"[..], "1"), ("key", b"-----BEGIN\nabcd1234\n", "2")];
        Secrets::new(all.map(|(name, value, hash)| (name.into(), value.to_vec(), hash.into())))
    }

    #[test]
    fn in_a_text_a_secret_has_no_line_end_and_as_a_file_it_is_whole() {
        let parts = [
            PartKind::Text("u:".into()),
            PartKind::Secret("db".into()),
            PartKind::Text("@h".into()),
        ];
        let text = Template::Parts(parts.map(TemplatePart::new).into());
        assert_eq!(secrets().join(&text), Ok(b"u:pa$$@h".to_vec()));
        assert_eq!(secrets().join(&Template::whole_secret("db", None)), Ok(b"pa$$\r\n".to_vec()));
        assert_eq!(secrets().join(&Template::whole_secret("none", None)), Err("none".to_owned()));
    }

    #[test]
    fn nothing_that_is_shown_holds_a_secret() {
        assert_eq!(secrets().redact("got pa$$ and abcd1234."), "got (secret) and (secret).");
        let shown = format!("{:?}", secrets());
        assert_eq!(shown, "{\"db\", \"key\"}");
    }
}
