//! Rendering of diagnostics: for people (miette) and for programs (serde).

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};
use serde::Serialize;

use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Edit, Label, Severity};
use crate::files::{SourceFile, SourceMap};
use crate::span::{FileId, Span};

/// Which characters and colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// ASCII, no colour.
    Plain,
    /// Box drawing, no colour.
    Unicode,
    /// Box drawing and colours.
    Colour,
}

/// How reports are laid out.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions {
    /// Columns of the terminal.
    pub width: usize,
    /// Characters and colours.
    pub theme: Theme,
    /// The maximum number of diagnostics that are shown; the others are counted.
    pub most: usize,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { width: 100, theme: Theme::Unicode, most: 20 }
    }
}

/// Returns all diagnostics as text for people, then one line with the number of those not shown.
#[must_use]
pub fn render_people(
    diagnostics: &[Diagnostic],
    sources: &SourceMap,
    options: RenderOptions,
) -> String {
    let theme = match options.theme {
        Theme::Plain => {
            GraphicalTheme { characters: ThemeCharacters::ascii(), styles: ThemeStyles::none() }
        }
        Theme::Unicode => GraphicalTheme::unicode_nocolor(),
        Theme::Colour => {
            GraphicalTheme { characters: ThemeCharacters::unicode(), styles: ThemeStyles::ansi() }
        }
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(options.width.max(40))
        .with_links(false)
        .with_context_lines(1);
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(options.most) {
        let report = RenderedReport::new(diagnostic, sources);
        // Writing into a String cannot fail; a label outside its file would, and is then left out.
        if handler.render_report(&mut out, &report).is_err() {
            out.push_str(&format!("{} {}\n", diagnostic.code, diagnostic.headline));
        }
        out.push('\n');
    }
    let hidden = diagnostics.len().saturating_sub(options.most);
    if hidden > 0 {
        out.push_str(&format!("and {hidden} more\n"));
    }
    out
}

/// Returns one diagnostic as one JSON object on one line: `{code, severity, headline, labels, help,
/// edits}`; lines and columns count from 1, ends are exclusive, columns are characters.
#[must_use]
pub fn render_json(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    serde_json::to_string(&JsonDiagnostic::new(diagnostic, sources)).unwrap_or_default()
}

/// The machine-readable form of a diagnostic.
#[derive(Debug, Clone, Serialize)]
pub struct JsonDiagnostic {
    code: Code,
    severity: Severity,
    headline: String,
    labels: Vec<JsonLabel>,
    help: Option<String>,
    edits: Vec<JsonEdit>,
}

#[derive(Debug, Clone, Serialize)]
struct JsonPlace {
    file: String,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Debug, Clone, Serialize)]
struct JsonLabel {
    #[serde(flatten)]
    place: JsonPlace,
    primary: bool,
    text: String,
}

#[derive(Debug, Clone, Serialize)]
struct JsonEdit {
    title: String,
    certain: bool,
    changes: Vec<JsonTextChange>,
}

#[derive(Debug, Clone, Serialize)]
struct JsonTextChange {
    #[serde(flatten)]
    place: JsonPlace,
    text: String,
}

impl JsonDiagnostic {
    /// Converts byte offsets into lines and columns.
    #[must_use]
    pub fn new(diagnostic: &Diagnostic, sources: &SourceMap) -> Self {
        let place = |span: Span| {
            let file = sources.get(span.file);
            let at = |offset: u32| file.map(|file| file.position(offset as usize));
            let (start, end) = (at(span.start), at(span.end));
            JsonPlace {
                file: file.map(|file| file.name.clone()).unwrap_or_default(),
                line: start.map_or(0, |at| at.line),
                column: start.map_or(0, |at| at.column),
                end_line: end.map_or(0, |at| at.line),
                end_column: end.map_or(0, |at| at.column),
            }
        };
        let edit = |edit: &Edit| JsonEdit {
            title: edit.title.clone(),
            certain: edit.certain,
            changes: edit
                .changes
                .iter()
                .map(|change| JsonTextChange {
                    place: place(change.span),
                    text: change.text.clone(),
                })
                .collect(),
        };
        Self {
            code: diagnostic.code,
            severity: diagnostic.severity,
            headline: diagnostic.headline.clone(),
            labels: diagnostic
                .labels
                .iter()
                .enumerate()
                .map(|(i, label)| JsonLabel {
                    place: place(label.span),
                    primary: i == 0,
                    text: label.text.clone(),
                })
                .collect(),
            help: diagnostic.help.clone(),
            edits: diagnostic.edits.iter().map(edit).collect(),
        }
    }
}

/// A diagnostic in miette's form: labels of the primary file here, those of each other file as a
/// related report (a miette diagnostic can label one source only).
struct RenderedReport<'a> {
    diagnostic: &'a Diagnostic,
    source: Option<IndexedSource<'a>>,
    labels: Vec<LabeledSpan>,
    related: Vec<OtherFile<'a>>,
}

struct OtherFile<'a> {
    source: IndexedSource<'a>,
    labels: Vec<LabeledSpan>,
}

impl<'a> RenderedReport<'a> {
    fn new(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Self {
        let primary = diagnostic.primary().map(|span| span.file);
        let in_file = |file: FileId| {
            let labels = diagnostic.labels.iter().enumerate();
            labels
                .filter(|(_, label)| label.span.file == file)
                .map(|(i, label)| labelled(i == 0, label))
                .collect::<Vec<_>>()
        };
        let mut others: Vec<FileId> = Vec::new();
        for label in &diagnostic.labels {
            if Some(label.span.file) != primary && !others.contains(&label.span.file) {
                others.push(label.span.file);
            }
        }
        let related = others.into_iter().filter_map(|file| {
            Some(OtherFile { source: IndexedSource(sources.get(file)?), labels: in_file(file) })
        });
        Self {
            diagnostic,
            source: primary.and_then(|file| sources.get(file)).map(IndexedSource),
            labels: primary.map(in_file).unwrap_or_default(),
            related: related.collect(),
        }
    }
}

fn labelled(primary: bool, label: &Label) -> LabeledSpan {
    let text = (!label.text.is_empty()).then(|| label.text.clone());
    let span = SourceSpan::from((label.span.start as usize, label.span.len()));
    if primary {
        LabeledSpan::new_primary_with_span(text, span)
    } else {
        LabeledSpan::new_with_span(text, span)
    }
}

impl fmt::Debug for RenderedReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.diagnostic.headline)
    }
}

impl fmt::Display for RenderedReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.diagnostic.headline)
    }
}

impl std::error::Error for RenderedReport<'_> {}

impl miette::Diagnostic for RenderedReport<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        let fixes = self.diagnostic.edits.iter().map(|edit| {
            if edit.certain {
                format!("fix: {}", edit.title)
            } else {
                format!("perhaps: {}", edit.title)
            }
        });
        let lines: Vec<String> = self.diagnostic.help.iter().cloned().chain(fixes).collect();
        (!lines.is_empty()).then(|| Box::new(lines.join("\n")) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = _>>)
    }

    fn related<'b>(&'b self) -> Option<Box<dyn Iterator<Item = &'b dyn miette::Diagnostic> + 'b>> {
        (!self.related.is_empty()).then(|| {
            let reports = self.related.iter().map(|other| other as &dyn miette::Diagnostic);
            Box::new(reports) as Box<dyn Iterator<Item = _>>
        })
    }
}

impl fmt::Debug for OtherFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source.0.name)
    }
}

impl fmt::Display for OtherFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "see also {}", self.source.0.name)
    }
}

impl std::error::Error for OtherFile<'_> {}

impl miette::Diagnostic for OtherFile<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// A source that finds lines by its index; miette's own scans the file from byte 0 for each label.
struct IndexedSource<'a>(&'a SourceFile);

impl SourceCode for IndexedSource<'_> {
    fn read_span<'b>(
        &'b self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let file = self.0;
        let starts = file.line_starts();
        let line_of = |offset: usize| {
            starts.partition_point(|start| *start as usize <= offset).saturating_sub(1)
        };
        let end = span.offset() + span.len();
        if end > file.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let first = line_of(span.offset()).saturating_sub(lines_before);
        // A span that ends with its line's break belongs to that line, not to the next one.
        let last = line_of(if span.is_empty() { end } else { end - 1 }) + lines_after;
        let start = starts.get(first).map_or(0, |start| *start as usize);
        let stop = starts.get(last + 1).map_or(file.text.len(), |next| *next as usize);
        let data = file.text.as_bytes().get(start..stop).ok_or(MietteError::OutOfBounds)?;
        let column = file.position(span.offset()).column as usize - 1;
        Ok(Box::new(MietteSpanContents::new_named(
            file.name.clone(),
            data,
            SourceSpan::from((start, stop - start)),
            first,
            if lines_before == 0 { column } else { 0 },
            last - first + 1,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<Diagnostic>, SourceMap) {
        let mut sources = SourceMap::default();
        let a = sources.add("tally.kdl", "cluster shop\npod a {\n    image 512m\n}\n");
        let b = sources.add("b.kdl", "pod a\n");
        let found = Diagnostic::error(Code(301), "`a` is written twice")
            .label(Span::new(a, 17, 18), "the second")
            .label(Span::new(b, 4, 5), "the first")
            .help("Give one of them another name.")
            .maybe("write `pod a-2`", Span::new(a, 17, 18), "a-2");
        (vec![found], sources)
    }

    #[test]
    fn labels_in_two_files_are_both_shown() {
        let (found, sources) = sample();
        let text = render_people(&found, &sources, RenderOptions::default());
        for part in ["E0301", "tally.kdl:2:5", "the second", "b.kdl:1:5", "the first", "perhaps:"] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }

    #[test]
    fn json_counts_lines_and_columns_from_one() {
        let (found, sources) = sample();
        let json = found.iter().map(|d| render_json(d, &sources)).collect::<String>();
        assert!(
            json.contains(r#""file":"tally.kdl","line":2,"column":5,"end_line":2,"end_column":6"#),
            "{json}"
        );
    }
}
