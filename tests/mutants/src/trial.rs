//! Runs the tests with one mutant after another, on all cores, and tells which are not caught.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::mutant::{Mutant, Outcome};

/// A test program that has used the processor for so long, in seconds, has been caught: what it tries goes on
/// for ever. The slowest takes a fifth of that.
const MOST_PROCESSOR_S: u32 = 100;
/// The same for one that waits for ever. It is long, since the machine may be busy.
const LIMIT: Duration = Duration::from_secs(1_800);
/// Knuth's multiplier (The Art of Computer Programming, 6.4): numbers in a row come to lie far apart.
const SCATTER: u32 = 2_654_435_761;
/// The pause between two looks at a program that runs.
const PAUSE: Duration = Duration::from_millis(20);

/// Tries each mutant that was planted: a line each, as it ends, and the sums at the end.
///
/// # Errors
/// When the tests fail without any mutant, and when they cannot be run.
pub fn run(copy: &Path, list: &Path, tests: &[PathBuf]) -> Result<(), String> {
    let text = std::fs::read_to_string(list).map_err(|error| error.to_string())?;
    let all: Vec<Mutant> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if let Some(by) = caught(copy, 0, tests)? {
        return Err(format!("without any mutant: {by}"));
    }
    let mut planted: Vec<&Mutant> =
        all.iter().filter(|it| it.outcome == Outcome::Planted).collect();
    // In no order of the sources, and the same each time: what is broken off is a sample of them all.
    planted.sort_by_key(|mutant| mutant.number.wrapping_mul(SCATTER));
    let next = AtomicUsize::new(0);
    let missed = AtomicUsize::new(0);
    let fault: Mutex<Option<String>> = Mutex::new(None);
    let work = || {
        while let Some(mutant) = planted.get(next.fetch_add(1, Ordering::Relaxed)) {
            match caught(copy, mutant.number, tests) {
                Ok(Some(by)) => println!("caught\t{}\t{}\t{by}", mutant.number, mutant.name),
                Ok(None) => {
                    missed.fetch_add(1, Ordering::Relaxed);
                    println!("MISSED\t{}\t{}", mutant.number, mutant.name);
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

/// What catches a mutant: the first test that fails, or the first program that does not end.
fn caught(copy: &Path, number: u32, tests: &[PathBuf]) -> Result<Option<String>, String> {
    for test in tests {
        let name = test.file_name().unwrap_or_default().to_string_lossy();
        let name = name.rsplit_once('-').map_or(name.as_ref(), |(name, _)| name).to_owned();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -t {MOST_PROCESSOR_S}; exec \"$0\" \"$@\"")]);
        // Whoever has failed once is caught: the others need not run.
        command.arg(test).args(["-q", "-Z", "unstable-options", "--fail-fast"]);
        command.env("RUSTC_BOOTSTRAP", "1").env("TALLY_PLANTED", number.to_string());
        command.current_dir(copy.join("tests")).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
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

/// How a program ended; `None` when it did not end in time, and was killed.
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
