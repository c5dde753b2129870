//! `tally run --metrics` over a simulated host: its counters, and that a bad client is disconnected.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests stop loudly"
)]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tally_simulator::{SimOptions, open_file, wall_clock};

const SPEC: &str = "cluster demo {\n    host laptop \"sim:laptop\"\n}\n\
    controller web replicas=2 {\n    container nginx image=\"nginx:1\"\n}\n";

/// A `tally run` with metrics at an address. Dropping it kills it.
struct Run {
    child: Child,
    /// The address that it prints.
    shown: String,
}

impl Run {
    fn begin(folder: &Path, address: &str) -> Self {
        Self::looks_every("1", folder, address)
    }

    /// Starts a loop that polls only after this number of seconds.
    fn looks_every(seconds: &str, folder: &Path, address: &str) -> Self {
        std::fs::write(folder.join("tally.kdl"), SPEC).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tally"))
            .args(["run", "--resync", seconds, "--metrics", address])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let mut lines = errors.lines().map_while(Result::ok);
        let shown = lines.find_map(|line| line.strip_prefix("metrics: ").map(str::to_owned));
        Self { child, shown: shown.expect("it tells where") }
    }

    fn port(&self) -> String {
        self.shown.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap().to_owned()
    }

    fn end(&mut self) -> Option<i32> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // A client that is disconnected in the middle of its request has sent all that it sends.
    let _ = stream.read_to_string(&mut answer);
    answer
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

fn tcp(address: &str, request: &str) -> String {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    ask(stream, request)
}

/// Returns the value of one line; `None` if it does not exist.
fn value(text: &str, line: &str) -> Option<f64> {
    text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok())
}

/// Asks until the condition holds.
fn until(what: &str, scrape: impl Fn() -> String, is_so: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let text = scrape();
        if is_so(&text) {
            return text;
        }
        assert!(Instant::now() < end, "never: {what}\n{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn tallies(text: &str) -> bool {
    value(text, "tally_cluster_tallies") == Some(1.0)
        && value(text, "tally_pods_ready{workload=\"controller/web\"}") == Some(2.0)
}

/// Removes a container by hand.
fn take_away(folder: &Path, pod: &str) {
    let options = SimOptions::new(0, wall_clock());
    let host = open_file("laptop", &folder.join(".tally/sim"), "laptop", options).unwrap();
    let removed = host.inject(|model, now| {
        let found = model.list().into_iter().find(|c| c.name == format!("demo.{pod}.nginx"));
        let id = found.unwrap().id;
        model.stop(&id, now).and_then(|_| model.remove(&id, now))
    });
    removed.unwrap().unwrap();
}

#[test]
fn metrics_show_a_loss_and_its_repair() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::begin(folder.path(), "127.0.0.1:0");
    let address = run.port();
    let scrape = || tcp(&address, GET);
    let text = until("it tallies", scrape, tallies);
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    for (line, expected) in [
        ("tally_build_info{version=\"0.1.0\",cluster=\"demo\"}", 1.0),
        ("tally_hosts{state=\"ready\"}", 1.0),
        ("tally_hosts{state=\"unknown\"}", 0.0),
        ("tally_pods_desired{workload=\"controller/web\"}", 2.0),
        ("tally_pods_placed{workload=\"controller/web\"}", 2.0),
        ("tally_pods_ready{workload=\"controller/web\"}", 2.0),
        ("tally_operations_total{kind=\"create-container\",outcome=\"done\"}", 2.0),
        ("tally_held_changes{reason=\"frozen\"}", 0.0),
        ("tally_frozen", 0.0),
        ("tally_spec_valid", 1.0),
    ] {
        assert_eq!(value(&text, line), Some(expected), "{line}\n{text}");
    }
    let looked = "tally_host_last_look_timestamp_seconds{host=\"laptop\"}";
    assert!(value(&text, looked) > value(&text, "process_start_time_seconds"), "{text}");
    let rounds = |text: &str| value(text, "tally_round_duration_seconds_count").unwrap();
    assert_eq!(
        value(&text, "tally_round_duration_seconds_bucket{le=\"+Inf\"}"),
        Some(rounds(&text))
    );

    take_away(folder.path(), "web-1");
    let again = until("it is made again", scrape, |text| {
        let made = "tally_operations_total{kind=\"create-container\",outcome=\"done\"}";
        tallies(text) && value(text, made) == Some(3.0)
    });
    assert_eq!(value(&again, "tally_pods_ready{workload=\"controller/web\"}"), Some(2.0));
    assert!(rounds(&again) > rounds(&text));

    let frozen = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(["freeze", "-m", "look first"])
        .current_dir(folder.path())
        .output();
    assert!(frozen.unwrap().status.success());
    until("it is frozen", scrape, |text| value(text, "tally_frozen") == Some(1.0));
    take_away(folder.path(), "web-0");
    let held = until("it is blocked", scrape, |text| {
        value(text, "tally_held_changes{reason=\"frozen\"}") == Some(1.0)
    });
    assert_eq!(value(&held, "tally_pods_ready{workload=\"controller/web\"}"), Some(1.0));
    assert_eq!(run.end(), Some(0));
}

/// No event reports that a container has run for long enough.
#[test]
fn pods_that_become_ready_without_an_event_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::looks_every("3600", folder.path(), "127.0.0.1:0");
    let address = run.port();
    until("all are ready", || tcp(&address, GET), tallies);
}

/// Prometheus' own checker, which knows the format and the conventions for names.
#[test]
fn promtool_reports_no_problem() {
    let Some(promtool) = std::env::var_os("TALLY_TEST_PROMTOOL").filter(|path| !path.is_empty())
    else {
        eprintln!("SKIPPED: TALLY_TEST_PROMTOOL names no promtool of Prometheus'");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = Run::begin(folder.path(), "127.0.0.1:0");
    let address = run.port();
    until("it tallies", || tcp(&address, GET), tallies);
    take_away(folder.path(), "web-1");
    let made = "tally_operations_total{kind=\"create-container\",outcome=\"done\"}";
    let again = |text: &str| tallies(text) && value(text, made) == Some(3.0);
    let text = until("it is made again", || tcp(&address, GET), again);
    let body = text.split_once("\r\n\r\n").unwrap().1;
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let said = check.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert!(
        said.status.success() && words.is_empty(),
        "{}\n{body}",
        String::from_utf8_lossy(&words)
    );
}

#[test]
fn slow_clients_and_invalid_requests_are_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::begin(folder.path(), "127.0.0.1:0");
    let address = run.port();
    until("it tallies", || tcp(&address, GET), tallies);
    // All connections but one are taken by clients that never send anything.
    let slow: Vec<TcpStream> = (0..15).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    for (request, answer) in [
        ("\0\u{1}\u{2} nonsense\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405"),
    ] {
        let got = tcp(&address, request);
        assert!(got.starts_with(&format!("HTTP/1.1 {answer}")), "{request:?}: {got}");
    }
    let mut stream = TcpStream::connect(&address).unwrap();
    // It may be disconnected before everything was sent.
    let _ = stream.write_all(long.as_bytes());
    drop(stream);
    take_away(folder.path(), "web-0");
    until(
        "the loop goes on",
        || tcp(&address, GET),
        |text| {
            value(text, "tally_operations_total{kind=\"create-container\",outcome=\"done\"}")
                == Some(3.0)
        },
    );
    // And the slow clients get no answer, and are disconnected.
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(
            !matches!(&ended, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock),
            "{ended:?}"
        );
    }
}

#[test]
fn metrics_are_served_on_a_unix_socket_that_is_removed_with_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sock");
    // The socket that a killed loop left is removed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut run = Run::begin(folder.path(), &format!("unix://{}", path.display()));
    until("it tallies", || ask(UnixStream::connect(&path).unwrap(), GET), tallies);
    assert_eq!(run.end(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tally.kdl"), SPEC).unwrap();
    let path = folder.path().join("data");
    std::fs::write(&path, "mine").unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(["run", "--once", "--metrics", &format!("unix://{}", path.display())])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert!(!folder.path().join(".tally/sim/laptop.jsonl").exists(), "nothing was started");
}
