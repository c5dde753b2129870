//! A real etcd for tests (Debian's `etcd-server`): one member on loopback ports of its own, which can be stopped and
//! started again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests panic on errors"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The maximum duration of a start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files for TLS: authority, certificate, key.
pub type TlsFiles = [PathBuf; 3];

/// One member of etcd. Dropping it ends it.
pub struct Etcd {
    program: String,
    folder: PathBuf,
    port: u16,
    peer_port: u16,
    tls: Option<TlsFiles>,
    process: Option<Child>,
}

impl Etcd {
    /// Starts a member that stores its data in `folder`. Returns `None` and prints a line if the program is not
    /// installed: its path is in `TALLY_TEST_ETCD`, or it is found by its name.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(folder: &Path, tls: Option<TlsFiles>) -> Option<Self> {
        let program = std::env::var("TALLY_TEST_ETCD").ok().filter(|path| !path.is_empty());
        let program = program.unwrap_or_else(|| "etcd".to_owned());
        let found = Command::new(&program).arg("--version").stdout(Stdio::null()).status();
        if found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            eprintln!("SKIPPED: no etcd (TALLY_TEST_ETCD or etcd)");
            return None;
        }
        let (port, peer_port) = (free_port(), free_port());
        let folder = folder.to_owned();
        let mut etcd = Self { program, folder, port, peer_port, tls, process: None };
        etcd.begin();
        Some(etcd)
    }

    /// Returns `127.0.0.1:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns `etcd://127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("etcd://{}", self.authority())
    }

    /// Starts it again with its earlier data, and waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    pub fn begin(&mut self) {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let client = format!("{scheme}://127.0.0.1:{}", self.port);
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let mut command = Command::new(&self.program);
        command.arg("--data-dir").arg(self.folder.join("etcd"));
        command.args(["--name", "one", "--initial-cluster", &format!("one={peer}")]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        if let Some([ca, cert, key]) = &self.tls {
            command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(ca);
            command.arg("--cert-file").arg(cert).arg("--key-file").arg(key);
        }
        let log = std::fs::File::create(self.folder.join("etcd.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
        let until = Instant::now() + PATIENCE;
        while !self.answers() {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            let log = || std::fs::read_to_string(self.folder.join("etcd.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < until, "etcd does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Checks whether it answers; with TLS, whether it listens.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.authority()) else { return false };
        if self.tls.is_some() {
            return true;
        }
        let request = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut text = String::new();
        let asked = stream.write_all(request.as_bytes());
        asked.and_then(|()| stream.read_to_string(&mut text)).is_ok() && text.contains("true")
    }

    /// Kills it without warning, as a power failure does.
    pub fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself; the result is the same.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns a port that no process listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
