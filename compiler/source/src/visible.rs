//! Text of others on a terminal: characters that control it, or the order of the text, are shown as escapes.

use std::borrow::Cow;

/// Checks whether a character controls a terminal, or changes the direction of the text around it. A tab and a line
/// break do not.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n')
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Returns a character as it is shown: itself, or its escape.
pub(crate) fn push_visible(out: &mut String, c: char) {
    if is_unsafe(c) {
        out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
    } else {
        out.push(c);
    }
}

/// Returns a text with escapes in place of unsafe characters.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_visible(&mut out, c);
    }
    Cow::Owned(out)
}

/// Returns a text with escapes in place of unsafe characters, and at most `most` characters before a `…`.
pub(crate) fn visible_up_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", visible(text.get(..end).unwrap_or_default())),
        None => visible(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_control_a_terminal_are_shown_as_escapes() {
        for (text, shown) in [
            ("plain é ✓\ttab\nline", "plain é ✓\ttab\nline"),
            ("\u{1b}]52;c;x\u{7}", "\\u{1b}]52;c;x\\u{7}"),
            ("a\u{202e}b\u{2066}c\u{9b}d\re", "a\\u{202e}b\\u{2066}c\\u{9b}d\\u{d}e"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_up_to("abcdef", 3), "abc…");
        assert_eq!(visible_up_to("abc", 3), "abc");
    }
}
