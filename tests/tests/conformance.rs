//! Runs the conformance suite on the simulator, and on a real engine where `TALLY_TEST_DOCKER=1`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tally_docker::{ConnectOptions, connect, infra_program};
use tally_graph::HostAddress;
use tally_host::{ExecRequest, FileToWrite, Host};
use tally_reconcile::labels::INFRA_IMAGE;
use tally_reconcile::plan::request::{ContainerRequest, FilesPart};
use tally_simulator::{SimHost, SimOptions, tokio_clock};
use tally_tests::conformance::{Case, IMAGE, World, cases, clean_up, run};
use tokio::time::timeout;

fn all_cases() -> Vec<Case> {
    let only = std::env::var("TALLY_TEST_CASE").unwrap_or_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let mut all = cases(&folder).expect("the cases can be read");
    all.retain(|case| case.promise.contains(&only) || case.file.contains(&only));
    all
}

/// A case that takes longer has failed. The longest takes about ten seconds on Docker.
const LIMIT: Duration = Duration::from_secs(120);

async fn run_all(host: Arc<dyn Host>, at_once: usize) {
    run_but(host, at_once, &[]).await;
}

/// Podman's message if a container exits while it is inspected: `open /proc/9087/ns/mnt: no such …`.
fn is_gone(problem: &str) -> bool {
    problem.contains("open /proc/") && problem.contains(": no such file or directory")
}

/// Runs all cases; only those of `known` may fail.
async fn run_but(host: Arc<dyn Host>, at_once: usize, known: &[String]) {
    let all = all_cases();
    let runs = (0_u16..).zip(&all).map(|(nth, case)| {
        let world = World {
            host: Arc::clone(&host),
            cluster: format!("conf{}-{nth}", std::process::id()),
            first_port: 20_000 + nth * 10,
        };
        async move {
            let late = |_| Err(format!("it did not end within {LIMIT:?}"));
            let ended = timeout(LIMIT, run(&world, case)).await.unwrap_or_else(late);
            let _ = timeout(LIMIT, clean_up(&world)).await;
            let is_known = known.contains(&case.promise)
                // An inspection at the moment when the container exits; this can happen in any case.
                || ended.as_ref().is_err_and(|problem| !known.is_empty() && is_gone(problem));
            if is_known && ended.is_ok() {
                eprintln!("named as a divergence, and none this time: {}", case.promise);
            }
            ended.map_err(|problem| (is_known, format!("{}: {problem}", case.promise)))
        }
    });
    let ended: Vec<Result<(), (bool, String)>> =
        stream::iter(runs).buffered(at_once).collect().await;
    let (named, new): (Vec<_>, Vec<_>) =
        ended.into_iter().filter_map(Result::err).partition(|(is_known, _)| *is_known);
    let problems: Vec<String> = new.into_iter().map(|(_, problem)| problem).collect();
    eprintln!(
        "{} cases, {} diverge as is named, {} otherwise",
        all.len(),
        named.len(),
        problems.len()
    );
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Returns the local engine with the image that the cases run, or nothing and prints that the test is skipped.
async fn real() -> Option<Arc<dyn Host>> {
    if std::env::var("TALLY_TEST_DOCKER").as_deref() != Ok("1") {
        eprintln!("SKIPPED: set TALLY_TEST_DOCKER=1 to run this on Docker");
        return None;
    }
    let socket = HostAddress::Unix("/var/run/docker.sock".to_owned());
    let host = connect("real", &socket, &ConnectOptions::default()).await.expect("Docker answers");
    if !host.images().await.expect("images are listed").contains_key(IMAGE) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/images.sh");
        let made = Command::new("sh").arg(script).arg("hello:1").status().expect("sh runs");
        assert!(made.success(), "the test image could not be made");
    }
    Some(host)
}

#[tokio::test]
async fn a_real_engine_passes_the_cases() {
    if let Some(host) = real().await {
        run_all(host, 4).await;
    }
}

/// Returns the engine to test beside Docker; `TALLY_TEST_PODMAN` names its socket.
#[tokio::test]
async fn podman_passes_the_cases() {
    let Some(socket) = std::env::var_os("TALLY_TEST_PODMAN").filter(|path| !path.is_empty()) else {
        eprintln!("SKIPPED: TALLY_TEST_PODMAN names no socket of Podman's");
        return;
    };
    let socket = HostAddress::Unix(socket.to_string_lossy().into_owned());
    let host = connect("podman", &socket, &ConnectOptions::default()).await.expect("it answers");
    run_but(host, 2, &divergences("podman")).await;
}

/// Returns the cases that an engine is known to fail: the first column of `docs/devel/ENGINE.md`.
fn divergences(engine: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/devel/{engine}.md"));
    let text = std::fs::read_to_string(path).expect("the page is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.filter(|first| *first != "case").map(str::to_owned).collect()
}

#[test]
fn every_divergence_names_a_case_and_a_reason() {
    let promises: Vec<String> = all_cases().into_iter().map(|case| case.promise).collect();
    if std::env::var_os("TALLY_TEST_CASE").is_some() {
        return;
    }
    for case in divergences("podman") {
        assert!(promises.contains(&case), "{case}");
    }
}

/// Clusters that are applied concurrently share one image.
#[tokio::test]
async fn concurrent_loads_of_the_infra_image_succeed() {
    let Some(host) = real().await else { return };
    let loads = (0..8).map(|_| host.load_infra_image());
    for ended in futures_util::future::join_all(loads).await {
        ended.expect("it is loaded");
    }
    let images = host.images().await.expect("images are listed");
    assert!(images.contains_key(INFRA_IMAGE), "{images:?}");
}

/// As process 1 it inherits the orphaned processes of its pod.
#[tokio::test]
async fn the_infra_program_reaps_orphaned_processes() {
    let Some(host) = real().await else { return };
    let cluster = format!("reap{}", std::process::id());
    let world = World { host: Arc::clone(&host), cluster, first_port: 0 };
    let ended = reaps(&world).await;
    clean_up(&world).await;
    ended.expect("it reaps");
}

async fn reaps(world: &World) -> Result<(), Box<dyn std::error::Error>> {
    let request = ContainerRequest {
        name: format!("{}.a", world.cluster),
        image: IMAGE.to_owned(),
        entrypoint: Some(vec!["/pause".to_owned()]),
        ..ContainerRequest::default()
    };
    let id = world.host.create_container(&request).await?;
    let architecture = world.host.engine().await?.arch;
    let content = infra_program(&architecture).ok_or("no program for it")?.to_vec();
    let owner = "0".to_owned();
    let program =
        FileToWrite { path: "/pause".to_owned(), content, mode: 0o755, owner, keyed: None };
    world.host.write_files(&id, &[program], FilesPart::All).await?;
    world.host.start(&id).await?;
    let script = "for i in 1 2 3 4 5; do (sleep 0.1 &) ; done; sleep 1; ps -o pid,stat,comm";
    let command = vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    let request = ExecRequest { command, tty: false, stdin: false, size: None };
    let mut session = world.host.exec(&id, &request).await?;
    let mut output = Vec::new();
    while let Some(chunk) = session.output.next().await {
        output.extend_from_slice(&chunk?.bytes);
    }
    let output = String::from_utf8(output)?;
    assert!(output.contains("pause"), "{output}");
    assert!(!output.contains("sleep") && !output.contains(" Z"), "{output}");
    Ok(())
}

/// Time is paused, so waits take no real time.
#[tokio::test(start_paused = true)]
async fn the_simulator_passes_the_cases() {
    let host = Arc::new(SimHost::new("sim", SimOptions::new(1, tokio_clock())));
    host.pull(IMAGE, &|_| {}).await.expect("every image can be had");
    run_all(host, 1).await;
}
