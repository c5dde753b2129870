//! The parser's position in the text, and the white space between words.

use tally_source::{Diagnostic, FileId, Span};

use super::ast::Node;
use super::chars;
use super::limits::MAX_MISTAKES;
use crate::codes;

/// The rule by which blocks end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// By braces alone.
    Trusting,
    /// By the indentation, for at most `left` blocks whose `}` is missing.
    Unclosed { left: u32 },
    /// By the indentation, for at most `left` `}` that close no block.
    Stray { left: u32 },
}

pub(super) struct Parser<'t> {
    pub text: &'t str,
    pub bytes: &'t [u8],
    pub at: usize,
    pub file: FileId,
    /// Where the current line begins.
    pub line_start: usize,
    pub out: Vec<Diagnostic>,
    /// Greater than 0 after `/-`, where nothing is reported.
    pub mute: u32,
    /// Text that was skipped.
    pub damaged: Vec<Span>,
    pub mode: Mode,
    pub depth: usize,
    /// The number of blocks that are not closed at the end of the text.
    pub unclosed: u32,
    /// The number of `}` that close no block.
    pub stray: u32,
    /// End of the last `# comment`, so that a block of them is one mistake.
    pub last_comment_end: Option<usize>,
    /// Nodes that a mistake made part of the node before them.
    pub unpacked: Vec<Node>,
    /// Whether an unclosed comment extends to the end of the text, so that open blocks are no mistakes of their own.
    pub swallowed: bool,
    /// The node or the key whose value is being read.
    pub owner: &'t str,
    /// Whether nodes here are keys that the user chooses.
    pub in_map: bool,
    /// Whether the last block ended by its indentation.
    pub gave_up: bool,
    /// See [`Ast::unpaired`](super::ast::Ast).
    pub unpaired: Vec<Span>,
    /// The start of the line that was last checked for an odd number of quotes, and the result.
    pub odd_quotes_of: Option<(usize, bool)>,
    /// The offset up to which quotes count as white space and nothing is reported.
    pub blind_until: usize,
    /// A `}` that is ignored: its line closes more blocks than it opens, which is reported.
    pub passed_brace: Option<usize>,
    /// The number of bytes that may still be read ahead to find the end of a block whose `{` is missing.
    pub look_ahead: usize,
    /// The last result of `end_of_line`: its argument and the end.
    line_end_of: std::cell::Cell<(usize, usize)>,
    /// The number of `#` from which raw strings are known to be unclosed.
    pub endless_hashes: Option<usize>,
    /// The start of the last line whose indentation was determined, and that indentation.
    indent_of: Option<(usize, usize)>,
}

impl<'t> Parser<'t> {
    pub fn new(file: FileId, text: &'t str, mode: Mode) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            file,
            line_start: 0,
            out: Vec::new(),
            mute: 0,
            damaged: Vec::new(),
            mode,
            depth: 0,
            unclosed: 0,
            stray: 0,
            last_comment_end: None,
            unpacked: Vec::new(),
            swallowed: false,
            owner: "",
            in_map: false,
            unpaired: Vec::new(),
            odd_quotes_of: None,
            blind_until: 0,
            passed_brace: None,
            look_ahead: 4 << 20,
            gave_up: false,
            line_end_of: std::cell::Cell::new((0, 0)),
            endless_hashes: None,
            indent_of: None,
        }
    }

    pub fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    pub fn ended(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or_default()
    }

    pub fn slice_of(&self, span: Span) -> &'t str {
        self.slice(span.start as usize, span.end as usize)
    }

    pub fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    /// Adds a report, unless it is about text that is ignored.
    pub fn report(&mut self, found: Diagnostic) {
        let blind = self.at <= self.blind_until && self.blind_until > 0;
        if self.mute == 0 && !blind && self.out.len() < MAX_MISTAKES {
            self.out.push(found);
        }
    }

    /// Records that the text from `start` to here was skipped.
    pub fn damage(&mut self, start: usize) {
        if self.mute == 0 && self.damaged.len() < MAX_MISTAKES {
            self.damaged.push(self.span(start, self.at));
        }
    }

    /// Skips a line end, if one is here. Returns whether there was one.
    pub fn line_end(&mut self) -> bool {
        let length = chars::newline(self.bytes, self.at);
        self.at += length;
        if length > 0 {
            self.line_start = self.at;
        }
        length > 0
    }

    /// Skips the space between the words of a node: white space, `/* */`, and `\` at the end
    /// of a line. Returns whether there was any.
    pub fn node_space(&mut self) -> bool {
        let before = self.at;
        loop {
            match self.byte(self.at) {
                b' ' | b'\t' => self.at += 1,
                b'"' if self.at < self.blind_until => self.at += 1,
                b'/' if self.byte(self.at + 1) == b'*' => self.block_comment(),
                b'\\' => {
                    if !self.line_continuation() {
                        break;
                    }
                }
                byte if byte >= 0x80 => match chars::space(self.bytes, self.at) {
                    0 => break,
                    length => self.at += length,
                },
                _ => break,
            }
        }
        self.at > before
    }

    /// Skips the space between nodes.
    pub fn line_space(&mut self) {
        loop {
            self.node_space();
            if !self.line_end() && !self.line_comment() {
                break;
            }
        }
    }

    /// Checks whether only white space and a comment follow the `\` here on its line.
    pub fn is_line_continuation(&self, at: usize) -> bool {
        let mut next = at + 1;
        loop {
            match chars::space(self.bytes, next) {
                0 => break,
                length => next += length,
            }
        }
        next >= self.bytes.len()
            || chars::newline(self.bytes, next) > 0
            || self.slice(next, next + 2) == "//"
    }

    fn line_continuation(&mut self) -> bool {
        if !self.is_line_continuation(self.at) {
            return false;
        }
        self.at += 1;
        while chars::space(self.bytes, self.at) > 0 {
            self.at += chars::space(self.bytes, self.at);
        }
        self.line_comment();
        self.line_end();
        true
    }

    /// Skips a `//` comment up to the end of its line, if one is here. Returns whether there was one.
    pub fn line_comment(&mut self) -> bool {
        if self.byte(self.at) != b'/' || self.byte(self.at + 1) != b'/' {
            return false;
        }
        self.at = self.end_of_line(self.at);
        true
    }

    /// Returns the offset of the end of the line of `at`, without its line break.
    pub fn end_of_line(&self, at: usize) -> usize {
        // The last result is stored: otherwise a line of ten megabytes would be searched for each of its words.
        let (known_start, known_end) = self.line_end_of.get();
        if (known_start..=known_end).contains(&at) && known_end > known_start {
            return known_end;
        }
        let mut end = at;
        while end < self.bytes.len() && chars::newline(self.bytes, end) == 0 {
            end += 1;
        }
        self.line_end_of.set((at, end));
        end
    }

    /// Skips a `/* */` comment. Nested comments are counted instead of read recursively, so that no text can
    /// exhaust the stack.
    fn block_comment(&mut self) {
        let start = self.at;
        let mut depth = 0usize;
        while self.at < self.bytes.len() {
            match (self.byte(self.at), self.byte(self.at + 1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => {
                    if !self.line_end() {
                        self.at += 1;
                    }
                }
            }
        }
        self.at = self.bytes.len();
        self.damaged.push(self.span(start, self.at));
        self.swallowed = true;
        let found = Diagnostic::error(codes::SYNTAX, "this comment is never closed")
            .label(self.span(start, start + 2), "it begins here")
            .help("A comment of several lines ends with `*/`, and so does each comment inside it.");
        let mute = std::mem::take(&mut self.mute);
        self.report(found);
        self.mute = mute;
    }

    /// Returns the indentation of the current line in bytes.
    pub fn indent(&mut self) -> usize {
        // Stored per line: a line can hold a million nodes after a million spaces.
        if let Some((line, indent)) = self.indent_of
            && line == self.line_start
        {
            return indent;
        }
        let line = self.bytes.get(self.line_start..self.at).unwrap_or_default();
        let indent = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.indent_of = Some((self.line_start, indent));
        indent
    }

    /// Checks whether only white space precedes this place on its line.
    pub fn first_on_line(&mut self) -> bool {
        self.line_start + self.indent() == self.at
    }
}
