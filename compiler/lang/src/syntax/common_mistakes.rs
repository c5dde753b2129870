//! Common mistakes of users who know another language: one report for each, at its exact characters.

use tally_source::{Diagnostic, Edit, TextChange};

use super::ast::{Quotes, Text, Value, ValueKind};
use super::cursor::Parser;
use super::open::Head;
use super::{chars, holes};
use crate::codes;

/// Characters that are quotes in other languages, each with its closing one.
const FOREIGN_QUOTES: [(&str, &[char]); 5] = [
    ("'", &['\'']),
    ("`", &['`']),
    ("\u{2018}", &['\u{2019}', '\u{2018}']),
    ("\u{201c}", &['\u{201d}', '\u{201c}']),
    ("\u{201e}", &['\u{201c}', '\u{201d}']),
];

impl Parser<'_> {
    /// Reads the first word of a node; `None` when no word can begin here.
    pub fn node_name(&mut self) -> Option<Text> {
        let value = match self.byte(self.at) {
            b'"' => self.string(),
            b'#' if self.is_raw_string(self.at) => self.raw_string(),
            b'#' => return None,
            _ if self.is_foreign_quote() => self.foreign_quotes(),
            _ => self.word(false)?,
        };
        Some(match value.kind {
            ValueKind::Text(text, quotes) => Text { text, span: value.span, quotes },
            _ => {
                let text = self.slice_of(value.span).into();
                Text { text, span: value.span, quotes: Quotes::Poison }
            }
        })
    }

    /// Reports the colon of `restart: always`, and removes it from the name.
    pub fn colon_behind_name(&mut self, name: &mut Text) -> bool {
        let Some(word) = name.text.strip_suffix(':').filter(|word| !word.is_empty()) else {
            return false;
        };
        if name.quotes != Quotes::Bare {
            return false;
        }
        let word: Box<str> = word.into();
        let colon = name.span.at_end();
        let colon = self.span(colon.start as usize - 1, colon.start as usize);
        let mut line = self.end_of_line(self.at).min(self.at + 80);
        while !self.text.is_char_boundary(line) {
            line -= 1;
        }
        let rest = self.slice(self.at, line).trim().trim_end_matches([';', '}', ' ']).to_owned();
        let title = if rest.is_empty() || rest.len() > 40 {
            format!("write `{word}`")
        } else {
            format!("write `{word} {rest}`")
        };
        let text = if self.byte(self.at) == b'"' { " " } else { "" };
        self.report(
            Diagnostic::error(codes::COLON, "KDL has no colon between a word and its value")
                .label(colon, "leave this out")
                // A key in a map may be followed by a value that begins with a colon.
                .suggest(!self.in_map, title, colon, text),
        );
        name.text = word;
        name.span.end -= 1;
        // `image:"x"`: without the colon there is no white space to miss.
        !text.is_empty()
    }

    /// Reports `image: "x"` after other values, and returns the word as a key.
    pub fn key_before_colon(&mut self, key: &Text, node: &Text) -> Option<Text> {
        let lists = ["command", "entrypoint", "groups", "dns", "any", "has", "lacks"];
        let word = key.text.strip_suffix(':').filter(|word| !word.is_empty())?;
        if key.quotes != Quotes::Bare || lists.contains(&node.text.as_ref()) {
            return None;
        }
        let mut next = self.at;
        while chars::space(self.bytes, next) > 0 {
            next += chars::space(self.bytes, next);
        }
        let ends = next >= self.bytes.len() || chars::newline(self.bytes, next) > 0;
        if ends || matches!(self.byte(next), b'{' | b'}' | b';' | b'=' | b'/') {
            return None;
        }
        let colon = key.span.end as usize - 1;
        let span = self.span(colon, next);
        self.report(
            Diagnostic::error(codes::COLON, "KDL has no colon between a key and its value")
                .label(self.span(colon, colon + 1), "a property has a `=`")
                .suggest(!self.in_map, format!("write `{word}=`"), span, "="),
        );
        Some(Text {
            text: word.into(),
            span: self.span(key.span.start as usize, colon),
            quotes: Quotes::Bare,
        })
    }

    /// Skips the `=` of `image = "x"` and stores its offset; it is reported when the value is known.
    pub fn equals_behind_name(&mut self, name_end: usize, head: &mut Head) {
        let (at, line_start) = (self.at, self.line_start);
        self.node_space();
        if self.byte(self.at) == b'=' && name_end <= self.at {
            head.equals = Some(self.at);
            self.at += 1;
            return;
        }
        self.at = at;
        self.line_start = line_start;
    }

    pub fn is_foreign_quote(&self) -> bool {
        match self.byte(self.at) {
            b'\'' | b'`' => true,
            0xe2 => {
                FOREIGN_QUOTES.iter().any(|(open, _)| self.slice(self.at, self.at + 3) == *open)
            }
            _ => false,
        }
    }

    /// Reports a string with the quotes of another language, such as `'x y'`, and returns its value.
    pub fn foreign_quotes(&mut self) -> Value {
        let start = self.at;
        let open =
            FOREIGN_QUOTES.iter().find(|(open, _)| self.slice(start, start + open.len()) == *open);
        let (open, close) = open.copied().unwrap_or(("'", &['\'']));
        let line = self.end_of_line(start);
        let rest = self.slice(start + open.len(), line);
        let end = rest.char_indices().find(|(_, c)| close.contains(c));
        let (text, end) = match end {
            Some((at, c)) => {
                (rest.get(..at).unwrap_or_default(), start + open.len() + at + c.len_utf8())
            }
            None => {
                // Without a second quote the first is part of the word, as in `'tis`.
                self.at = self.end_of_run(start + open.len());
                return self.needs_quotes(start, "strings take double quotes");
            }
        };
        self.at = end;
        let span = self.span(start, end);
        let quoted = crate::write::quoted(text);
        let found = Diagnostic::error(codes::FOREIGN_QUOTES, "strings take double quotes")
            .label(span, "")
            .fix(format!("write `{quoted}`"), span, quoted);
        self.report(found);
        Value { kind: ValueKind::Text(text.into(), Quotes::Quoted), span }
    }

    /// Checks whether the `#` here, among values, begins a comment rather than a keyword.
    pub fn is_hash_comment(&self) -> bool {
        if self.is_raw_string(self.at) {
            return false;
        }
        let word_end = self.end_of_run(self.at + 1);
        let word = self.slice(self.at + 1, word_end).to_ascii_lowercase();
        !matches!(
            word.as_str(),
            "true"
                | "false"
                | "null"
                | "inf"
                | "-inf"
                | "nan"
                | "yes"
                | "no"
                | "on"
                | "off"
                | "none"
                | "nil"
        )
    }

    /// Reports `# a comment`, up to the end of its line. Comments that follow each other are one mistake.
    pub fn hash_comment(&mut self) {
        let start = self.at;
        let first_on_line = self.first_on_line();
        while self.byte(self.at) == b'#' {
            self.at += 1;
        }
        let sign = self.span(start, self.at);
        let end = self.end_of_line(start);
        let change = TextChange { span: sign, text: "//".into() };
        let joined =
            self.last_comment_end.is_some_and(|last| self.slice(last, start).trim().is_empty());
        self.last_comment_end = Some(end);
        let text = self.slice(self.at, end).trim();
        let title =
            if text.len() < 50 { format!("write `// {text}`") } else { "write `//`".to_owned() };
        // Elsewhere, or with a quote in it, it may be the end of a raw string.
        let certain = first_on_line && !self.slice(start, end).contains('"');
        self.at = end;
        if joined
            && self.mute == 0
            && let Some(last) = self.out.last_mut().filter(|last| last.code == codes::COMMENT)
        {
            if let Some(edit) = last.edits.first_mut() {
                edit.changes.push(change);
                edit.certain &= certain;
                edit.title = "write `//` on each line".into();
            }
            return;
        }
        self.report(
            Diagnostic::error(codes::COMMENT, "a comment begins with `//`")
                .label(sign, "")
                .edit(Edit { title, certain, changes: vec![change] }),
        );
    }

    /// Checks whether a node that begins here is `-- a comment`.
    pub fn is_dash_comment(&self) -> bool {
        self.byte(self.at + 1) == b'-' && chars::space(self.bytes, self.at + 2) > 0
    }

    /// Reports `-- a comment`, up to the end of its line.
    pub fn dash_comment(&mut self) {
        let sign = self.span(self.at, self.at + 2);
        self.at = self.end_of_line(self.at);
        self.report(
            Diagnostic::error(codes::COMMENT, "a comment begins with `//`").label(sign, "").maybe(
                "write `//`",
                sign,
                "//",
            ),
        );
    }

    /// Reports a `;` without a node.
    pub fn empty_node(&mut self) {
        let start = self.at;
        while self.byte(self.at) == b';' {
            self.at += 1;
        }
        let span = self.span(start, self.at);
        self.report(
            Diagnostic::error(
                codes::SYNTAX,
                "a `;` ends a node, and there is none before this one",
            )
            .label(span, "")
            .fix("leave it out", span, ""),
        );
    }

    /// Reports text that is not allowed here, and skips it up to white space.
    pub fn junk(&mut self, why: &str) {
        let start = self.at;
        let end = self.word_for_label(start).max(start + 1);
        self.at = end.min(self.bytes.len());
        let span = self.span(start, self.at);
        let raw = crate::write::shortened(self.slice_of(span));
        self.report(
            Diagnostic::error(codes::SYNTAX, format!("`{raw}` is not allowed here"))
                .label(span, why),
        );
        self.damage(start);
    }

    /// Returns the end of the text that a label shows: up to white space, a brace or a `;`.
    pub fn word_for_label(&self, at: usize) -> usize {
        let mut end = at;
        while end < self.bytes.len()
            && !matches!(self.byte(end), b' ' | b'\t' | b';' | b'{' | b'}')
            && chars::space(self.bytes, end) == 0
            && chars::newline(self.bytes, end) == 0
        {
            end += 1;
        }
        // At least one whole character is always skipped.
        if end == at {
            end +=
                self.text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        }
        end
    }

    /// Reports a value that follows another without a space. Returns whether it was skipped.
    pub fn no_space_between(&mut self, head: &mut Head) -> bool {
        let start = self.at;
        let before = match head.entries.last_mut() {
            Some(entry) => &mut entry.value,
            None => {
                let span = self.span(start, start);
                self.report(
                    Diagnostic::error(codes::SYNTAX, "a space is missing here")
                        .label(span, "")
                        .maybe("put a space", span, " "),
                );
                return false;
            }
        };
        let was_quoted = matches!(&before.kind, ValueKind::Text(_, Quotes::Quoted));
        let inner = matches!(&before.kind, ValueKind::Text(text, _) if holes::any(text));
        if was_quoted && !inner && self.byte(self.at) != b'"' && self.odd_quotes(start) {
            let from = before.span.start as usize;
            before.kind = ValueKind::Poison;
            self.quotes_do_not_pair(from, start);
            return true;
        }
        let before = match head.entries.last_mut() {
            Some(entry) => &mut entry.value,
            None => return false,
        };
        let bare = matches!(&before.kind, ValueKind::Text(_, Quotes::Bare));
        let poisoned = before.is_poison();
        let word_start = before.span.start as usize;
        before.kind = ValueKind::Poison;
        self.pass_touching_run(was_quoted);
        if poisoned {
            return true;
        }
        let here = self.span(start, self.at);
        let quote = self.slice(word_start, start).char_indices().next_back();
        let quote = word_start + quote.map_or(0, |(at, _)| at);
        let found = if inner {
            Diagnostic::error(codes::SYNTAX, "the string ends at this quote")
                .label(self.span(quote, start), "")
                .help("A text inside `${…}` is written in single quotes.")
        } else if bare {
            let raw = self.slice(word_start, self.at);
            let text = raw.replace('"', "");
            Diagnostic::error(
                codes::NEEDS_QUOTES,
                format!("`{}` is only partly in quotes", crate::write::shortened(raw)),
            )
            .label(self.span(word_start, self.at), "the whole value must be in quotes")
            .maybe(
                format!("write `\"{text}\"`"),
                self.span(word_start, self.at),
                crate::write::quoted(&text),
            )
        } else {
            Diagnostic::error(codes::SYNTAX, "a space is missing between two values")
                .label(here, "this follows the value before it without a space")
                .help("A `\"` inside a string is written `\\\"`.")
        };
        self.report(found);
        true
    }

    /// Skips the remaining characters up to white space, quotes included, since they belong to one value.
    fn pass_touching_run(&mut self, braces_too: bool) {
        let start = self.at;
        let mut end = start;
        while end < self.bytes.len()
            && !matches!(self.byte(end), b' ' | b'\t' | b';')
            && chars::newline(self.bytes, end) == 0
            && (braces_too || !matches!(self.byte(end), b'{' | b'}'))
        {
            end += 1;
        }
        self.at = end.max(start + 1);
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}
