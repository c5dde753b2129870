//! `make chaos MINUTES=60 [SEED=n]`: `tally run` keeps a cluster over a lab of five real engines, while faults of
//! containers, engines, cables, the spec and `tally run` itself are injected at random, every few seconds. The
//! engines are observed continuously, without Tally, and checked against the invariants S1 to S8. Every few minutes
//! the faults pause: then the cluster must converge within a bound, with each container once, and stay converged.
//!
//!   chaos MINUTES [SEED]
//!
//! It exits with 0 if nothing was violated. The faults depend only on the seed; their effects on real engines, so a
//! run cannot be repeated exactly.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output is for people")]
#![allow(clippy::indexing_slicing, reason = "it panics on errors")]

mod faults;
mod peace;
mod stage;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tally_tests::lab::{Lab, LabOptions};
use tally_tests::project::Project;

use faults::{Chaos, create_unmanaged};
use stage::Version;
use watch::Shared;

/// Duration of faults between two quiet times.
const BOUT: Duration = Duration::from_secs(150);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let minutes = args.next().and_then(|word| word.parse::<f64>().ok());
    let Some(minutes) = minutes.filter(|minutes| (0.1..=10_000.0).contains(minutes)) else {
        eprintln!("chaos MINUTES [SEED]");
        return ExitCode::from(2);
    };
    let seed = args.next().and_then(|word| word.parse().ok()).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.as_secs()
    });
    println!("chaos for {minutes} minutes, seed {seed}");
    match run(Duration::from_secs_f64(minutes * 60.0), seed) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the test and returns the number of violations.
fn run(time: Duration, seed: u64) -> Result<usize, Box<dyn std::error::Error>> {
    let program = Project::built()?;
    let lab = Lab::up(&LabOptions::named("chaos", 77, 5))?;
    lab.load(&["tally.local/hello:1", "tally.local/hello:2"])?;
    let project = Project::new(&lab, "project", &program)?;
    project.write(&Version::FIRST.text(&lab))?;
    let shared = Shared::default();
    shared.world().most_web = Version::FIRST.web;
    // Containers that Tally does not manage, which stay from start to end.
    for host in lab.hosts() {
        create_unmanaged(host, "somebody", &json!({ "com.example": "x" }), &shared)
            .ok_or("the name is in use")?;
    }
    let watchers = shared.watch(lab.hosts());
    let keeper = project.keep()?;
    let mut chaos = Chaos::new(&lab, shared.clone(), project, keeper, seed);
    let began = Instant::now();
    let mut peaces = vec![chaos.peace()];
    while began.elapsed() < time {
        let until = (Instant::now() + BOUT).min(began + time);
        while Instant::now() < until {
            chaos.undo(false);
            chaos.fault();
            let pause = 500 + chaos.dice.below(3_000);
            std::thread::sleep(Duration::from_millis(u64::try_from(pause).unwrap_or(0)));
        }
        peaces.push(chaos.peace());
    }
    chaos.guard();
    peaces.push(chaos.peace());
    let code = chaos.keeper.end(Duration::from_secs(30));
    if code != Some(0) {
        shared.world().violated(format!("`tally run` ended with {code:?} on SIGTERM"));
    }
    shared.end();
    for watcher in watchers {
        // A watcher that has panicked has reported it.
        let _ = watcher.join();
    }
    Ok(report(&chaos, &peaces, began.elapsed(), seed))
}

fn report(chaos: &Chaos<'_>, peaces: &[Option<Duration>], took: Duration, seed: u64) -> usize {
    println!("\nseed {seed}, {:.1} minutes, five hosts", took.as_secs_f64() / 60.0);
    let faults: usize = chaos.counts.values().sum();
    println!("{faults} faults:");
    for (kind, count) in &chaos.counts {
        println!("  {count:5}  {kind}");
    }
    let mut quiet: Vec<f64> = peaces.iter().flatten().map(Duration::as_secs_f64).collect();
    quiet.sort_by(f64::total_cmp);
    let median = quiet.get(quiet.len() / 2).copied().unwrap_or(0.0);
    let most = quiet.last().copied().unwrap_or(0.0);
    println!(
        "{} of {} quiet times: converged after {median:.1} s (median), {most:.1} s (most)",
        quiet.len(),
        peaces.len()
    );
    let world = chaos.shared.world();
    println!("{} observations of the engines, {} violations", world.looks, world.violations.len());
    for what in &world.violations {
        println!("  {what}");
    }
    world.violations.len()
}
