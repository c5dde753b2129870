//! Lines whose quotes or braces do not pair up: one report for each.

use tally_source::Diagnostic;

use super::ast::{Block, Node, Text};
use super::chars;
use super::cursor::{Mode, Parser};
use super::limits::MAX_MISTAKES;
use super::open::Head;
use crate::codes;

/// Braces of one line.
struct Braces {
    /// The number of `{` minus the number of `}`.
    net: i32,
    /// The last `}`.
    last_close: Option<usize>,
}

impl Parser<'_> {
    /// Checks whether the current line, that of `at`, has an odd number of quotes.
    pub fn odd_quotes(&mut self, at: usize) -> bool {
        // Counted once: otherwise a line of ten megabytes would be counted for each of its words.
        if let Some((line, odd)) = self.odd_quotes_of
            && line == self.line_start
        {
            return odd;
        }
        let end = self.end_of_line(at);
        let mut quotes = 0usize;
        let mut next = self.line_start;
        while next < end {
            match self.byte(next) {
                b'\\' => next += 1,
                b'"' => quotes += 1,
                _ => {}
            }
            next += 1;
        }
        let odd = quotes % 2 == 1;
        self.odd_quotes_of = Some((self.line_start, odd));
        odd
    }

    /// Reports a line whose quotes do not pair up. From `from`, the start of its first text, only braces count up to
    /// the end of the line.
    pub fn quotes_do_not_pair(&mut self, from: usize, at: usize) {
        let end = self.word_for_label(at);
        self.report(
            Diagnostic::error(codes::UNCLOSED_STRING, "the quotes on this line do not pair up")
                .label(self.span(at, end), "an opening or a closing quote is missing before this"),
        );
        self.at = from;
        self.ignore_line();
    }

    /// Ignores everything but braces up to the end of the line.
    pub fn ignore_line(&mut self) {
        let end = self.end_of_line(self.at);
        let start = self.line_start.min(end);
        if self.mute == 0 {
            self.unpaired.push(self.span(start, end));
        }
        if self.mute == 0 && self.damaged.len() < MAX_MISTAKES {
            self.damaged.push(self.span(start, end));
        }
        self.blind_until = end;
    }

    /// Reads the block of a node whose `{` is missing, by the indentation: the following lines are indented more, and
    /// a `}` with the node's own indentation ends them. Only used when the text has too many `}`.
    pub fn block_without_brace(&mut self, name: &Text, head: &Head, node: &Node) -> Option<Block> {
        let Mode::Stray { left } = self.mode else { return None };
        if left == 0 || self.mute > 0 || self.line_start != self.at {
            return None;
        }
        let start = node.name.span.start as usize;
        let line = self.text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
        let indent = start - line;
        let white = self.slice(line, start).bytes().all(|b| matches!(b, b' ' | b'\t'));
        let ended_line = self.line_start > line;
        if !white || !ended_line || !self.closes_below(indent) {
            return None;
        }
        self.mode = Mode::Stray { left: left - 1 };
        let end = node.head.end as usize;
        let place = self.span(end, end);
        self.report(
            Diagnostic::error(
                codes::MISSING_BRACE,
                format!("the `{{` of `{}` is missing", self.slice_of(node.head)),
            )
            .label(place, "it belongs here")
            .maybe(format!("write `{} {{`", self.slice_of(node.head)), place, " {"),
        );
        Some(self.block_behind(place, name, head))
    }

    /// Checks whether lines indented more than `indent` follow, and then a `}` at `indent`.
    fn closes_below(&mut self, indent: usize) -> bool {
        let mut at = self.at;
        let mut deeper = false;
        while at < self.bytes.len() && self.look_ahead > 0 {
            let mut first = at;
            while matches!(self.byte(first), b' ' | b'\t') {
                first += 1;
            }
            let end = self.end_of_line(first);
            self.look_ahead = self.look_ahead.saturating_sub(end - at + 1);
            let blank = first == end;
            if !blank && first - at <= indent {
                return deeper && first - at == indent && self.byte(first) == b'}';
            }
            deeper |= !blank;
            at = end + chars::newline(self.bytes, end).max(1);
        }
        false
    }

    /// Reports a line that starts with a word and closes more blocks than it opens.
    pub fn line_closes_too_much(&mut self) {
        let Mode::Stray { left } = self.mode else { return };
        if left == 0 || self.mute > 0 || !self.first_on_line() || self.byte(self.at) == b'}' {
            return;
        }
        let braces = self.braces_of_line();
        let Some(close) = braces.last_close.filter(|_| braces.net < 0) else { return };
        self.mode = Mode::Stray { left: left - 1 };
        self.report(
            Diagnostic::error(codes::STRAY_BRACE, "this line closes a block more than it opens")
                .label(self.span(close, close + 1), "this `}` closes a block of another line")
                .help("A `{` is missing before it, or the `}` is one too many."),
        );
        self.passed_brace = Some(close);
        self.ignore_line();
    }

    fn braces_of_line(&self) -> Braces {
        let mut braces = Braces { net: 0, last_close: None };
        let end = self.end_of_line(self.at);
        let mut at = self.at;
        let mut quoted = false;
        while at < end {
            match self.byte(at) {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b'/' if !quoted && self.byte(at + 1) == b'/' => break,
                b'{' if !quoted => braces.net += 1,
                b'}' if !quoted => {
                    braces.net -= 1;
                    braces.last_close = Some(at);
                }
                _ => {}
            }
            at += 1;
        }
        braces
    }
}
