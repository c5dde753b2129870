//! Braces: blocks, and the report for the wrong brace if they do not pair up.

use tally_source::{Diagnostic, Edit, Span, TextChange};

use super::ast::{Block, Node, Text};
use super::chars;
use super::cursor::{Mode, Parser};
use super::limits::MAX_DEPTH;
use super::open::{Head, Opener};
use crate::codes;

impl Parser<'_> {
    /// Reads a block from its `{` to its `}`.
    pub fn block(&mut self, name: &Text, head: &Head) -> Block {
        let start = self.at;
        let brace = self.span(start, start + 1);
        self.at += 1;
        if self.depth >= MAX_DEPTH {
            self.too_deep(brace);
            self.skip_block();
            self.damaged.push(self.span(start, self.at));
            return Block { nodes: Vec::new(), span: self.span(start, self.at) };
        }
        self.block_behind(brace, name, head)
    }

    /// Reads the remaining part of a block after its `{`, or after the place where that is missing.
    pub fn block_behind(&mut self, brace: Span, name: &Text, head: &Head) -> Block {
        let start = brace.start as usize;
        let title = match head.entries.iter().find(|entry| entry.key.is_none()) {
            Some(entry) if entry.value.text().is_some() => {
                format!("{} {}", name.text, entry.value.text().unwrap_or_default())
            }
            _ => name.text.to_string(),
        };
        let indent = match self.mode {
            Mode::Trusting => 0,
            _ => self.indent(),
        };
        let opener = Opener {
            brace,
            word: name.text.to_string(),
            title,
            indent,
            line_start: self.line_start,
        };
        self.depth += 1;
        let nodes = self.nodes(Some(&opener));
        self.depth -= 1;
        if self.gave_up {
            // A brace here closes a block around this one.
        } else if self.byte(self.at) == b'}' {
            self.at += 1;
        } else if self.ended() {
            self.unclosed += 1;
            if !matches!(self.mode, Mode::Trusting) {
                self.report_unclosed(&opener);
            }
        }
        Block { nodes, span: self.span(start, self.at) }
    }

    /// Checks whether the block ended before this place by its indentation, although its `}` is missing.
    pub fn block_should_have_ended(&mut self, opener: &Opener) -> bool {
        let Mode::Unclosed { left } = self.mode else { return false };
        if left == 0 || self.line_start == opener.line_start || !self.first_on_line() {
            return false;
        }
        let indent = self.indent();
        let over = match self.byte(self.at) {
            b'}' => indent < opener.indent,
            _ => indent <= opener.indent,
        };
        if over {
            self.mode = Mode::Unclosed { left: left - 1 };
            self.report_unclosed(opener);
        }
        self.gave_up |= over;
        over
    }

    /// Checks whether the `}` here closes no block by its indentation.
    pub fn is_stray_brace(&mut self, opener: &Opener) -> bool {
        if self.passed_brace == Some(self.at) {
            return true;
        }
        let Mode::Stray { left } = self.mode else { return false };
        let stray = left > 0
            && self.line_start != opener.line_start
            && self.first_on_line()
            && self.indent() > opener.indent;
        if stray {
            self.mode = Mode::Stray { left: left - 1 };
        }
        stray
    }

    fn report_unclosed(&mut self, opener: &Opener) {
        // The block's last line that holds anything is where its `}` is missing.
        let before = self.text.get(..self.at).unwrap_or_default().trim_end();
        let end = before.len().max(opener.brace.end as usize);
        let at = self.span(end, end);
        let indent = " ".repeat(opener.indent.min(200));
        let title = &opener.title;
        let certain = !self.ended() || self.depth == 0;
        let edit = Edit {
            title: "put a `}` on the next line".into(),
            certain,
            changes: vec![TextChange { span: at, text: format!("\n{indent}}}") }],
        };
        let mute = std::mem::take(&mut self.mute);
        self.report(
            Diagnostic::error(
                codes::UNCLOSED_BRACE,
                format!("the `{{` of `{title}` is never closed"),
            )
            .label(opener.brace, "this one")
            .label(at, "a `}` is missing after this")
            .edit(edit),
        );
        self.mute = mute;
    }

    /// Reports a `}` that closes nothing.
    pub fn stray_brace(&mut self) {
        let start = self.at;
        if self.passed_brace == Some(start) {
            self.at += 1;
            return;
        }
        while self.byte(self.at) == b'}' {
            self.at += 1;
            if self.mute == 0 {
                self.stray += 1;
            }
        }
        let span = self.span(start, self.at);
        self.report(
            Diagnostic::error(codes::STRAY_BRACE, "this `}` closes nothing")
                .label(span, "every block before it is closed already")
                .maybe("leave it out", span, ""),
        );
    }

    /// Reports a `{` at the start of a line and gives its block to the node before.
    pub fn brace_on_its_own_line(&mut self, nodes: &mut [Node]) {
        let start = self.at;
        let brace = self.span(start, start + 1);
        let before = nodes.last_mut().filter(|node| node.block.is_none());
        let Some(node) = before else {
            self.report(
                Diagnostic::error(codes::SYNTAX, "this `{` belongs to no node")
                    .label(brace, "a block belongs after the word and the name of its node"),
            );
            self.at += 1;
            self.skip_block();
            self.damage(start);
            return;
        };
        let head =
            Head { entries: std::mem::take(&mut node.entries), commas: Vec::new(), equals: None };
        let end = node.span.end as usize;
        let between = self.slice(end, start);
        let changes = if between.trim().is_empty() {
            vec![TextChange { span: self.span(end, start), text: " ".into() }]
        } else {
            vec![
                TextChange { span: self.span(end, end), text: " {".into() },
                TextChange { span: brace, text: String::new() },
            ]
        };
        let title = format!("write `{} {{`", self.slice_of(node.head));
        self.report(
            Diagnostic::error(
                codes::BRACE_LINE,
                "`{` must stand on the line of the node it belongs to",
            )
            .label(brace, "move this up")
            .label(node.head, "to here")
            .edit(Edit { title, certain: true, changes }),
        );
        let block = self.block(&node.name, &head);
        self.gave_up = false;
        node.entries = head.entries;
        node.span = node.span.to(block.span);
        node.block = Some(block);
        // The node's line ended before its block did, so the rest of this line is a new node.
        self.node_space();
        if self.byte(self.at) == b';' {
            self.at += 1;
        }
    }

    /// Reports text after a block on the same line.
    pub fn two_nodes_on_a_line(&mut self, name: &Text) {
        let end = self.word_for_label(self.at);
        let here = self.span(self.at, end);
        if self.byte(self.at) == b'{' {
            self.report(
                Diagnostic::error(codes::SYNTAX, format!("`{}` has a second block", name.text))
                    .label(self.span(self.at, self.at + 1), "a node has one block"),
            );
            let start = self.at;
            self.at += 1;
            self.skip_block();
            self.damage(start);
            return;
        }
        let last = self.text.get(..self.at).unwrap_or_default().trim_end().len();
        let word = self.slice(self.at, end);
        self.report(
            Diagnostic::error(codes::TWO_NODES, "two nodes on one line need a `;` between them")
                .label(here, "the second begins here")
                .maybe(format!("write `}}; {word}`"), self.span(last, last), ";"),
        );
    }

    fn too_deep(&mut self, brace: Span) {
        let mute = std::mem::take(&mut self.mute);
        self.report(
            Diagnostic::error(
                codes::TOO_DEEP,
                format!("blocks are nested more than {MAX_DEPTH} deep"),
            )
            .label(brace, "this one is too deep")
            .help("No spec needs more than a few; perhaps a `}` is missing further up."),
        );
        self.mute = mute;
    }

    /// Skips the content and the `}` of a block.
    pub fn skip_block(&mut self) {
        let mut depth = 1usize;
        while !self.ended() && depth > 0 {
            match self.byte(self.at) {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b'"' => {
                    self.mute += 1;
                    self.string();
                    self.mute -= 1;
                    continue;
                }
                b'/' if self.line_comment() => continue,
                b'/' if self.node_space() => continue,
                _ if chars::newline(self.bytes, self.at) > 0 => {
                    self.line_end();
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        if depth > 0 {
            self.unclosed += 1;
        }
    }
}
