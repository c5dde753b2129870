//! The diagnostics of one compilation.

use tally_source::{Diagnostic, SourceMap, Span};

/// The maximum number of diagnostics. A hostile spec could cause millions, each with its own suggestion.
const MAX_DIAGNOSTICS: usize = 1000;

/// The number of diagnostics after which none gets a suggestion.
const MAX_SUGGESTIONS: usize = 100;

/// Collects the diagnostics of one compilation.
pub(crate) struct Reporter<'s> {
    pub sources: &'s SourceMap,
    pub out: Vec<Diagnostic>,
    /// Whether text was skipped or a file is missing. Then no name is reported as unknown.
    pub incomplete: bool,
}

impl<'s> Reporter<'s> {
    /// Adds a diagnostic, up to a maximum number.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        if !self.is_full() {
            self.out.push(diagnostic);
        }
    }

    /// Checks whether further diagnostics are dropped, so that a search for suggestions is of no use.
    pub fn is_full(&self) -> bool {
        self.out.len() >= MAX_DIAGNOSTICS
    }

    /// Checks whether there are too many diagnostics for suggestions.
    pub fn is_crowded(&self) -> bool {
        self.out.len() >= MAX_SUGGESTIONS
    }

    /// Returns the characters of a span.
    pub fn raw(&self, span: Span) -> &'s str {
        self.sources.text(span)
    }
}
