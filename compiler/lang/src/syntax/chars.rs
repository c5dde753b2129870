//! Characters that KDL counts as white space, as the end of a line, or as invalid.

use tally_source::{Diagnostic, FileId, Span};

use super::limits::MAX_MISTAKES;
use crate::codes;

/// Returns the length of the line end at `at`, or 0.
pub(super) fn newline(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'\n' | 0x0b | 0x0c) => 1,
        Some(b'\r') => 1 + usize::from(bytes.get(at + 1) == Some(&b'\n')),
        Some(0xc2) if bytes.get(at + 1) == Some(&0x85) => 2,
        Some(0xe2) if matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])) => 3,
        _ => 0,
    }
}

/// Returns the length of the white space character at `at`, or 0.
pub(super) fn space(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b' ' | b'\t') => 1,
        Some(0xc2) if bytes.get(at + 1) == Some(&0xa0) => 2,
        Some(0xe1) if matches!(bytes.get(at + 1..at + 3), Some([0x9a, 0x80])) => 3,
        Some(0xe2) => match bytes.get(at + 1..at + 3) {
            Some([0x80, 0x80..=0x8a | 0xaf] | [0x81, 0x9f]) => 3,
            _ => 0,
        },
        Some(0xe3) if matches!(bytes.get(at + 1..at + 3), Some([0x80, 0x80])) => 3,
        _ => 0,
    }
}

/// Checks whether the byte at `at` ends a bare word (a byte of a longer character never does, unless that
/// character is white space).
pub(super) fn ends_word(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        None => true,
        Some(
            b'{' | b'}' | b'(' | b')' | b'[' | b']' | b'/' | b'\\' | b'"' | b'#' | b';' | b'=',
        ) => true,
        Some(byte) if *byte > b' ' && *byte < 0x80 => false,
        Some(_) => space(bytes, at) > 0 || newline(bytes, at) > 0,
    }
}

/// Checks whether a text is a number in KDL's grammar.
pub(super) fn is_number(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text).as_bytes();
    let digits = |part: &[u8], ok: fn(&u8) -> bool| {
        part.first().is_some_and(ok) && part.iter().all(|b| ok(b) || *b == b'_')
    };
    match body {
        [b'0', b'x', rest @ ..] => digits(rest, u8::is_ascii_hexdigit),
        [b'0', b'o', rest @ ..] => digits(rest, |b| matches!(b, b'0'..=b'7')),
        [b'0', b'b', rest @ ..] => digits(rest, |b| matches!(b, b'0' | b'1')),
        _ => {
            let mut parts = body.splitn(2, |b| matches!(b, b'e' | b'E'));
            let mantissa = parts.next().unwrap_or_default();
            let exponent_ok = parts.next().is_none_or(|exponent| {
                let exponent =
                    exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
                digits(exponent, u8::is_ascii_digit)
            });
            let mut halves = mantissa.splitn(2, |b| *b == b'.');
            let whole_ok = digits(halves.next().unwrap_or_default(), u8::is_ascii_digit);
            let part_ok = halves.next().is_none_or(|part| digits(part, u8::is_ascii_digit));
            whole_ok && part_ok && exponent_ok
        }
    }
}

/// Checks whether a bare word begins like a number.
pub(super) fn begins_like_a_number(bytes: &[u8], at: usize) -> bool {
    let at = at + usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let at = at + usize::from(bytes.get(at) == Some(&b'.'));
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

fn is_bad(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{7f}'
        | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Reports characters that KDL forbids; runs of them count once.
pub(super) fn report_bad_characters(file: FileId, text: &str, out: &mut Vec<Diagnostic>) {
    // Bytes that can begin such a character are rare, so most texts are checked quickly.
    let suspicious = |b: &u8| matches!(b, 0..=8 | 0x0e..=0x1f | 0x7f | 0xe2 | 0xef);
    if !text.as_bytes().iter().any(suspicious) {
        return;
    }
    let mut run: Option<Span> = None;
    let body = text.char_indices().skip(usize::from(text.starts_with('\u{feff}')));
    for (at, c) in body.filter(|(_, c)| is_bad(*c)) {
        let here = Span::new(file, at, at + c.len_utf8());
        match &mut run {
            Some(run) if run.end == here.start => run.end = here.end,
            _ => {
                if out.len() >= MAX_MISTAKES {
                    return;
                }
                let direction = c > '\u{ff}' && c != '\u{feff}';
                let help = if direction {
                    "It changes the direction of the text around it, so that the spec is displayed in another order than it is read. Inside a string it is written as an escape: `\\u{…}`."
                } else {
                    "Delete it; inside a string it can be written as an escape: `\\u{…}`."
                };
                out.push(
                    Diagnostic::error(
                        codes::BAD_CHARACTER,
                        format!(
                            "the invisible character U+{:04X} is not allowed in a spec",
                            u32::from(c)
                        ),
                    )
                    .label(here, "here")
                    .help(help)
                    .maybe("delete it", here, ""),
                );
                run = Some(here);
            }
        }
    }
}
