//! Rendering of diagnostics: for people (miette) and for programs (serde).

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode, SourceSpan, ThemeCharacters,
    ThemeStyles,
};
use serde::Serialize;

use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Edit, Label, Severity};
use crate::excerpt::Excerpt;
use crate::files::SourceMap;
use crate::span::{FileId, Span};
use crate::visible::{is_unsafe, visible, visible_up_to};

/// The maximum number of characters of a headline, a label or a title, and of each line of the help.
const MOST_CHARACTERS: usize = 400;

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
            out.push_str(&format!("{} {}\n", diagnostic.code, report.headline));
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
    let json = serde_json::to_string(&JsonDiagnostic::new(diagnostic, sources)).unwrap_or_default();
    if !json.chars().any(is_unsafe) {
        return json;
    }
    // Such characters occur in strings only, and JSON has an escape for each.
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_unsafe(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
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
    headline: String,
    source: Option<LabelledFile>,
    related: Vec<LabelledFile>,
}

/// The lines of one file with their labels.
struct LabelledFile {
    name: String,
    excerpt: Excerpt,
    labels: Vec<LabeledSpan>,
}

impl LabelledFile {
    fn new(diagnostic: &Diagnostic, sources: &SourceMap, file: FileId) -> Option<Self> {
        let labels = diagnostic.labels.iter().enumerate();
        let labels: Vec<(usize, &Label)> =
            labels.filter(|(_, label)| label.span.file == file).collect();
        let spans: Vec<_> = labels.iter().map(|(_, label)| label.span.range()).collect();
        let source = sources.get(file)?;
        let (excerpt, places) = Excerpt::new(source, &spans);
        let labels = labels.iter().zip(places);
        Some(Self {
            name: visible(&source.name).into_owned(),
            excerpt,
            labels: labels.map(|((i, label), place)| labelled(*i == 0, label, place)).collect(),
        })
    }
}

impl<'a> RenderedReport<'a> {
    fn new(diagnostic: &'a Diagnostic, sources: &SourceMap) -> Self {
        let primary = diagnostic.primary().map(|span| span.file);
        let mut others: Vec<FileId> = Vec::new();
        for label in &diagnostic.labels {
            if Some(label.span.file) != primary && !others.contains(&label.span.file) {
                others.push(label.span.file);
            }
        }
        let in_file = |file| LabelledFile::new(diagnostic, sources, file);
        Self {
            diagnostic,
            headline: visible_up_to(&diagnostic.headline, MOST_CHARACTERS),
            source: primary.and_then(in_file),
            related: others.into_iter().filter_map(in_file).collect(),
        }
    }
}

fn labelled(primary: bool, label: &Label, place: std::ops::Range<usize>) -> LabeledSpan {
    let text = (!label.text.is_empty()).then(|| visible_up_to(&label.text, MOST_CHARACTERS));
    let span = SourceSpan::from((place.start, place.len()));
    if primary {
        LabeledSpan::new_primary_with_span(text, span)
    } else {
        LabeledSpan::new_with_span(text, span)
    }
}

impl fmt::Debug for RenderedReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.headline)
    }
}

impl fmt::Display for RenderedReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.headline)
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
            let title = visible_up_to(&edit.title, MOST_CHARACTERS);
            format!("{}: {title}", if edit.certain { "fix" } else { "perhaps" })
        });
        let help = self.diagnostic.help.iter().flat_map(|help| help.lines());
        let help = help.map(|line| visible_up_to(line, MOST_CHARACTERS));
        let lines: Vec<String> = help.chain(fixes).collect();
        (!lines.is_empty()).then(|| Box::new(lines.join("\n")) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| &source.excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let source = self.source.as_ref().filter(|source| !source.labels.is_empty())?;
        Some(Box::new(source.labels.iter().cloned()))
    }

    fn related<'b>(&'b self) -> Option<Box<dyn Iterator<Item = &'b dyn miette::Diagnostic> + 'b>> {
        (!self.related.is_empty()).then(|| {
            let reports = self.related.iter().map(|other| other as &dyn miette::Diagnostic);
            Box::new(reports) as Box<dyn Iterator<Item = _>>
        })
    }
}

impl fmt::Debug for LabelledFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl fmt::Display for LabelledFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "see also {}", self.name)
    }
}

impl std::error::Error for LabelledFile {}

impl miette::Diagnostic for LabelledFile {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
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
    fn a_long_line_is_cut_to_windows_around_its_labels() {
        let long = "é ".repeat(400_000);
        let mut sources = SourceMap::default();
        let file = sources.add("a.kdl", format!("{long}first {long}second {long}\n{long}\n"));
        let text = sources.get(file).map(|file| file.text.clone()).unwrap_or_default();
        let at = |word: &str| {
            let start = text.find(word).unwrap_or_default();
            Span::new(file, start, start + word.len())
        };
        let found = Diagnostic::error(Code(301), format!("no {long}"))
            .label(at("first"), "one")
            .label(at("second"), "two")
            .label(Span::new(file, 0, text.len()), "all")
            .help(long.clone())
            .maybe(long.clone(), at("first"), long.clone());
        let shown = render_people(&[found], &sources, RenderOptions::default());
        assert!(shown.len() < 12_000, "{} bytes", shown.len());
        assert!(shown.contains("a.kdl:1:800001") && shown.contains("second"), "{shown}");
    }

    #[test]
    fn no_text_of_a_spec_controls_the_terminal() {
        let unsafe_text = "\u{1b}]52;c;aGk=\u{7}\u{202e}\u{9b}31m";
        let mut sources = SourceMap::default();
        let name = format!("{unsafe_text}.kdl");
        let file = sources.add(name, format!("{unsafe_text}\r\npod \"{unsafe_text}\" x\r\n"));
        let other = sources.add(unsafe_text, unsafe_text);
        let at = sources.get(file).and_then(|file| file.text.find(" x")).unwrap_or_default() + 1;
        let found = [Diagnostic::error(Code(301), unsafe_text)
            .label(Span::new(file, at, at + 1), unsafe_text)
            .label(Span::new(other, 0, 2), unsafe_text)
            .help(unsafe_text)
            .fix(unsafe_text, Span::new(file, at, at + 1), unsafe_text)];
        let people = render_people(&found, &sources, RenderOptions::default());
        let json = found.iter().map(|found| render_json(found, &sources)).collect::<String>();
        for shown in [&people, &json] {
            assert!(!shown.chars().any(is_unsafe), "{shown:?}");
        }
        assert!(people.contains("pod \"\\u{1b}]52;"), "{people}");
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
