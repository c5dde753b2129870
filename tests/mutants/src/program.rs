//! A test program, and which of its tests reach which mutants.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The maximum processor time of a test program, in seconds. A program that exceeds it has caught the mutant: it
/// would run forever. The slowest program takes a third of that.
pub const MOST_PROCESSOR_S: u32 = 60;

/// A test program.
pub struct Program {
    pub name: String,
    path: PathBuf,
    /// The tests that reach a mutant. An empty set stands for all tests: a thread of an unknown test reached it.
    reached: BTreeMap<u32, BTreeSet<String>>,
}

impl Program {
    /// Runs the program once without a mutant and records which mutants its tests reach.
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

    /// Records that a thread of that name reached those mutants.
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

    /// Returns the arguments that select the tests that reach a mutant; `None` if there are none.
    pub fn reaches(&self, number: u32) -> Option<Vec<&str>> {
        let tests = self.reached.get(&number)?;
        let names = tests.iter().map(String::as_str);
        Some(if tests.is_empty() {
            Vec::new()
        } else {
            std::iter::once("--exact").chain(names).collect()
        })
    }

    /// Returns the command without its arguments; it prints nothing and ends when it has used its maximum
    /// processor time.
    pub fn command(&self, copy: &Path, most_s: Option<u32>) -> Command {
        let mut command = Command::new("sh");
        let limit = most_s.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
        command.args(["-c", &format!("ulimit -t {limit}; exec \"$0\" \"$@\"")]);
        command.arg(&self.path).arg("-q");
        command.current_dir(copy.join("tests")).process_group(0);
        // Snapshots are compared and not updated.
        command.env("INSTA_UPDATE", "no").env("INSTA_WORKSPACE_ROOT", copy);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}
