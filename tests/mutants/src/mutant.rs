//! One mutant, as `cargo mutants` describes it.

use serde::{Deserialize, Serialize};

/// The result of planting a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is behind its switch.
    Planted,
    /// The sources do not compile with it.
    DoesNotCompile,
    /// Its position allows no switch.
    NoSwitch,
}

/// One change of the sources.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mutant {
    pub number: u32,
    pub outcome: Outcome,
    pub package: String,
    pub file: String,
    pub genre: String,
    pub line: usize,
    pub column: usize,
    pub replacement: String,
    pub name: String,
}

#[derive(Deserialize)]
struct Listed {
    package: String,
    file: String,
    genre: String,
    span: Span,
    replacement: String,
    name: String,
}

#[derive(Deserialize)]
struct Span {
    start: Place,
}

#[derive(Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

/// Reads what `cargo mutants --list --json` wrote.
///
/// # Errors
/// The text does not have that form.
pub fn read(text: &str) -> Result<Vec<Mutant>, String> {
    let all: Vec<Listed> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let numbered = (1_u32..).zip(all).map(|(number, listed)| Mutant {
        number,
        outcome: Outcome::Planted,
        package: listed.package,
        file: listed.file,
        genre: listed.genre,
        line: listed.span.start.line,
        column: listed.span.start.column,
        replacement: listed.replacement,
        name: listed.name,
    });
    Ok(numbered.collect())
}
