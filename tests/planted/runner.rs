//! Runs seeds with each planted bug until one shows it. `plant` puts this file into the scratch
//! copy, where `tally_graph::plant` chooses the bug.
#![expect(clippy::print_stdout, reason = "it is for people")]

use tally_tests::simulation::{Settings, run};

fn main() -> std::process::ExitCode {
    let most: u64 = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(2_000);
    let mut missed = 0;
    println!("| bug | caught by seed | what was seen |\n|---|---|---|");
    for (number, name) in include!("names.rs") {
        tally_graph::plant(number);
        // What the sound program does is no catch.
        let caught = (1..=most).find_map(|seed| {
            let found = run(seed, Settings::default()).violations;
            found.first().cloned().map(|first| (seed, first))
        });
        match caught {
            Some((seed, first)) => {
                let short: String = first.chars().take(90).collect();
                println!("| {name} | {seed} | {} |", short.replace('|', "/"));
            }
            None => {
                missed += 1;
                println!("| {name} | not in {most} | |");
            }
        }
    }
    println!("\n{missed} not caught");
    std::process::ExitCode::from(u8::from(missed > 0))
}
