//! Runs the built program in a project folder: `tally run` as a process that can be killed, and other commands.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::Lab;

/// A folder with a spec, and the program that works in it.
#[derive(Debug, Clone)]
pub struct Project {
    program: PathBuf,
    folder: PathBuf,
    ssh_config: PathBuf,
}

impl Project {
    /// Creates a folder in the lab's folder, removed together with it. Its `certs` are the lab's certificates.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn new(lab: &Lab, name: &str, program: &Path) -> io::Result<Self> {
        let folder = lab.folder().join(name);
        fs::create_dir_all(&folder)?;
        let certs = folder.join("certs");
        if !certs.exists() {
            std::os::unix::fs::symlink(lab.folder().join("certs"), certs)?;
        }
        Ok(Self { program: program.to_owned(), folder, ssh_config: lab.ssh_config() })
    }

    /// Returns the program of this build, for examples: `TALLY` names another one.
    ///
    /// # Errors
    /// If it was not built.
    pub fn built() -> io::Result<PathBuf> {
        let named = std::env::var_os("TALLY").filter(|path| !path.is_empty()).map(PathBuf::from);
        let beside = || {
            let own = std::env::current_exe().ok()?;
            // target/debug/examples/chaos, target/debug/tally
            Some(own.parent()?.parent()?.join("tally"))
        };
        let found = named.or_else(beside).filter(|path| path.is_file());
        found.ok_or_else(|| io::Error::other("the program is not built: cargo build -p tally-cli"))
    }

    /// Returns its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the spec atomically.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write(&self, spec: &str) -> io::Result<()> {
        let new = self.folder.join("tally.kdl.new");
        fs::write(&new, spec)?;
        fs::rename(new, self.folder.join("tally.kdl"))
    }

    /// Returns a command of the program that is not started yet.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args);
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        command.current_dir(&self.folder).stdin(Stdio::null()).env("NO_COLOR", "1");
        command.env("TALLY_SSH_CONFIG", &self.ssh_config);
    }

    /// Runs a command to its end, with the timeout of all commands of Tally.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn tally(&self, args: &[&str]) -> io::Result<Output> {
        self.command(args).output()
    }

    /// Starts `tally run`; its output goes to `run.log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn keep(&self) -> io::Result<RunProcess> {
        let log = File::options().create(true).append(true).open(self.folder.join("run.log"))?;
        let errors = log.try_clone()?;
        // A process that outlives this one would be a second engine in the folder.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
        command.args(["run", "--format", "json"]);
        self.surround(&mut command);
        let child = command.stdout(log).stderr(errors).spawn()?;
        Ok(RunProcess { child })
    }

    /// Returns the events that loops in this folder have reported so far, as JSON objects; other lines are left out.
    #[must_use]
    pub fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("run.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// A running `tally run`. Dropping it kills it.
#[derive(Debug)]
pub struct RunProcess {
    child: Child,
}

impl RunProcess {
    /// Checks whether it runs.
    pub fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Returns its process ID.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        // It may have ended by itself; the result is the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends SIGTERM and waits. Returns the exit code, or `None` if it does not end within `limit`.
    pub fn end(&mut self, limit: Duration) -> Option<i32> {
        let _ = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for RunProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Random numbers from a seed, the same on every machine (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Creates the random numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number, below `most`; 0 if `most` is 0.
    pub fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = usize::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0);
        if most == 0 { 0 } else { number % most }
    }

    /// Returns an element of a list.
    pub fn one_of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }
}
