//! Several real engines, reached by socket, TLS and ssh, over cables that are disconnected. Runs with
//! `TALLY_TEST_LAB=1`, on a machine with root and network namespaces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod cluster;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tally_docker::{ConnectOptions, Endpoint, connect_read};
use tally_graph::HostAddress;
use tally_host::{HostError, HostRead, TransportError, observe, observe_host, unreachable_host};
use tally_reconcile::input::observed::{HostState, HostView};
use tally_tests::lab::{Authority, Lab, LabHost, LabOptions, Purpose, Way};

/// The deadline of a call: the host answers, or the call fails.
const DEADLINE: Duration = Duration::from_secs(2);
/// The maximum time of a healthy host, also on a busy machine. On an idle machine it takes 10 ms.
const NORMAL: Duration = Duration::from_secs(1);

/// Only one lab runs at a time: they would slow each other down.
static ONE: Mutex<()> = Mutex::new(());

struct Borrowed {
    lab: Lab,
    _turn: MutexGuard<'static, ()>,
}

/// Creates a lab with `hosts` hosts; `None`, with a message, if the tests of the lab are not enabled.
fn lab(hosts: u8) -> Option<Borrowed> {
    if std::env::var_os("TALLY_TEST_LAB").is_none_or(|value| value != "1") {
        eprintln!("SKIPPED: set TALLY_TEST_LAB=1 to run this over real engines");
        return None;
    }
    let turn = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let options = LabOptions::named("test", 201, hosts);
    let lab = Lab::up(&options).unwrap_or_else(|error| panic!("no lab: {error}"));
    Some(Borrowed { lab, _turn: turn })
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn options() -> ConnectOptions {
    ConnectOptions { connect: DEADLINE, read: DEADLINE, ..ConnectOptions::default() }
}

async fn reach(host: &LabHost, way: Way) -> Arc<dyn HostRead> {
    let endpoint = host.endpoint(way);
    let reached = connect_read(host.name(), &endpoint, &options()).await;
    reached.unwrap_or_else(|error| panic!("{} by {way:?}: {error}", host.name()))
}

async fn refused(endpoint: &Endpoint) -> TransportError {
    match connect_read("host", endpoint, &options()).await {
        Ok(_) => panic!("{} is reached", endpoint.address),
        Err(HostError::Transport(fault)) => *fault,
        Err(other) => panic!("{}: {other:?}", endpoint.address),
    }
}

/// Observes a host; returns its state and the duration.
async fn look(host: &dyn HostRead) -> (Result<HostState, HostError>, Duration) {
    let began = Instant::now();
    (observe_host(host, "lab", &AtomicBool::new(false)).await, began.elapsed())
}

/// Returns the processes of `ssh` that use this configuration.
fn ssh_of(config: &Path) -> Vec<u32> {
    let config = config.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.starts_with("ssh\0") && text.split('\0').any(|word| word == config)
    })
    .collect()
}

fn soon(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(5), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_transport_shows_the_same_engine() {
    let Some(borrowed) = lab(3) else { return };
    let lab = &borrowed.lab;
    run(async {
        let mut engines = Vec::new();
        for host in lab.hosts() {
            let mut ids = Vec::new();
            for way in [Way::Unix, Way::Tls, Way::Ssh] {
                ids.push(reach(host, way).await.engine().await.unwrap().id);
            }
            assert!(!ids[0].is_empty());
            assert!(ids.iter().all(|id| *id == ids[0]), "{}: {ids:?}", host.name());
            engines.push(ids.swap_remove(0));
        }
        engines.dedup();
        assert_eq!(engines.len(), 3, "three engines: {engines:?}");
        let ways = [Way::Unix, Way::Tls, Way::Ssh];
        let hosts = join_all(lab.hosts().iter().zip(ways).map(|(host, way)| reach(host, way)));
        let observed = observe(&hosts.await, "lab").await;
        for host in lab.hosts() {
            assert!(matches!(observed.hosts[host.name()], HostView::Ready(_)), "{}", host.name());
        }
    });
}

#[test]
fn an_unknown_or_changed_host_key_is_refused() {
    let Some(borrowed) = lab(1) else { return };
    let host = &borrowed.lab.hosts()[0];
    let mut endpoint = host.endpoint(Way::Ssh);
    run(async {
        reach(host, Way::Ssh).await;
        host.change_host_key().unwrap();
        let fault = refused(&endpoint).await;
        assert!(
            matches!(&fault, TransportError::HostKeyChanged { host: named, known: Some(known) }
            if named == host.ip() && known.ends_with("/ssh/known_hosts:1")),
            "{fault:?}"
        );
        let known = borrowed.lab.folder().join("ssh/known_hosts");
        let forget = format!("ssh-keygen -f '{}' -R '{}'", known.display(), host.ip());
        assert!(fault.help().contains(&forget), "{}", fault.help());
        // A configuration that would trust any key is not used.
        let config = borrowed.lab.folder().join("ssh/trusting");
        let key = borrowed.lab.folder().join("ssh/id");
        let text = format!(
            "Host *\n IdentityFile {}\n UserKnownHostsFile /dev/null\n StrictHostKeyChecking no\n",
            key.display(),
        );
        std::fs::write(&config, text).unwrap();
        endpoint.ssh_config = Some(config);
        let fault = refused(&endpoint).await;
        assert!(
            matches!(&fault, TransportError::HostKeyUnknown { host: named } if named == host.ip())
        );
    });
}

#[test]
fn a_refused_login_and_a_refused_socket_have_different_errors() {
    let Some(borrowed) = lab(1) else { return };
    let host = &borrowed.lab.hosts()[0];
    run(async {
        let elsewhere = |socket: &str| Endpoint {
            address: HostAddress::Ssh(format!("ssh://root@{}{socket}", host.ip())),
            ..host.endpoint(Way::Ssh)
        };
        let fault = refused(&elsewhere("/none/docker.sock")).await;
        assert!(matches!(&fault, TransportError::RemoteSocketMissing { .. }), "{fault:?}");
        host.configure_sshd("AllowStreamLocalForwarding no").unwrap();
        let fault = refused(&host.endpoint(Way::Ssh)).await;
        assert!(matches!(&fault, TransportError::ForwardingRefused { .. }), "{fault:?}");
        host.configure_sshd("PermitRootLogin no").unwrap();
        let fault = refused(&host.endpoint(Way::Ssh)).await;
        assert!(matches!(&fault, TransportError::SshLogin { .. }), "{fault:?}");
        let closed = Endpoint {
            address: HostAddress::Ssh(format!("ssh://root@{}:23", host.ip())),
            ..host.endpoint(Way::Ssh)
        };
        let reached = connect_read("host", &closed, &options()).await;
        assert!(matches!(reached.err(), Some(HostError::Unreachable { .. })));
    });
}

#[test]
fn only_the_given_certificate_authority_is_trusted() {
    let Some(borrowed) = lab(1) else { return };
    let host = &borrowed.lab.hosts()[0];
    let folder = borrowed.lab.folder();
    let foreign = Authority::new(&folder.join("foreign"), "somebody else").unwrap();
    let ours = borrowed.lab.authority();
    let good = host.endpoint(Way::Tls);
    let with = |change: &dyn Fn(&mut tally_transport::TlsPaths)| {
        let mut endpoint = good.clone();
        change(endpoint.tls.as_mut().unwrap());
        endpoint
    };
    run(async {
        reach(host, Way::Tls).await;
        let fault = refused(&with(&|tls| tls.ca = foreign.ca())).await;
        assert!(matches!(&fault, TransportError::TlsAuthority { .. }), "{fault:?}");
        let pair = foreign.issue("cert", "key", Purpose::Client, &[], 30).unwrap();
        let fault = refused(&with(&|tls| (tls.cert, tls.key) = pair.clone())).await;
        assert!(matches!(&fault, TransportError::TlsRefused { .. }), "{fault:?}");
        let pair = ours.issue("server", "server-key", Purpose::Server, &[], 30).unwrap();
        let fault = refused(&with(&|tls| (tls.cert, tls.key) = pair.clone())).await;
        assert!(matches!(&fault, TransportError::TlsRefused { .. }), "{fault:?}");
        let plain = Endpoint { tls: None, allow_plain_tcp: true, ..good.clone() };
        let reached = connect_read("host", &plain, &options()).await;
        assert!(reached.is_err(), "a TLS port does not answer in plain text");
        // A certificate for another name, and one that has expired.
        ours.issue("alpha-cert", "alpha-key", Purpose::Server, &["DNS:other"], 30).unwrap();
        host.stop().unwrap();
        host.start().unwrap();
        let fault = refused(&good).await;
        assert!(
            matches!(&fault, TransportError::TlsName { name } if name == host.ip()),
            "{fault:?}"
        );
        let name = format!("IP:{}", host.ip());
        ours.issue("alpha-cert", "alpha-key", Purpose::Server, &[&name], -1).unwrap();
        host.stop().unwrap();
        host.start().unwrap();
        let fault = refused(&good).await;
        assert!(matches!(&fault, TransportError::TlsDate { .. }), "{fault:?}");
    });
}

#[test]
fn unusable_tls_files_are_named_in_the_error() {
    let Some(borrowed) = lab(1) else { return };
    let host = &borrowed.lab.hosts()[0];
    let folder = borrowed.lab.folder().join("files");
    let ours = borrowed.lab.authority();
    std::fs::create_dir(&folder).unwrap();
    let garbage = folder.join("garbage.pem");
    std::fs::write(&garbage, "no certificate").unwrap();
    let other = ours.issue("other", "other-key", Purpose::Client, &[], 30).unwrap();
    let old = ours.issue("old", "old-key", Purpose::Client, &[], -1).unwrap();
    let fault = |change: &dyn Fn(&mut tally_transport::TlsPaths)| {
        let mut endpoint = host.endpoint(Way::Tls);
        change(endpoint.tls.as_mut().unwrap());
        run(refused(&endpoint)).to_string()
    };
    let none = PathBuf::from("/none.pem");
    assert!(fault(&|tls| tls.ca = none.clone()).ends_with("certificate /none.pem is not there"));
    assert!(fault(&|tls| tls.key = none.clone()).ends_with("the key /none.pem is not there"));
    assert!(fault(&|tls| tls.ca = garbage.clone()).ends_with("holds no PEM certificate"));
    assert!(fault(&|tls| tls.cert = garbage.clone()).ends_with("holds no PEM certificate"));
    assert!(fault(&|tls| tls.key = garbage.clone()).ends_with("holds no PEM key"));
    assert!(fault(&|tls| tls.key = other.1.clone()).contains("does not belong to the certificate"));
    assert!(fault(&|tls| (tls.cert, tls.key) = old.clone()).ends_with("has expired"));
}

/// A fault of one host, and its end.
type Fault = fn(&LabHost);

/// Injects the fault into one host: it times out within its deadline, the others answer in normal time, and after
/// the fault it answers again over the same connections. All transports are tested at once, so the test takes as
/// long as one of them.
fn one_is_unknown(ways: &[Way], begin: Fault, end: Fault) {
    let Some(borrowed) = lab(3) else { return };
    let hosts = borrowed.lab.hosts();
    let all: Vec<(&LabHost, Way)> =
        ways.iter().flat_map(|way| hosts.iter().map(move |host| (host, *way))).collect();
    run(async {
        let reached = join_all(all.iter().map(|(host, way)| reach(host, *way))).await;
        for host in &reached {
            assert!(look(host.as_ref()).await.0.is_ok());
        }
        begin(&hosts[1]);
        let looks = join_all(reached.iter().map(|host| look(host.as_ref()))).await;
        for ((host, way), (state, took)) in all.iter().zip(looks) {
            let which = format!("{} by {way:?} after {took:?}", host.name());
            let is_faulty = host.name() == hosts[1].name();
            assert_eq!(state.is_err(), is_faulty, "{which}: {:?}", state.err());
            let limit = if is_faulty { DEADLINE + NORMAL } else { NORMAL };
            assert!(took < limit, "{which}");
            eprintln!("{which}: {}", if is_faulty { "given up" } else { "answers" });
        }
        join_all(ways.iter().map(|way| stays_in_place(&hosts[1], *way))).await;
        end(&hosts[1]);
        for ((host, way), reached) in all.iter().zip(&reached) {
            let began = Instant::now();
            while let Err(error) = look(reached.as_ref()).await.0 {
                let waited = began.elapsed();
                assert!(waited < Duration::from_secs(30), "{} by {way:?}: {error}", host.name());
            }
        }
    });
}

/// A host that cannot be reached at the start keeps its place, as `Unknown`.
async fn stays_in_place(host: &LabHost, way: Way) {
    let began = Instant::now();
    let fresh = connect_read(host.name(), &host.endpoint(way), &options()).await;
    let why = fresh.err().expect("it cannot be reached");
    assert!(began.elapsed() < DEADLINE + NORMAL, "{way:?}: {:?}", began.elapsed());
    let stand_in: Vec<Arc<dyn HostRead>> = vec![unreachable_host(host.name(), why)];
    let observed = observe(&stand_in, "lab").await;
    assert!(matches!(observed.hosts[host.name()], HostView::Unknown { .. }));
}

#[test]
fn a_disconnected_host_is_unknown_and_delays_no_other() {
    let ways = [Way::Tls, Way::Ssh];
    one_is_unknown(&ways, |host| host.cut().unwrap(), |host| host.heal().unwrap());
}

#[test]
fn a_frozen_engine_is_unknown_and_delays_no_other_host() {
    let ways = [Way::Unix, Way::Tls, Way::Ssh];
    one_is_unknown(&ways, |host| host.freeze().unwrap(), |host| host.thaw().unwrap());
}

#[test]
fn connections_work_again_after_an_engine_was_killed() {
    let ways = [Way::Unix, Way::Tls, Way::Ssh];
    one_is_unknown(&ways, |host| host.kill().unwrap(), |host| host.start().unwrap());
}

#[test]
fn an_ended_ssh_process_is_restarted_and_none_is_left_behind() {
    let Some(borrowed) = lab(1) else { return };
    let host = &borrowed.lab.hosts()[0];
    let config = borrowed.lab.ssh_config();
    run(async {
        let reached = reach(host, Way::Ssh).await;
        let first = ssh_of(&config);
        assert_eq!(first.len(), 1, "one ssh a host: {first:?}");
        join_all((0..60).map(|_| reached.containers())).await.into_iter().for_each(|answer| {
            answer.unwrap();
        });
        assert_eq!(ssh_of(&config), first, "all calls go through one");
        let killed = Command::new("kill").args(["-9", &first[0].to_string()]).status();
        assert!(killed.unwrap().success());
        soon("the old one is gone", || ssh_of(&config).is_empty());
        // Calls that are in flight when ssh ends may fail; the next call starts another ssh.
        let began = Instant::now();
        while reached.containers().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(5), "none is started");
        }
        assert_eq!(ssh_of(&config).len(), 1);
        drop(reached);
    });
    soon("the last one ends with its host", || ssh_of(&config).is_empty());
}

/// Not a test: the process that the next test kills.
#[test]
fn helper_that_waits_with_an_ssh_process() {
    let Ok(address) = std::env::var("TALLY_LAB_CHILD") else { return };
    let config = std::env::var("TALLY_LAB_CHILD_CONFIG").unwrap();
    run(async {
        let endpoint = Endpoint {
            ssh_config: Some(config.into()),
            ..Endpoint::from(&HostAddress::Ssh(address))
        };
        let _reached = connect_read("alpha", &endpoint, &options()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
}

#[test]
fn a_killed_process_leaves_no_ssh_process_behind() {
    let Some(borrowed) = lab(1) else { return };
    let host = &borrowed.lab.hosts()[0];
    let config = borrowed.lab.ssh_config();
    for signal in ["-TERM", "-KILL"] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "helper_that_waits_with_an_ssh_process"])
            .env("TALLY_LAB_CHILD", host.address(Way::Ssh).to_string())
            .env("TALLY_LAB_CHILD_CONFIG", &config)
            .env("TMPDIR", borrowed.lab.folder())
            .env_remove("XDG_RUNTIME_DIR")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let folders = || {
            let entries = std::fs::read_dir(borrowed.lab.folder()).unwrap().flatten();
            let names =
                entries.filter(|e| e.file_name().to_string_lossy().starts_with("tally-ssh-"));
            names.count()
        };
        soon("it has its ssh", || ssh_of(&config).len() == 1 && folders() == 1);
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(status.unwrap().success());
        child.wait().unwrap();
        soon("its ssh ends with it", || ssh_of(&config).is_empty());
        soon("and so do the sockets", || folders() == 0);
    }
}

#[test]
fn a_lab_leaves_nothing_behind_even_if_it_was_killed() {
    let Some(borrowed) = lab(3) else { return };
    let Borrowed { lab, _turn } = borrowed;
    let folder = lab.folder().to_owned();
    let options = LabOptions::named("test", 201, 3);
    if lab.load(&["tally.local/hello:1"]).is_ok() {
        for host in lab.hosts() {
            let run = ["run", "-d", "--restart=always", "tally.local/hello:1"];
            host.docker(&run).unwrap();
        }
    }
    lab.hosts()[0].freeze().unwrap();
    lab.hosts()[1].kill().unwrap();
    lab.hosts()[2].cut().unwrap();
    let namespace = Path::new("/run/netns").join(lab.hosts()[0].netns());
    assert!(namespace.exists());
    drop(lab);
    assert!(!folder.exists(), "the folder");
    assert!(!namespace.exists(), "the namespaces");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*folder.to_string_lossy()), "mounts");
    assert!(!Path::new("/sys/class/net/tl-test").exists(), "the cable");
    Lab::down(&options).expect("taking away nothing is fine");
}
