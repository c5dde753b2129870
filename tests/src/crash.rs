//! A proxy before a Docker engine that ends a process at a chosen call, for tests of an apply that is killed between
//! two calls, or within one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests panic on errors")]

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The time at which the process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Before the engine receives the call.
    Before,
    /// After the engine has executed the call, before the process receives the answer.
    After,
}

/// The proxy: a socket that forwards to an engine's socket.
pub struct CrashProxy {
    path: PathBuf,
    state: Arc<State>,
}

struct State {
    engine: PathBuf,
    /// The number of the changing call, from 1, at which the process ends.
    at: usize,
    when: CrashPoint,
    calls: AtomicUsize,
    /// The process to end.
    victim: AtomicU32,
    /// The call at which the process was ended.
    ended_at: Mutex<Option<String>>,
}

impl CrashProxy {
    /// Starts a proxy at `path` to the engine at `engine`, which ends a process at the changing call with number
    /// `at`; never if there are fewer.
    ///
    /// # Panics
    /// If the socket cannot be created.
    #[must_use]
    pub fn open(path: &Path, engine: &Path, at: usize, when: CrashPoint) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).expect("the socket can be made");
        let state = Arc::new(State {
            engine: engine.to_owned(),
            at,
            when,
            calls: AtomicUsize::new(0),
            victim: AtomicU32::new(0),
            ended_at: Mutex::new(None),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // Interrupted connections are the purpose of this proxy.
                    let _ = state.pass(client);
                });
            }
        });
        Self { path: path.to_owned(), state }
    }

    /// Sets the process to end.
    pub fn aim(&self, pid: u32) {
        self.state.victim.store(pid, Ordering::SeqCst);
    }

    /// Returns the number of changing calls so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }

    /// Returns the call at which the process was ended.
    #[must_use]
    pub fn ended_at(&self) -> Option<String> {
        self.state.ended_at.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for CrashProxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl State {
    /// Forwards requests until one side is done.
    fn pass(&self, client: UnixStream) -> io::Result<()> {
        let engine = UnixStream::connect(&self.engine)?;
        let mut upstream = engine.try_clone()?;
        let (mut from_engine, mut to_client) = (engine.try_clone()?, client.try_clone()?);
        // Answers are forwarded as they come, except for that of the call at which the process ends.
        let silent = Arc::new(Mutex::new(false));
        let muted = Arc::clone(&silent);
        let back = std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = from_engine.read(&mut buffer) {
                if *muted.lock().unwrap_or_else(PoisonError::into_inner) {
                    return true;
                }
                if to_client.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
                    return false;
                }
            }
            // The other half of the connection is closed too.
            let _ = to_client.shutdown(std::net::Shutdown::Both);
            false
        });
        let mut reader = BufReader::new(client);
        loop {
            let head = read_head(&mut reader)?;
            if head.is_empty() {
                return upstream.shutdown(std::net::Shutdown::Write);
            }
            let changes = changes(&head);
            let number = if changes { self.calls.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
            let is_it = number == self.at && changes;
            if is_it && self.when == CrashPoint::Before {
                self.end(&head);
                return Ok(());
            }
            if is_it {
                *silent.lock().unwrap_or_else(PoisonError::into_inner) = true;
            }
            upstream.write_all(head.as_bytes())?;
            pass_body(&head, &mut reader, &mut upstream)?;
            if is_it {
                // The first byte of the answer has come, or the connection has ended.
                let _ = back.join();
                self.end(&head);
                return Ok(());
            }
        }
    }

    fn end(&self, head: &str) {
        let line = head.lines().next().unwrap_or_default().to_owned();
        *self.ended_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        let victim = self.victim.load(Ordering::SeqCst);
        assert!(victim > 1, "no victim was named");
        let _ = Command::new("kill").args(["-KILL", &victim.to_string()]).status();
    }
}

/// Reads the head of a request with its empty line; nothing if the client is done.
fn read_head(reader: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Ok(String::new());
        }
        if matches!(head.get(before..), Some("\r\n")) {
            return Ok(head);
        }
    }
}

/// Checks whether a call changes something: every POST except waiting.
fn changes(head: &str) -> bool {
    let line = head.lines().next().unwrap_or_default();
    let reads = ["GET ", "HEAD "].iter().any(|method| line.starts_with(method));
    !reads && !line.contains("/wait")
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn pass_body(
    head: &str,
    reader: &mut BufReader<UnixStream>,
    upstream: &mut UnixStream,
) -> io::Result<()> {
    if let Some(length) = header(head, "content-length") {
        let length = length.parse().map_err(io::Error::other)?;
        io::copy(&mut reader.take(length), upstream)?;
        return Ok(());
    }
    if header(head, "transfer-encoding").is_none() {
        return Ok(());
    }
    // A chunked body: each chunk has its length before it; the last one is empty.
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        upstream.write_all(line.as_bytes())?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        io::copy(&mut reader.take(length + 2), upstream)?;
        if length == 0 {
            return Ok(());
        }
    }
}
