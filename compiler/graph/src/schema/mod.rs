//! The schema: every kind and field of the language, in one table.
//!
//! It drives decoding, validation, suggestions, defaults, the generated reference, and the update
//! class of every field. A new field starts here, as one row of [`table`](self).

mod containers;
mod examples;
mod lookup;
mod reference;
mod rows;
mod table;
mod workloads;

pub use examples::{Example, examples};
pub use lookup::{default_of, field, kind, kinds};
pub use reference::reference_pages;
pub use rows::{FieldRow, Form, KindRow, Naming, Step, UpdateClass, ValueType};

use crate::field_path::FieldPath;

/// The time a container must have run to be ready if its readiness has no action: the
/// default of `delay` there.
pub const RUNNING_DELAY: &str = containers::RUNNING_DELAY;

/// Returns the update class of a field of a container or of its pod.
///
/// Segments are words of the language; the names inside maps and of named things (`env.LOG_LEVEL`,
/// `port.http.publish`) are skipped. A path below a row (`readiness.http.path`) has the
/// class of that row.
#[must_use]
pub fn update_class(path: &FieldPath) -> UpdateClass {
    let mut segments = path.segments();
    let first = segments.next().unwrap_or_default();
    let rows = ["container", "controller"].into_iter().filter_map(|key| field(key, first));
    // A word of this version takes precedence over one of a later version (a container's `depends-on`).
    let found = rows.min_by_key(|row| row.step == Step::Language);
    let Some(mut row) = found else { return UpdateClass::RecreateContainer };
    loop {
        let key = match row.form {
            Form::Block(key) => key,
            Form::Child(key) => {
                if segments.next().is_none() {
                    return row.class;
                }
                key
            }
            _ => return row.class,
        };
        let Some(next) = segments.next().and_then(|word| kind(key)?.field_of_data(word)) else {
            return row.class;
        };
        row = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_the_class_of_its_row() {
        for (path, class) in [
            ("image", UpdateClass::RecreateContainer),
            ("env.LOG_LEVEL", UpdateClass::RecreateContainer),
            ("port.http", UpdateClass::RecreatePod),
            ("port.http.number", UpdateClass::RecreatePod),
            ("port.http.publish", UpdateClass::RecreatePod),
            ("mount.\"/x\".read-only", UpdateClass::RecreateContainer),
            ("readiness.every", UpdateClass::RecreateContainer),
            ("readiness.http.path", UpdateClass::RecreateContainer),
            ("liveness.every", UpdateClass::Nothing),
            ("stop.signal", UpdateClass::RecreateContainer),
            ("stop.grace", UpdateClass::Nothing),
            ("resources.memory", UpdateClass::Live),
            ("restart", UpdateClass::Live),
            ("label.app", UpdateClass::RecreateContainer),
            ("volume.cache.host-path", UpdateClass::RecreateContainer),
            ("replicas", UpdateClass::Nothing),
            ("update.max-unavailable", UpdateClass::Nothing),
            ("place.require", UpdateClass::Nothing),
            ("depends-on", UpdateClass::Nothing),
            ("pull", UpdateClass::Nothing),
            ("hostname", UpdateClass::RecreatePod),
            ("network", UpdateClass::RecreatePod),
            ("file.\"/etc/x\".content", UpdateClass::Restart),
            ("file.\"/etc/x\".mode", UpdateClass::Restart),
            ("file.\"/etc/x\".on-change", UpdateClass::Nothing),
            ("entrypoint", UpdateClass::RecreateContainer),
            ("ulimit.nofile.soft", UpdateClass::RecreateContainer),
        ] {
            assert_eq!(update_class(&FieldPath::parse(path)), class, "{path}");
        }
    }

    #[test]
    fn every_inner_kind_exists_and_keys_and_words_are_unique() {
        let mut keys = std::collections::BTreeSet::new();
        for kind in kinds() {
            assert!(keys.insert(kind.key), "{} twice", kind.key);
            let mut words = std::collections::BTreeSet::new();
            for row in kind.fields {
                assert!(words.insert(row.word), "{}.{} twice", kind.key, row.word);
                if let Form::Block(inner) | Form::Child(inner) = row.form {
                    assert!(super::kind(inner).is_some(), "no kind {inner}");
                }
                if row.step != Step::Language {
                    assert!(!row.example.is_empty(), "{}.{} has no example", kind.key, row.word);
                    assert_ne!(row.example, row.changed, "{}.{}", kind.key, row.word);
                }
            }
        }
    }
}
