//! Reads cases from text.

use std::fs;
use std::path::Path;

use super::words;

/// A case of the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its promise, as its title.
    pub promise: String,
    /// Its file.
    pub file: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// A call or an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its text, for messages.
    pub text: String,
    /// Its line.
    pub line: usize,
    /// The name of the call or observation.
    pub verb: String,
    /// Its arguments.
    pub words: Vec<String>,
    /// The expected kind of error.
    pub fails: Option<String>,
}

/// Returns all cases of a folder, in the order of files and lines.
///
/// # Errors
/// If a line cannot be read, with its file and line.
pub fn cases(folder: &Path) -> Result<Vec<Case>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "case"));
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        parse(&file, &text, &mut all)?;
    }
    Ok(all)
}

fn parse(file: &str, text: &str, all: &mut Vec<Case>) -> Result<(), String> {
    for (number, line) in (1..).zip(text.lines()) {
        let at = |problem: &str| format!("{file}:{number}: {problem}");
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(promise) = line.strip_prefix("case ") {
            let case =
                Case { promise: promise.to_owned(), file: file.to_owned(), steps: Vec::new() };
            all.push(case);
            continue;
        }
        let case = all.last_mut().filter(|case| case.file == file);
        let case = case.ok_or_else(|| at("a step before the first case"))?;
        let (call, fails) = match line.split_once(" => ") {
            Some((call, kind)) => (call, Some(kind.trim().to_owned())),
            None => (line, None),
        };
        let mut words = words::split(call).map_err(|problem| at(&problem))?;
        if words.is_empty() {
            return Err(at("no step"));
        }
        let verb = words.remove(0);
        case.steps.push(Step { text: line.to_owned(), line: number, verb, words, fails });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read() {
        let mut all = Vec::new();
        assert_eq!(parse("f", "# x\ncase p q\nstart a => not-found\n", &mut all), Ok(()));
        let case = &all[0];
        assert_eq!((case.promise.as_str(), case.steps.len()), ("p q", 1));
        assert_eq!(case.steps[0].fails.as_deref(), Some("not-found"));
        assert!(parse("g", "start a\n", &mut all).is_err());
    }
}
