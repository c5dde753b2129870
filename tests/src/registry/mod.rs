//! A real image registry for tests (Debian's `docker-registry`), on a loopback port of its own, and a proxy before it
//! that injects errors. Docker uses plain HTTP with registries on 127.0.0.0/8, so no configuration is needed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests panic on errors"
)]

mod image;
mod proxy;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub use image::TestImage;
pub use proxy::{Does, Proxy, Request};

/// The user of a guarded registry.
pub const USER: &str = "tally";
/// The user's password.
pub const PASSWORD: &str = "secret";
/// User and password as `htpasswd -nbB` writes them.
const HTPASSWD: &str = "tally:$2y$05$ibx6.RozYkAvTuc6uQmtyusdzvhYDu2PQGqRbiyYWgKtn5zpv92wS\n";

/// A registry that runs until this value is dropped.
pub struct Registry {
    process: Child,
    ip: String,
    port: u16,
}

impl Registry {
    /// Starts a registry that stores its images in `folder`; with `guarded` it requires [`USER`] and [`PASSWORD`].
    /// Returns `None` and prints a line if the program is not installed: its path is in `TALLY_TEST_REGISTRY`, or it
    /// is found by its name.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(folder: &Path, guarded: bool) -> Option<Self> {
        Self::start_at("127.0.0.1", folder, guarded)
    }

    /// Starts a registry as [`Registry::start`] does, at another address of this machine: for engines in networks of
    /// their own.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_at(ip: &str, folder: &Path, guarded: bool) -> Option<Self> {
        let program = std::env::var("TALLY_TEST_REGISTRY").ok().filter(|path| !path.is_empty());
        let program = program.unwrap_or_else(|| "docker-registry".to_owned());
        let config = folder.join(if guarded { "guarded.yml" } else { "open.yml" });
        std::fs::write(&config, config_text(ip, folder, guarded)).unwrap();
        let spawned = Command::new(&program)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = match spawned {
            Ok(process) => process,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("SKIPPED: no registry (TALLY_TEST_REGISTRY or docker-registry)");
                return None;
            }
            Err(error) => panic!("{program}: {error}"),
        };
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let said = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once(&format!("listening on {ip}:"))?;
            address.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        });
        let port = said.expect("the registry reports its port");
        // Its log must be read on, or it would block.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Some(Self { process, ip: ip.to_owned(), port })
    }

    /// Returns `127.0.0.1:PORT`, or with the address that it was started at.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.ip, self.port)
    }

    fn call(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n",
            self.address(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Answer::parse(&text)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; the result is the same.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn config_text(ip: &str, folder: &Path, guarded: bool) -> String {
    let root = folder.join("images");
    let mut text = format!(
        "version: 0.1\nlog: {{ level: info }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
         http: {{ addr: \"{ip}:0\" }}\n",
        root.display()
    );
    if guarded {
        let users = folder.join("htpasswd");
        std::fs::write(&users, HTPASSWD).unwrap();
        text.push_str(&format!(
            "auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n",
            users.display()
        ));
    }
    text
}

/// The registry's answer.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_lowercase(), value.to_owned()))
        });
        Self { status: status.expect("a status"), headers: headers.collect() }
    }
}
