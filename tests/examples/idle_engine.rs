//! Idle Docker engines, to measure programs that watch them: they store the containers that they are asked to create
//! and report them as running; their state never changes otherwise. They run in a process of their own, so that their
//! CPU time is not measured.
//!
//! `idle_engine FOLDER COUNT` listens at `FOLDER/h0.sock` and so on until it is killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measuring tool: it panics on errors"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The image of every engine.
const IMAGE: &str = "tally.local/hello:1";
/// A start time long ago, so that every container counts as ready.
const STARTED: &str = "2026-01-01T00:00:00Z";
/// Docker's time of an end that has not happened yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Default)]
struct Engine {
    name: String,
    /// The requested containers, with name and state.
    containers: Vec<(String, Value, &'static str)>,
    networks: Vec<Value>,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (Some(folder), Some(count)) = (args.get(1), args.get(2).and_then(|n| n.parse().ok()))
    else {
        println!("usage: idle_engine FOLDER COUNT");
        return;
    };
    for number in 0..count {
        let name = format!("h{number}");
        let path = Path::new(folder).join(format!("{name}.sock"));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path).expect("a socket");
        let engine = Arc::new(Mutex::new(Engine { name, ..Engine::default() }));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let engine = Arc::clone(&engine);
                // A client that disconnects is no error.
                std::thread::spawn(move || drop(serve(client, &engine)));
            }
        });
    }
    loop {
        std::thread::park();
    }
}

/// Answers requests until the client disconnects.
fn serve(client: UnixStream, engine: &Mutex<Engine>) -> std::io::Result<()> {
    let mut writer = client.try_clone()?;
    let mut reader = BufReader::new(client);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let parts = match parts.as_slice() {
            [version, rest @ ..] if version.starts_with("v1.") => rest,
            rest => rest,
        };
        if parts == ["events"] {
            writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            // There are no events.
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest)?;
            return Ok(());
        }
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (status, answer) = engine.lock().unwrap().answer(&method, parts, query, body);
        let text = if status == 204 { String::new() } else { answer.to_string() };
        let head = format!(
            "HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        writer.write_all(head.as_bytes())?;
        writer.write_all(text.as_bytes())?;
    }
}

impl Engine {
    fn answer(&mut self, method: &str, path: &[&str], query: &str, body: Value) -> (u16, Value) {
        match (method, path) {
            (_, ["version"]) => (
                200,
                json!({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}),
            ),
            ("GET", ["info"]) => {
                (200, json!({"ID": self.name, "NCPU": 64, "MemTotal": 1_u64 << 38}))
            }
            ("GET", ["containers", "json"]) => {
                let all = 0..self.containers.len();
                (200, all.map(|number| self.listed(number)).collect())
            }
            ("GET", ["containers", id, "json"]) => match self.find(id) {
                Some(number) => (200, self.inspected(number)),
                None => (404, json!({"message": "no such container"})),
            },
            ("GET", ["volumes"]) => (200, json!({"Volumes": [], "Warnings": []})),
            ("GET", ["networks"]) => (200, Value::Array(self.networks.clone())),
            ("GET", ["images", "json"]) => (
                200,
                json!([{"Id": "sha256:1", "ParentId": "", "RepoTags": [IMAGE], "RepoDigests": [], "Created": 0, "Size": 0, "SharedSize": 0, "Labels": {}, "Containers": 0}]),
            ),
            ("POST", ["networks", "create"]) => {
                let id = format!("{:064x}", 1);
                self.networks.push(json!({"Id": id, "Name": body["Name"], "Driver": "bridge", "Labels": body["Labels"]}));
                (201, json!({"Id": id, "Warning": ""}))
            }
            ("POST", ["containers", "create"]) => {
                let name = query.split('&').find_map(|pair| pair.strip_prefix("name="));
                self.containers.push((name.unwrap_or_default().to_owned(), body, "created"));
                (201, json!({"Id": self.id(self.containers.len() - 1), "Warnings": []}))
            }
            ("POST", ["containers", id, "start"]) => {
                let number = self.find(id).expect("a container that was made");
                self.containers[number].2 = "running";
                (204, Value::Null)
            }
            _ => (404, json!({"message": format!("{method} {path:?} is not implemented")})),
        }
    }

    fn id(&self, number: usize) -> String {
        format!("{:0>32}{number:032x}", self.name.trim_start_matches('h'))
    }

    fn find(&self, id: &str) -> Option<usize> {
        (0..self.containers.len())
            .find(|number| self.id(*number) == id || self.containers[*number].0 == id)
    }

    fn listed(&self, number: usize) -> Value {
        let (name, body, state) = &self.containers[number];
        json!({
            "Id": self.id(number), "Names": [format!("/{name}")], "Image": body["Image"],
            "ImageID": "sha256:1", "Labels": body["Labels"], "State": state, "Ports": [],
        })
    }

    fn inspected(&self, number: usize) -> Value {
        let (name, body, state) = &self.containers[number];
        let started = if *state == "running" { STARTED } else { NEVER };
        json!({
            "Id": self.id(number), "Name": format!("/{name}"), "Image": "sha256:1", "RestartCount": 0,
            "State": {"Status": state, "StartedAt": started, "FinishedAt": NEVER, "ExitCode": 0},
            "Config": {"Image": body["Image"], "Labels": body["Labels"]},
            "HostConfig": body["HostConfig"], "NetworkSettings": {"Networks": {}, "Ports": {}},
        })
    }
}
