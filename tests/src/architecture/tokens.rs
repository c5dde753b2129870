//! Rust source text as tokens: names and punctuation, without comments, strings and lifetimes.

/// A name or a punctuation mark, with the line it is on (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The name, `::`, or one character of punctuation.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
}

impl Token {
    /// Checks whether the token is this name or mark.
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    /// Checks whether the token is a name (keywords are names too).
    pub fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Returns the tokens of a source text. Comments, strings, characters, lifetimes and numbers leave none.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader { rest: source, line: 1 };
    let mut tokens = Vec::new();
    while let Some(first) = reader.rest.chars().next() {
        if reader.skipped(first) {
            continue;
        }
        let line = reader.line;
        let length = token_length(reader.rest, first);
        let text = &reader.rest[..length];
        if !first.is_numeric() {
            tokens.push(Token { text: text.trim_start_matches("r#").to_owned(), line });
        }
        reader.advance(length);
    }
    tokens
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn advance(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    /// Skips a space, comment, string, character or lifetime when one is next.
    fn skipped(&mut self, first: char) -> bool {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if self.rest.starts_with("//") {
            self.rest.find('\n').unwrap_or(self.rest.len())
        } else if self.rest.starts_with("/*") {
            block_comment(self.rest)
        } else if first == '\'' {
            quoted_or_lifetime(self.rest)
        } else if let Some(length) = string(self.rest) {
            length
        } else {
            return false;
        };
        self.advance(length);
        true
    }
}

fn token_length(rest: &str, first: char) -> usize {
    if first.is_alphanumeric() || first == '_' {
        let start = if rest.starts_with("r#") { 2 } else { 0 };
        let name = |c: char| !(c.is_alphanumeric() || c == '_');
        rest[start..].find(name).map_or(rest.len(), |length| start + length)
    } else if rest.starts_with("::") {
        2
    } else {
        first.len_utf8()
    }
}

/// Returns the length of the block comment at the start; block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Returns the length of `'x'`, `'\n'` or `'lifetime` at the start.
fn quoted_or_lifetime(rest: &str) -> usize {
    let inner = &rest[1..];
    let mut chars = inner.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => {
            let escaped = 1 + 1 + inner[1..].chars().next().map_or(0, char::len_utf8);
            rest[escaped..].find('\'').map_or(rest.len(), |end| escaped + end + 1)
        }
        (Some(one), Some('\'')) => 1 + one.len_utf8() + 1,
        _ => 1 + inner.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inner.len()),
    }
}

/// Returns the length of the string literal at the start: `"…"`, `b"…"`, `c"…"`, `r#"…"#` and their mixtures.
fn string(rest: &str) -> Option<usize> {
    let prefix = rest.find(|c| !matches!(c, 'b' | 'c' | 'r'))?;
    if prefix > 2 {
        return None;
    }
    let raw = rest[..prefix].contains('r');
    let hashes =
        if raw { rest[prefix..].len() - rest[prefix..].trim_start_matches('#').len() } else { 0 };
    let body = rest[prefix + hashes..].strip_prefix('"')?;
    let before = rest.len() - body.len();
    if raw {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(body.find(&end).map_or(rest.len(), |at| before + at + end.len()));
    }
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '"' {
            return Some(before + at + 1);
        }
    }
    Some(rest.len())
}

#[cfg(test)]
mod tests {
    use super::tokens;

    fn check(source: &str, expected: &[&str]) {
        let found: Vec<String> = tokens(source).into_iter().map(|token| token.text).collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn comments_and_strings_leave_no_tokens() {
        check("a // use b;\n/* use /* nested */ c; */ d", &["a", "d"]);
        check(
            r##"a("x \" use b;", b"y", r#"z " use"#, 'q', '\'', '\u{1F600}') c"##,
            &["a", "(", ",", ",", ",", ",", ",", ")", "c"],
        );
    }

    #[test]
    fn lifetimes_are_no_open_characters() {
        check(
            "fn f<'a>(x: &'a str) -> &'static str",
            &["fn", "f", "<", ">", "(", "x", ":", "&", "str", ")", "-", ">", "&", "str"],
        );
    }

    #[test]
    fn paths_and_raw_names_are_read() {
        check("r#use::b_1::{C}", &["use", "::", "b_1", "::", "{", "C", "}"]);
        check("brief::crate_x", &["brief", "::", "crate_x"]);
    }

    #[test]
    fn lines_are_counted_through_strings() {
        let found = tokens("a \"\n\n\" /*\n*/ b");
        assert_eq!(found.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 4]);
    }
}
