//! The output of the program for other programs, and the pages of `docs/api`: every field of the output is in its
//! page, and every field of a page occurs in an output. On simulated hosts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop loudly")]

mod folder;
mod page;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use folder::Folder;
use page::Page;
use serde_json::Value;
use tally_control::EntryKind;
use tally_simulator::{Model, SimOptions, open_file, wall_clock};

/// The maximum duration of a wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// The keys below these are names that people choose (or hashes), and are in no page.
const PLAN_USERS: &[&str] = &["labels", "env", "secret_env", "mounts", "ulimits", "files.files"];
const GRAPH_USERS: &[&str] = &[
    "contents",
    "labels",
    "env",
    "secret-env",
    "containers.file",
    "containers.port",
    "containers.mount",
    "containers.ulimit",
    "inits.mount",
    "service.ports",
    "all",
    "provenance",
    "container_provenance",
    "container_provenance.*",
    "container_spans",
];

/// Values of a spec's fields, of any form; and reports, which have their own page.
const PLAN_OPAQUE: &[&str] = &["fields.old", "fields.new", "diagnostics"];

/// Reports all mismatches at once.
fn fits(page: &Page) {
    assert!(page.missing.is_empty(), "these come out and stand in no row: {:#?}", page.missing);
    let unseen = page.unseen();
    assert!(
        unseen.is_empty(),
        "these fields are in the page and in no output of the specs here: {unseen:#?}"
    );
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn undocumented_keys_and_unused_rows_are_found() {
    let text = "| field | |\n|---|---|\n| `a` | an object: `b` |\n| `gone` | |\n| `l` | by name |\n\
        ## `l.*`\n| field | |\n|---|---|\n| `x` | |\n## `kind`\n| kind | |\n|---|---|\n| `one` | |\n";
    let mut page = Page::parse("p", text, &["l"], &["o"]);
    for (output, missing) in [
        (r#"{"a": {"b": [{"b": 1}]}, "l": {"any name": {"x": 1}}, "kind": "one"}"#, "`kind` of ``"),
        (r#"{"a": {"c": 1}}"#, "`c` of `a`"),
        (r#"{"b": 1}"#, "`b` of ``"),
        (r#"{"l": {"n": {"a": 1}}}"#, "`a` of `l.*`"),
        (r#"{"a": null, "o": {"z": 1}}"#, "`o` of ``"),
        (r#"[{"a": {"b": 1}}, {"kind": "two"}]"#, "`two` of `kind`"),
    ] {
        page.missing.clear();
        page.hold(&document(output));
        assert!(page.missing.contains(&format!("p.md: {missing}")), "{:?}", page.missing);
    }
    assert_eq!(page.unseen(), BTreeSet::from([": gone".to_owned()]));
}

/// Mistakes with help, with several labels, with edits, and a warning.
const WRONG: &str = "cluster demo {\n    host a \"sim:a\"\n}\nvolume unused\n\
    pod p {\n    contianer c image=\"x:1\"\n}\npod p {\n    container c image=\"x:1\" {\n\
        resources memory=\"512m\"\n    }\n}\n";

#[test]
fn reports_match_their_page() {
    let folder = Folder::new("api-reports", WRONG);
    let found = lines(&folder.tally(&["check", "--format", "json"]).ends(1).out);
    let mut page = Page::read("reports", &[], &[]);
    found.iter().for_each(|report| page.hold(report));
    // Diagnostics of the planner have the same form.
    let probe = "port p 80; liveness { http \"/\"; }";
    let spec = format!(
        "cluster demo {{ host a \"sim:a\"; }}\npod p {{ container c image=\"x:1\" {{ {probe}; }}; }}\n"
    );
    folder.write("tally.kdl", &spec);
    let plan = document(&folder.tally(&["plan", "--json"]).ends(0).out);
    let planned = plan["diagnostics"].as_array().unwrap();
    assert!(!planned.is_empty(), "{plan}");
    planned.iter().for_each(|report| page.hold(report));
    fits(&page);
    assert_eq!(folder.tally(&["check", "--format", "json"]).ends(0).out, "");
}

/// Every field of the language.
const EVERYTHING: &str = r#"
cluster demo lost-after="10m" {
    host a "sim:a" { label zone=east; capacity cpu=4 memory="8GiB"; }
    host b "ssh://me@b"
    host c "tcp://192.0.2.1:2376" { tls ca="ca.pem" cert="c.pem" key="k.pem"; }
    host d "unix:///run/d.sock" { drain #true; }
}
secret token file="token"
secret word env=WORD
secret said { command "say" "it"; }
volume data
volume logs host-path="/var/log/app" per-host=#true
controller web replicas=2 {
    label tier=front
    update max-unavailable="50%" max-surge=1 progress-deadline="1m" on-failure=rollback
    place {
        require zone=east { not zone=west; any zone east north; has zone; lacks slow; }
        spread by=zone
        prefer zone=east
        avoid tier=back
        near tier=front
    }
    depends-on pod db until=started
    volume shared
    volume host host-path="/srv"
    init setup image="setup:1" {
        command "true"
        mount shared "/shared"
    }
    container app image="web:1" user="app" workdir="/srv/app" {
        entrypoint "/bin/web"
        command "serve"
        env LEVEL=info TOKEN="x-${secret.token}" WORD="${secret.word}"
        file "/etc/app.conf" text="a" on-change=SIGHUP
        file "/etc/key" secret=token
        file "/etc/said" text="${secret.said}\n"
        port http 80 publish="127.0.0.1:8080"
        mount shared "/shared" read-only=#true
        mount host "/host"
        resources cpu=0.5 memory="64MiB" max-cpu=1 max-memory="128MiB"
        ulimit nofile soft=1024 hard=unlimited
        readiness { command "true"; }
        liveness { http "/alive"; port 80; }
        stop signal=SIGINT grace="5s"
    }
    container side image="side:1" { readiness { tcp 9000; }; port p 9000; }
}
pod db {
    container pg image="pg:1" {
        mount data "/data"
        mount logs "/logs"
        readiness delay="1s"
    }
}
controller agent replicas=per-host { container c image="agent:1"; }
service front {
    select controller=web
    port http 8000 publish="127.0.0.1:8081"
}
"#;

#[test]
fn the_graph_matches_its_page() {
    let folder = Folder::new("api-graph", EVERYTHING);
    let mut page = Page::read("graph", GRAPH_USERS, &[]);
    page.hold(&document(&folder.tally(&["graph", "--format", "json"]).ends(0).out));
    fits(&page);
}

/// One workload for each way in which a container is changed.
const MANY: &str = r#"
cluster demo { host a "sim:a"; }
secret token file="token"
volume data
volume logs host-path="/var/log/app"
controller web replicas=2 {
    update on-failure=rollback
    volume shared
    init setup image="setup:1" { command "true"; mount shared "/shared"; }
    container app image="web:1" user="app" workdir="/srv" {
        env LEVEL=info TOKEN="x-${secret.token}"
        port http 80
        mount shared "/shared" read-only=#true
        mount logs "/logs"
        ulimit nofile soft=1024 hard=unlimited
        readiness every="1s" { command "true"; }
        stop signal=SIGINT grace="5s"
    }
}
pod db {
    container pg image="pg:1" {
        mount data "/data"
        port pg 5432 publish="127.0.0.1:5432"
        resources cpu=0.5 memory="64MiB"
    }
}
pod signals {
    container c image="c:1" {
        file "/etc/c.conf" text="one" on-change=SIGHUP
        file "/etc/c.key" secret=token on-change=SIGHUP
    }
}
pod restarts { container c image="c:1" { file "/etc/c.conf" text="one"; }; }
pod waits { container c image="c:1"; }
"#;

/// Two hosts, one of which is empty, and a pod that stays because of its volume.
const UNEVEN: &str = r#"
cluster even { host a "sim:a"; host b "sim:b"; }
volume data
controller web replicas=4 { container c image="c:1" { resources memory="1GiB"; }; }
pod db { container c image="c:1" { mount data "/d"; }; }
"#;

/// Changes a container by hand.
fn inject(folder: &Folder, name: &str, act: impl FnOnce(&mut Model, &str, i64)) {
    let options = SimOptions::new(0, wall_clock());
    let host = open_file("a", &folder.0.join(".tally/sim"), "a", options).unwrap();
    let found = host.inject(|model, now_ms| {
        let found = model.list().into_iter().find(|container| container.name == name);
        act(model, &found.expect(name).id, now_ms);
    });
    found.unwrap();
}

#[test]
fn a_plan_matches_its_page() {
    let mut page = Page::read("plan", PLAN_USERS, PLAN_OPAQUE);
    let folder = Folder::new("api-plan", MANY);
    folder.write("token", "hunter2-hunter2");
    let mut hold = |folder: &Folder, more: &[&str]| {
        let plan = document(&folder.tally(&[&["plan", "--json"], more].concat()).ends(0).out);
        assert!(!plan["empty"].as_bool().unwrap() || !plan["held"].as_array().unwrap().is_empty());
        page.hold(&plan);
    };
    hold(&folder, &[]);
    folder.tally(&["apply", "--yes"]).ends(0);
    folder.tally(&["rollout", "restart", "web"]).ends(0);
    hold(&folder, &[]);

    // One of each kind: recreated, updated live, signalled, restarted, unchanged.
    inject(&folder, "demo.waits.c", |model, id, now| model.pause(id, now).unwrap());
    folder.write("token", "another-word");
    let changed = MANY
        .replace("LEVEL=info", "LEVEL=debug")
        .replace("cpu=0.5", "cpu=0.25")
        .replace("text=\"one\"", "text=\"two\"");
    folder.write("tally.kdl", &changed);
    hold(&folder, &[]);
    folder.tally(&["freeze", "-m", "not now"]).ends(0);
    hold(&folder, &[]);
    folder.tally(&["unfreeze"]).ends(0);
    hold(&folder, &["--destroy", "--volumes"]);

    let folder = Folder::new("api-balance", &UNEVEN.replace("host b \"sim:b\"; ", ""));
    folder.tally(&["apply", "--yes"]).ends(0);
    folder.write("tally.kdl", UNEVEN);
    folder.tally(&["apply", "--yes"]).ends(0);
    hold(&folder, &["--rebalance"]);
    fits(&page);
}

#[test]
fn the_status_matches_its_page() {
    let mut page = Page::read("status", &[], &[]);
    let spec = |tag: u32, probe: &str| {
        format!(
            "cluster demo {{ host a \"sim:a\"; }}\ncontroller web replicas=2 {{\n    \
             update progress-deadline=\"1s\" on-failure=rollback\n    \
             init i image=\"i:1\" {{ command \"true\"; }}\n    container c image=\"c:{tag}\" {{\n        \
             readiness every=\"1s\" {{ command \"{probe}\"; }}\n    }}\n}}\n"
        )
    };
    let gone = "pod gone { container c image=\"c:1\" { port p 80 publish=8080; }; }\n";
    let folder = Folder::new("api-status", &format!("{}{gone}", spec(1, "true")));
    folder.tally(&["apply", "--yes"]).ends(0);
    let mut status = |folder: &Folder| {
        let status = document(&folder.tally(&["status", "--json"]).ends(0).out);
        page.hold(&status);
        status
    };
    folder.write("tally.kdl", &spec(2, "false"));
    folder.tally(&["apply", "--yes"]).ends(1);
    assert!(status(&folder)["workloads"][0]["rolled_back"].is_string());
    let silent = spec(2, "false").replace("sim:a\";", "sim:a\"; host b \"unix:///none/d.sock\";");
    folder.write("tally.kdl", &format!("{silent}{gone}"));
    assert!(status(&folder)["hosts"][1]["silent"].is_string());
    folder.tally(&["host", "lost", "b"]).ends(0);
    folder.tally(&["rollout", "pause", "controller/web", "-m", "until monday"]).ends(0);
    folder.tally(&["freeze", "-m", "a flood"]).ends(0);
    let now = status(&folder);
    assert_eq!((&now["frozen"], &now["hosts"][1]["declared"]), (&"a flood".into(), &"lost".into()));
    assert!(now["workloads"][0]["paused"].as_str().unwrap().contains("until monday"));
    let people = folder.tally(&["status"]).ends(0).out;
    for said in ["frozen: a flood", "b (does not answer, declared lost)", "paused: until monday"] {
        assert!(people.contains(said), "{said}: {people}");
    }
    fits(&page);
}

/// A loop that prints its events, one object per line.
struct Loop {
    child: Child,
    lines: Receiver<String>,
    told: String,
}

impl Loop {
    fn begin(folder: &Folder) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tally"))
            .args(["run", "--resync", "1", "--format", "json"])
            .current_dir(&folder.0)
            .env_remove("DOCKER_HOST")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let all = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = channel();
        std::thread::spawn(move || {
            all.lines().map_while(Result::ok).try_for_each(|l| told.send(l))
        });
        Self { child, lines, told: String::new() }
    }

    /// Waits until it has reported all these kinds, in any order.
    fn until(&mut self, kinds: &[EntryKind]) {
        let mut left: BTreeSet<&str> = kinds.iter().map(|kind| kind.word()).collect();
        while !left.is_empty() {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never {left:?}: {}", self.told));
            left.remove(document(&line)["kind"].as_str().unwrap());
            self.told.push_str(&format!("{line}\n"));
        }
    }

    fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.until(&[EntryKind::Ended]);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        std::mem::take(&mut self.told)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn events_match_their_page() {
    let mut page = Page::read("events", &[], &[]);
    let spec = |image: &str, more: &str| {
        format!(
            "cluster demo {{ host a \"sim:a\"; {more} }}\ncontroller web replicas=2 {{\n    \
             update progress-deadline=\"1s\" on-failure=rollback\n    container c image=\"{image}\" {{\n        \
             readiness every=\"1s\" {{ command \"{}\"; }}\n    }}\n}}\n\
             pod other {{ container c image=\"c:1\"; }}\n",
            if image == "c:bad" { "false" } else { "true" }
        )
    };
    let folder = Folder::new("api-events", &spec("c:1", ""));
    // Ready, and in the history: otherwise a rollout has no previous revision.
    folder.tally(&["apply", "--yes"]).ends(0);
    let mut engine = Loop::begin(&folder);
    engine.until(&[EntryKind::Tallies]);
    inject(&folder, "demo.other.c", |model, id, now| model.stop(id, now).unwrap());
    engine.until(&[EntryKind::Done]);
    folder.write("tally.kdl", "cluster demo {");
    engine.until(&[EntryKind::BrokenSpec]);
    folder.write("tally.kdl", &spec("c:bad", ""));
    engine.until(&[EntryKind::RolledBack, EntryKind::Blocked]);
    folder.write("tally.kdl", &spec("missing:1", "host b \"unix:///none/docker.sock\""));
    engine.until(&[EntryKind::HostUnreachable, EntryKind::Failed]);
    let told = engine.end();
    lines(&told).iter().for_each(|entry| page.hold(entry));
    fits(&page);
    let kept = folder.tally(&["events", "--format", "json", "-n", "1000"]).ends(0).out;
    assert_eq!(kept, told, "the same events are reported again");
}

#[test]
fn the_page_of_events_lists_every_kind_of_entry() {
    let mut all: Vec<&str> = EntryKind::ALL.iter().map(|kind| kind.word()).collect();
    all.sort_unstable();
    assert_eq!(Page::read("events", &[], &[]).listed("kind"), all);
    for kind in EntryKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.word(), "two words for one kind");
    }
}
