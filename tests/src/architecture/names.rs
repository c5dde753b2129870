//! The names of types: one name, one type.

use std::collections::BTreeMap;

/// The words that a definition of a type starts with.
const KEYWORDS: &[&str] = &["struct", "enum", "trait", "type"];

/// Returns the types that the files define at the start of a line, by name, each with the files that define it.
///
/// Associated types and the types of inner modules and functions are indented, and left out.
pub fn defined_types(files: &BTreeMap<String, String>) -> BTreeMap<String, Vec<String>> {
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in files {
        for name in text.lines().filter_map(defined_type) {
            types.entry(name.to_owned()).or_default().push(file.clone());
        }
    }
    types
}

/// Returns the types of more than one definition, each with the files that define it.
pub fn shared_names(types: &BTreeMap<String, Vec<String>>) -> BTreeMap<&str, &[String]> {
    let types = types.iter().map(|(name, files)| (name.as_str(), files.as_slice()));
    types.filter(|(_, files)| files.len() > 1).collect()
}

/// Returns the name of the type that a line defines.
fn defined_type(line: &str) -> Option<&str> {
    let line = without_visibility(line);
    let line = line.strip_prefix("unsafe ").unwrap_or(line);
    let (keyword, rest) = line.split_once(' ')?;
    let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len());
    (KEYWORDS.contains(&keyword) && end > 0).then(|| &rest[..end])
}

fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else { return line };
    if let Some(rest) = rest.strip_prefix(' ') {
        return rest;
    }
    rest.strip_prefix('(').and_then(|rest| rest.split_once(") ")).map_or(line, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{defined_type, defined_types, shared_names};

    #[test]
    fn a_definition_at_the_start_of_a_line_counts() {
        for (line, name) in [
            ("pub struct Plan {", Some("Plan")),
            ("pub(in crate::plan) enum Change<'a> {", Some("Change")),
            ("struct Nothing;", Some("Nothing")),
            ("type Rule = fn(u8);", Some("Rule")),
            ("pub unsafe trait Shared: Send {}", Some("Shared")),
            ("    type Item = u8;", None),
            ("// struct Plan", None),
            ("structure Plan", None),
            ("pub fn plan() {}", None),
        ] {
            assert_eq!(defined_type(line), name, "{line}");
        }
    }

    #[test]
    fn a_name_of_two_types_is_shared() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let files = BTreeMap::from([
            file("a.rs", "struct A;\nstruct B;\n"),
            file("b.rs", "pub enum B {}\nenum C {}\n"),
        ]);
        let types = defined_types(&files);
        let shared: Vec<_> = shared_names(&types).into_iter().collect();
        assert_eq!(shared, [("B", ["a.rs".to_owned(), "b.rs".to_owned()].as_slice())]);
    }
}
