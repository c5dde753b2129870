//! The canary: a random value in every kind of secret, searched for in all output, all stored files and all
//! created objects. On a simulated host, and on a real engine if `TALLY_TEST_DOCKER=1`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests stop loudly, and say what they skip"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder with a spec whose cluster is removed at the end.
struct Folder {
    path: PathBuf,
    /// The cluster, if it is on the real engine.
    real: Option<String>,
    canaries: [String; 3],
    /// All output so far.
    said: String,
}

struct Ran {
    code: i32,
    text: String,
}

impl Ran {
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }
}

fn random() -> String {
    let mut bytes = [0_u8; 12];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Folder {
    fn new(name: &str, real: bool) -> Self {
        let path = std::env::temp_dir().join(format!("tally-secret-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("outside")).unwrap();
        let cluster = format!("t-canary-{name}");
        let folder = Self {
            path,
            real: real.then_some(cluster),
            canaries: [random(), random(), random()],
            said: String::new(),
        };
        folder.write_spec("tally.local/hello:1");
        folder.write_secrets();
        folder
    }

    fn cluster(&self) -> String {
        self.real.clone().unwrap_or_else(|| "t-canary".to_owned())
    }

    fn write_spec(&self, image: &str) {
        let hosts = if self.real.is_some() { "" } else { " { host one \"sim:one\" }" };
        let cluster = self.cluster();
        // Every way in which a container can use a secret.
        let spec = format!(
            "cluster {cluster}{hosts}\n\
             secret file file=\"secrets/file\"\n\
             secret variable env=CANARY\n\
             secret command {{ command \"cat\" \"outside/command\" }}\n\
             controller web {{\n\
             init prepare image=\"tally.local/hello:1\" {{ command \"true\"; file \"/run/init\" secret=command }}\n\
             container c image=\"{image}\" {{\n\
             stop grace=\"1s\"\n\
             env A=\"${{secret.file}}\" B=\"b ${{secret.variable}} b\" C=\"${{secret.command}}\"\n\
             file \"/run/secrets/file\" secret=file\n\
             file \"/run/secrets/variable\" secret=variable mode=\"0400\"\n\
             file \"/etc/app.conf\" text=\"c = ${{secret.command}}\\n\" on-change=SIGHUP }} }}\n"
        );
        fs::write(self.path.join("tally.kdl"), spec).unwrap();
    }

    fn write_secrets(&self) {
        let [file, _, command] = &self.canaries;
        fs::create_dir_all(self.path.join("secrets")).unwrap();
        fs::write(self.path.join("secrets/file"), format!("{file}\n")).unwrap();
        fs::write(self.path.join("outside/command"), format!("{command}\n")).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
        command.args(args).current_dir(&self.path).env("CANARY", &self.canaries[1]);
        command
            .env("NO_COLOR", "1")
            .env("RUST_LOG", "trace")
            .env("TALLY_LOG", "trace")
            .stdin(Stdio::null());
        command
    }

    fn tally(&mut self, args: &[&str]) -> Ran {
        let child =
            self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        self.look_at_processes(&child);
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = format!(
            "{args:?}\n{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
        self.said.push_str(&text);
        Ran { code: status.code().unwrap(), text }
    }

    /// No process of ours, and none that it starts, has a canary in its command line.
    fn look_at_processes(&self, child: &Child) {
        let began = Instant::now();
        let own = PathBuf::from(format!("/proc/{}", child.id()));
        while own.join("cmdline").exists() && began.elapsed() < Duration::from_millis(400) {
            let state = fs::read_to_string(own.join("stat")).unwrap_or_default();
            if state.contains(") Z ") {
                return;
            }
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                self.assert_clean(&String::from_utf8_lossy(&line), "a command line");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn assert_clean(&self, text: &str, what: &str) {
        for canary in &self.canaries {
            // Not shown: a failure message would be written into logs.
            assert!(!text.contains(canary.as_str()), "{what} holds a canary");
        }
    }

    /// Returns all output and all stored files.
    fn assert_nowhere(&self) {
        self.assert_clean(&self.said, "what was said");
        let mut open = vec![self.path.join(".tally"), self.path.join("saved.plan")];
        let mut seen = BTreeSet::new();
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
            } else if let Ok(bytes) = fs::read(&path) {
                self.assert_clean(&String::from_utf8_lossy(&bytes), &path.display().to_string());
                seen.insert(path);
            }
        }
        assert!(seen.iter().any(|path| path.ends_with("secret.key")), "{seen:?}");
    }

    fn docker(&self, args: &[&str]) -> String {
        let ran = Command::new("docker").args(args).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    fn ids(&self) -> Vec<String> {
        let filter = format!("label=tally.cluster={}", self.cluster());
        let listed = self.docker(&["ps", "-aq", "--no-trunc", "--filter", &filter]);
        listed.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let ran = self.command(&["destroy", "--yes", "--volumes"]).output();
        if self.real.is_some() && !ran.is_ok_and(|ran| ran.status.success()) {
            eprintln!("{} was not taken away", self.cluster());
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn on_both(name: &str, test: impl Fn(Folder)) {
    test(Folder::new(name, false));
    if std::env::var("TALLY_TEST_DOCKER").as_deref() == Ok("1") {
        test(Folder::new(name, true))
    } else {
        eprintln!("SKIPPED on the real engine: {name} (TALLY_TEST_DOCKER is not 1)")
    }
}

#[test]
fn no_output_file_or_label_contains_a_secret() {
    on_both("all", |mut folder: Folder| {
        folder.tally(&["check"]).ends(0);
        for format in ["text", "json", "dot", "mermaid"] {
            folder.tally(&["graph", "--format", format]).ends(0);
        }
        folder.tally(&["plan"]).ends(0);
        folder.tally(&["plan", "--json"]).ends(0);
        folder.tally(&["plan", "--out", "saved.plan"]).ends(0);
        folder.tally(&["apply", "--yes"]).ends(0);
        folder.tally(&["plan", "--detailed-exitcode"]).ends(0);
        folder.tally(&["status", "--json"]).ends(0);
        folder.tally(&["explain", "controller/web"]).ends(0);
        folder.tally(&["explain", "secret/file"]).ends(0);
        folder.tally(&["run", "--once"]).ends(0);
        folder.tally(&["events", "--format", "json"]).ends(0);
        folder.tally(&["rollout", "status", "controller/web"]).ends(0);
        folder.assert_nowhere();
        if folder.real.is_some() {
            sees_them(&folder);
        }
        // A failing command may quote its input.
        folder.write_spec("tally.local/none-such:1");
        folder.tally(&["apply", "--yes"]).ends(1);
        folder.tally(&["run", "--once"]).ends(1);
        folder.tally(&["events"]).ends(0);
        folder.write_spec("tally.local/hello:1");
        let command = "#!/bin/sh\ncat outside/command\ncat outside/command >&2\nexit 3\n";
        fs::write(folder.path.join("outside/fails.sh"), command).unwrap();
        let spec = fs::read_to_string(folder.path.join("tally.kdl")).unwrap();
        let failing = spec.replace("\"cat\" \"outside/command\"", "\"sh\" \"outside/fails.sh\"");
        fs::write(folder.path.join("tally.kdl"), failing).unwrap();
        let failed = folder.tally(&["apply", "--yes"]).ends(1);
        assert!(failed.text.contains("E1401"), "{}", failed.text);
        assert!(failed.text.contains("exit code 3"), "{}", failed.text);
        folder.assert_nowhere();
    });
}

/// The containers have the values that their labels do not contain.
fn sees_them(folder: &Folder) {
    let [file, variable, command] = &folder.canaries;
    let name = format!("{}.web-0.c", folder.cluster());
    let env = folder.docker(&["exec", &name, "env"]);
    for line in [format!("A={file}\n"), format!("B=b {variable} b\n"), format!("C={command}\n")] {
        assert!(env.contains(&line), "a variable is not there");
    }
    let read = |path: &str| folder.docker(&["exec", &name, "cat", path]);
    assert_eq!(read("/run/secrets/file"), format!("{file}\n"));
    assert_eq!(read("/run/secrets/variable"), *variable);
    assert_eq!(read("/etc/app.conf"), format!("c = {command}\n"));
    for id in folder.ids() {
        let labels = folder.docker(&["inspect", &id, "--format", "{{json .Config.Labels}}"]);
        folder.assert_clean(&labels, "a label");
        // Files written into a container are in its own layer: `docker diff` lists them.
        for line in folder.docker(&["diff", &id]).lines() {
            let path = line.get(2..).unwrap_or_default();
            if path.starts_with("/.tally") && path.ends_with("files.json") {
                folder.assert_clean(&read(path), "the record of files");
            }
        }
    }
}

#[test]
fn only_a_changed_secret_is_a_change() {
    on_both("change", |mut folder: Folder| {
        folder.tally(&["apply", "--yes"]).ends(0);
        folder.tally(&["plan", "--detailed-exitcode"]).ends(0);
        folder.canaries[2] = random();
        folder.write_secrets();
        let plan = folder.tally(&["plan", "--detailed-exitcode"]).ends(2).text;
        assert!(plan.contains("env.C") && plan.contains("/etc/app.conf"), "{plan}");
        for unchanged in ["env.A", "env.B", "/run/secrets/file", "/run/secrets/variable"] {
            assert!(!plan.contains(unchanged), "{plan}");
        }
        folder.tally(&["apply", "--yes"]).ends(0);
        folder.tally(&["plan", "--detailed-exitcode"]).ends(0);
        if folder.real.is_some() {
            sees_them(&folder);
        }
        folder.assert_nowhere();
    });
}

#[test]
fn a_saved_plan_is_refused_when_a_secret_has_changed_since() {
    on_both("saved", |mut folder: Folder| {
        folder.tally(&["plan", "--out", "saved.plan"]).ends(0);
        folder.canaries[0] = random();
        folder.write_secrets();
        let refused = folder.tally(&["apply", "saved.plan"]).ends(1);
        assert!(refused.text.contains("E1104"), "{}", refused.text);
        folder.tally(&["plan", "--out", "saved.plan"]).ends(0);
        folder.tally(&["apply", "saved.plan"]).ends(0);
        folder.tally(&["plan", "--detailed-exitcode"]).ends(0);
        folder.assert_nowhere();
    });
}

#[test]
fn a_missing_secret_changes_nothing_and_is_reported_at_its_declaration() {
    on_both("missing", |mut folder: Folder| {
        fs::remove_file(folder.path.join("secrets/file")).unwrap();
        for args in [&["plan"][..], &["apply", "--yes"], &["run", "--once"]] {
            let failed = folder.tally(args).ends(1).text;
            assert!(failed.contains("E1401") && failed.contains("tally.kdl:2"), "{failed}");
        }
        if folder.real.is_some() {
            assert_eq!(folder.ids(), Vec::<String>::new());
        }
        // A destroy needs no secret.
        folder.tally(&["destroy", "--yes"]).ends(0);
        folder.write_secrets();
        fs::write(folder.path.join("secrets/file"), "\n").unwrap();
        let failed = folder.tally(&["plan"]).ends(1).text;
        assert!(failed.contains("it is empty"), "{failed}");
    });
}

/// Ends a process that still runs when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the condition holds.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} did not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Counts the events of the loop that contain these words.
fn told(folder: &Path, words: &str) -> usize {
    let said = fs::read_to_string(folder.join("loop.log")).unwrap_or_default();
    // The log of TALLY_LOG goes to the same file.
    said.lines().filter(|line| line.contains(words) && !line.contains(" DEBUG ")).count()
}

#[test]
fn the_loop_detects_a_changed_secret_and_keeps_the_last_readable_one() {
    on_both("loop", |mut folder: Folder| {
        let log = fs::File::create(folder.path.join("loop.log")).unwrap();
        let mut command = folder.command(&["run", "--resync", "2"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let running = Running(command.spawn().unwrap());
        let path = folder.path.clone();
        until("the first apply", || told(&path, "tallies") == 1);
        // A file is watched.
        folder.canaries[0] = random();
        folder.write_secrets();
        until("the change of a file", || told(&path, "tallies") == 2);
        // A command is run again at each full observation.
        folder.canaries[2] = random();
        folder.write_secrets();
        until("the change of a command's output", || told(&path, "tallies") == 3);
        fs::remove_file(path.join("secrets/file")).unwrap();
        until("the report", || told(&path, "cannot be read") > 0);
        folder.canaries[0] = random();
        folder.write_secrets();
        until("the change after the report", || told(&path, "tallies") == 4);
        drop(running);
        folder.said.push_str(&fs::read_to_string(path.join("loop.log")).unwrap());
        folder.assert_nowhere();
        if folder.real.is_some() {
            sees_them(&folder);
        }
        folder.tally(&["plan", "--detailed-exitcode"]).ends(0);
    });
}
