//! The behaviour of a simulated program. Nothing is executed: a command is parsed as text, and only the forms below are
//! known. Every other command runs until it is stopped, and ends on SIGTERM.
//!
//! | command | behaviour |
//! |---|---|
//! | `true`, `false` | ends at once with 0, 1 |
//! | `sleep N` | ends after N seconds; ignores SIGTERM, as process 1 of a container does |
//! | `echo …` | prints and ends |
//! | `sh -c '…'` of these, `exit N` and `trap "exit N" SIGNAL` or `trap "" SIGNAL` joined by `;` | one after the other |
//! | a name that contains `none-such` or `missing` | is not in the image |

use std::collections::BTreeMap;

/// The maximum number of lines kept of a program's output.
const MOST_LINES: usize = 1_000;

/// The behaviour of a program once it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The lines that it prints, with milliseconds since its start.
    pub lines: Vec<(i64, String)>,
    /// When it ends by itself, in milliseconds since its start, and its exit code.
    pub ends: Option<(i64, i64)>,
    /// Its reaction to each signal that it handles.
    pub traps: BTreeMap<String, Trap>,
    /// Whether it ends with 0 on SIGTERM, SIGINT and SIGQUIT, as servers do.
    pub is_server: bool,
}

/// The reaction to a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trap {
    /// Nothing.
    Ignore,
    /// It ends with that exit code.
    Exit(i64),
}

impl Program {
    /// Returns its exit code on a signal; `None` when the signal does not end it.
    pub(crate) fn on_signal(&self, signal: &str) -> Option<i64> {
        if signal == "KILL" {
            return Some(137);
        }
        match self.traps.get(signal) {
            Some(Trap::Exit(code)) => Some(*code),
            Some(Trap::Ignore) => None,
            None => (self.is_server && matches!(signal, "TERM" | "INT" | "QUIT")).then_some(0),
        }
    }
}

/// Checks whether the program of a command exists.
pub(crate) fn exists(argv: &[String]) -> bool {
    argv.first().is_some_and(|word| !is_missing(word))
}

/// Checks whether a name says that the named object does not exist.
pub(crate) fn is_missing(name: &str) -> bool {
    name.contains("none-such") || name.contains("missing")
}

/// Parses a command.
pub(crate) fn read(argv: &[String]) -> Program {
    let mut reading = Reading::default();
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    match words.as_slice() {
        [shell, "-c", script, ..] if matches!(base(shell), "sh" | "ash" | "bash" | "dash") => {
            for statement in statements(script) {
                if !reading.step(&split(&statement)) {
                    break;
                }
            }
        }
        words => {
            let owned: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            if matches!(reading.simple(&owned), Simple::Unknown) {
                reading.is_server = true;
                reading.runs_on = true;
            }
        }
    }
    Program {
        lines: reading.lines,
        ends: (!reading.runs_on).then_some((reading.at_ms, reading.status)),
        traps: reading.traps,
        is_server: reading.is_server,
    }
}

#[derive(Default)]
struct Reading {
    at_ms: i64,
    status: i64,
    lines: Vec<(i64, String)>,
    traps: BTreeMap<String, Trap>,
    is_server: bool,
    runs_on: bool,
}

enum Simple {
    Known,
    Unknown,
}

impl Reading {
    /// Executes a statement of a script. Returns whether the next one is reached.
    fn step(&mut self, words: &[String]) -> bool {
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        match texts.as_slice() {
            [] => true,
            ["exit"] => false,
            ["exit", code] => {
                self.status = code.parse().unwrap_or(2);
                false
            }
            ["trap", action, signals @ ..] => {
                let trap = match action.strip_prefix("exit") {
                    Some(code) => Trap::Exit(code.trim().parse().unwrap_or(0)),
                    None => Trap::Ignore,
                };
                self.traps.extend(signals.iter().map(|name| (signal_name(name), trap)));
                true
            }
            ["while" | "until" | "for", ..] => {
                self.runs_on = true;
                false
            }
            ["exec", ..] => self.last(words.get(1..).unwrap_or_default()),
            _ => match self.simple(words) {
                Simple::Known => true,
                Simple::Unknown => self.last(words),
            },
        }
    }

    /// Executes the last command of a script. A script does not return from an unknown command: the program runs on.
    fn last(&mut self, words: &[String]) -> bool {
        if matches!(self.simple(words), Simple::Unknown) {
            self.is_server = true;
            self.runs_on = true;
        }
        false
    }

    fn simple(&mut self, words: &[String]) -> Simple {
        let Some((name, rest)) = words.split_first() else { return Simple::Unknown };
        match base(name) {
            "true" | ":" | "pwd" | "cat" | "cd" | "mkdir" | "touch" | "set" | "test" => {
                self.status = 0;
            }
            "false" => self.status = 1,
            "echo" => {
                if self.lines.len() < MOST_LINES {
                    self.lines.push((self.at_ms, rest.join(" ")));
                }
                self.status = 0;
            }
            "sleep" => match rest.first().map(|text| text.parse::<f64>()) {
                #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
                Some(Ok(seconds)) => {
                    self.at_ms = self.at_ms.saturating_add((seconds * 1_000.0) as i64);
                    self.status = 0;
                }
                _ => self.runs_on = true,
            },
            // A shell reports it and continues.
            name if is_missing(name) => self.status = 127,
            _ => return Simple::Unknown,
        }
        Simple::Known
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns one name for `SIGHUP`, `hup` and `1`. The numbers are those that Docker knows and people use.
pub(crate) fn signal_name(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let by_number = match name {
        "1" => "HUP",
        "2" => "INT",
        "3" => "QUIT",
        "9" => "KILL",
        "10" => "USR1",
        "12" => "USR2",
        "15" => "TERM",
        "28" => "WINCH",
        name => name,
    };
    by_number.to_owned()
}

/// Checks whether a signal of that name exists.
pub(crate) fn is_signal(name: &str) -> bool {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    NAMES.contains(&name)
}

/// Splits a script into statements: at `;`, `&&` and ends of lines outside quotes.
fn statements(script: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quote = None;
    for char in script.replace("&&", ";").chars() {
        match (quote, char) {
            (None, ';' | '\n') => out.push(String::new()),
            (Some(open), _) if open == char => {
                quote = None;
                push(&mut out, char);
            }
            (None, '"' | '\'') => {
                quote = Some(char);
                push(&mut out, char);
            }
            _ => push(&mut out, char),
        }
    }
    out
}

fn push(out: &mut [String], char: char) {
    if let Some(last) = out.last_mut() {
        last.push(char);
    }
}

/// Splits a statement into words and removes the quotes.
fn split(statement: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for char in statement.chars() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (None, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(words: &[&str]) -> Program {
        read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn commands_are_read() {
        for (words, ends) in [
            (&["true"][..], Some((0, 0))),
            (&["/bin/false"], Some((0, 1))),
            (&["sleep", "1.5"], Some((1_500, 0))),
            (&["nginx", "-g", "daemon off;"], None),
            (&["sh", "-c", "exit 3"], Some((0, 3))),
            (&["/bin/sh", "-c", "echo hi; sleep 2; exit 4"], Some((2_000, 4))),
            (&["sh", "-c", "echo a && sleep 1 && false"], Some((1_000, 1))),
            (&["sh", "-c", "while :; do sleep 0.1; done"], None),
            (&["sh", "-c", "exec redis-server"], None),
            (&["sh", "-c", "none-such-program"], Some((0, 127))),
            (&["sh", "-c", "exec sleep 1"], Some((1_000, 0))),
            (&["sh", "-c", "trap \"exit 7\" HUP; sleep 5"], Some((5_000, 0))),
            (&["sh", "-c", "echo 'a; exit 3'"], Some((0, 0))),
        ] {
            assert_eq!(program(words).ends, ends, "{words:?}");
        }
    }

    #[test]
    fn output_comes_when_it_is_printed() {
        let program = program(&["sh", "-c", "echo one; sleep 1; echo two three"]);
        assert_eq!(program.lines, [(0, "one".to_owned()), (1_000, "two three".to_owned())]);
    }

    #[test]
    fn servers_heed_signals_and_sleepers_do_not() {
        assert_eq!(program(&["nginx"]).on_signal("TERM"), Some(0));
        assert_eq!(program(&["nginx"]).on_signal("HUP"), None);
        assert_eq!(program(&["sleep", "9"]).on_signal("TERM"), None);
        assert_eq!(program(&["sleep", "9"]).on_signal("KILL"), Some(137));
        let trapping = program(&["sh", "-c", "trap \"exit 7\" HUP; sleep 9"]);
        assert_eq!(trapping.on_signal("HUP"), Some(7));
        assert_eq!(trapping.on_signal("TERM"), None);
    }
}
