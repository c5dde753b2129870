//! `tally apply` that is killed at a call to a real engine: the next one has the same result as one that was never
//! killed, with no duplicates and nothing left over. With `TALLY_TEST_LAB=1`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tally_tests::crash::{CrashPoint, CrashProxy};
use tally_tests::lab::{Lab, LabHost, LabOptions};

/// The spec that exists before: the spec that is applied over it changes, recreates and removes objects.
const BEFORE: &str = "\
volume notes
controller web replicas=2 { container web image=\"tally.local/hello:1\" {
    command \"sleep\" \"100000\"
    stop grace=\"1s\"
}; }
pod old { container old image=\"tally.local/hello:1\" { command \"sleep\" \"100000\"; stop grace=\"1s\"; }; }
";
/// Volumes, an infra container, an init, a file, pods that wait for others, a scale-up, a change, a removal.
const AFTER: &str = "\
volume notes
controller web replicas=3 { container web image=\"tally.local/hello:2\" {
    command \"sleep\" \"100000\"
    stop grace=\"1s\"
}; }
pod side {
    depends-on controller web
    volume page
    init prepare image=\"tally.local/hello:1\" { command \"true\"; }
    container a image=\"tally.local/hello:1\" {
        command \"sleep\" \"100000\"
        mount page \"/page\"
        mount notes \"/notes\"
        file \"/etc/a.conf\" { text \"x=1\"; }
        stop grace=\"1s\"
    }
    container b image=\"tally.local/hello:1\" {
        command \"sleep\" \"100000\"
        mount page \"/page\"
        stop grace=\"1s\"
    }
}
";

struct Place {
    lab: Lab,
    folder: PathBuf,
}

impl Place {
    fn host(&self) -> &LabHost {
        &self.lab.hosts()[0]
    }

    fn write(&self, cluster: &str, socket: &Path, what: &str) {
        let host = format!("host alpha \"unix://{}\"", socket.display());
        let spec = format!("cluster {cluster} {{\n    {host}\n}}\n{what}");
        std::fs::write(self.folder.join("tally.kdl"), spec).unwrap();
    }

    fn tally(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
        command.args(args).current_dir(&self.folder).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    fn done(&self, args: &[&str]) {
        let output = self.tally(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}: {said}");
    }

    /// Returns all objects of a cluster: containers with their states, volumes, networks.
    fn there(&self, cluster: &str) -> BTreeMap<String, String> {
        let own = |name: &str| name.strip_prefix(cluster).map(|rest| rest.to_owned());
        let seen = self.host().seen().unwrap();
        let mut there: BTreeMap<String, String> =
            seen.into_iter().filter_map(|one| Some((own(&one.name)?, one.state))).collect();
        let volumes = self.host().get("/volumes").unwrap();
        let networks = self.host().get("/networks").unwrap();
        for (kind, list) in [("volume", &volumes["Volumes"]), ("network", &networks)] {
            for one in list.as_array().unwrap() {
                if let Some(name) = own(one["Name"].as_str().unwrap()) {
                    let key = format!("{kind} {name}");
                    assert_eq!(there.insert(key, "there".to_owned()), None, "{kind} {name} twice");
                }
            }
        }
        there
    }

    /// Applies Before, and then After in a process that ends at the call with number `at`. Returns the call;
    /// `None` if there are fewer calls and the process was not ended.
    fn crash(&self, cluster: &str, at: usize, when: CrashPoint) -> (Option<String>, usize) {
        let engine = self.host().socket();
        self.write(cluster, &engine, BEFORE);
        self.done(&["apply", "--yes"]);
        let path = self.folder.join("door");
        let door = CrashProxy::open(&path, &engine, at, when);
        self.write(cluster, &path, AFTER);
        let mut child = self
            .tally(&["apply", "--yes"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        door.aim(child.id());
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < Duration::from_secs(90), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let ended_at = door.ended_at();
        assert_eq!(status.success(), ended_at.is_none(), "call {at}: {status}");
        self.write(cluster, &engine, AFTER);
        (ended_at, door.calls())
    }
}

#[test]
fn an_apply_killed_at_any_call_is_completed_by_the_next() {
    if std::env::var_os("TALLY_TEST_LAB").is_none_or(|value| value != "1") {
        eprintln!("SKIPPED: set TALLY_TEST_LAB=1 to run this over a real engine");
        return;
    }
    let lab = Lab::up(&LabOptions::named("crash", 202, 1)).unwrap();
    lab.load(&["tally.local/hello:1", "tally.local/hello:2"]).expect("make images");
    let folder = lab.folder().join("project");
    std::fs::create_dir(&folder).unwrap();
    let place = Place { lab, folder };
    // The result of an apply that nobody kills, and the number of its calls.
    let (ended_at, calls) = place.crash("c0", usize::MAX, CrashPoint::Before);
    assert_eq!(ended_at, None);
    let expected = place.there("c0");
    assert!(calls > 20, "{calls} calls");
    place.done(&["destroy", "--yes", "--volumes"]);
    // A sample of all calls by default, every call on request.
    let step = match std::env::var("TALLY_TEST_CRASHES").as_deref() {
        Ok("all") => 1,
        _ => calls.div_ceil(2),
    };
    let points = (1..=calls)
        .step_by(step)
        .flat_map(|at| [(at, CrashPoint::Before), (at, CrashPoint::After)]);
    let mut ends = 0;
    for (nth, (at, when)) in points.enumerate() {
        let cluster = format!("c{}", nth + 1);
        let (ended_at, _) = place.crash(&cluster, at, when);
        let Some(call) = ended_at else { continue };
        ends += 1;
        place.done(&["apply", "--yes"]);
        assert_eq!(place.there(&cluster), expected, "killed {when:?} call {at} ({call})");
        place.done(&["plan", "--detailed-exitcode"]);
        place.done(&["destroy", "--yes", "--volumes"]);
        let left = place.there(&cluster);
        assert!(left.is_empty(), "killed {when:?} call {at} ({call}): {left:?}");
    }
    eprintln!("killed at {ends} of {calls} calls");
    assert!(ends >= 4, "{ends}");
}
