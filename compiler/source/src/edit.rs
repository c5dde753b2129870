//! Applying edits to texts.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, TextChange};
use crate::files::SourceMap;
use crate::span::FileId;

/// Returns the texts of the files that change when all certain edits are applied, and how many edits that
/// were. An edit that overlaps an applied one is left out: a second run finds it again.
#[must_use]
pub fn apply_certain_edits(
    diagnostics: &[Diagnostic],
    sources: &SourceMap,
) -> (BTreeMap<FileId, String>, usize) {
    let mut taken: BTreeMap<FileId, Vec<&TextChange>> = BTreeMap::new();
    let mut applied = 0;
    for diagnostic in diagnostics {
        // Of several ways out one is enough; two certain ones would contradict each other.
        let Some(edit) = diagnostic.edits.iter().find(|edit| edit.certain) else { continue };
        let free = edit.changes.iter().all(|change| {
            let others = taken.get(&change.span.file);
            others.is_none_or(|others| others.iter().all(|other| !overlaps(change, other)))
        });
        if free {
            applied += 1;
            for change in &edit.changes {
                taken.entry(change.span.file).or_default().push(change);
            }
        }
    }
    let mut texts = BTreeMap::new();
    for (file, mut changes) in taken {
        let Some(source) = sources.get(file) else { continue };
        changes.sort_by_key(|change| std::cmp::Reverse((change.span.start, change.span.end)));
        let mut text = source.text.to_string();
        for change in changes {
            let range = change.span.range();
            if text.get(range.clone()).is_some() {
                text.replace_range(range, &change.text);
            }
        }
        texts.insert(file, text);
    }
    (texts, applied)
}

fn overlaps(a: &TextChange, b: &TextChange) -> bool {
    a.span.start < b.span.end && b.span.start < a.span.end || a.span.start == b.span.start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::Code;
    use crate::span::Span;

    #[test]
    fn overlapping_and_uncertain_edits_are_left_out() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.kdl", "one two three");
        let at = |start, end| Span::new(file, start, end);
        let found = [
            Diagnostic::error(Code(301), "x").fix("a", at(0, 3), "1"),
            Diagnostic::error(Code(301), "x").fix("b", at(2, 5), "no"),
            Diagnostic::error(Code(301), "x").maybe("c", at(4, 7), "no"),
            Diagnostic::error(Code(301), "x").fix("d", at(8, 13), "3"),
        ];
        let (texts, applied) = apply_certain_edits(&found, &sources);
        assert_eq!(applied, 2);
        assert_eq!(texts.get(&file).map(String::as_str), Some("1 two 3"));
    }
}
