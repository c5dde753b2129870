//! Finds the mutants that do not compile, by the positions of the compiler's errors.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    message: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

/// Returns the numbers of the mutants in which the compiler finds errors.
///
/// # Errors
/// When it cannot be run, and when an error is in no mutant.
pub fn broken(copy: &Path, packages: &BTreeSet<&str>) -> Result<BTreeSet<u32>, String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(copy).args(["check", "--quiet", "--message-format=json"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    let output = cargo.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut broken = BTreeSet::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        let Some(message) = line.message.filter(|it| it.level == "error") else { continue };
        if message.spans.is_empty() {
            continue;
        }
        let found = if message.message.starts_with("non-exhaustive patterns") { arms(copy, &message.spans)? } else { found(copy, &message.spans)? };
        if found.is_empty() {
            let place = message.spans.first().map(|it| (it.file_name.clone(), it.byte_start));
            return Err(format!("an error in no mutant, at {place:?}: {}", message.message));
        }
        broken.extend(found);
    }
    if broken.is_empty() && !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(broken)
}

/// Returns the mutants that contain an error: by its first positions, then by the others, then all that are in the
/// same expression.
fn found(copy: &Path, spans: &[Span]) -> Result<BTreeSet<u32>, String> {
    let read = |span: &Span| {
        std::fs::read_to_string(copy.join(&span.file_name)).map_err(|error| error.to_string())
    };
    for primary in [true, false] {
        let mut all = BTreeSet::new();
        for span in spans.iter().filter(|span| span.is_primary == primary) {
            all.extend(around(&read(span)?, span.byte_start));
        }
        if !all.is_empty() {
            return Ok(all);
        }
    }
    let mut all = BTreeSet::new();
    for span in spans {
        let text = read(span)?;
        let bytes = text.as_bytes().get(span.byte_start..span.byte_end).unwrap_or_default();
        all.extend(begun(&String::from_utf8_lossy(bytes)));
        if all.is_empty() {
            // The line of an expression with several branches.
            let before = text.get(..span.byte_start).unwrap_or_default();
            let from = before.rfind('\n').map_or(0, |at| at + 1);
            let to = text.get(span.byte_end..).and_then(|rest| rest.find('\n'));
            let to = to.map_or(text.len(), |at| span.byte_end + at);
            all.extend(begun(text.get(from..to).unwrap_or_default()));
        }
    }
    Ok(all)
}

/// Returns the mutants that remove arms of a `match`, by the position of the matched expression.
fn arms(copy: &Path, spans: &[Span]) -> Result<BTreeSet<u32>, String> {
    let Some(span) = spans.iter().find(|span| span.is_primary) else { return Ok(BTreeSet::new()) };
    let text = std::fs::read_to_string(copy.join(&span.file_name)).map_err(|it| it.to_string())?;
    let after = text.get(span.byte_end..).unwrap_or_default();
    let body = after.get(after.find('{').unwrap_or(0)..).unwrap_or_default();
    let mut depth = 0_usize;
    let end = body.find(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    });
    let body = body.get(..end.unwrap_or(body.len())).unwrap_or_default();
    let left_out = body.split(" !/*<").skip(1);
    Ok(left_out.filter_map(|piece| piece.split_once("*/")?.0.parse().ok()).collect())
}

/// Returns the innermost mutant that contains a byte.
fn around(text: &str, at: usize) -> Option<u32> {
    let before = text.get(..at)?;
    let mut open: Vec<u32> = Vec::new();
    for piece in before.split("/*").skip(1) {
        let Some((mark, _)) = piece.split_once("*/") else { continue };
        if let Some(number) = mark.strip_prefix('<').and_then(|number| number.parse().ok()) {
            open.push(number);
        } else if let Some(number) = mark.strip_suffix('>').and_then(|it| it.parse::<u32>().ok()) {
            open.retain(|it| *it != number);
        }
    }
    open.pop()
}

/// Returns all mutants that start in a text.
fn begun(text: &str) -> BTreeSet<u32> {
    let pieces = text.split("/*<").skip(1);
    pieces.filter_map(|piece| piece.split_once("*/")?.0.parse().ok()).collect()
}
