//! Renders a terminal's output as an SVG picture: reads text with colours from standard input. `picture "$ tally
//! plan"` shows the command above it. Used by `make pictures`.

#![allow(clippy::print_stdout, reason = "its output is the picture")]

use std::io::Read as _;

/// The size of a character cell, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 16.0;

fn main() {
    let command = std::env::args().nth(1).unwrap_or_default();
    let mut text = String::new();
    if std::io::stdin().read_to_string(&mut text).is_err() {
        return;
    }
    let body = text.replace('\r', "");
    let body = body.trim_matches('\n');
    let all = if command.is_empty() {
        body.to_owned()
    } else {
        format!("\x1b[1m{command}\x1b[0m\n{body}")
    };
    let lines: Vec<Vec<(String, Style)>> = styled_lines(&all);
    let columns = lines
        .iter()
        .map(|line| line.iter().map(|(text, _)| text.chars().count()).sum::<usize>())
        .max()
        .unwrap_or(0);
    let width = columns as f64 * CELL.0 + 2.0 * MARGIN;
    let height = lines.len() as f64 * CELL.1 + 2.0 * MARGIN;
    println!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"ui-monospace, Menlo, Consolas, \
         'DejaVu Sans Mono', monospace\" font-size=\"14\">"
    );
    println!("<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1e2127\"/>");
    for (row, line) in lines.iter().enumerate() {
        let y = MARGIN + (row as f64 + 0.75) * CELL.1;
        let mut column = 0;
        for (text, style) in line {
            let x = MARGIN + column as f64 * CELL.0;
            let cells = text.chars().count();
            column += cells;
            if text.trim().is_empty() {
                continue;
            }
            let weight = if style.bold { " font-weight=\"bold\"" } else { "" };
            println!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{}\"{weight} textLength=\"{:.1}\" \
                 xml:space=\"preserve\">{}</text>",
                style.fill(),
                cells as f64 * CELL.0,
                escape(text)
            );
        }
    }
    println!("</svg>");
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Style {
    bold: bool,
    dim: bool,
    colour: Option<u8>,
}

impl Style {
    fn fill(self) -> &'static str {
        match (self.colour, self.dim) {
            (Some(1), _) => "#e06c75",
            (Some(2), _) => "#98c379",
            (Some(3), _) => "#e5c07b",
            (Some(4), _) => "#61afef",
            (Some(5), _) => "#c678dd",
            (Some(6), _) => "#56b6c2",
            (_, true) => "#7f848e",
            _ => "#dcdfe4",
        }
    }

    fn obey(&mut self, code: u8) {
        match code {
            0 => *self = Self::default(),
            1 => self.bold = true,
            2 => self.dim = true,
            22 => (self.bold, self.dim) = (false, false),
            30..=37 => self.colour = Some(code - 30),
            39 => self.colour = None,
            90..=97 => self.colour = Some(code - 90),
            _ => {}
        }
    }
}

/// Returns the lines as runs of one style each; escape sequences other than colours are dropped.
fn styled_lines(text: &str) -> Vec<Vec<(String, Style)>> {
    let mut lines = Vec::new();
    let mut style = Style::default();
    for line in text.split('\n') {
        let mut runs: Vec<(String, Style)> = Vec::new();
        let mut rest = line;
        while let Some(at) = rest.find('\x1b') {
            let (before, tail) = rest.split_at(at);
            push(&mut runs, before, style);
            let body = tail.strip_prefix("\x1b[").unwrap_or_default();
            let end = body.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(body.len());
            let (codes, tail) = body.split_at(end);
            if tail.starts_with('m') {
                let mut codes: Vec<u8> = codes.split(';').filter_map(|c| c.parse().ok()).collect();
                if codes.is_empty() {
                    codes.push(0);
                }
                codes.into_iter().for_each(|code| style.obey(code));
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        push(&mut runs, rest, style);
        lines.push(runs);
    }
    lines
}

fn push(runs: &mut Vec<(String, Style)>, text: &str, style: Style) {
    if !text.is_empty() {
        runs.push((text.to_owned(), style));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
