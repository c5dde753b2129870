//! Engines that do not answer, answer nonsense, or have another version, played by small servers on a Unix socket.
//! Every call must end in time, with the right kind of error, and leave no connection behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tally_docker::{ConnectOptions, connect, connect_read};
use tally_graph::HostAddress;
use tally_host::{Host, HostError, LogRequest, observe};
use tally_reconcile::input::observed::HostView;
use tally_reconcile::plan::request::NetworkRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// The reaction of the engine to a request, by its first line.
type Answer = fn(&str, usize) -> Reply;

enum Reply {
    /// A whole answer.
    Json(u16, &'static str),
    /// These bytes, and the end.
    Raw(&'static str),
    /// Nothing, ever.
    Silence,
}

struct Engine {
    folder: tempfile::TempDir,
    open: Arc<AtomicUsize>,
    seen: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Engine {
    fn start(answer: Answer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("sock")).unwrap();
        let engine = Self { folder, open: Arc::default(), seen: Arc::default() };
        let (open, seen) = (Arc::clone(&engine.open), Arc::clone(&engine.seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (open, seen) = (Arc::clone(&open), Arc::clone(&seen));
                open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    serve(stream, answer, &seen).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        engine
    }

    fn address(&self) -> HostAddress {
        let path: PathBuf = self.folder.path().join("sock");
        HostAddress::Unix(path.display().to_string())
    }

    async fn connect(&self) -> Result<Arc<dyn Host>, HostError> {
        connect("alpha", &self.address(), &short()).await
    }

    fn seen(&self, part: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }

    /// Checks that all connections are closed soon.
    async fn is_left_alone(&self) {
        let began = Instant::now();
        while self.open.load(Ordering::SeqCst) > 0 {
            assert!(began.elapsed() < Duration::from_secs(5), "a connection is left open");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn serve(mut stream: UnixStream, answer: Answer, seen: &std::sync::Mutex<Vec<String>>) {
    while let Some(text) = request(&mut stream).await {
        let line = text.lines().next().unwrap_or_default().to_owned();
        let nth = {
            let mut seen = seen.lock().unwrap();
            seen.push(text);
            seen.len()
        };
        match answer(&line, nth) {
            Reply::Json(status, body) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(body.as_bytes()).await;
            }
            Reply::Raw(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                return;
            }
            Reply::Silence => {}
        }
    }
}

/// Returns the next request on a connection; `None` once the other side has closed it.
async fn request(stream: &mut UnixStream) -> Option<String> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    let head = loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let whole = head + length.map_or(0, |length| length.parse().unwrap());
    let chunked = text.contains("transfer-encoding: chunked");
    while request.len() < whole || (chunked && !request.ends_with(b"\r\n0\r\n\r\n")) {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
    Some(String::from_utf8_lossy(&request).into_owned())
}

fn short() -> ConnectOptions {
    let limit = Duration::from_millis(200);
    ConnectOptions {
        connect: limit,
        read: limit,
        mutate: limit,
        stop_extra: limit,
        pull_idle: limit,
        pull_total: Duration::from_secs(5),
        pull_backoff: Duration::from_millis(10),
    }
}

const VERSION: &str = r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#;
const INFO: &str = r#"{"ID":"X","NCPU":2,"MemTotal":1073741824}"#;

/// Returns a good answer to the calls of connecting; else `other`.
fn greet(line: &str, other: Reply) -> Reply {
    if line.contains("/v1.41/_ping") {
        Reply::Json(200, "OK")
    } else if line.contains("/version") {
        Reply::Json(200, VERSION)
    } else if line.contains("/info") {
        Reply::Json(200, INFO)
    } else {
        other
    }
}

#[tokio::test]
async fn an_address_without_an_engine_is_unreachable() {
    let address = HostAddress::Unix("/none/such.sock".to_owned());
    let reached = connect_read("alpha", &address, &short()).await;
    assert!(matches!(reached.err(), Some(HostError::Unreachable { .. })));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sock");
    drop(UnixListener::bind(&path).unwrap());
    let address = HostAddress::Unix(path.display().to_string());
    let reached = connect_read("alpha", &address, &short()).await;
    assert!(matches!(reached.err(), Some(HostError::Unreachable { .. })));
}

#[tokio::test]
async fn an_engine_that_never_answers_times_out() {
    let engine = Engine::start(|_, _| Reply::Silence);
    let began = Instant::now();
    let reached = engine.connect().await;
    assert!(matches!(reached.err(), Some(HostError::Deadline { .. })));
    assert!(began.elapsed() < Duration::from_secs(2));
    engine.is_left_alone().await;
}

#[tokio::test]
async fn every_call_ends_if_the_engine_stops_answering() {
    let engine = Engine::start(|line, _| greet(line, Reply::Silence));
    let host = engine.connect().await.unwrap();
    let id = "0".repeat(64);
    let network = NetworkRequest { name: "a".into(), labels: Default::default() };
    let ends = [
        host.containers().await.err(),
        host.container(&id, true).await.err(),
        host.volumes().await.err(),
        host.images().await.err(),
        host.start(&id).await.err(),
        host.stop(&id, Some(Duration::ZERO)).await.err(),
        host.create_network(&network).await.err(),
        host.pull("web:1", &|_| {}).await.err(),
        host.exec_exit_code(&id).await.err(),
    ];
    for (nth, end) in ends.iter().enumerate() {
        assert!(matches!(end, Some(HostError::Deadline { .. })), "{nth}: {end:?}");
    }
    engine.is_left_alone().await;
}

#[tokio::test]
async fn a_body_that_never_ends_times_out() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n[{\"Id\":";
    // The head comes at once: a deadline on it alone would wait forever.
    fn answer(line: &str, _: usize) -> Reply {
        greet(line, Reply::Json(200, "["))
    }
    let engine = Engine::start(answer);
    let host = engine.connect().await.unwrap();
    assert!(matches!(host.containers().await, Err(HostError::Broken(_))));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).await.unwrap_or(0);
            let line = String::from_utf8_lossy(&piece[..count]).into_owned();
            let text = match greet(&line, Reply::Silence) {
                Reply::Json(_, body) => {
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                }
                _ => half.to_owned(),
            };
            let _ = stream.write_all(text.as_bytes()).await;
            kept.push(stream);
        }
    });
    let address = HostAddress::Unix(path.display().to_string());
    let host = connect("alpha", &address, &short()).await.unwrap();
    assert!(matches!(host.containers().await, Err(HostError::Deadline { .. })));
}

#[tokio::test]
async fn nonsense_is_a_broken_answer() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n[{",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\": nul",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "",
    ] {
        // A function pointer captures nothing, so the replies are in a table.
        let answer: Answer = match reply {
            "" => |line, _| greet(line, Reply::Raw("")),
            r if r.starts_with("SSH") => {
                |line, _| greet(line, Reply::Raw("SSH-2.0-OpenSSH_9.2\r\n"))
            }
            r if r.contains("nul") => |line, _| {
                greet(line, Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\": nul"))
            },
            _ => |line, _| {
                greet(line, Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n[{"))
            },
        };
        let engine = Engine::start(answer);
        let host = engine.connect().await.unwrap();
        assert!(matches!(host.volumes().await, Err(HostError::Broken(_))), "{reply:?}");
        let observed = observe(&[host], "shop").await;
        assert!(matches!(observed.hosts["alpha"], HostView::Unknown { .. }));
    }
}

#[tokio::test]
async fn an_engine_too_old_is_refused() {
    let engine = Engine::start(|line, _| {
        if line.contains("/version") {
            return Reply::Json(200, r#"{"Version":"19.03.1","ApiVersion":"1.40"}"#);
        }
        Reply::Json(200, INFO)
    });
    assert!(matches!(engine.connect().await.err(), Some(HostError::TooOld { .. })));
}

#[tokio::test]
async fn an_engine_that_supports_our_version_is_not_asked_for_its_versions() {
    let engine = Engine::start(|line, _| greet(line, Reply::Json(200, "[]")));
    let host = engine.connect().await.unwrap();
    assert_eq!(host.containers().await.unwrap(), []);
    assert_eq!(engine.seen("GET /v1.41/containers/json"), 1);
    assert_eq!(engine.seen("GET /version"), 0);
}

#[tokio::test]
async fn the_negotiated_version_is_used() {
    let engine = Engine::start(|line, _| {
        if line.contains("/version") {
            return Reply::Json(200, r#"{"ApiVersion":"1.52","MinAPIVersion":"1.44"}"#);
        }
        if line.contains("/v1.41/") {
            let what = r#"{"message":"client version 1.41 is too old. Minimum supported API version is 1.44"}"#;
            return Reply::Json(400, what);
        }
        greet(line, Reply::Json(200, "[]"))
    });
    let host = engine.connect().await.unwrap();
    assert_eq!(host.engine().await.unwrap().api_version, "1.44");
    assert_eq!(host.containers().await.unwrap(), []);
    assert_eq!(engine.seen("GET /v1.44/containers/json"), 1);
}

#[tokio::test]
async fn escape_sequences_are_removed_from_messages_of_the_engine() {
    let engine = Engine::start(|line, _| {
        greet(line, Reply::Json(500, r#"{"message":"no \u001b[31mspace\u001b[0m\u0007 left"}"#))
    });
    let host = engine.connect().await.unwrap();
    let error = host.start("a").await.unwrap_err();
    assert_eq!(error.to_string(), "no space left");
}

#[tokio::test]
async fn a_rate_limiting_registry_is_asked_three_times() {
    let engine = Engine::start(|line, _| {
        greet(
            line,
            Reply::Json(
                500,
                r#"{"message":"toomanyrequests: retry-after: 5ms, allowed: 1/minute"}"#,
            ),
        )
    });
    let host = engine.connect().await.unwrap();
    let error = host.pull("web:1", &|_| {}).await.unwrap_err();
    assert!(matches!(error, HostError::Image { missing: false, .. }), "{error:?}");
    assert_eq!(engine.seen("POST /v1.41/images/create"), 3);
}

#[tokio::test]
async fn a_pull_succeeds_if_the_registry_recovers() {
    let engine = Engine::start(|line, nth| {
        // The first is a greeting; then two pulls of the three.
        let busy = nth < 4;
        greet(
            line,
            if busy {
                Reply::Json(
                    500,
                    r#"{"message":"received unexpected HTTP status: 503 Service Unavailable"}"#,
                )
            } else {
                Reply::Json(200, r#"{"status":"Status: Image is up to date"}"#)
            },
        )
    });
    let host = engine.connect().await.unwrap();
    host.pull("web:1", &|_| {}).await.unwrap();
}

#[tokio::test]
async fn an_error_during_a_pull_ends_it() {
    let engine = Engine::start(|line, _| {
        greet(
            line,
            Reply::Json(
                200,
                "{\"status\":\"Pulling from web\",\"id\":\"1\"}\r\n{\"errorDetail\":{\"message\":\
                 \"manifest for web:1 not found: manifest unknown\"},\"error\":\"x\"}\r\n",
            ),
        )
    });
    let host = engine.connect().await.unwrap();
    let error = host.pull("web:1", &|_| {}).await.unwrap_err();
    assert!(matches!(error, HostError::Image { missing: true, .. }), "{error:?}");
    assert_eq!(engine.seen("POST /v1.41/images/create"), 1);
}

/// Docker 28 with containerd's image store creates an existing image again, and refuses some of several concurrent
/// loads with this message.
#[tokio::test]
async fn an_infra_image_loaded_concurrently_counts_as_loaded() {
    let engine = Engine::start(|line, nth| {
        let reply = match (line.contains("/images/create"), nth) {
            (true, ..6) => Reply::Json(
                404,
                r#"{"message":"creating image tally.local/pause:1 failed because it already exists, but accessing it also failed: No such image: tally.local/pause:1"}"#,
            ),
            (true, _) => Reply::Json(
                500,
                r#"{"message":"failed to create an image tally.local/pause:1 with target sha256:b7e1 after deleting the existing one: AlreadyExists: image \"tally.local/pause:1\": already exists"}"#,
            ),
            // The greeting, the engine's description, a load, an inspection, another load; the last inspection
            // finds it.
            (false, 6..) => Reply::Json(200, r#"{"Id":"sha256:1"}"#),
            (false, _) => Reply::Json(404, r#"{"message":"No such image: tally.local/pause:1"}"#),
        };
        greet(line, reply)
    });
    engine.connect().await.unwrap().load_infra_image().await.unwrap();
    assert_eq!(engine.seen("/images/create"), 2);
}

/// A load that is always refused ends in time, with the engine's own message.
#[tokio::test]
async fn an_infra_image_that_cannot_be_loaded_is_a_failure() {
    let engine = Engine::start(|line, _| {
        let reply = if line.contains("/images/create") {
            Reply::Json(500, r#"{"message":"no space left on device"}"#)
        } else {
            Reply::Json(404, r#"{"message":"No such image: tally.local/pause:1"}"#)
        };
        greet(line, reply)
    });
    let failed = engine.connect().await.unwrap().load_infra_image().await;
    assert!(failed.is_err_and(|error| error.to_string().contains("no space left")));
    assert!((2..=5).contains(&engine.seen("/images/create")));
}

#[tokio::test]
async fn a_network_is_created_only_once() {
    let engine =
        Engine::start(|line, _| greet(line, Reply::Json(201, r#"{"Id":"5","Warning":""}"#)));
    let host = engine.connect().await.unwrap();
    let request = NetworkRequest { name: "shop".into(), labels: Default::default() };
    assert_eq!(host.create_network(&request).await.unwrap(), "5");
    assert_eq!(engine.seen("\"CheckDuplicate\":true"), 1);
}

#[tokio::test]
async fn a_stalled_log_times_out() {
    let engine = Engine::start(|line, _| greet(line, Reply::Silence));
    let host = engine.connect().await.unwrap();
    let request = LogRequest { tail: Some(1), follow: false, timestamps: false };
    let mut log = host.logs("a", request).await.unwrap();
    assert!(matches!(log.next().await, Some(Err(HostError::Deadline { .. }))));
    assert!(log.next().await.is_none(), "it ends with its first error");
    drop(log);
    engine.is_left_alone().await;
}
