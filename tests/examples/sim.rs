//! Runs the simulation: one seed with its trace, or many.
//!
//! ```sh
//! sim one SEED
//! sim many COUNT [FIRST]
//! ```
#![expect(clippy::print_stdout, reason = "the output is for people")]

use std::process::ExitCode;

use tally_tests::simulation::faults::Kind;
use tally_tests::simulation::many::many;
use tally_tests::simulation::{Settings, run, spec};

/// Plans and views consist of many small allocations: they took a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: u64| {
        words.get(at).and_then(|word| word.parse().ok()).unwrap_or(otherwise)
    };
    match words.first().map(String::as_str) {
        Some("one") => one(number(1, 1)),
        Some("many") => several(number(1, 1_000), number(2, 1)),
        _ => {
            println!("sim one SEED | sim many COUNT [FIRST]");
            ExitCode::FAILURE
        }
    }
}

fn one(seed: u64) -> ExitCode {
    let family = spec::family(seed);
    for (number, version) in family.versions.iter().enumerate() {
        println!("-- version {number}\n{}", version.text);
    }
    let outcome = run(seed, Settings { verbose: true, deep: false });
    for line in &outcome.lines {
        println!("{line}");
    }
    println!("seed {seed}: {:016x}, {} s simulated", outcome.hash, outcome.simulated_ms / 1_000);
    for violation in &outcome.violations {
        println!("VIOLATION {violation}");
    }
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn several(count: u64, first: u64) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let tally = many(first, count, threads, Settings::default(), false);
    println!("fault kinds:");
    for kind in Kind::ALL {
        println!("  {:<20} {}", kind.word(), tally.fired.get(kind).copied().unwrap_or(0));
    }
    for (seed, violations) in &tally.bad {
        for violation in violations {
            println!("VIOLATION seed {seed}: {violation}");
        }
    }
    let seconds = tally.took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "the output is for people")]
    let rate = tally.seeds as f64 / seconds;
    println!(
        "{} seeds in {seconds:.1} s on {threads} threads: {rate:.0} seeds/s; {} calls, {} h simulated",
        tally.seeds,
        tally.calls,
        tally.simulated.as_secs() / 3_600
    );
    println!(
        "{:016x}: {} seeds with violations; {} rollouts rolled back; {} kinds never fired",
        tally.hash,
        tally.bad_seeds,
        tally.rollbacks,
        tally.never().len()
    );
    if tally.bad_seeds == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
