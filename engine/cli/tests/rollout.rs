//! A rollout under load, over three real engines: every request from outside is answered at all times, also while
//! a version crashes. With `TALLY_TEST_LAB=1`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, sync::Arc};

use tally_tests::lab::{Lab, LabOptions, Way};

/// The number of requests per second, and the number of concurrent clients.
const RATE: u32 = 200;
const CLIENTS: u32 = 8;
/// The maximum number of pods to which an unanswered request is passed, as load balancers do.
const TRIES: usize = 4;

/// A small load balancer before the pods: it checks the health of all addresses every 50 ms, passes requests on to
/// the healthy ones, and passes one that got no answer to another.
struct Balancer {
    addresses: Vec<SocketAddr>,
    healthy: Vec<AtomicBool>,
    over: AtomicBool,
    next: AtomicUsize,
    answered: AtomicUsize,
    again: AtomicUsize,
    failed: AtomicUsize,
}

fn ask(address: &SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(address, Duration::from_millis(500))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let whole = text.contains(" 200 ") && text.ends_with("whole\n");
    if whole { Ok(()) } else { Err(io::Error::other("half an answer")) }
}

impl Balancer {
    fn request(&self) {
        for attempt in 0..TRIES {
            let nth = self.next.fetch_add(1, Ordering::Relaxed);
            let healthy: Vec<usize> = (0..self.addresses.len())
                .filter(|number| self.healthy[*number].load(Ordering::Relaxed))
                .collect();
            let Some(number) = healthy.get(nth % healthy.len().max(1)) else { continue };
            if ask(&self.addresses[*number]).is_ok() {
                self.answered.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.healthy[*number].store(false, Ordering::Relaxed);
            if attempt + 1 < TRIES {
                self.again.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Sends requests from outside the pods, until it is asked to end.
struct Load {
    balancer: Arc<Balancer>,
    threads: Vec<JoinHandle<()>>,
    began: Instant,
}

impl Load {
    fn begin(addresses: Vec<SocketAddr>) -> Self {
        let healthy = addresses.iter().map(|one| AtomicBool::new(ask(one).is_ok())).collect();
        let balancer = Arc::new(Balancer {
            addresses,
            healthy,
            over: AtomicBool::new(false),
            next: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            again: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        });
        let checks = (0..balancer.addresses.len()).map(|number| {
            let balancer = Arc::clone(&balancer);
            std::thread::spawn(move || {
                while !balancer.is_over() {
                    let is_well = ask(&balancer.addresses[number]).is_ok();
                    balancer.healthy[number].store(is_well, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(50));
                }
            })
        });
        let mut threads: Vec<JoinHandle<()>> = checks.collect();
        for _ in 0..CLIENTS {
            let balancer = Arc::clone(&balancer);
            let pause = Duration::from_secs(1) * CLIENTS / RATE;
            threads.push(std::thread::spawn(move || {
                let mut due = Instant::now();
                while !balancer.is_over() {
                    balancer.request();
                    due += pause;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }));
        }
        Self { balancer, threads, began: Instant::now() }
    }

    fn end(self, what: &str) {
        self.balancer.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let count = |number: &AtomicUsize| number.load(Ordering::Relaxed);
        let Balancer { answered, again, failed, .. } = self.balancer.as_ref();
        let (answered, again, failed) = (count(answered), count(again), count(failed));
        let took = self.began.elapsed().as_secs_f64();
        let rate = f64::from(u32::try_from(answered).unwrap()) / took;
        eprintln!(
            "{what}: {answered} answered in {took:.1} s ({rate:.0} a second), {again} asked again, {failed} failed"
        );
        assert_eq!(failed, 0, "{what}: requests failed");
        // The load was high enough, also on a busy machine.
        assert!(rate > f64::from(RATE) / 4.0, "{what}: {rate} a second");
    }
}

struct Place {
    lab: Lab,
    folder: PathBuf,
}

impl Place {
    /// Two pods at a port of their hosts, of which there are three: one more has a place.
    fn write(&self, command: &str) {
        self.write_with("", command);
    }

    /// Returns the spec with further options of its `update`.
    fn write_with(&self, update: &str, command: &str) {
        let mut spec = self.lab.cluster("roll", &[Way::Unix, Way::Tls, Way::Ssh]);
        spec.push_str(&format!(
            "controller web replicas=2 {{\n    update max-unavailable=0 max-surge=1 {update}\n    \
             container web image=\"tally.local/hello:1\" {{\n        \
             command \"sh\" \"-c\" {command:?}\n        \
             port http 8080 publish=8085\n        stop grace=\"2s\"\n        \
             readiness every=\"1s\" failures=2 {{ command wget \"-q\" \"-O\" \"/dev/null\" \"http://127.0.0.1:8080/page\"; }}\n    }}\n}}\n"
        ));
        std::fs::write(self.folder.join("tally.kdl"), spec).unwrap();
    }

    fn tally(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
        command.args(args).current_dir(&self.folder).env("NO_COLOR", "1").stdin(Stdio::null());
        command.env("TALLY_SSH_CONFIG", self.lab.ssh_config());
        command.output().unwrap()
    }

    fn running(&self) -> BTreeMap<String, String> {
        let all = self.lab.hosts().iter().flat_map(|host| {
            let seen = host.seen().unwrap().into_iter();
            seen.filter(|one| one.state == "running").map(|one| (one.name, one.id))
        });
        all.collect()
    }
}

fn serves(version: u8) -> String {
    format!(
        "mkdir /www; echo whole >/www/page; echo version {version}; exec as-child httpd -f -p 8080 -h /www"
    )
}

#[test]
fn a_rollout_fails_no_request_and_a_crashing_version_changes_nothing() {
    if std::env::var_os("TALLY_TEST_LAB").is_none_or(|value| value != "1") {
        eprintln!("SKIPPED: set TALLY_TEST_LAB=1 to run this over real engines");
        return;
    }
    let lab = Lab::up(&LabOptions::named("roll", 203, 3)).unwrap();
    lab.load(&["tally.local/hello:1"]).expect("make images");
    let folder = lab.folder().join("project");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(lab.folder().join("certs"), folder.join("certs")).unwrap();
    let addresses: Vec<SocketAddr> =
        lab.hosts().iter().map(|host| format!("{}:8085", host.ip()).parse().unwrap()).collect();
    let place = Place { lab, folder };
    place.write(&serves(1));
    let output = place.tally(&["apply", "--yes"]);
    assert!(output.status.success(), "{output:?}");
    let first = place.running();
    assert_eq!(first.len(), 2, "{first:?}");

    let load = Load::begin(addresses.clone());
    place.write(&serves(2));
    let output = place.tally(&["apply", "--yes"]);
    assert!(output.status.success(), "{output:?}");
    load.end("a good version");
    let second = place.running();
    assert_eq!(second.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
    assert!(second.values().all(|id| !first.values().any(|old| old == id)), "all are new");

    let load = Load::begin(addresses.clone());
    place.write("echo no database at db:5432; exit 3");
    let output = place.tally(&["apply", "--yes"]);
    load.end("a version that crashes");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no database at db:5432"), "its last lines: {said}");
    assert!(said.contains("exit") && said.contains('3'), "the reason: {said}");
    assert!(said.contains("tally.kdl:"), "the attribute in the spec: {said}");
    let third = place.running();
    assert!(second.iter().all(|(name, id)| third.get(name) == Some(id)), "{second:?} {third:?}");

    // The same version is rolled back automatically if the spec says so.
    let load = Load::begin(addresses);
    place.write_with("on-failure=rollback", "echo no database at db:5433; exit 4");
    let output = place.tally(&["apply", "--yes"]);
    load.end("a version that crashes and is rolled back");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("controller/web was rolled back to entry 2"), "{said}");
    assert_eq!(place.running(), second, "what served was never touched, and nothing else is left");
    let output = place.tally(&["status"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("rolled back"), "{output:?}");
}
