//! A diagnostic: one mistake, where it is, and the way out.

use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::span::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is planned from a spec that has one.
    Error,
    /// The spec holds; something in it is likely not meant.
    Warning,
}

/// A place that a diagnostic shows, with what to read there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The exact characters.
    pub span: Span,
    /// What stands under them; may be empty.
    pub text: String,
}

/// One replacement of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextChange {
    /// What is replaced; empty to insert.
    pub span: Span,
    /// What stands there afterwards.
    pub text: String,
}

/// A way out that a machine can take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// One line that says what it does, such as ``write `image "nginx:1.27"` ``.
    pub title: String,
    /// Whether it is surely what was meant: `check --fix` applies only these.
    pub certain: bool,
    /// The replacements; they do not overlap.
    pub changes: Vec<TextChange>,
}

/// One mistake. The first label is the primary one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One line that can stand alone.
    pub headline: String,
    /// The places it shows, the primary one first; empty when no text is to blame.
    pub labels: Vec<Label>,
    /// What to do, in sentences.
    pub help: Option<String>,
    /// Ways out.
    pub edits: Vec<Edit>,
}

impl Diagnostic {
    /// An error with no label yet.
    pub fn error(code: Code, headline: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            headline: headline.into(),
            labels: Vec::new(),
            help: None,
            edits: Vec::new(),
        }
    }

    /// A warning with no label yet.
    pub fn warning(code: Code, headline: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, headline) }
    }

    /// Adds a label; the first one added is the primary.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Sets the help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds an edit of one replacement that is surely meant.
    #[must_use]
    pub fn fix(self, title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        let changes = vec![TextChange { span, text: text.into() }];
        self.edit(Edit { title: title.into(), certain: true, changes })
    }

    /// Adds an edit of one replacement that may be meant: shown, never applied unasked.
    #[must_use]
    pub fn maybe(self, title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        let changes = vec![TextChange { span, text: text.into() }];
        self.edit(Edit { title: title.into(), certain: false, changes })
    }

    /// Adds an edit.
    #[must_use]
    pub fn edit(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }

    /// The primary label's span.
    #[must_use]
    pub fn primary(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    /// The order in which diagnostics are shown: by file, then place, then code.
    #[must_use]
    pub fn sort_key(&self) -> (Option<Span>, Code) {
        (self.primary(), self.code)
    }
}
