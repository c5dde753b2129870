//! What the terminal can show.

use std::io::IsTerminal as _;

use tally_source::Theme;

/// Columns where nothing says how many there are.
const DEFAULT_WIDTH: usize = 100;

/// What standard output and standard error can show.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Columns.
    pub width: usize,
    /// Whether standard output is a terminal: only there lines are broken to fit.
    pub stdout: bool,
    /// Whether standard error is a terminal: progress and questions go there.
    pub stderr: bool,
    /// Whether colours are wanted.
    pub colour: bool,
    /// Whether box drawing and arrows can be shown.
    pub unicode: bool,
}

impl Terminal {
    /// Looks at the environment.
    #[must_use]
    pub fn detect() -> Self {
        let stdout = std::io::stdout().is_terminal();
        let stderr = std::io::stderr().is_terminal();
        let any = stdout || stderr;
        let width = match any {
            true => crossterm::terminal::size().map_or(DEFAULT_WIDTH, |(w, _)| usize::from(w)),
            false => DEFAULT_WIDTH,
        };
        // https://no-color.org: any value that is not empty switches colours off.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
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
            colour: stdout && !unwanted && !dumb,
            unicode: any && (locale.contains("utf-8") || locale.contains("utf8")),
        }
    }

    /// How reports are drawn.
    #[must_use]
    pub fn theme(&self) -> Theme {
        match (self.colour, self.unicode) {
            (true, true) => Theme::Colour,
            (false, true) => Theme::Unicode,
            _ => Theme::Plain,
        }
    }

    /// Text in a style, where colours are wanted.
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

    /// Text in lines that begin at `indent` and fit, broken between words only: a path or a command that is
    /// too long for a line stays whole, so that it can be copied.
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

    /// An arrow from old to new.
    #[must_use]
    pub fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }
}

/// Styles by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Something is made, or good.
    Add,
    /// Something changes, or waits.
    Change,
    /// Something goes.
    Remove,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// Something is wrong.
    Bad,
}

/// Columns, as near as characters tell.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// Writes to standard output; a closed pipe ends the program quietly, as people expect of `| head`.
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
    // Nothing is left to say it to when standard error is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Text of a daemon or a container, made safe to print: control characters are shown, not obeyed.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_between_words_and_what_is_too_long_stays_whole() {
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
