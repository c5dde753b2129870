//! `make bench-repair`: measures the time from a fault to its repair on three real engines, with `tally run`, Swarm
//! and Docker's own restart policy side by side in one run.
//!
//!   repair [ROUNDS]        10 rounds by default
//!
//! Every repair of Tally is also checked: nothing runs twice, nothing else was changed, nothing moved.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output is for people")]
#![allow(clippy::indexing_slicing, reason = "it panics on errors")]

mod peers;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use tally_tests::lab::{Lab, LabHost, LabOptions};
use tally_tests::project::Project;

use peers::{Failed, Kept, PODS, Peer, Stage, kept, process, stage};

/// The timeout of a repair.
const LIMIT: Duration = Duration::from_secs(60);
/// The timeout of a fault that a peer does not repair at all, so that a run ends.
const SHORT: Duration = Duration::from_secs(15);
/// A container that has run for this duration is no crash loop when it ends.
const RUNS_WELL: Duration = Duration::from_secs(11);
/// The time for which a host is unreachable.
const AWAY: Duration = Duration::from_secs(5);

/// Faults of one container.
const FAULTS: [&str; 5] =
    ["its process dies", "`docker kill`", "`docker stop`", "`docker rm -f`", "`docker pause`"];

/// Seconds by fault and peer; `None` if it was not repaired.
type Times = BTreeMap<(usize, String, Peer), Vec<Option<f64>>>;

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(10);
    match run(rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(rounds: usize) -> Result<(), Failed> {
    let program = Project::built()?;
    let lab = Lab::up(&LabOptions::named("repair", 78, 3))?;
    let mut stage = stage(&lab, &program)?;
    let mut times = Times::new();
    std::thread::sleep(RUNS_WELL);
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (nth, fault) in FAULTS.into_iter().enumerate() {
            for peer in Peer::ALL {
                if !is_tried(peer, fault, round, &stage) {
                    continue;
                }
                let took = one_container(&lab, peer, fault, round * FAULTS.len() + nth)?;
                times.entry((nth, fault.to_owned(), peer)).or_default().push(took);
            }
        }
        let victim = &lab.hosts()[1 + round % 2];
        host_faults(&lab, victim, &stage, &mut times)?;
        if !stage.keeper.lives() {
            return Err("`tally run` has ended".into());
        }
    }
    print_table(&times, rounds, stage.has_swarm);
    Ok(())
}

/// Returns whether a fault is tried with a peer: one that the peer does not repair is tried once, to verify it.
fn is_tried(peer: Peer, fault: &str, round: usize, stage: &Stage) -> bool {
    match peer {
        Peer::Tally => true,
        Peer::Swarm => stage.has_swarm && (round == 0 || fault != "`docker pause`"),
        Peer::Policy => round == 0 || fault == "its process dies",
    }
}

/// Injects a fault into one container and waits for the repair.
fn one_container(lab: &Lab, peer: Peer, fault: &str, nth: usize) -> Result<Option<f64>, Failed> {
    let before = kept(lab, peer);
    let running: Vec<&Kept> = before.iter().filter(|kept| kept.state == "running").collect();
    let victim = running[nth % running.len()];
    let host = &lab.hosts()[victim.host];
    let (pid, mut started) = process(host, &victim.id).ok_or("the victim does not run")?;
    let path = |what: &str| format!("/containers/{}{what}", victim.id);
    let act = |method: &str, what: &str| host.act(method, &path(what), None).map(|_| ());
    match fault {
        "its process dies" => end_process(pid)?,
        "`docker kill`" => act("POST", "/kill")?,
        "`docker stop`" => act("POST", "/stop?t=1")?,
        "`docker rm -f`" => act("DELETE", "?force=1")?,
        _ => {
            act("POST", "/pause")?;
            // It continues where it was: that it runs again is the only visible effect.
            started.clear();
        }
    }
    let began = Instant::now();
    let limit = if peer == Peer::Tally { LIMIT } else { SHORT };
    let repaired = loop {
        if is_repaired(lab, peer, victim, &started, running.len()) {
            break true;
        }
        if began.elapsed() > limit {
            break false;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let took = began.elapsed().as_secs_f64();
    if peer == Peer::Tally {
        judge(lab, &before, |kept| kept.name == victim.name)?;
    }
    if !repaired {
        // Restores the first state for the next fault.
        let unpause = host.act("POST", &path("/unpause"), None)?;
        if unpause >= 300 && peer == Peer::Policy {
            host.docker(&["rm", "-f", "policy"]).ok();
            let run = ["run", "-d", "--name", "policy", "--restart=always", "tally.local/hello:1"];
            host.docker(&[&run[..], &["sleep", "100000"]].concat())?;
        }
    }
    Ok(repaired.then_some(took))
}

fn end_process(pid: u64) -> Result<(), Failed> {
    Command::new("kill").args(["-KILL", &pid.to_string()]).status()?;
    Ok(())
}

/// Checks whether as many containers run as before, and the victim was restarted or replaced.
fn is_repaired(lab: &Lab, peer: Peer, victim: &Kept, started: &str, count: usize) -> bool {
    // The cheap check first: the victim's own host.
    let host = &lab.hosts()[victim.host];
    let runs_anew = |id: &str| process(host, id).is_some_and(|(_, since)| since != started);
    match peer {
        Peer::Tally | Peer::Policy => {
            let now = kept_on(host, peer, &victim.name);
            now.is_some_and(|(id, state)| state == "running" && (id != victim.id || runs_anew(&id)))
        }
        Peer::Swarm => {
            let now = kept(lab, peer);
            let running = now.iter().filter(|kept| kept.state == "running");
            let victim_runs = now.iter().any(|one| one.id == victim.id && one.state == "running");
            running.count() == count && !victim_runs
        }
    }
}

fn kept_on(host: &LabHost, peer: Peer, name: &str) -> Option<(String, String)> {
    let seen = host.seen().ok()?;
    let found = seen.into_iter().find(|seen| peer.keeps(seen) && seen.name == name)?;
    Some((found.id, found.state))
}

/// Checks that no container of Tally runs twice, has moved or was changed, except the permitted ones.
fn judge(lab: &Lab, before: &[Kept], may_differ: impl Fn(&Kept) -> bool) -> Result<(), Failed> {
    // Late effects appear during this pause.
    std::thread::sleep(Duration::from_millis(700));
    let now = kept(lab, Peer::Tally);
    let places = |all: &[Kept]| -> Vec<(String, usize)> {
        all.iter().map(|kept| (kept.name.clone(), kept.host)).collect()
    };
    if now.len() != PODS || places(&now) != places(before) {
        return Err(format!("runs twice or has moved: {before:?}\nnow {now:?}").into());
    }
    for (old, new) in before.iter().zip(&now) {
        if new.state != "running" || (old.id != new.id && !may_differ(old)) {
            return Err(format!("{old:?} is now {new:?}").into());
        }
    }
    Ok(())
}

/// Injects faults of a whole host, which all peers notice at the same time.
fn host_faults(
    lab: &Lab,
    victim: &LabHost,
    stage: &Stage,
    times: &mut Times,
) -> Result<(), Failed> {
    let number = lab.hosts().iter().position(|host| host.name() == victim.name()).unwrap_or(0);
    let peers: Vec<Peer> =
        Peer::ALL.into_iter().filter(|peer| *peer != Peer::Swarm || stage.has_swarm).collect();
    for (nth, fault) in
        ["dockerd killed, and started", "host cut off for 5 s", "dockerd frozen for 5 s"]
            .into_iter()
            .enumerate()
    {
        std::thread::sleep(RUNS_WELL);
        let before: BTreeMap<Peer, Vec<Kept>> =
            peers.iter().map(|peer| (*peer, kept(lab, *peer))).collect();
        // One container of each peer on that host.
        let victims: Vec<(Peer, Kept, u64, String)> = peers
            .iter()
            .filter_map(|peer| {
                let mut own = before[peer].iter();
                let one = own.find(|kept| kept.host == number && kept.state == "running")?;
                let (pid, started) = process(victim, &one.id)?;
                Some((*peer, one.clone(), pid, started))
            })
            .collect();
        let began = match nth {
            0 => {
                let began = Instant::now();
                victim.kill()?;
                victim.start()?;
                began
            }
            1 => {
                victim.cut()?;
                std::thread::sleep(AWAY / 2);
                for (_, kept, _, _) in victims.iter().filter(|(peer, ..)| *peer != Peer::Policy) {
                    victim.act("POST", &format!("/containers/{}/kill", kept.id), None)?;
                }
                std::thread::sleep(AWAY / 2);
                victim.heal()?;
                Instant::now()
            }
            _ => {
                victim.freeze()?;
                std::thread::sleep(AWAY / 2);
                victims.iter().try_for_each(|(_, _, pid, _)| end_process(*pid))?;
                std::thread::sleep(AWAY / 2);
                victim.thaw()?;
                Instant::now()
            }
        };
        let mut open: Vec<_> =
            victims.iter().filter(|(peer, ..)| nth != 1 || *peer != Peer::Policy).collect();
        while !open.is_empty() && began.elapsed() < LIMIT {
            open.retain(|(peer, kept, _, started)| {
                let count = before[peer].iter().filter(|one| one.state == "running").count();
                let done = is_repaired(lab, *peer, kept, started, count)
                    && (*peer != Peer::Tally || all_run(lab, &before[peer]));
                if done {
                    let took = began.elapsed().as_secs_f64();
                    let key = (FAULTS.len() + nth, fault.to_owned(), *peer);
                    times.entry(key).or_default().push(Some(took));
                }
                !done
            });
            std::thread::sleep(Duration::from_millis(10));
        }
        for (peer, ..) in open {
            let key = (FAULTS.len() + nth, fault.to_owned(), *peer);
            times.entry(key).or_default().push(None);
        }
        judge(lab, &before[&Peer::Tally], |kept| kept.host == number)?;
    }
    Ok(())
}

fn all_run(lab: &Lab, before: &[Kept]) -> bool {
    let now = kept(lab, Peer::Tally);
    now.len() == before.len() && now.iter().all(|kept| kept.state == "running")
}

fn print_table(times: &Times, rounds: usize, has_swarm: bool) {
    println!("\n{rounds} rounds; seconds from the fault (the return of the host) to the repair:\n");
    println!("| fault | `tally run` median, worst | Swarm | restart policy |");
    println!("|---|---|---|---|");
    let mut rows: Vec<(usize, &String)> =
        times.keys().map(|(nth, fault, _)| (*nth, fault)).collect();
    rows.dedup();
    for (nth, fault) in rows {
        let cell = |peer: Peer| match times.get(&(nth, fault.clone(), peer)) {
            None if peer == Peer::Swarm && !has_swarm => "no Swarm here".to_owned(),
            None => "".to_owned(),
            Some(times) => cell(times),
        };
        println!(
            "| {fault} | {} | {} | {} |",
            cell(Peer::Tally),
            cell(Peer::Swarm),
            cell(Peer::Policy)
        );
    }
}

fn cell(times: &[Option<f64>]) -> String {
    let mut done: Vec<f64> = times.iter().flatten().copied().collect();
    done.sort_by(f64::total_cmp);
    let Some(worst) = done.last() else { return format!("never (of {})", times.len()) };
    let median = done[done.len() / 2];
    if done.len() == times.len() {
        format!("{median:.2}, {worst:.2} ({})", times.len())
    } else {
        format!("{median:.2}, {worst:.2} ({} of {})", done.len(), times.len())
    }
}
