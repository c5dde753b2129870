//! Applying edits to texts.

use std::collections::BTreeMap;

use crate::diagnostic::{Edit, TextChange};
use crate::files::SourceMap;
use crate::span::FileId;

/// Returns the texts of the files that an edit changes; `None` if it does not fit the texts, or changes nothing.
#[must_use]
pub fn apply_edit(edit: &Edit, sources: &SourceMap) -> Option<BTreeMap<FileId, String>> {
    let mut by_file: BTreeMap<FileId, Vec<&TextChange>> = BTreeMap::new();
    for change in &edit.changes {
        by_file.entry(change.span.file).or_default().push(change);
    }
    let mut texts = BTreeMap::new();
    for (file, mut changes) in by_file {
        changes.sort_by_key(|change| (change.span.start, change.span.end));
        let source = &sources.get(file)?.text;
        let mut text = String::with_capacity(source.len());
        let mut done = 0;
        for change in changes {
            let range = change.span.range();
            // A change that overlaps the one before it has no place.
            text.push_str(source.get(done..range.start)?);
            source.get(range.clone())?;
            text.push_str(&change.text);
            done = range.end;
        }
        text.push_str(source.get(done..)?);
        if *text != **source {
            texts.insert(file, text);
        }
    }
    (!texts.is_empty()).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

    fn edit(changes: &[(usize, usize, &str)], file: FileId) -> Edit {
        let changes = changes.iter().map(|(start, end, text)| TextChange {
            span: Span::new(file, *start, *end),
            text: (*text).to_owned(),
        });
        Edit { title: "x".into(), certain: true, changes: changes.collect() }
    }

    #[test]
    fn an_edit_is_applied_as_a_whole_or_not_at_all() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.kdl", "one two thrée");
        for (changes, expected) in [
            (&[(0, 3, "1"), (8, 14, "3")][..], Some("1 two 3")),
            (&[(8, 14, "3"), (0, 3, "1")], Some("1 two 3")),
            (&[(3, 3, ","), (3, 4, "")], Some("one,two thrée")),
            (&[(0, 3, "1"), (2, 5, "no")], None),
            (&[(0, 3, "one")], None),
            (&[(11, 12, "no")], None),
            (&[(8, 99, "no")], None),
        ] {
            let texts = apply_edit(&edit(changes, file), &sources);
            let text = texts.as_ref().and_then(|texts| texts.get(&file)).map(String::as_str);
            assert_eq!(text, expected, "{changes:?}");
        }
    }
}
