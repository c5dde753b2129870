//! A test program, and which of its tests come to which mutants.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A test program that has used the processor for so long, in seconds, has been caught: what it tries goes on
/// for ever. The slowest takes a third of that.
pub const MOST_PROCESSOR_S: u32 = 60;

/// A test program.
pub struct Program {
    pub name: String,
    path: PathBuf,
    /// The tests that come to a mutant. An empty set stands for all: a thread came there of which is not known
    /// whose it is.
    reached: BTreeMap<u32, BTreeSet<String>>,
}

impl Program {
    /// Runs it once without a mutant and keeps what its tests come to.
    ///
    /// # Errors
    /// When a test fails without any mutant, and when it cannot be run.
    pub fn of(copy: &Path, path: &Path) -> Result<Self, String> {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let name = file.rsplit_once('-').map_or(file.as_ref(), |(name, _)| name).to_owned();
        let mut program = Self { name, path: path.to_owned(), reached: BTreeMap::new() };
        let tests = program.listed(copy)?;
        let folder = copy.join("reached").join(&program.name);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let mut command = program.command(copy, None);
        let status = command.env("TALLY_PLANTED_REACHED", &folder).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(_) => return Err(format!("without any mutant: {} fails", program.name)),
            Err(error) => return Err(format!("{}: {error}", program.name)),
        }
        for entry in std::fs::read_dir(&folder).map_err(|error| error.to_string())? {
            let entry = entry.map_err(|error| error.to_string())?;
            let thread = entry.file_name().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(entry.path()).map_err(|error| error.to_string())?;
            program.note(&tests, &thread, &text);
        }
        Ok(program)
    }

    /// A thread of that name came to those mutants.
    fn note(&mut self, tests: &BTreeSet<String>, thread: &str, numbers: &str) {
        for number in numbers.lines().filter_map(|line| line.parse().ok()) {
            let known = self.reached.entry(number);
            if !tests.contains(thread) {
                known.insert_entry(BTreeSet::new());
                continue;
            }
            let mut is_new = false;
            let names = known.or_insert_with(|| {
                is_new = true;
                BTreeSet::new()
            });
            if is_new || !names.is_empty() {
                names.insert(thread.to_owned());
            }
        }
    }

    fn listed(&self, copy: &Path) -> Result<BTreeSet<String>, String> {
        let output = self.command(copy, None).args(["--list"]).stdout(Stdio::piped()).output();
        let output = output.map_err(|error| format!("{}: {error}", self.name))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }

    /// The arguments that choose the tests which come to a mutant; `None` where none does.
    pub fn reaches(&self, number: u32) -> Option<Vec<&str>> {
        let tests = self.reached.get(&number)?;
        let names = tests.iter().map(String::as_str);
        Some(if tests.is_empty() {
            Vec::new()
        } else {
            std::iter::once("--exact").chain(names).collect()
        })
    }

    /// The call of it, before its arguments; it says nothing and ends when it has used so many seconds of the
    /// processor.
    pub fn command(&self, copy: &Path, most_s: Option<u32>) -> Command {
        let mut command = Command::new("sh");
        let limit = most_s.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
        command.args(["-c", &format!("ulimit -t {limit}; exec \"$0\" \"$@\"")]);
        command.arg(&self.path).arg("-q");
        command.current_dir(copy.join("tests")).process_group(0);
        // What is kept as text is compared and not written anew.
        command.env("INSTA_UPDATE", "no").env("INSTA_WORKSPACE_ROOT", copy);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}
