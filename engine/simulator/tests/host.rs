//! Simulated hosts: their files, their speed, and that the same calls give the same state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "tests read files and clocks")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tally_host::{Host as _, HostError, HostRead, observe};
use tally_reconcile::input::observed::{ContainerState, Health, Live};
use tally_reconcile::labels::{self, Role};
use tally_reconcile::plan::request::{ContainerRequest, HealthRequest};
use tally_simulator::{ManualClock, Model, SimHost, SimOptions, open_file, wall_clock};

fn request(name: &str) -> ContainerRequest {
    let labels = labels::owner_labels("shop", Role::Container);
    let (name, image) = (name.to_owned(), "web:1".to_owned());
    ContainerRequest { name, image, labels, ..ContainerRequest::default() }
}

fn open(folder: &Path) -> Result<SimHost, HostError> {
    open_file("alpha", folder, "lab", SimOptions::new(1, wall_clock()))
}

#[tokio::test]
async fn processes_share_a_simulated_host() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let second = open(folder.path()).unwrap();
    first.pull("web:1", &|_| {}).await.unwrap();
    let id = first.create_container(&request("shop.a")).await.unwrap();
    second.start(&id).await.unwrap();
    let (seen, _) = first.container(&id, false).await.unwrap().unwrap();
    assert_eq!(seen.state, ContainerState::Running);
    let other = second.create_container(&request("shop.b")).await.unwrap();
    assert_ne!(id, other);
    let taken = first.create_container(&request("shop.b")).await;
    assert!(matches!(taken, Err(HostError::Conflict(_))));
    let third = open(folder.path()).unwrap();
    assert_eq!(third.containers().await.unwrap(), first.containers().await.unwrap());
}

#[tokio::test]
async fn observing_creates_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let host = open(folder.path()).unwrap();
    assert!(host.containers().await.unwrap().is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_damaged_file_is_reported_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.jsonl");
    for text in ["{\"tally-simulated-host\":1}\n{\"nonsense\n", "not one of ours\n"] {
        fs::write(&path, text).unwrap();
        let error = open(folder.path()).err().map(|error| error.to_string()).unwrap();
        assert!(error.contains("lab.jsonl") && error.contains("damaged"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "it is left as it is");
    }
}

#[tokio::test]
async fn an_incomplete_last_line_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.jsonl");
    let host = open(folder.path()).unwrap();
    host.pull("web:1", &|_| {}).await.unwrap();
    host.create_container(&request("shop.a")).await.unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    // Wherever a process is killed while writing, the earlier state still exists.
    for cut in (whole.len() - 200)..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let host = open(folder.path()).unwrap();
        assert!(host.containers().await.unwrap().len() <= 1);
        host.create_container(&request("shop.b")).await.unwrap();
        let again = open(folder.path()).unwrap();
        assert_eq!(again.containers().await.unwrap(), host.containers().await.unwrap());
    }
}

#[tokio::test]
async fn the_size_of_a_file_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let host = open(folder.path()).unwrap();
    let other = open(folder.path()).unwrap();
    host.pull("web:1", &|_| {}).await.unwrap();
    let id = host.create_container(&request("shop.a")).await.unwrap();
    for _ in 0..3_000 {
        host.start(&id).await.unwrap();
        host.stop(&id, None).await.unwrap();
    }
    let size = fs::metadata(folder.path().join("lab.jsonl")).unwrap().len();
    assert!(size < 6_000_000, "{size} bytes");
    assert_eq!(other.containers().await.unwrap(), host.containers().await.unwrap());
}

#[tokio::test]
async fn ten_thousand_containers_are_observed_in_less_than_a_second() {
    let mut model = Model::new(1);
    model.pull("web:1").unwrap();
    for nth in 0..10_000 {
        let id = model.create(&request(&format!("shop.c{nth}")), 0).unwrap();
        model.start(&id, 0).unwrap();
    }
    let host = SimHost::with_model("alpha", model, SimOptions::new(1, wall_clock()));
    let reader: Arc<dyn HostRead> = Arc::new(host);
    let began = Instant::now();
    let observed = observe(&[reader], "shop").await;
    let took = began.elapsed();
    let seen = observed.hosts["alpha"].ready().unwrap();
    assert!(seen.containers.iter().all(|container| container.details.is_some()));
    assert_eq!(seen.containers.len(), 10_000);
    assert!(took.as_millis() < 1_000, "{took:?}, without optimisation");
}

#[tokio::test]
async fn a_call_takes_the_same_time_with_ten_thousand_containers() {
    let folder = tempfile::tempdir().unwrap();
    let host = open(folder.path()).unwrap();
    let fill = |model: &mut Model, now_ms| {
        model.pull("web:1").unwrap();
        for nth in 0..10_000 {
            model.create(&request(&format!("shop.c{nth}")), now_ms).unwrap();
        }
        assert_eq!(model.record_count(), model.records().len());
    };
    host.inject(fill).unwrap();
    let id = host.containers().await.unwrap()[0].id.clone();
    let began = Instant::now();
    for _ in 0..500 {
        host.start(&id).await.unwrap();
        host.stop(&id, None).await.unwrap();
    }
    let took = began.elapsed();
    // About 0.1 ms a call; an inspection of all containers would take 20 ms and more.
    assert!(took.as_millis() < 5_000, "{took:?}, without optimisation");
}

#[test]
fn the_same_calls_give_the_same_state() {
    let run = |seed| {
        let mut model = Model::new(seed);
        model.pull("web:1").unwrap();
        let live = Live { restart: "always".to_owned(), ..Live::default() };
        let command = Some(vec!["sh".into(), "-c".into(), "sleep 1; exit 3".into()]);
        for nth in 0..20 {
            let request = ContainerRequest {
                live: live.clone(),
                command: command.clone(),
                ..request(&format!("c{nth}"))
            };
            let id = model.create(&request, nth).unwrap();
            model.start(&id, nth).unwrap();
        }
        model.advance(3_600_000);
        model
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).list(), run(2).list());
}

/// More frequent observations must not change the behaviour.
#[test]
fn time_passes_the_same_in_one_step_and_in_many() {
    let begin = || {
        let mut model = Model::new(1);
        model.pull("web:1").unwrap();
        let live = Live { restart: "always".to_owned(), ..Live::default() };
        let command = Some(vec!["sh".into(), "-c".into(), "echo x; sleep 1; exit 3".into()]);
        let request = ContainerRequest { live, command, ..request("a") };
        let id = model.create(&request, 0).unwrap();
        model.start(&id, 0).unwrap();
        (model, id)
    };
    let ((mut once, id), (mut often, _)) = (begin(), begin());
    once.advance(100_000);
    for now in (0..=100_000).step_by(7) {
        often.advance(now);
    }
    often.advance(100_000);
    assert_eq!(once.inspect(&id, true, 100_000), often.inspect(&id, true, 100_000));
}

/// The timer of a sleeping program continues while the program is paused.
#[test]
fn a_program_whose_timer_ends_while_paused_exits_when_unpaused() {
    let mut model = Model::new(1);
    model.pull("web:1").unwrap();
    let command = Some(vec!["sh".into(), "-c".into(), "sleep 1; exit 3".into()]);
    let id = model.create(&ContainerRequest { command, ..request("a") }, 0).unwrap();
    model.start(&id, 0).unwrap();
    for (frozen, ended) in [(100, None), (5_000, Some(5_000))] {
        model.pause(&id, 50).unwrap();
        model.advance(frozen);
        assert_eq!(model.next_ms(frozen), None);
        model.unpause(&id, frozen).unwrap();
        model.advance(frozen);
        let (seen, details) = model.inspect(&id, true, frozen).unwrap();
        assert_eq!(seen.state == ContainerState::Exited, ended.is_some());
        assert_eq!(details.finished_at_ms, ended);
    }
}

#[tokio::test]
async fn health_can_be_set() {
    let clock = Arc::new(ManualClock::new(0));
    let host = SimHost::new("alpha", SimOptions::new(1, clock.clone()));
    host.pull("web:1", &|_| {}).await.unwrap();
    let check = HealthRequest {
        command: vec!["true".into()],
        every_ms: 1_000,
        timeout_ms: 1_000,
        delay_ms: 0,
        failures: 3,
    };
    let id = host
        .create_container(&ContainerRequest { health: Some(check), ..request("a") })
        .await
        .unwrap();
    host.start(&id).await.unwrap();
    let health = async || host.container(&id, false).await.unwrap().unwrap().1.health;
    assert_eq!(health().await, Health::Starting);
    clock.advance(1_000);
    assert_eq!(health().await, Health::Healthy);
    host.inject(|model, _| model.set_health(&id, Some(Health::Unhealthy))).unwrap();
    assert_eq!(health().await, Health::Unhealthy);
}
