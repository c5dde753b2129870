//! Inserts the mutants that `cargo mutants --list --json` names into a copy of the sources, each behind
//! `tally_graph::planted(NUMBER)`: one build contains them all, and each trial takes a run of the tests, not a
//! build. Those that do not compile are left out, as `cargo mutants` itself would find.
//!
//! ```sh
//! cargo mutants --list --json -p tally-reconcile >mutants.json
//! tally-mutants plant COPY mutants.json >planted.json
//! tally-mutants try COPY planted.json TEST-BINARY... >tried
//! tally-mutants again COPY planted.json tried TEST-BINARY...   # those that were missed
//! ```

mod check;
mod mutant;
mod places;
mod program;
mod render;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mutant::{Mutant, Outcome};

/// The maximum number of compilations to find mutants that do not compile: borrow errors show only where the types
/// are right.
const MOST_ROUNDS: usize = 20;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["plant", copy, list] => plant(Path::new(copy), Path::new(list)).map(|all| {
            println!("{}", serde_json::to_string_pretty(&all).unwrap_or_default());
        }),
        ["try", copy, list, tests @ ..] if !tests.is_empty() => {
            trial::run(Path::new(copy), Path::new(list), None, &paths(tests))
        }
        ["again", copy, list, former, tests @ ..] if !tests.is_empty() => {
            std::fs::read_to_string(former).map_err(|error| format!("{former}: {error}")).and_then(
                |text| trial::run(Path::new(copy), Path::new(list), Some(&text), &paths(tests)),
            )
        }
        _ => Err("usage: plant COPY MUTANTS.json | try COPY PLANTED.json TEST-BINARY... | \
                 again COPY PLANTED.json TRIED TEST-BINARY..."
            .to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tally-mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn paths(words: &[&str]) -> Vec<PathBuf> {
    words.iter().map(PathBuf::from).collect()
}

fn plant(copy: &Path, list: &Path) -> Result<Vec<Mutant>, String> {
    let text = std::fs::read_to_string(list).map_err(|error| error.to_string())?;
    let mut all = mutant::read(&text)?;
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    for mutant in &all {
        if !sources.contains_key(&mutant.file) {
            let path = copy.join(&mutant.file);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            sources.insert(mutant.file.clone(), text);
        }
    }
    for _ in 0..MOST_ROUNDS {
        for (file, source) in &sources {
            let mut own: Vec<&mut Mutant> =
                all.iter_mut().filter(|mutant| mutant.file == *file).collect();
            let text = render::file(source, &mut own)?;
            std::fs::write(copy.join(file), text).map_err(|error| error.to_string())?;
        }
        let packages: BTreeSet<&str> = all.iter().map(|mutant| mutant.package.as_str()).collect();
        let broken = check::broken(copy, &packages)?;
        let planted = all.iter().filter(|mutant| mutant.outcome == Outcome::Planted).count();
        eprintln!("{planted} mutants, {} do not compile", broken.len());
        if broken.is_empty() {
            return Ok(all);
        }
        for mutant in all.iter_mut().filter(|mutant| broken.contains(&mutant.number)) {
            mutant.outcome = Outcome::DoesNotCompile;
        }
    }
    Err("there is always something that does not compile".to_owned())
}
