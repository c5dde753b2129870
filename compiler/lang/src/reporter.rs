//! The diagnostics of one compilation.

use tally_source::{Diagnostic, SourceMap, Span};

use crate::hidden::HiddenText;

/// The maximum number of diagnostics. A hostile spec could cause millions, each with its own suggestion.
const MAX_DIAGNOSTICS: usize = 1000;

/// The number of diagnostics after which none gets a suggestion.
const MAX_SUGGESTIONS: usize = 100;

/// Collects the diagnostics of one compilation.
pub(crate) struct Reporter<'s> {
    pub sources: &'s SourceMap,
    pub out: Vec<Diagnostic>,
    /// Text that was not read.
    pub hidden: HiddenText,
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

    /// Checks whether a misspelt word is the whole mistake. `po dweb` is not `pod dweb`: a letter may have moved to or
    /// from the word beside it, which is then wrong too.
    pub fn is_whole(&self, span: Span, meant: &str) -> bool {
        let Some(file) = self.sources.get(span.file) else { return false };
        let raw = self.raw(span);
        let before = file.text.get(..span.start as usize).unwrap_or_default();
        let after = file.text.get(span.end as usize..).unwrap_or_default();
        let is_gap = |c: char| c.is_whitespace() || c == '=';
        let last = before.strip_suffix(is_gap).and_then(|before| before.chars().next_back());
        let next = after.strip_prefix(is_gap).and_then(|after| after.chars().next());
        let is_text = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '"');
        let lost = |rest: Option<&str>, beside: Option<char>| {
            rest.is_some_and(|rest| !rest.is_empty() && beside == rest.chars().next())
        };
        let moved_here =
            raw.strip_prefix(meant).is_some_and(|rest| !rest.is_empty() && is_text(next))
                || raw.strip_suffix(meant).is_some_and(|rest| !rest.is_empty() && is_text(last));
        !moved_here && !lost(meant.strip_prefix(raw), next) && !lost(meant.strip_suffix(raw), last)
    }

    /// Returns the characters of a span.
    pub fn raw(&self, span: Span) -> &'s str {
        self.sources.text(span)
    }
}
