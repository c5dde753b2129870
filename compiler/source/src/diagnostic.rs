//! A diagnostic: one mistake, its location, and its fixes.

use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::span::Span;

/// Its severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A spec with an error is not planned.
    Error,
    /// The spec is valid, but something in it is probably not intended.
    Warning,
}

/// A location that a diagnostic shows, with a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The exact characters.
    pub span: Span,
    /// The text under them; may be empty.
    pub text: String,
}

/// One replacement of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextChange {
    /// The replaced characters; empty to insert.
    pub span: Span,
    /// The new characters.
    pub text: String,
}

/// A fix that a program can apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// One line that describes it, such as ``write `image "nginx:1.27"` ``.
    pub title: String,
    /// Whether it is certainly intended: `check --fix` applies only these.
    pub certain: bool,
    /// The replacements; they do not overlap.
    pub changes: Vec<TextChange>,
}

/// One mistake. The first label is the primary one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// Its severity.
    pub severity: Severity,
    /// One line that can stand alone.
    pub headline: String,
    /// The locations it shows, the primary one first; empty if no text is the cause.
    pub labels: Vec<Label>,
    /// Advice, in sentences.
    pub help: Option<String>,
    /// Fixes.
    pub edits: Vec<Edit>,
}

impl Diagnostic {
    /// Returns an error with no label yet.
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

    /// Returns a warning with no label yet.
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

    /// Adds an edit of one replacement that is certain.
    #[must_use]
    pub fn fix(self, title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        let changes = vec![TextChange { span, text: text.into() }];
        self.edit(Edit { title: title.into(), certain: true, changes })
    }

    /// Adds an edit of one replacement that may be intended: it is shown, and never applied automatically.
    #[must_use]
    pub fn maybe(self, title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        let changes = vec![TextChange { span, text: text.into() }];
        self.edit(Edit { title: title.into(), certain: false, changes })
    }

    /// Adds an edit of one replacement that is certain if `certain` is true.
    #[must_use]
    pub fn suggest(
        self,
        certain: bool,
        title: impl Into<String>,
        span: Span,
        text: impl Into<String>,
    ) -> Self {
        let changes = vec![TextChange { span, text: text.into() }];
        self.edit(Edit { title: title.into(), certain, changes })
    }

    /// Adds an edit.
    #[must_use]
    pub fn edit(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }

    /// Returns the primary label's span.
    #[must_use]
    pub fn primary(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    /// Returns the order in which diagnostics are shown: by file, then place, then code.
    #[must_use]
    pub fn sort_key(&self) -> (Option<Span>, Code) {
        (self.primary(), self.code)
    }
}
