//! Values: numbers, keywords and words, and reports for words that need quotes.

use tally_graph::schema::{self, ValueType};
use tally_source::{Diagnostic, Edit, Span, TextChange};

use super::ast::{Entry, Quotes, Text, Value, ValueKind};
use super::chars;
use super::cursor::Parser;
use super::open::Head;
use crate::codes;

/// The keywords, and their spellings in other languages.
const KEYWORDS: [(&str, &str); 18] = [
    ("true", "#true"),
    ("false", "#false"),
    ("null", "#null"),
    ("inf", "#inf"),
    ("-inf", "#-inf"),
    ("nan", "#nan"),
    ("True", "#true"),
    ("False", "#false"),
    ("TRUE", "#true"),
    ("FALSE", "#false"),
    ("yes", "#true"),
    ("no", "#false"),
    ("on", "#true"),
    ("off", "#false"),
    ("nil", "#null"),
    ("none", "#null"),
    ("None", "#null"),
    ("Null", "#null"),
];

impl Parser<'_> {
    /// Reports and skips a `(type)`, if one is here: KDL has type annotations, specs do not.
    /// Returns whether the value after it belongs to a later version.
    pub fn annotation(&mut self) -> bool {
        if self.byte(self.at) != b'(' {
            return false;
        }
        let start = self.at;
        let line = self.end_of_line(start);
        let Some(end) = self.slice(start, line.min(start + 100)).find(')') else {
            return false;
        };
        self.at = start + end + 1;
        let span = self.span(start, self.at);
        self.node_space();
        let found = match self.slice_of(span) {
            "(lit)" => Diagnostic::error(codes::LATER_TEXT, "`(lit)` is not in this version yet")
                .label(span, "")
                .help("A literal `${` is written `$${`."),
            raw => Diagnostic::error(
                codes::ANNOTATION,
                format!("specs have no type annotations such as `{raw}`"),
            )
            .label(span, "")
            .help(
                "The field says what its value is; a unit is part of the text, as in `\"512MiB\"`.",
            )
            .maybe("leave it out", span, ""),
        };
        let literal = self.slice_of(span) == "(lit)";
        self.report(found);
        literal
    }

    /// Reads a value; `None` when no value can begin here.
    pub fn value(&mut self) -> Option<Value> {
        match self.byte(self.at) {
            b'"' => Some(self.string()),
            b'#' if self.is_raw_string(self.at) => Some(self.raw_string()),
            b'#' => Some(self.keyword()),
            _ if self.is_foreign_quote() => Some(self.foreign_quotes()),
            _ => self.word(true),
        }
    }

    /// Reads the value of a property: as [`value`](Self::value), but `true` is certainly a keyword here.
    pub fn property_value(&mut self) -> Option<Value> {
        let value = self.value()?;
        // `A=b=c`: the rest belongs to the value, which then needs quotes.
        if self.byte(self.at) == b'=' && matches!(value.kind, ValueKind::Text(_, Quotes::Bare)) {
            let start = value.span.start as usize;
            self.at = self.end_of_run(self.at);
            return Some(self.needs_quotes(start, "a value that holds `=` needs quotes"));
        }
        Some(value)
    }

    /// Reads a keyword such as `#true`.
    fn keyword(&mut self) -> Value {
        let start = self.at;
        self.at += 1;
        while !chars::ends_word(self.bytes, self.at) {
            self.at += 1;
        }
        let span = self.span(start, self.at);
        let kind = match self.slice_of(span) {
            "#true" => ValueKind::Bool(true),
            "#false" => ValueKind::Bool(false),
            "#null" => ValueKind::Null,
            "#inf" | "#-inf" | "#nan" => ValueKind::NotFinite,
            other => {
                let meant = KEYWORDS.iter().find(|(word, _)| other.get(1..) == Some(word));
                let mut found =
                    Diagnostic::error(codes::KEYWORD, format!("there is no keyword `{other}`"))
                        .label(span, "")
                        .help("The keywords are `#true`, `#false` and `#null`.");
                if let Some((_, keyword)) = meant {
                    let yes_no = matches!(*keyword, "#true" | "#false");
                    found = found.suggest(yes_no, format!("write `{keyword}`"), span, *keyword);
                }
                self.report(found);
                ValueKind::Poison
            }
        };
        Value { kind, span }
    }

    /// Reads a bare word or a number. `as_value` is false for the word of a node.
    pub fn word(&mut self, as_value: bool) -> Option<Value> {
        let start = self.at;
        while !chars::ends_word(self.bytes, self.at) {
            self.at += 1;
        }
        let raw = self.slice(start, self.at);
        match self.byte(self.at) {
            b'{' if raw.ends_with('$') => return Some(self.interpolation(start)),
            b'/' if raw.ends_with(':') && self.byte(self.at + 1) == b'/' => {
                return Some(self.commented_address(start));
            }
            b'/' | b'(' | b')' | b'[' | b']' | b'\\' if self.word_goes_on(start) => {
                self.at = self.end_of_run(self.at);
                return Some(self.word_with_signs(start));
            }
            _ if raw.is_empty() => return None,
            _ => {}
        }
        // `A=1, B=2`: the comma is reported alone.
        let number = raw.strip_suffix(',').filter(|number| chars::is_number(number));
        let raw = number.unwrap_or(raw);
        self.at = start + raw.len();
        let span = self.span(start, self.at);
        if chars::begins_like_a_number(self.bytes, start) {
            if chars::is_number(raw) && as_value {
                return Some(Value { kind: ValueKind::Number(raw.into()), span });
            }
            if as_value || self.in_map {
                let headline = format!("`{raw}` needs quotes: no KDL word begins with a digit");
                return Some(self.needs_quotes(start, &headline));
            }
            self.report(
                Diagnostic::error(codes::SYNTAX, format!("`{raw}` is not allowed here"))
                    .label(span, "a node begins with a word, and no KDL word begins with a digit"),
            );
            return Some(Value { kind: ValueKind::Poison, span });
        }
        let reserved = matches!(raw, "true" | "false" | "null" | "inf" | "-inf" | "nan");
        if reserved {
            return Some(self.reserved_word(span, as_value));
        }
        Some(Value { kind: ValueKind::Text(raw.into(), Quotes::Bare), span })
    }

    fn reserved_word(&mut self, span: Span, as_value: bool) -> Value {
        let raw = self.slice_of(span);
        let keyword =
            KEYWORDS.iter().find(|(word, _)| *word == raw).map_or("#null", |(_, keyword)| *keyword);
        let is_key = !as_value || self.byte(self.at) == b'=';
        let found = if is_key {
            Diagnostic::error(codes::NEEDS_QUOTES, format!("the word `{raw}` needs quotes"))
                .label(span, "")
                .help(format!("`{raw}` without quotes would be taken for `{keyword}`."))
                .maybe(format!("write `\"{raw}\"`"), span, format!("\"{raw}\""))
        } else {
            Diagnostic::error(codes::KEYWORD, format!("`{raw}` is written `{keyword}`"))
                .label(span, "")
                .help(format!("The text is written `\"{raw}\"`."))
                .suggest(self.is_yes_no(), format!("write `{keyword}`"), span, keyword)
        };
        let raw: Box<str> = raw.into();
        self.report(found);
        let kind = match (is_key, keyword) {
            (true, _) => ValueKind::Text(raw, Quotes::Quoted),
            _ => ValueKind::Poison,
        };
        Value { kind, span }
    }

    /// Checks whether the value that is being read is that of a yes-or-no field. Elsewhere `true` may be text.
    fn is_yes_no(&self) -> bool {
        let mut fields = schema::kinds().flat_map(|kind| kind.fields);
        fields.any(|row| row.word == self.owner && row.value == ValueType::Bool)
    }

    /// Checks whether the character here is part of the word that begins at `start`.
    fn word_goes_on(&self, start: usize) -> bool {
        match self.byte(self.at) {
            b'/' => {
                !matches!(self.byte(self.at + 1), b'/' | b'*' | b'-') || {
                    // `/-` inside a word, as in `a/-b`, is part of it; on its own it is not.
                    self.byte(self.at + 1) == b'-' && self.at > start
                }
            }
            b'\\' => !self.is_line_continuation(self.at),
            b'(' | b'[' => self.at > start,
            _ => self.at > start,
        }
    }

    /// Returns the end of a run of characters without white space, `;`, braces or quotes.
    pub fn end_of_run(&self, at: usize) -> usize {
        let mut at = at;
        while at < self.bytes.len() {
            match self.byte(at) {
                b';' | b'{' | b'}' | b'"' => break,
                b'/' if matches!(self.byte(at + 1), b'/' | b'*') => break,
                b'\\' if self.is_line_continuation(at) => break,
                _ if chars::space(self.bytes, at) > 0 || chars::newline(self.bytes, at) > 0 => {
                    break;
                }
                _ => at += 1,
            }
        }
        at
    }

    fn word_with_signs(&mut self, start: usize) -> Value {
        let raw = self.slice(start, self.at);
        if let Some((kind, name)) = raw.split_once('/').filter(|_| self.owner == "depends-on") {
            let span = self.span(start, self.at);
            let meant = format!("{kind} {}", crate::write::text(name));
            self.report(
                Diagnostic::error(codes::NO_VALUE, "a dependency is a kind and a name")
                    .label(span, "this is one text")
                    .maybe(format!("write `depends-on {meant}`"), span, meant),
            );
            return Value { kind: ValueKind::Poison, span };
        }
        let image =
            raw.split('/').next().is_some_and(|host| host.contains('.') && !host.starts_with('.'));
        let headline = if raw.starts_with("$(") || raw.contains("$(") {
            format!("`{raw}` needs quotes: KDL words hold no parentheses")
        } else if raw.contains('/') {
            if image || !(raw.starts_with(['/', '.', '~'])) && raw.contains(':') {
                "an image with `/` needs quotes".to_owned()
            } else {
                "a path needs quotes: KDL words hold no `/`".to_owned()
            }
        } else if raw.contains('\\') {
            format!("`{raw}` needs quotes: KDL words hold no `\\`")
        } else {
            format!("`{raw}` needs quotes: KDL words hold no brackets")
        };
        self.needs_quotes(start, &headline)
    }

    /// Reports that the text from `start` to here needs quotes.
    pub fn needs_quotes(&mut self, start: usize, headline: &str) -> Value {
        let span = self.span(start, self.at);
        let raw = self.slice_of(span);
        let quoted = format!("\"{}\"", raw.replace('\\', "\\\\"));
        let found = Diagnostic::error(codes::NEEDS_QUOTES, headline).label(span, "").maybe(
            format!("write `{quoted}`"),
            span,
            quoted,
        );
        self.report(found);
        Value { kind: ValueKind::Poison, span }
    }

    /// Reports `${…}` outside a string.
    fn interpolation(&mut self, start: usize) -> Value {
        let line = self.end_of_line(self.at);
        while self.byte(self.at) == b'{' && self.at < line {
            match self.slice(self.at, line).find('}') {
                Some(end) => self.at += end + 1,
                None => self.at = line,
            }
            while self.at < line
                && !matches!(self.byte(self.at), b' ' | b'\t' | b';' | b'{' | b'}' | b'"')
            {
                self.at += 1;
            }
        }
        let span = self.span(start, self.at);
        let raw = self.slice_of(span);
        if raw.contains("${secret.") {
            let quoted = crate::write::quoted(raw);
            let shown = crate::write::shortened(raw);
            self.report(
                Diagnostic::error(codes::NEEDS_QUOTES, format!("`{shown}` needs quotes"))
                    .label(span, "a text with a secret is written in quotes")
                    .maybe(format!("write `{quoted}`"), span, quoted),
            );
            return Value { kind: ValueKind::Poison, span };
        }
        let raw = crate::write::shortened(raw);
        self.report(
            Diagnostic::error(codes::LATER_TEXT, format!("`{raw}` is not in this version yet"))
                .label(span, "")
                .help("Named values and expressions are not supported yet, and are written in quotes. Write the value itself."),
        );
        Value { kind: ValueKind::Poison, span }
    }

    /// Reports `ssh://…` outside a string: in KDL the text after the colon is a comment.
    fn commented_address(&mut self, start: usize) -> Value {
        let mut end = self.at;
        while end < self.bytes.len()
            && !matches!(self.byte(end), b' ' | b'\t' | b';' | b'{' | b'}' | b'"')
            && chars::newline(self.bytes, end) == 0
        {
            end += 1;
        }
        let raw = self.slice(start, end);
        // `ssh://host"`: the first quote is missing, the second is not.
        self.at = end + usize::from(self.byte(end) == b'"' && self.odd_quotes(end));
        let span = self.span(start, self.at);
        let text: Box<str> = raw.into();
        let found = Diagnostic::error(
            codes::COMMENTED_ADDRESS,
            "`//` begins a comment: an address needs quotes",
        )
        .label(span, "")
        .maybe(format!("write `\"{raw}\"`"), span, format!("\"{raw}\""));
        self.report(found);
        Value { kind: ValueKind::Text(text, Quotes::Quoted), span }
    }

    /// Reports a list in brackets in place of values; `key` is that of a property.
    pub fn bracket_list(&mut self, start: usize, head: &mut Head, key: Option<Text>) {
        let open = self.at;
        let line_start = self.line_start;
        let mut values: Vec<Value> = Vec::new();
        self.at += 1;
        self.mute += 1;
        let closed = loop {
            self.line_space();
            match self.byte(self.at) {
                b',' => self.at += 1,
                b']' => break true,
                b'{' | b'}' | b';' | b'=' => break false,
                _ if self.ended() || values.len() > 1000 => break false,
                _ => match self.list_item() {
                    Some(value) => values.push(value),
                    None => break false,
                },
            }
        };
        self.mute -= 1;
        if !closed {
            self.at = open;
            self.line_start = line_start;
            return self.junk("a list has no brackets");
        }
        self.at += 1;
        let whole = self.span(open, self.at);
        let written: Vec<String> = values.iter().map(|value| self.as_written(value)).collect();
        let written = written.join(" ");
        let mut found =
            Diagnostic::error(codes::BRACKETS, "a list has no brackets or commas").label(whole, "");
        match (&key, head.equals) {
            (Some(key), _) => {
                found = found.help(format!("In the block of the node: `{} {written}`", key.text));
            }
            (None, equals) => {
                // `command = ["a"]` is one mistake too.
                let from = equals
                    .map_or(start, |at| self.text.get(..at).unwrap_or_default().trim_end().len());
                let text = if equals.is_some() { format!(" {written}") } else { written.clone() };
                let changes = vec![TextChange { span: self.span(from, self.at), text }];
                found = found.edit(Edit {
                    title: format!("write `{written}`"),
                    certain: true,
                    changes,
                });
            }
        }
        self.report(found);
        head.equals = None;
        match key {
            Some(key) => {
                let value = Value { kind: ValueKind::Poison, span: whole };
                head.entries.push(Entry { span: key.span.to(whole), key: Some(key), value });
            }
            None => {
                let entries =
                    values.into_iter().map(|value| Entry { key: None, span: value.span, value });
                head.entries.extend(entries);
            }
        }
    }

    /// Reads a value inside brackets; commas end bare words there.
    fn list_item(&mut self) -> Option<Value> {
        if matches!(self.byte(self.at), b'"' | b'#' | b'\'') {
            return self.value();
        }
        let start = self.at;
        while !self.ended()
            && !matches!(
                self.byte(self.at),
                b',' | b']' | b'[' | b' ' | b'\t' | b'"' | b'{' | b'}' | b';'
            )
            && chars::space(self.bytes, self.at) == 0
            && chars::newline(self.bytes, self.at) == 0
        {
            self.at += 1;
        }
        let raw = self.slice(start, self.at);
        let kind = if chars::is_number(raw) {
            ValueKind::Number(raw.into())
        } else {
            ValueKind::Text(raw.into(), Quotes::Bare)
        };
        (!raw.is_empty()).then(|| Value { kind, span: self.span(start, self.at) })
    }

    /// Returns a value in its correct form.
    fn as_written(&self, value: &Value) -> String {
        match &value.kind {
            ValueKind::Text(text, Quotes::Bare) => crate::write::text(text),
            ValueKind::Text(text, _) if self.slice_of(value.span).starts_with('\'') => {
                crate::write::quoted(text)
            }
            _ => self.slice_of(value.span).to_owned(),
        }
    }
}
