//! Runs seeds with each planted bug until a seed detects it. `plant` copies this file into the scratch copy, where
//! `tally_graph::plant` chooses the bug. A process has one bug at a time, so several processes share the work.
//!
//! ```sh
//! planted SEEDS [PART PARTS]
//! ```
#![expect(clippy::print_stdout, reason = "the output is for people")]

use tally_tests::simulation::{Settings, run};

/// The name of the program without a bug.
const NO_BUG: u32 = 0;

/// Returns a seed's result; a panic of the comparison of two plans counts as a violation.
fn first_violation(seed: u64) -> Option<String> {
    match std::panic::catch_unwind(|| run(seed, Settings::default()).violations) {
        Ok(violations) => violations.into_iter().next(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map_or("", String::as_str);
            Some(format!("panic: {}", text.lines().next().unwrap_or_default()))
        }
    }
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let word = |at: usize| std::env::args().nth(at).and_then(|word| word.parse().ok());
    let most: u64 = word(1).unwrap_or(2_000);
    let (part, parts) = (word(2).unwrap_or(0), word(3).unwrap_or(1).max(1));
    for (number, name) in include!("names.rs") {
        if u64::from(number) % parts != part {
            continue;
        }
        tally_graph::plant(number);
        let caught = (1..=most).find_map(|seed| {
            let first = first_violation(seed)?;
            // A result of the program without a bug does not detect one.
            tally_graph::plant(NO_BUG);
            let is_sound = first_violation(seed).is_none();
            tally_graph::plant(number);
            is_sound.then_some((seed, first))
        });
        match caught {
            Some((seed, first)) => {
                let short: String = first.chars().take(90).collect();
                println!("{number} | {name} | seed {seed} | {} |", short.replace('|', "/"));
            }
            None => println!("{number} | {name} | no seed | |"),
        }
    }
}
