//! The capabilities of the terminal, and writing to it.

use std::io::IsTerminal as _;

use anstream::{AutoStream, ColorChoice};
use tally_source::{Theme, is_unsafe};

/// Columns if the terminal does not report its width.
const DEFAULT_WIDTH: usize = 100;

/// The capabilities of standard output and standard error.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Columns.
    pub width: usize,
    /// Whether standard output is a terminal: only there are lines broken to fit.
    pub stdout: bool,
    /// Whether standard error is a terminal: progress and questions go there.
    pub stderr: bool,
    /// Whether output is coloured.
    pub colour: bool,
    /// Whether box drawing and arrows can be shown.
    pub unicode: bool,
}

impl Terminal {
    /// Returns the capabilities according to the environment.
    #[must_use]
    pub fn detect() -> Self {
        let stdout = std::io::stdout().is_terminal();
        let stderr = std::io::stderr().is_terminal();
        let any = stdout || stderr;
        let width = if any {
            crossterm::terminal::size().map_or(DEFAULT_WIDTH, |(w, _)| usize::from(w))
        } else {
            DEFAULT_WIDTH
        };
        // Considers NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM and whether standard output is a terminal.
        let colour = AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty())
            .unwrap_or_default()
            .to_ascii_lowercase();
        Self {
            width: width.max(40),
            stdout,
            stderr,
            colour,
            unicode: any && (locale.contains("utf-8") || locale.contains("utf8")),
        }
    }

    /// Returns the theme of reports.
    #[must_use]
    pub fn theme(&self) -> Theme {
        match (self.colour, self.unicode) {
            (true, true) => Theme::Colour,
            (false, true) => Theme::Unicode,
            _ => Theme::Plain,
        }
    }

    /// Returns the text in a style, if output is coloured.
    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match style {
            Style::Add => "32",
            Style::Change => "33",
            Style::Remove => "31",
            Style::Dim => "2",
            Style::Bold => "1",
            Style::Bad => "31;1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Returns the text in lines that start at `indent` and fit, broken only between words: a path or a
    /// command that is too long for a line stays whole, so that it can be copied.
    #[must_use]
    pub fn wrap(&self, text: &str, indent: usize) -> String {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split(' ') {
            match lines.last_mut() {
                Some(line) if indent + width(line) + 1 + width(word) <= self.width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines.join(&format!("\n{:indent$}", ""))
    }

    /// Returns the arrow between an old and a new value.
    #[must_use]
    pub fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }
}

/// A style, by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// An object is created, or is as specified.
    Add,
    /// An object changes, or waits.
    Change,
    /// An object is removed.
    Remove,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// An error.
    Bad,
}

/// Returns the width in columns; each character counts as one.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// Writes to standard output. A closed pipe ends the program without an error, for `| head`.
pub fn out(text: &str) {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes to standard error.
pub fn err(text: &str) {
    use std::io::Write as _;
    // If standard error is closed, the error cannot be reported.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Returns the text of a daemon or a container on one line, without characters that control the terminal or the
/// direction of the text, so that it is safe to print.
#[must_use]
pub fn clean(text: &str) -> String {
    let unsafe_here = |c: char| is_unsafe(c) || c == '\n';
    text.chars().map(|c| if unsafe_here(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_controls_neither_the_terminal_nor_the_direction_of_text() {
        let text = "a\tb\u{1b}[2J\u{202e}c\u{2067}d\u{200f}e\nf";
        assert_eq!(clean(text), "a\tb\u{fffd}[2J\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f");
    }

    #[test]
    fn a_line_is_broken_between_words_and_a_long_word_stays_whole() {
        let terminal =
            Terminal { width: 20, stdout: true, stderr: false, colour: false, unicode: false };
        for (text, wrapped) in [
            ("", ""),
            ("short", "short"),
            ("just as long as it", "just as long as\n    it"),
            ("see /a/path/that/is/too/long here", "see\n    /a/path/that/is/too/long\n    here"),
        ] {
            assert_eq!(terminal.wrap(text, 4), wrapped);
        }
    }
}
