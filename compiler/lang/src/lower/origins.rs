//! The origins of values.

use tally_graph::schema::{FieldRow, KindRow};
use tally_graph::{FieldPath, Provenance};
use tally_source::{Origin, OriginArena, OriginKind, Span};

/// Records the origins of the fields of one node of the graph.
pub(super) struct Notes<'o> {
    pub origins: &'o mut OriginArena,
    pub provenance: Provenance,
}

impl<'o> Notes<'o> {
    pub fn new(origins: &'o mut OriginArena) -> Self {
        Self { origins, provenance: Provenance::default() }
    }

    /// Records a value that is written at the span.
    pub fn written(&mut self, path: &[&str], span: Span) {
        let origin = self.origins.written(span);
        self.provenance.set(FieldPath::new(path.iter().copied()), origin);
    }

    /// Records the default of a row, for the node at the span.
    pub fn default(&mut self, path: &[&str], kind: &KindRow<'_>, row: &FieldRow<'_>, span: Span) {
        let name = format!("{}.{}", kind.key, row.word);
        let origin =
            self.origins.add(Origin { kind: OriginKind::Default(name), span, parent: None });
        self.provenance.set(FieldPath::new(path.iter().copied()), origin);
    }

    /// Records the written value of a field, or its default if it has one.
    pub fn field(&mut self, path: &[&str], object: &crate::decode::Object<'_>, word: &str) {
        match object.get(word) {
            Some(field) => self.written(path, field.span),
            None => {
                let row = object.kind.field(word).filter(|row| row.default.is_some());
                if let Some(row) = row {
                    self.default(path, object.kind, row, object.title_span);
                }
            }
        }
    }
}
