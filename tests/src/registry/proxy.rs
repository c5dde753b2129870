//! A proxy before a registry: it forwards requests, or does something else instead, by a rule.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Registry;

/// The treatment of a request.
#[derive(Debug, Clone)]
pub enum Does {
    /// The registry answers.
    Pass,
    /// An answer of the proxy: status, additional header lines (each with its end), body.
    Answer(u16, &'static str, &'static str),
    /// The registry's answer, its body in pieces of this number of bytes with a pause after each.
    Slow(usize, Duration),
    /// The registry's answer, stalled after this number of bytes of its body.
    Stall(usize),
    /// The registry's answer, and the end of the connection after this number of bytes of its body.
    CutOff(usize),
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET /v2/things/manifests/1`.
    pub line: String,
    /// Its time.
    pub at: Instant,
}

type Rule = Box<dyn Fn(&str, usize) -> Does + Send + Sync>;

struct Shared {
    registry: String,
    rule: Rule,
    seen: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

impl Proxy {
    /// Starts a proxy. `rule` decides on each request by its line (`GET /v2/things/manifests/1`) and by the number of
    /// earlier requests with this line.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start(
        registry: &Registry,
        rule: impl Fn(&str, usize) -> Does + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            registry: registry.address(),
            rule: Box::new(rule),
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let proxy = Self { shared: Arc::clone(&shared), port };
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&shared);
                // The other side handles an interrupted connection.
                std::thread::spawn(move || shared.serve(client));
            }
        });
        proxy
    }

    /// Returns `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the requests whose line contains `part`, in order.
    ///
    /// # Panics
    /// If a thread of the proxy panicked.
    #[must_use]
    pub fn seen(&self, part: &str) -> Vec<Request> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|request| request.line.contains(part)).cloned().collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address());
    }
}

/// Checks whether a client starts a TLS handshake.
fn speaks_tls(client: &TcpStream) -> bool {
    let mut first = [0];
    client.peek(&mut first).is_ok_and(|count| count == 1 && first == [0x16])
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> Option<()> {
        if speaks_tls(&client) {
            // The answer of Go's servers: engines then continue without TLS.
            client.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").ok()?;
            // Unread bytes would cause a reset.
            client.shutdown(Shutdown::Write).ok()?;
            client.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
            let _ = client.read_to_end(&mut Vec::new());
            return None;
        }
        let head = read_head(&mut client)?;
        let line = head.lines().next()?.strip_suffix(" HTTP/1.1")?.to_owned();
        let before = {
            let mut seen = self.seen.lock().ok()?;
            let before = seen.iter().filter(|request| request.line == line).count();
            seen.push(Request { line: line.clone(), at: Instant::now() });
            before
        };
        let does = (self.rule)(&line, before);
        if let Does::Answer(status, headers, body) = does {
            let answer = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
                body.len()
            );
            client.write_all(answer.as_bytes()).ok()?;
            if !line.starts_with("HEAD ") {
                client.write_all(body.as_bytes()).ok()?;
            }
            return Some(());
        }
        let mut registry = TcpStream::connect(&self.registry).ok()?;
        registry.write_all(closing(&head).as_bytes()).ok()?;
        let answer_head = read_head(&mut registry)?;
        client.write_all(answer_head.as_bytes()).ok()?;
        self.body(&does, &mut registry, &mut client)
    }

    fn body(&self, does: &Does, registry: &mut TcpStream, client: &mut TcpStream) -> Option<()> {
        let mut body = Vec::new();
        registry.read_to_end(&mut body).ok()?;
        match does {
            Does::Slow(bytes, pause) => {
                for piece in body.chunks(*bytes) {
                    client.write_all(piece).ok()?;
                    std::thread::sleep(*pause);
                }
            }
            Does::Stall(bytes) => {
                client.write_all(body.get(..*bytes)?).ok()?;
                self.until_left(client);
            }
            Does::CutOff(bytes) => client.write_all(body.get(..*bytes)?).ok()?,
            _ => client.write_all(&body).ok()?,
        }
        Some(())
    }

    /// Sends nothing until the other side closes the connection.
    fn until_left(&self, client: &mut TcpStream) {
        let look = Duration::from_millis(50);
        let _ = client.set_read_timeout(Some(look));
        while !self.stopped.load(Ordering::SeqCst) {
            match client.read(&mut [0]) {
                Ok(0) => return,
                Err(error)
                    if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return;
                }
                _ => {}
            }
        }
    }
}

/// Reads a message up to its empty line; `None` if it is not HTTP: Docker tries TLS first.
fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 || head.len() > 64_000 {
            return None;
        }
        head.extend_from_slice(&byte);
        if head.len() == 1 && !byte[0].is_ascii_uppercase() {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// Returns the same request with the connection closed after its answer.
fn closing(head: &str) -> String {
    let lines = head.trim_end().split("\r\n");
    let kept: Vec<&str> =
        lines.filter(|line| !line.to_lowercase().starts_with("connection:")).collect();
    format!("{}\r\nConnection: close\r\n\r\n", kept.join("\r\n"))
}
