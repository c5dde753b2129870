//! Runs the tests with one mutant after another, on all cores, and reports which are not caught. Tests that never
//! reach the place of a mutant cannot catch it and are left out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::mutant::{Mutant, Outcome};
use crate::program::{MOST_PROCESSOR_S, Program};

/// The maximum time of a program that waits forever. It is long, because the machine may be busy.
const LIMIT: Duration = Duration::from_secs(600);
/// Knuth's multiplier (The Art of Computer Programming, 6.4): consecutive numbers are spread far apart.
const SCATTER: u32 = 2_654_435_761;
/// The pause between two checks of a running program.
const PAUSE: Duration = Duration::from_millis(20);

/// Tries each planted mutant, or those that a former run did not catch. Prints a line for each when it ends, and
/// the sums at the end.
///
/// # Errors
/// When the tests fail without any mutant, and when they cannot be run.
pub fn run(
    copy: &Path,
    list: &Path,
    former: Option<&str>,
    tests: &[PathBuf],
) -> Result<(), String> {
    // Programs run in a folder of the copy: their arguments must not depend on it.
    let copy = &copy.canonicalize().map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(list).map_err(|error| error.to_string())?;
    let all: Vec<Mutant> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let programs: Vec<Program> =
        tests.iter().map(|test| Program::of(copy, test)).collect::<Result<_, _>>()?;
    let wanted: Option<BTreeSet<&str>> = former.map(missed_names);
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
    let mut planted: Vec<&Mutant> =
        all.iter().filter(|it| it.outcome == Outcome::Planted && is_wanted(&it.name)).collect();
    // In a fixed order that is not that of the sources: an interrupted run is a sample of all mutants.
    planted.sort_by_key(|mutant| mutant.number.wrapping_mul(SCATTER));
    let next = AtomicUsize::new(0);
    let missed = AtomicUsize::new(0);
    let fault: Mutex<Option<String>> = Mutex::new(None);
    let work = || {
        while let Some(mutant) = planted.get(next.fetch_add(1, Ordering::Relaxed)) {
            match caught(copy, mutant.number, &programs) {
                Ok(Some(by)) => println!("caught\t{}\t{}\t{by}", mutant.number, mutant.name),
                Ok(None) => {
                    missed.fetch_add(1, Ordering::Relaxed);
                    let reached = programs.iter().any(|it| it.reaches(mutant.number).is_some());
                    let note = if reached { "" } else { "\tno test comes there" };
                    println!("MISSED\t{}\t{}{note}", mutant.number, mutant.name);
                }
                Err(error) => {
                    next.store(planted.len(), Ordering::Relaxed);
                    fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(error);
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    if let Some(error) = fault.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    let (tried, missed) = (planted.len(), missed.into_inner());
    println!("{tried} mutants tried, {} caught, {missed} not", tried - missed);
    Ok(())
}

/// Returns the names in the lines of the mutants that were not caught.
fn missed_names(former: &str) -> BTreeSet<&str> {
    let missed = former.lines().filter_map(|line| line.strip_prefix("MISSED\t"));
    missed.filter_map(|line| line.split('\t').nth(1)).collect()
}

/// Returns the first test that fails, or the first program that does not end.
fn caught(copy: &Path, number: u32, programs: &[Program]) -> Result<Option<String>, String> {
    for program in programs {
        let Some(tests) = program.reaches(number) else { continue };
        let mut command = program.command(copy, Some(MOST_PROCESSOR_S));
        // One failure is enough: the other programs need not run.
        command.args(["-Z", "unstable-options", "--fail-fast"]).env("RUSTC_BOOTSTRAP", "1");
        command.args(tests).env("TALLY_PLANTED", number.to_string());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", program.name))?;
        let name = program.name.clone();
        match ended(&mut child) {
            Some(status) if status.success() => {}
            Some(status) if status.code().is_none() => {
                return Ok(Some(format!("{name} is killed")));
            }
            Some(_) => return Ok(Some(name)),
            None => return Ok(Some(format!("{name} does not end"))),
        }
    }
    Ok(None)
}

/// Returns how a program ended; `None` if it did not end in time, and was killed.
fn ended(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if begun.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}
