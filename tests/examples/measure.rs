//! Measures commands as whole processes, in turn (A B C A B C …), so that a drift in the machine's speed affects
//! all of them equally: `measure ROUNDS NAME COMMAND [NAME COMMAND]…`, each COMMAND one string for `sh -c`. Prints the
//! median, the minimum and the maximum, and the ratio of each to the second (the floor), pair by pair. A command that
//! fails stops the measurement: a failed run never counts as a fast one.
//!
//! `MEASURE_BEFORE` is a command that runs before each measured one and is not measured.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a measuring tool")]

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((rounds, rest)) = args.split_first() else { return usage() };
    let (Ok(rounds), true) = (rounds.parse::<usize>(), rest.len() >= 2 && rest.len() % 2 == 0)
    else {
        return usage();
    };
    let commands: Vec<(&String, &String)> =
        rest.chunks(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?))).collect();
    let before = std::env::var("MEASURE_BEFORE").ok();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); commands.len()];
    // The warm-up run is not counted.
    for round in 0..=rounds {
        for (of, (name, command)) in times.iter_mut().zip(&commands) {
            if let Some(before) = &before
                && run(before).is_none()
            {
                eprintln!("measure: the command before `{name}` failed");
                return ExitCode::FAILURE;
            }
            let Some(seconds) = run(command) else {
                eprintln!("measure: `{name}` failed: {command}");
                return ExitCode::FAILURE;
            };
            if round > 0 {
                of.push(seconds * 1000.0);
            }
        }
    }
    println!("| command | median ms | minimum | maximum | ratio |");
    println!("|---|---|---|---|---|");
    let own = times.first().cloned().unwrap_or_default();
    for (number, (of, (name, _))) in times.iter().zip(&commands).enumerate() {
        let ratio = match number {
            0 => "1".to_owned(),
            // The ratio of the first command's time to this one's.
            _ => {
                let pairs: Vec<f64> = own.iter().zip(of).map(|(own, of)| own / of).collect();
                format!("{:.2}", median(&pairs))
            }
        };
        let (least, most) =
            (of.iter().copied().fold(f64::MAX, f64::min), of.iter().copied().fold(0.0, f64::max));
        println!("| {name} | {:.1} | {least:.1} | {most:.1} | {ratio} |", median(of));
    }
    println!(
        "\n{rounds} rounds; the ratio is the first line's time by this line's, median of pairs."
    );
    ExitCode::SUCCESS
}

fn run(command: &str) -> Option<f64> {
    let begun = Instant::now();
    let status = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    status.success().then(|| begun.elapsed().as_secs_f64())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn usage() -> ExitCode {
    eprintln!("usage: measure ROUNDS NAME COMMAND [NAME COMMAND]…");
    ExitCode::FAILURE
}
