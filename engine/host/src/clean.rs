//! Text of daemons, registries and containers is untrusted: it may contain terminal escapes and be of any length. It
//! reaches people only through this module.

/// Maximum length of a message, in characters.
pub const MESSAGE_CHARS: usize = 2_000;

/// Returns one line for people: without escapes and control characters, with white space collapsed, and shortened.
#[must_use]
pub fn line(text: &str) -> String {
    let mut out = String::new();
    let mut chars = 0_usize;
    let mut gap = false;
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        if char == '\u{1b}' {
            skip_escape(&mut rest);
            continue;
        }
        if char.is_whitespace() {
            gap = true;
            continue;
        }
        if char.is_control() || is_direction(char) {
            continue;
        }
        if chars >= MESSAGE_CHARS {
            out.push('…');
            break;
        }
        if gap && !out.is_empty() {
            out.push(' ');
        }
        gap = false;
        out.push(char);
        chars += 1;
    }
    out
}

/// Returns the last `count` lines of a container's output, each cleaned. Empty lines are omitted.
#[must_use]
pub fn last_lines(bytes: &[u8], count: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> =
        text.lines().rev().map(line).filter(|line| !line.is_empty()).take(count).collect();
    lines.reverse();
    lines
}

/// Checks for marks that reorder text.
fn is_direction(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Skips the remainder of an escape sequence: CSI to its final byte, OSC to its terminator, otherwise one character.
fn skip_escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match rest.next() {
        Some('[') => {
            for char in rest.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&char) {
                    break;
                }
            }
        }
        Some(']' | 'P' | '_' | '^') => {
            while let Some(char) = rest.next() {
                if char == '\u{7}' {
                    break;
                }
                if char == '\u{1b}' {
                    // The terminator is ESC and a backslash.
                    rest.next_if_eq(&'\\');
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_never_get_through() {
        for (dirty, clean) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m text", "red text"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("bell\u{7} and\tback\u{8}", "bell and back"),
            ("two\nlines\r\n", "two lines"),
            ("swap\u{202e}ped", "swapped"),
            ("cut\u{1b}[", "cut"),
            ("", ""),
        ] {
            assert_eq!(line(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn length_is_capped() {
        let cleaned = line(&"x".repeat(1_000_000));
        assert_eq!(cleaned.chars().count(), MESSAGE_CHARS + 1);
        assert!(cleaned.ends_with('…'));
    }

    #[test]
    fn the_last_lines_are_kept() {
        assert_eq!(last_lines(b"a\nb\n\nc\n", 2), ["b", "c"]);
        assert_eq!(last_lines(b"", 2), Vec::<String>::new());
        assert_eq!(last_lines(b"\xff\x1b[1mx", 2), ["\u{fffd}x"]);
    }
}
