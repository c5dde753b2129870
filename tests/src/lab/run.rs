//! Runs programs, each with a timeout.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The default timeout: most commands of the lab need milliseconds, some seconds on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A failed step in a lab, with its error output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabError {
    what: String,
    said: String,
}

impl LabError {
    pub(super) fn new(what: &str, said: &str) -> Self {
        Self { what: what.to_owned(), said: said.trim().to_owned() }
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.said)
    }
}

impl std::error::Error for LabError {}

/// Returns the path of a program; `/usr/sbin` is searched too, which few users have in their PATH.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Runs a program to its end and returns its output.
///
/// # Errors
/// If it cannot be started, exits with another code than 0, or not in time.
pub(super) fn run(program: &str, args: &[&str]) -> Result<String, LabError> {
    run_with(program, args, LIMIT)
}

/// Runs a program as [`run`] does, with another timeout.
///
/// # Errors
/// As [`run`].
pub(super) fn run_with(program: &str, args: &[&str], limit: Duration) -> Result<String, LabError> {
    let what = format!("{program} {}", args.join(" "));
    let path = find(program).ok_or_else(|| LabError::new(&what, "the program is not installed"))?;
    let mut child = Command::new(path)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| LabError::new(&what, &error.to_string()))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let out = thread::spawn(move || read(out));
    let err = thread::spawn(move || read(err));
    let status = poll(limit, || child.try_wait().ok().flatten());
    if status.is_none() {
        // It may have ended just before.
        let _ = child.kill();
        let _ = child.wait();
        return Err(LabError::new(&what, &format!("it did not end within {limit:?}")));
    }
    // Programs that it left running in the background have none of these pipes.
    let text = |thread: thread::JoinHandle<String>| thread.join().unwrap_or_default();
    let (out, err) = (text(out), text(err));
    if status.is_some_and(|status| status.success()) {
        Ok(out)
    } else {
        Err(LabError::new(&what, if err.trim().is_empty() { &out } else { &err }))
    }
}

fn read(pipe: Option<impl std::io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // Partial output is better than none.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Starts a program that continues when this process ends, with its output in a log.
///
/// # Errors
/// If it cannot be started.
pub(super) fn start(args: &[&str], log: &std::path::Path) -> Result<(), LabError> {
    let what = args.join(" ");
    let lab_error = |error: std::io::Error| LabError::new(&what, &error.to_string());
    let log = std::fs::File::options().create(true).append(true).open(log).map_err(lab_error)?;
    let copy = log.try_clone().map_err(lab_error)?;
    let path = find("setsid").ok_or_else(|| LabError::new(&what, "setsid is not installed"))?;
    // `setsid` forks, so the program is no child of this process and leaves no zombie.
    let mut child = Command::new(path)
        .arg("--fork")
        .args(args)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(copy)
        .spawn()
        .map_err(lab_error)?;
    child.wait().map_err(lab_error)?;
    Ok(())
}

/// Calls `ask` repeatedly until it returns a value, or until the timeout.
pub(super) fn poll<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= until {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Checks whether a process runs. A zombie does not.
pub(super) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

/// Sends a signal; a process that has ended is no error.
pub(super) fn signal(pid: u32, name: &str) {
    let _ = run("kill", &["-s", name, &pid.to_string()]);
}

/// Writes a file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), LabError> {
    std::fs::write(path, text)
        .map_err(|error| LabError::new(&format!("writing {}", path.display()), &error.to_string()))
}
