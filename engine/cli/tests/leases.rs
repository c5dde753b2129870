//! Two processes of `tally run` over one etcd and one simulated host: failure modes 5, 6 and 7 as people meet
//! them. Skipped, with a message, if there is no etcd.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop loudly")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tally_reconcile::input::observed::ContainerState;
use tally_simulator::{SimHost, SimOptions, open_file, wall_clock};
use tally_tests::etcd::Etcd;

/// The maximum duration of a wait.
const PATIENCE: Duration = Duration::from_secs(30);

const SPEC: &str = "cluster demo {\n    host one \"sim:one\"\n}\n\
    controller web replicas=2 {\n    container c image=\"app:1\"\n}\n";

/// An etcd, and a host that two folders share.
struct World {
    etcd: Etcd,
    folder: tempfile::TempDir,
}

/// One folder, and the loop that runs in it.
struct Engine {
    folder: PathBuf,
    store: String,
    lease: &'static str,
    child: Option<Child>,
}

impl World {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let etcd = Etcd::start(folder.path(), None)?;
        fs::create_dir(folder.path().join("sim")).unwrap();
        Some(Self { etcd, folder })
    }

    fn engine(&self, name: &str, spec: &str, lease: &'static str) -> Engine {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(folder.join(".tally")).unwrap();
        fs::write(folder.join("tally.kdl"), spec).unwrap();
        let sim = folder.join(".tally/sim");
        std::os::unix::fs::symlink(self.folder.path().join("sim"), sim).unwrap();
        Engine { folder, store: self.etcd.address(), lease, child: None }
    }

    /// Two engines on one spec: the first leads and has converged, the other follows.
    fn pair(&self, lease: &'static str) -> (Engine, Engine) {
        let (mut one, mut two) = (self.engine("a", SPEC, lease), self.engine("b", SPEC, lease));
        one.begin(&[]);
        one.until_tells("tallies", 1);
        two.begin(&[]);
        two.until_tells("follows", 1);
        (one, two)
    }

    fn host(&self) -> SimHost {
        let options = SimOptions::new(0, wall_clock());
        open_file("one", &self.folder.path().join("sim"), "one", options).unwrap()
    }

    /// Returns how many containers run.
    fn running(&self) -> usize {
        let runs = |all: Vec<_>| -> usize {
            let all: Vec<tally_reconcile::input::observed::ObservedContainer> = all;
            all.iter().filter(|it| it.state == ContainerState::Running).count()
        };
        self.host().inspect(|model, _| runs(model.list())).unwrap()
    }

    /// Stops one of them by hand.
    fn harm(&self) {
        let stop = |model: &mut tally_simulator::Model, now_ms| {
            let found = model.list().into_iter().find(|it| it.state == ContainerState::Running);
            model.stop(&found.unwrap().id, now_ms).unwrap();
        };
        self.host().inject(stop).unwrap();
    }

    /// Returns all changes that were ever made on the host.
    fn changes(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("sim/one.jsonl")).unwrap()
    }
}

impl Engine {
    fn begin(&mut self, more: &[&str]) {
        let log = File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        // A process that outlived the test would run forever.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_tally"), "run"])
            .args(["--resync", "1", "--store", &self.store, "--lease", self.lease])
            .args(["--name", self.folder.file_name().unwrap().to_str().unwrap()])
            .args(["--metrics", &format!("unix://{}", self.folder.join("m.sock").display())])
            .args(more)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; either way it no longer exists afterwards.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Returns the events that it reported, in order: `leads`, `done`, …
    fn told(&self) -> Vec<String> {
        let path = self.folder.join(".tally/run/demo.events.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries.map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
    }

    fn times(&self, kind: &str) -> usize {
        self.told().iter().filter(|told| *told == kind).count()
    }

    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "never: {what}\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn until_tells(&self, kind: &str, times: usize) {
        self.until(&format!("{kind}, {times} times"), |it| it.times(kind) >= times);
    }

    /// Returns a value of its metrics.
    fn value(&self, name: &str) -> Option<f64> {
        let mut stream = UnixStream::connect(self.folder.join("m.sock")).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Waits until it has observed the host twice more, so that its view is newer than this call.
    fn until_it_looked(&self) {
        let look = "tally_host_last_look_timestamp_seconds{host=\"one\"}";
        for _ in 0..2 {
            let before = self.value(look);
            self.until("an observation", |it| it.value(look) > before);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the events from the last one of this `kind` on.
fn since<'a>(told: &'a [String], kind: &str) -> &'a [String] {
    let at = told.iter().rposition(|it| it == kind).expect("it was reported");
    &told[at..]
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn after_the_leader_is_killed_the_other_engine_takes_over_and_containers_keep_running() {
    let Some(world) = World::new() else { return };
    let (mut one, two) = world.pair("3");
    two.until_it_looked();
    assert_eq!((world.running(), two.times("done")), (2, 0), "a follower changes nothing");
    let before = world.changes();
    one.kill();
    two.until_tells("tallies", 1);
    assert_eq!(world.changes(), before, "what runs is as it was");
    world.harm();
    wait("it runs again", || world.running() == 2);
    assert_eq!(two.times("leads"), 1);
}

#[test]
fn an_engine_asked_to_end_releases_its_lease_and_the_other_leads_immediately() {
    let Some(world) = World::new() else { return };
    // If the lease were not released, the other engine would wait for five minutes.
    let (mut one, two) = world.pair("300");
    one.signal("-TERM");
    two.until_tells("leads", 1);
    assert_eq!(one.child.take().unwrap().wait().unwrap().code(), Some(0));
}

#[test]
fn failure_6_a_leader_paused_past_its_lease_changes_nothing_when_it_resumes() {
    let Some(world) = World::new() else { return };
    let (one, two) = world.pair("3");
    one.signal("-STOP");
    two.until_tells("tallies", 1);
    // So that only the first engine could repair the damage.
    two.signal("-STOP");
    world.harm();
    one.signal("-CONT");
    wait("it runs again", || world.running() == 2);
    let told = one.told();
    let after = since(&told, "steps-down");
    let led = after.iter().position(|it| it == "leads").expect("it repairs under its own lease");
    let done = after.iter().position(|it| it == "done").expect("it says what it did");
    assert!(led < done, "{after:?}");
    two.signal("-CONT");
    two.until_tells("steps-down", 1);
    two.until_tells("follows", 2);
    let told = two.told();
    assert!(!since(&told, "steps-down").contains(&"done".to_owned()), "{told:?}");
}

#[test]
fn failure_7_without_the_store_nothing_is_changed_until_it_is_back() {
    let Some(mut world) = World::new() else { return };
    let mut one = world.engine("a", SPEC, "3");
    one.begin(&[]);
    one.until_tells("tallies", 1);
    world.etcd.end();
    one.until_tells("steps-down", 1);
    world.harm();
    let before = world.changes();
    one.until_it_looked();
    assert_eq!(world.changes(), before);
    assert_eq!(
        (one.value("tally_leads"), one.value("tally_store_answers")),
        (Some(0.0), Some(0.0))
    );
    world.etcd.begin();
    wait("it runs again", || world.running() == 2);
    one.until_tells("store-ready", 1);
}

#[test]
fn failure_5_an_engine_with_a_superseded_spec_stands_aside_until_a_person_confirms_it() {
    let Some(world) = World::new() else { return };
    let changed = SPEC.replace("app:1\"", "app:1\" { env LEVEL=2 }");
    let (mut one, mut two) = (world.engine("a", SPEC, "3"), world.engine("b", &changed, "3"));
    one.begin(&[]);
    one.until_tells("tallies", 1);
    one.kill();
    two.begin(&[]);
    two.until_tells("tallies", 1);
    assert_eq!(two.value("tally_spec_epoch"), Some(2.0));
    // The old checkout is started again, and no other engine runs.
    one.begin(&[]);
    one.until_tells("stands-aside", 1);
    two.signal("-TERM");
    assert_eq!(two.child.take().unwrap().wait().unwrap().code(), Some(0));
    world.harm();
    let before = world.changes();
    one.until_it_looked();
    assert_eq!((world.changes(), one.value("tally_stands_aside")), (before, Some(1.0)));
    one.kill();
    one.begin(&["--supersede"]);
    one.until_tells("tallies", 2);
    assert_eq!((one.value("tally_spec_epoch"), world.running()), (Some(3.0), 2));
}

#[test]
fn declarations_in_one_folder_apply_in_the_other() {
    let Some(world) = World::new() else { return };
    let (one, two) = world.pair("3");
    let tally = |folder: &Path, args: &[&str]| {
        let ran = Command::new(env!("CARGO_BIN_EXE_tally")).args(args).current_dir(folder).output();
        assert!(ran.as_ref().unwrap().status.success(), "{ran:?}");
    };
    tally(&two.folder, &["freeze", "-m", "release"]);
    one.until("frozen", |it| it.value("tally_frozen") == Some(1.0));
    world.harm();
    let before = world.changes();
    one.until_it_looked();
    assert_eq!(world.changes(), before);
    // And in the other direction, from the other folder.
    tally(&one.folder, &["unfreeze"]);
    wait("it runs again", || world.running() == 2);
    let path = two.folder.join(".tally/memory/demo.declared.json");
    two.until("unfrozen there", |_| {
        fs::read_to_string(&path).is_ok_and(|it| !it.contains("release"))
    });
}
