//! `make lab-up`, `make lab-down`: a lab of real Docker engines that stays until it is removed.
//!
//!   lab up | down | status
//!
//! `TALLY_LAB` is its folder (`/var/lib/tally-lab`), `TALLY_LAB_HOSTS` its number of hosts (3).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output is for people")]

use std::process::ExitCode;

use tally_tests::lab::{Lab, LabError, LabOptions, Way};

/// The ways of the first hosts; further hosts use the socket.
const WAYS: [Way; 3] = [Way::Unix, Way::Tls, Way::Ssh];

fn main() -> ExitCode {
    let options = LabOptions::usual();
    let what = std::env::args().nth(1).unwrap_or_default();
    let done = match what.as_str() {
        "up" => up(&options),
        "down" => Lab::down(&options),
        "status" => Lab::open(&options.folder).map(|lab| show(&lab)),
        _ => {
            eprintln!("lab up | down | status");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn up(options: &LabOptions) -> Result<(), LabError> {
    // A lab with these options stays: its containers continue to run.
    if let Ok(lab) = Lab::open(&options.folder)
        && lab.hosts().len() == usize::from(options.hosts)
    {
        show(&lab);
        return Ok(());
    }
    if let Some(reason) = Lab::unavailable() {
        eprintln!("no lab can run here: {reason}");
        std::process::exit(3);
    }
    let mut lab = Lab::up(options)?;
    lab.stay();
    lab.load(&["tally.local/hello:1", "tally.local/hello:2"])?;
    show(&lab);
    Ok(())
}

fn show(lab: &Lab) {
    println!("# {:<8} {:<12} sockets below {}", "host", "address", lab.folder().display());
    for host in lab.hosts() {
        println!(
            "# {:<8} {:<12} DOCKER_HOST=unix://{}",
            host.name(),
            host.ip(),
            host.socket().display()
        );
    }
    println!("#");
    println!("# In a folder with a link `certs` to {}/certs, and with", lab.folder().display());
    println!("#   export TALLY_SSH_CONFIG={}", lab.ssh_config().display());
    println!("# this is a spec's cluster:");
    println!();
    let ways: Vec<Way> = (0..lab.hosts().len())
        .map(|number| WAYS.get(number).copied().unwrap_or(Way::Unix))
        .collect();
    print!("{}", lab.cluster("lab", &ways));
}
