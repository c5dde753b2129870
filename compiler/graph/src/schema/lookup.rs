//! Finding kinds and fields in the table.

use super::rows::{FieldRow, KindRow};
use super::table;

/// Returns every kind, in the order of the reference. The first is the spec itself: the top of a
/// file.
pub fn kinds() -> impl Iterator<Item = &'static KindRow<'static>> {
    table::KINDS.iter().copied()
}

/// Returns the kind of that key (`"container"`, `"pod volume"`).
#[must_use]
pub fn kind(key: &str) -> Option<&'static KindRow<'static>> {
    kinds().find(|kind| kind.key == key)
}

/// Returns the field `word` of the kind `key`.
#[must_use]
pub fn field(key: &str, word: &str) -> Option<&'static FieldRow<'static>> {
    kind(key)?.field(word)
}

/// Returns the default of a field.
#[must_use]
pub fn default_of(key: &str, word: &str) -> Option<&'static str> {
    field(key, word)?.default
}
