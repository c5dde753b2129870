//! Strings in all their forms.

use tally_source::{Diagnostic, Edit, TextChange};

use super::ast::{Quotes, Value, ValueKind};
use super::chars;
use super::cursor::Parser;
use crate::codes;

impl Parser<'_> {
    /// Reads a string that begins with `"` here.
    pub fn string(&mut self) -> Value {
        let start = self.at;
        if self.slice(start, start + 3) == "\"\"\"" {
            return self.text_of_lines(start, 0);
        }
        self.at += 1;
        let mut escaped = false;
        loop {
            match self.byte(self.at) {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.pass_escape();
                }
                _ if self.ended() => return self.broken_string(start),
                b' '..0x80 => self.at += 1,
                _ if chars::newline(self.bytes, self.at) > 0 => return self.broken_string(start),
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let body = self.slice(start + 1, self.at - 1);
        let text = if escaped { self.resolve_escapes(body, start + 1) } else { Some(body.into()) };
        self.finish(start, text, Quotes::Quoted)
    }

    fn finish(&self, start: usize, text: Option<Box<str>>, quotes: Quotes) -> Value {
        let kind = text.map_or(ValueKind::Poison, |text| ValueKind::Text(text, quotes));
        Value { kind, span: self.span(start, self.at) }
    }

    /// Skips a `\` and the characters it escapes; all white space after it, line breaks included, is one escape.
    fn pass_escape(&mut self) {
        self.at += 1;
        if chars::space(self.bytes, self.at) == 0 && chars::newline(self.bytes, self.at) == 0 {
            let next = self.text.get(self.at..).and_then(|rest| rest.chars().next());
            self.at += next.map_or(0, char::len_utf8);
            return;
        }
        loop {
            let length = chars::space(self.bytes, self.at);
            self.at += length;
            if length == 0 && !self.line_end() {
                return;
            }
        }
    }

    /// Checks whether a raw string begins at `at`: some `#`, then `"`.
    pub fn is_raw_string(&self, at: usize) -> bool {
        let mut next = at;
        while self.byte(next) == b'#' {
            next += 1;
        }
        next > at && self.byte(next) == b'"'
    }

    /// Reads a raw string.
    pub fn raw_string(&mut self) -> Value {
        let start = self.at;
        while self.byte(self.at) == b'#' {
            self.at += 1;
        }
        let hashes = self.at - start;
        if self.slice(self.at, self.at + 3) == "\"\"\""
            && self.closing(self.at + 1, 1, hashes) != Some(self.at + 1)
        {
            return self.text_of_lines(start, hashes);
        }
        self.at += 1;
        let body_start = self.at;
        while !self.ended() && chars::newline(self.bytes, self.at) == 0 {
            if self.closing(self.at, 1, hashes).is_some() {
                let body = self.slice(body_start, self.at);
                self.at += 1 + hashes;
                return self.finish(start, Some(body.into()), Quotes::Other);
            }
            self.at += 1;
        }
        self.broken_string(start)
    }

    /// Checks whether that number of quotes and then that number of `#` follow at `at`.
    fn closing(&self, at: usize, quotes: usize, hashes: usize) -> Option<usize> {
        let part = self.bytes.get(at..at + quotes + hashes)?;
        let (left, right) = part.split_at(quotes);
        (left.iter().all(|b| *b == b'"') && right.iter().all(|b| *b == b'#')).then_some(at)
    }

    /// Reads a string between `"""` and `"""`.
    fn text_of_lines(&mut self, start: usize, hashes: usize) -> Value {
        self.at = start + hashes + 3;
        let begin = self.at;
        let on_new_line = chars::newline(self.bytes, begin) > 0;
        loop {
            let endless = self.endless_hashes.is_some_and(|known| hashes >= known);
            if self.ended() || endless {
                // The end of a string with more `#` would also end one with fewer, so it is searched for once.
                self.endless_hashes =
                    Some(self.endless_hashes.map_or(hashes, |known| known.min(hashes)));
                self.at = self.end_of_line(start);
                self.report(
                    Diagnostic::error(codes::UNCLOSED_STRING, "this text is never closed")
                        .label(self.span(start, begin), "it begins here")
                        .help("A text of several lines ends with `\"\"\"` on a line of its own."),
                );
                self.damage(start);
                return self.finish(start, None, Quotes::Other);
            }
            if self.byte(self.at) == b'"' && self.closing(self.at, 3, hashes).is_some() {
                break;
            }
            if hashes == 0 && self.byte(self.at) == b'\\' {
                self.pass_escape();
            } else if !self.line_end() {
                self.at += 1;
            }
        }
        let body_end = self.at;
        self.at += 3 + hashes;
        if !on_new_line {
            self.report(
                Diagnostic::error(codes::STRING_LINES, "a text in `\"\"\"` begins on the line after them")
                    .label(self.span(start, begin), "end the line here")
                    .help("The closing `\"\"\"` is on a line of its own too; its indentation is removed from every line."),
            );
            return self.finish(start, None, Quotes::Other);
        }
        let text_start = begin + chars::newline(self.bytes, begin);
        let body = self.slice(text_start, body_end);
        let text = self.dedent(start, text_start, body, hashes == 0);
        self.finish(start, text, Quotes::Other)
    }

    /// Removes the indentation of the last line from every line, then resolves escapes.
    fn dedent(
        &mut self,
        start: usize,
        text_start: usize,
        body: &str,
        escapes: bool,
    ) -> Option<Box<str>> {
        let folded;
        let body_text = if escapes && body.contains('\\') {
            folded = fold_white_space_escapes(body);
            folded.as_str()
        } else {
            body
        };
        let lines = split_lines(body_text);
        let (prefix, lines) = lines.split_last()?;
        if !is_blank(prefix) {
            let at = self.at;
            self.report(
                Diagnostic::error(
                    codes::STRING_LINES,
                    "the closing `\"\"\"` belongs on a line of its own",
                )
                .label(self.span(at - 3, at), "begin a new line before this")
                .help("Its indentation is removed from every line."),
            );
            return None;
        }
        let mut out = String::with_capacity(body_text.len());
        for (i, line) in lines.iter().enumerate() {
            if i > 0 {
                out.push('\n');
            }
            if is_blank(line) {
                continue;
            }
            let Some(rest) = line.strip_prefix(prefix) else {
                let offset = (line.as_ptr() as usize).wrapping_sub(body.as_ptr() as usize);
                // Where white space escapes were removed the text is a copy, whose lines have no span.
                let label = if offset <= body.len() {
                    self.span(text_start + offset, text_start + offset + line.trim_end().len())
                } else {
                    self.span(start, self.at)
                };
                self.report(
                    Diagnostic::error(
                        codes::STRING_LINES,
                        "a line of this text is indented less than its closing `\"\"\"`",
                    )
                    .label(label, format!("line {} of the text", i + 1))
                    .help("Every line begins with the same white space as the closing `\"\"\"`."),
                );
                return None;
            };
            out.push_str(rest);
        }
        if escapes && out.contains('\\') {
            self.resolve_escapes(&out, text_start)
        } else {
            Some(out.into())
        }
    }

    /// Resolves the escapes of a text. `at` is its offset, if the text is as it is written.
    fn resolve_escapes(&mut self, body: &str, at: usize) -> Option<Box<str>> {
        let mut out = String::with_capacity(body.len());
        let mut bad: Vec<(usize, char)> = Vec::new();
        let mut chars = body.char_indices().peekable();
        while let Some((_, c)) = chars.next() {
            if c != '\\' {
                out.push(c);
                continue;
            }
            let Some((place, escape)) = chars.next() else { break };
            match escape {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                's' => out.push(' '),
                '\\' | '"' => out.push(escape),
                'u' => {
                    let rest = body.get(place + 1..).unwrap_or_default();
                    match unicode_escape(rest) {
                        Some((c, length)) => {
                            out.push(c);
                            for _ in 0..length {
                                chars.next();
                            }
                        }
                        None => bad.push((place, escape)),
                    }
                }
                _ if is_white_space(escape) => {
                    while chars.peek().is_some_and(|(_, c)| is_white_space(*c)) {
                        chars.next();
                    }
                }
                _ => {
                    out.push(escape);
                    bad.push((place, escape));
                }
            }
        }
        if bad.is_empty() {
            self.windows_path(body, at);
            Some(out.into())
        } else {
            self.bad_escapes(body, at, &bad);
            None
        }
    }

    fn bad_escapes(&mut self, body: &str, at: usize, bad: &[(usize, char)]) {
        let Some((place, escape)) = bad.first().copied() else { return };
        let span = self.span(at + place - 1, at + place + escape.len_utf8());
        let headline = match escape {
            '$' => "`\\$` is no escape: a `$` needs none".to_owned(),
            'u' => "`\\u` is written with braces: `\\u{1F600}`".to_owned(),
            _ => format!("`\\{escape}` is no escape"),
        };
        let mut found = Diagnostic::error(codes::ESCAPE, headline).label(span, "here");
        let dollars = bad.iter().all(|(_, escape)| *escape == '$');
        if escape != 'u' {
            let text = if dollars { "" } else { "\\\\" };
            let changes = bad.iter().map(|(place, _)| TextChange {
                span: self.span(at + place - 1, at + place),
                text: text.into(),
            });
            let fixed = if dollars { body.replace("\\$", "$") } else { body.replace('\\', "\\\\") };
            let title = if fixed.len() < 60 {
                format!("write `\"{fixed}\"`")
            } else if dollars {
                "leave the `\\` out".into()
            } else {
                "write `\\\\` for a `\\`".into()
            };
            // The offsets in a string of several lines are not known after its indentation is removed.
            let known = self.slice(at, at + body.len()) == body;
            if known {
                found = found.edit(Edit { title, certain: false, changes: changes.collect() });
            }
        }
        if !dollars && escape != 'u' && body.len() < 100 {
            found = found.help(format!("`#\"{body}\"#` is a string without escapes."));
        }
        self.report(found);
    }

    /// Reports `"C:\temp"`, which is valid KDL and contains a tab.
    fn windows_path(&mut self, body: &str, at: usize) {
        let bytes = body.as_bytes();
        let [drive, b':', b'\\', escape, ..] = bytes else { return };
        if !drive.is_ascii_alphabetic() || *escape == b'\\' || *escape == b'"' {
            return;
        }
        let fixed = body.replace('\\', "\\\\");
        let meaning = match *escape {
            b't' => "a tab",
            b'n' => "a line break",
            b's' => "a space",
            _ => "an escape",
        };
        self.report(
            Diagnostic::error(
                codes::ESCAPE,
                format!("`\\{}` is {meaning}, not the name of a folder", char::from(*escape)),
            )
            .label(self.span(at + 2, at + 4), "here")
            .help(format!("`#\"{body}\"#` is a string without escapes."))
            .maybe(
                format!("write `\"{fixed}\"`"),
                self.span(at, at + body.len()),
                fixed,
            ),
        );
    }

    /// Reports a string that is not closed on its line.
    fn broken_string(&mut self, start: usize) -> Value {
        let line_end = self.end_of_line(start);
        if let Some(close) = self.closed_on_a_later_line(line_end) {
            self.at = close + 1;
            self.line_start =
                self.text.get(..close).and_then(|t| t.rfind('\n')).map_or(0, |at| at + 1);
            self.damage(start);
            let body = self.slice(start + 1, close);
            let joined = body.replace("\r\n", "\n").replace('\n', "\\n");
            let whole = self.span(start, self.at);
            let mut found =
                Diagnostic::error(codes::STRING_LINES, "a quoted string ends on the line it begins on")
                    .label(whole, "this string continues on the next line")
                    .help("A text of several lines is written between `\"\"\"` and `\"\"\"`, each on a line of its own. Or write `\\n` for the line break.");
            if joined.len() < 200 {
                found =
                    found.maybe(format!("write `\"{joined}\"`"), whole, format!("\"{joined}\""));
            }
            self.report(found);
            return self.finish(start, None, Quotes::Quoted);
        }
        // The end of the line may belong to the node instead of the string.
        let mut end = self.slice(start, line_end).trim_end().len() + start;
        let line = self.slice(start, end);
        if let Some(rest) = line.strip_suffix(['{', '}', ';'])
            && rest.ends_with([' ', '}'])
        {
            end = start + rest.trim_end_matches([' ', '}', ';']).len();
        }
        self.at = end.max(start + 1);
        // With braces in it, the string was meant to end at the first space.
        let body = self.slice(start, end);
        if let Some(space) = body.find(' ').filter(|at| *at > 1 && body.contains(['{', '}'])) {
            self.at = start + space;
            self.report(
                Diagnostic::error(codes::UNCLOSED_STRING, "this string is never closed")
                    .label(self.span(start, self.at), "it begins here")
                    .maybe("put a `\"` at its end", self.span(self.at, self.at), "\""),
            );
            let value = self.finish(start, None, Quotes::Quoted);
            self.ignore_line();
            return value;
        }
        self.report(
            Diagnostic::error(codes::UNCLOSED_STRING, "this string is never closed")
                .label(self.span(start, self.at), "it begins here")
                .maybe("put a `\"` at its end", self.span(self.at, self.at), "\""),
        );
        self.finish(start, None, Quotes::Quoted)
    }

    /// Returns the quote that ends a string of several lines, if there is one: its line has an odd number of quotes,
    /// as the first line has.
    fn closed_on_a_later_line(&self, first_end: usize) -> Option<usize> {
        let mut line = first_end;
        for _ in 0..20 {
            line += chars::newline(self.bytes, line);
            let end = self.end_of_line(line);
            let mut quotes = 0usize;
            let mut first = None;
            let mut at = line;
            while at < end {
                match self.byte(at) {
                    b'\\' => at += 1,
                    b'"' => {
                        quotes += 1;
                        first = first.or(Some(at));
                    }
                    _ => {}
                }
                at += 1;
            }
            if quotes > 0 || end >= self.bytes.len() {
                return first.filter(|_| quotes % 2 == 1);
            }
            line = end;
        }
        None
    }
}

fn is_white_space(c: char) -> bool {
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).as_bytes();
    chars::space(bytes, 0) > 0 || chars::newline(bytes, 0) > 0
}

fn is_blank(line: &str) -> bool {
    line.chars().all(is_white_space)
}

/// Splits a text into lines without their ends; the last one is the text before the closing quotes.
fn split_lines(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut lines = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        let length = chars::newline(bytes, at);
        if length > 0 {
            lines.push(text.get(start..at).unwrap_or_default());
            start = at + length;
        }
        at += length.max(1);
    }
    lines.push(text.get(start..).unwrap_or_default());
    lines
}

/// Removes each `\` before white space together with that white space.
fn fold_white_space_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
        } else if chars.peek().copied().is_some_and(is_white_space) {
            while chars.peek().copied().is_some_and(is_white_space) {
                chars.next();
            }
        } else {
            out.push(c);
            out.extend(chars.next());
        }
    }
    out
}

/// Returns the character of the escape `{…}`, and the number of characters it is written with.
fn unicode_escape(rest: &str) -> Option<(char, usize)> {
    let (digits, _) = rest.strip_prefix('{')?.split_once('}')?;
    if !(1..=6).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
    Some((c, digits.len() + 2))
}
