//! Texts with holes that are filled when a spec is applied.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tally_source::Span;

use crate::hash::sha256;

/// A text, or a text with holes that are filled when the spec is applied.
///
/// Two templates are equal if they give the same text; where they are written does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// A text without holes.
    Plain(String),
    /// The parts of a text with holes, in order.
    Parts(Vec<TemplatePart>),
}

/// A part of a text, and where it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplatePart {
    /// The kind of the part.
    pub kind: PartKind,
    /// Where it is written; `None` in a graph that was read back.
    #[serde(skip)]
    pub span: Option<Span>,
}

/// The kinds of parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// Characters as they are.
    Text(String),
    /// The number of the replica.
    Ordinal,
    /// The value of a secret as a part of a text: without the line break at its end.
    Secret(String),
    /// The value of a secret, byte for byte.
    #[serde(rename = "whole")]
    WholeSecret(String),
    /// A function applied to a text.
    Call {
        /// The function.
        function: Function,
        /// Its argument.
        argument: Box<Template>,
    },
}

/// The functions that can be applied to texts with holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Function {
    /// Percent-encoding, as in the parts of an URL.
    Urlencode,
    /// Base64 with padding.
    Base64,
}

impl PartialEq for TemplatePart {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for TemplatePart {}

impl TemplatePart {
    /// Returns a part that is written nowhere.
    #[must_use]
    pub fn new(kind: PartKind) -> Self {
        Self { kind, span: None }
    }

    /// Returns a part that is written at the span.
    #[must_use]
    pub fn at(kind: PartKind, span: Span) -> Self {
        Self { kind, span: Some(span) }
    }
}

impl Default for Template {
    fn default() -> Self {
        Template::Plain(String::new())
    }
}

impl From<String> for Template {
    fn from(text: String) -> Self {
        Template::Plain(text)
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Template::Plain(text.to_owned())
    }
}

impl Template {
    /// Returns the value of one secret, byte for byte.
    #[must_use]
    pub fn whole_secret(name: &str, span: Option<Span>) -> Self {
        Template::Parts(vec![TemplatePart { kind: PartKind::WholeSecret(name.to_owned()), span }])
    }

    /// Returns the text if there are no holes.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self {
            Template::Plain(text) => Some(text),
            Template::Parts(_) => None,
        }
    }

    /// Returns the uses of secrets in written order, each with its place.
    #[must_use]
    pub fn secret_uses(&self) -> Vec<(&str, Option<Span>)> {
        let Template::Parts(parts) = self else { return Vec::new() };
        let mut uses = Vec::new();
        for part in parts {
            match &part.kind {
                PartKind::Secret(name) | PartKind::WholeSecret(name) => {
                    uses.push((name.as_str(), part.span));
                }
                PartKind::Call { argument, .. } => uses.extend(argument.secret_uses()),
                PartKind::Text(_) | PartKind::Ordinal => {}
            }
        }
        uses
    }

    /// Returns the names of its secrets, each once, sorted.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&str> {
        self.secret_uses().into_iter().map(|(name, _)| name).collect()
    }

    /// Returns a hash that differs if the content differs: it covers the text and the keyed hashes of
    /// its secrets, never their values. `None` if a secret's hash is not known.
    #[must_use]
    pub fn keyed(&self, hashes: &BTreeMap<String, String>) -> Option<String> {
        let mut all = Vec::new();
        for name in self.secrets() {
            all.push((name, hashes.get(name)?.as_str()));
        }
        Some(sha256(&serde_json::to_vec(&(self, all)).unwrap_or_default()))
    }

    /// Fills the holes. `secret` returns the value of a secret by its name, `ordinal` is the number of
    /// the replica.
    ///
    /// # Errors
    /// The error of `secret`.
    pub fn fill<'v, E>(
        &self,
        ordinal: u32,
        secret: &dyn Fn(&str) -> Result<&'v [u8], E>,
    ) -> Result<Vec<u8>, E> {
        let parts = match self {
            Template::Plain(text) => return Ok(text.as_bytes().to_vec()),
            Template::Parts(parts) => parts,
        };
        let mut out = Vec::new();
        for part in parts {
            match &part.kind {
                PartKind::Text(text) => out.extend_from_slice(text.as_bytes()),
                PartKind::Ordinal => out.extend_from_slice(ordinal.to_string().as_bytes()),
                PartKind::Secret(name) => out.extend_from_slice(without_line_end(secret(name)?)),
                PartKind::WholeSecret(name) => out.extend_from_slice(secret(name)?),
                PartKind::Call { function, argument } => {
                    let argument = argument.fill(ordinal, secret)?;
                    out.extend_from_slice(function.apply(&argument).as_bytes());
                }
            }
        }
        Ok(out)
    }
}

/// Removes the line break at the end, which editors and commands add, and which no password has.
fn without_line_end(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    value.strip_suffix(b"\r").unwrap_or(value)
}

impl Function {
    /// Returns the word that people write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Function::Urlencode => "urlencode",
            Function::Base64 => "base64",
        }
    }

    fn apply(self, bytes: &[u8]) -> String {
        use base64::Engine as _;
        match self {
            Function::Base64 => base64::engine::general_purpose::STANDARD.encode(bytes),
            Function::Urlencode => {
                let mut out = String::with_capacity(bytes.len());
                for byte in bytes {
                    if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                        out.push(char::from(*byte));
                    } else {
                        out.push_str(&format!("%{byte:02X}"));
                    }
                }
                out
            }
        }
    }
}

impl fmt::Display for Template {
    /// Writes it as in a spec.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = match self {
            Template::Plain(text) => return f.write_str(&text.replace("${", "$${")),
            Template::Parts(parts) => parts,
        };
        for part in parts {
            match &part.kind {
                PartKind::Text(text) => f.write_str(&text.replace("${", "$${"))?,
                PartKind::Ordinal => f.write_str("${ordinal}")?,
                PartKind::Secret(name) | PartKind::WholeSecret(name) => {
                    write!(f, "${{secret.{name}}}")?;
                }
                PartKind::Call { function, argument } => {
                    write!(f, "${{{}({argument})}}", function.word())?;
                }
            }
        }
        Ok(())
    }
}

impl Serialize for Template {
    /// Writes a list of parts: one part for a text without holes, none for an empty text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Template::Plain(text) if text.is_empty() => {
                serializer.collect_seq(std::iter::empty::<TemplatePart>())
            }
            Template::Plain(text) => {
                serializer.collect_seq([TemplatePart::new(PartKind::Text(text.clone()))])
            }
            Template::Parts(parts) => parts.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = Vec::<TemplatePart>::deserialize(deserializer)?;
        Ok(match parts.as_slice() {
            [] => Template::default(),
            [TemplatePart { kind: PartKind::Text(text), .. }] => Template::Plain(text.clone()),
            _ => Template::Parts(parts),
        })
    }
}

/// Environment variables in their serialized form: texts without holes in one map, texts with holes in
/// another.
pub mod env_form {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Template;

    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Written<'t> {
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<&'t str, &'t str>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        secret_env: BTreeMap<&'t str, &'t Template>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Read {
        #[serde(default)]
        env: BTreeMap<String, String>,
        #[serde(default)]
        secret_env: BTreeMap<String, Template>,
    }

    /// Writes the two maps.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        all: &BTreeMap<String, Template>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut written = Written { env: BTreeMap::new(), secret_env: BTreeMap::new() };
        for (key, template) in all {
            if let Some(text) = template.plain() {
                written.env.insert(key, text);
            } else {
                written.secret_env.insert(key, template);
            }
        }
        written.serialize(serializer)
    }

    /// Reads the two maps.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Template>, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let plain = read.env.into_iter().map(|(key, text)| (key, Template::Plain(text)));
        Ok(plain.chain(read.secret_env).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> TemplatePart {
        TemplatePart::new(PartKind::Text(text.into()))
    }

    fn secret(name: &str) -> TemplatePart {
        TemplatePart::new(PartKind::Secret(name.into()))
    }

    #[test]
    fn keyed_hashes_differ_by_text_and_by_secret() {
        let template = |start: &str| Template::Parts(vec![text(start), secret("db")]);
        let hashes = |hash: &str| BTreeMap::from([("db".to_owned(), hash.to_owned())]);
        let first = template("a").keyed(&hashes("1"));
        assert!(first.is_some());
        assert_eq!(first, template("a").keyed(&hashes("1")));
        assert_ne!(first, template("b").keyed(&hashes("1")));
        assert_ne!(first, template("a").keyed(&hashes("2")));
        assert_eq!(template("a").keyed(&BTreeMap::new()), None, "an unknown secret is not guessed");
        assert_eq!(template("${").to_string(), "$${${secret.db}");
    }

    #[test]
    fn the_serialized_form_is_a_list_of_parts_without_spans() {
        let file = tally_source::FileId(0);
        let part = TemplatePart::at(PartKind::Secret("db".into()), Span::new(file, 3, 7));
        let template = Template::Parts(vec![text("u:"), part, text("@h")]);
        let json = serde_json::to_string(&template).unwrap_or_default();
        assert_eq!(json, r#"[{"text":"u:"},{"secret":"db"},{"text":"@h"}]"#);
        assert_eq!(serde_json::from_str::<Template>(&json).ok(), Some(template));
        let whole = Template::whole_secret("db", None);
        assert_eq!(serde_json::to_string(&whole).ok().as_deref(), Some(r#"[{"whole":"db"}]"#));
    }

    #[test]
    fn all_holes_are_filled() {
        let inner = Template::Parts(vec![secret("db")]);
        let call = PartKind::Call { function: Function::Urlencode, argument: Box::new(inner) };
        let template = Template::Parts(vec![
            text("web-"),
            TemplatePart::new(PartKind::Ordinal),
            text(" "),
            TemplatePart::new(call),
        ]);
        let value = |_: &str| Ok::<&[u8], ()>(b"a/b\n");
        assert_eq!(template.fill(2, &value), Ok(b"web-2 a%2Fb".to_vec()));
        assert_eq!(template.to_string(), "web-${ordinal} ${urlencode(${secret.db})}");
        assert_eq!(Function::Base64.apply(b"a/b"), "YS9i");
        assert_eq!(template.secrets(), BTreeSet::from(["db"]));
    }
}
