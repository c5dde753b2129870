//! Paths of fields, and the origins of their values.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tally_source::OriginId;

/// The path of a field inside its node: `image`, `env.LOG_LEVEL`, `mount."/var/www".read-only`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FieldPath(Vec<Box<str>>);

impl FieldPath {
    /// Returns a path from its segments.
    pub fn new<'a>(segments: impl IntoIterator<Item = &'a str>) -> Self {
        Self(segments.into_iter().map(Into::into).collect())
    }

    /// Returns this path with one more segment.
    #[must_use]
    pub fn child(&self, segment: &str) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment.into());
        Self(segments)
    }

    /// Returns the path without its last segment; `None` for the empty path.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// Returns its segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Returns the first segment; empty for the empty path.
    #[must_use]
    pub fn first(&self) -> &str {
        self.0.first().map(AsRef::as_ref).unwrap_or_default()
    }

    /// Checks whether it has no segment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the text form.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (segment, tail) = match rest.strip_prefix('"').and_then(|r| r.split_once('"')) {
                Some((quoted, tail)) => (quoted, tail.strip_prefix('.').unwrap_or(tail)),
                None => rest.split_once('.').unwrap_or((rest, "")),
            };
            segments.push(segment.into());
            rest = tail;
        }
        Self(segments)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            if segment.contains(['.', '/', ' ', '"']) {
                write!(f, "\"{segment}\"")?
            } else {
                f.write_str(segment)?
            }
        }
        Ok(())
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

/// The origins of the values of one node, by field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Provenance(BTreeMap<FieldPath, OriginId>);

impl Provenance {
    /// Records the origin of a field's value.
    pub fn set(&mut self, path: FieldPath, origin: OriginId) {
        self.0.insert(path, origin);
    }

    /// Returns the origin of a field itself; `None` when it has no value of its own.
    #[must_use]
    pub fn exact(&self, path: &FieldPath) -> Option<OriginId> {
        self.0.get(path).copied()
    }

    /// Returns the origin of a field, or of the nearest node around it.
    #[must_use]
    pub fn of(&self, path: &FieldPath) -> Option<OriginId> {
        let mut path = path.clone();
        loop {
            if let Some(origin) = self.0.get(&path) {
                return Some(*origin);
            }
            path = path.parent()?;
        }
    }

    /// Returns all fields with their origins, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldPath, OriginId)> {
        self.0.iter().map(|(path, origin)| (path, *origin))
    }
}

/// Returns the leaves of a value by path. Lists are leaves (they are replaced whole), `null` is no value.
#[must_use]
pub fn flatten(value: &serde_json::Value) -> BTreeMap<FieldPath, serde_json::Value> {
    let mut leaves = BTreeMap::new();
    collect(value, &FieldPath::default(), &mut leaves);
    leaves
}

fn collect(
    value: &serde_json::Value,
    path: &FieldPath,
    leaves: &mut BTreeMap<FieldPath, serde_json::Value>,
) {
    match value {
        serde_json::Value::Null => {}
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                collect(field, &path.child(name), leaves);
            }
        }
        leaf => {
            leaves.insert(path.clone(), leaf.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_its_text_form() {
        for segments in [vec!["image"], vec!["mount", "/var/x.y", "read-only"], vec!["env", "A.B"]]
        {
            let path = FieldPath::new(segments);
            assert_eq!(FieldPath::parse(&path.to_string()), path);
        }
    }

    #[test]
    fn an_unknown_field_has_the_origin_of_the_node_around_it() {
        let mut provenance = Provenance::default();
        provenance.set(FieldPath::parse("port.http"), OriginId(3));
        assert_eq!(provenance.of(&FieldPath::parse("port.http.publish")), Some(OriginId(3)));
        assert_eq!(provenance.of(&FieldPath::parse("image")), None);
    }
}
