//! The files of a spec, and the conversion of offsets into lines and columns.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::span::{FileId, Span};
use crate::visible::visible;

/// A location as people count: both from 1; a column is a character, a tab is one,
/// a byte-order mark none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// One file of a spec.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceFile {
    /// The path as it is shown to people, relative to the folder of the first file.
    pub name: String,
    /// The whole text, byte-order mark included.
    pub text: Arc<str>,
    #[serde(skip)]
    line_starts: OnceLock<Vec<u32>>,
}

impl SourceFile {
    /// Returns a file named `name` that holds `text`.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into(), line_starts: OnceLock::new() }
    }

    /// Returns the byte offsets at which lines start; the first is always 0.
    #[must_use]
    pub fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0)
                .chain(ends.map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX)))
                .collect()
        })
    }

    /// Returns the line and column of a byte offset; offsets inside a character count as that character.
    #[must_use]
    pub fn position(&self, offset: usize) -> LineColumn {
        let offset = offset.min(self.text.len());
        let starts = self.line_starts();
        let line = starts.partition_point(|start| *start as usize <= offset).max(1);
        let start = starts.get(line - 1).copied().unwrap_or(0) as usize;
        let before = self.text.get(start..offset).unwrap_or_default();
        let column = before.chars().filter(|c| *c != '\u{feff}').count() + 1;
        LineColumn {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    /// Returns the text of line `line` (from 1), without its line break.
    #[must_use]
    pub fn line_text(&self, line: u32) -> &str {
        let starts = self.line_starts();
        let index = (line.max(1) - 1) as usize;
        let Some(start) = starts.get(index) else { return "" };
        let end = starts.get(index + 1).map_or(self.text.len(), |next| *next as usize);
        let text = self.text.get(*start as usize..end).unwrap_or_default();
        text.trim_end_matches(['\n', '\r']).trim_start_matches('\u{feff}')
    }
}

/// All files of one compilation, by number.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Adds a file and returns its number.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile::new(name, text));
        id
    }

    /// Puts a folder before all names, so that people can open them from where they are.
    pub fn prefix_names(&mut self, folder: &str) {
        for file in &mut self.files {
            file.name = format!("{folder}/{}", file.name);
        }
    }

    /// Returns the file with that number.
    #[must_use]
    pub fn get(&self, file: FileId) -> Option<&SourceFile> {
        self.files.get(file.0 as usize)
    }

    /// Returns all files in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files
            .iter()
            .enumerate()
            .map(|(i, f)| (FileId(u32::try_from(i).unwrap_or(u32::MAX)), f))
    }

    /// Returns the characters a span covers; empty when the span lies outside its file.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file).and_then(|file| file.text.get(span.range())).unwrap_or_default()
    }

    /// `file:line:column` of a span's start, as shown to people.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        match self.get(span.file) {
            Some(file) => {
                let at = file.position(span.start as usize);
                format!("{}:{}:{}", visible(&file.name), at.line, at.column)
            }
            None => "?".to_owned(),
        }
    }

    /// `file:line` of a span's start, the short form plan lines use.
    #[must_use]
    pub fn line_place(&self, span: Span) -> String {
        match self.get(span.file) {
            Some(file) => {
                format!("{}:{}", visible(&file.name), file.position(span.start as usize).line)
            }
            None => "?".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_no_byte_order_mark() {
        let file = SourceFile::new("a.kdl", "\u{feff}pod é x\r\n\tb");
        let at = |needle: &str| file.position(file.text.find(needle).unwrap_or_default());
        assert_eq!(at("pod"), LineColumn { line: 1, column: 1 });
        assert_eq!(at("x"), LineColumn { line: 1, column: 7 });
        assert_eq!(at("b"), LineColumn { line: 2, column: 2 });
        assert_eq!(file.line_text(1), "pod é x");
        assert_eq!(file.position(usize::MAX), LineColumn { line: 2, column: 3 });
    }
}
