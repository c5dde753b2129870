//! A simulated host whose state is a file: lines of JSON, one per changed object, applied in order. A call appends
//! the objects that it changed, so a process that is killed loses at most the line that it was writing. Each call
//! holds the lock of the file, so that several processes can use one host.
#![expect(clippy::disallowed_methods, reason = "this is the one file that a simulator reads")]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tally_host::{HostError, SimulatedFileProblem};

use crate::model::{Model, Record};

/// The first line: the type and the version of the file.
const HEADER: &str = r#"{"tally-simulated-host":1}"#;
/// Another process holds the lock for one call only, which is much shorter than all tries together.
const LOCK_TRIES: u32 = 5_000;
const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// The file is rewritten when it has this number of lines more than objects.
const MOST_STALE_LINES: usize = 5_000;

/// The state, as far as the file was read.
pub(crate) struct SimFile {
    path: PathBuf,
    seed: u64,
    model: Model,
    /// The inode of the file that was read. When it differs, another file has replaced it.
    inode: u64,
    offset: u64,
    lines: usize,
}

impl SimFile {
    /// Returns the state that `path` holds. Nothing is read yet.
    pub(crate) fn new(path: PathBuf, seed: u64) -> Self {
        Self { path, seed, model: Model::new(seed), inode: 0, offset: 0, lines: 0 }
    }

    /// Reads the file and then the state.
    pub(crate) fn read_only<T>(
        &mut self,
        read: impl FnOnce(&mut Model) -> T,
    ) -> Result<T, HostError> {
        match OpenOptions::new().read(true).open(&self.path) {
            Ok(mut file) => {
                lock(&file, &self.path)?;
                self.catch_up(&mut file)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.forget(),
            Err(error) => return Err(self.unusable(&error)),
        }
        Ok(read(&mut self.model))
    }

    /// Reads the file, changes the state, and appends the changed objects.
    pub(crate) fn change<T>(&mut self, act: impl FnOnce(&mut Model) -> T) -> Result<T, HostError> {
        let mut file = self.open_locked()?;
        self.catch_up(&mut file)?;
        let result = act(&mut self.model);
        let mut records = self.model.take_changes();
        let mut text = String::new();
        if self.offset == 0 {
            text.push_str(HEADER);
            text.push('\n');
            records = self.model.records();
        }
        push_lines(&mut text, &records).map_err(|error| self.unusable(&error))?;
        let written = file
            // Removes the partial line of a killed process.
            .set_len(self.offset)
            .and_then(|()| file.seek(SeekFrom::Start(self.offset)))
            .and_then(|_| file.write_all(text.as_bytes()));
        written.map_err(|error| self.unusable(&error))?;
        self.offset += text.len() as u64;
        self.lines += records.len();
        self.compact()?;
        Ok(result)
    }

    fn forget(&mut self) {
        if self.offset > 0 {
            *self = Self::new(self.path.clone(), self.seed);
        }
    }

    fn open_locked(&self) -> Result<File, HostError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| self.unusable(&error))?;
        }
        for _ in 0..LOCK_TRIES {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            let file = options.open(&self.path).map_err(|error| self.unusable(&error))?;
            lock(&file, &self.path)?;
            // It may have been rewritten, under another inode, before we got the lock.
            let ours = file.metadata().map_err(|error| self.unusable(&error))?.ino();
            if std::fs::metadata(&self.path).is_ok_and(|there| there.ino() == ours) {
                return Ok(file);
            }
        }
        Err(self.unusable(&"it is rewritten all the time"))
    }

    /// Applies the lines that were appended since.
    fn catch_up(&mut self, file: &mut File) -> Result<(), HostError> {
        let meta = file.metadata().map_err(|error| self.unusable(&error))?;
        if meta.ino() != self.inode || meta.len() < self.offset {
            self.forget();
            self.inode = meta.ino();
        }
        if meta.len() == self.offset {
            return Ok(());
        }
        let mut text = String::new();
        let read =
            file.seek(SeekFrom::Start(self.offset)).and_then(|_| file.read_to_string(&mut text));
        read.map_err(|error| self.unusable(&error))?;
        // A line without a line feed was being written when its process was killed.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text.get(..whole).unwrap_or_default().lines() {
            self.lines += 1;
            if self.lines == 1 && self.offset == 0 {
                if line != HEADER {
                    return Err(self.damaged("its first line is not that of a simulated host"));
                }
                continue;
            }
            let record: Record =
                serde_json::from_str(line).map_err(|error| self.damaged(&format!("{error}")))?;
            self.model.apply(record);
        }
        self.offset += whole as u64;
        Ok(())
    }

    /// Rewrites the file when most of its lines are stale.
    fn compact(&mut self) -> Result<(), HostError> {
        // Every call passes here, so it must be cheap when there is nothing to do.
        if self.lines < 2 * self.model.record_count() + MOST_STALE_LINES {
            return Ok(());
        }
        let records = self.model.records();
        let mut text = format!("{HEADER}\n");
        push_lines(&mut text, &records).map_err(|error| self.unusable(&error))?;
        let temporary = self.path.with_extension("jsonl.new");
        let written = std::fs::write(&temporary, &text)
            .and_then(|()| std::fs::rename(&temporary, &self.path))
            .and_then(|()| std::fs::metadata(&self.path));
        self.inode = written.map_err(|error| self.unusable(&error))?.ino();
        self.offset = text.len() as u64;
        self.lines = records.len() + 1;
        Ok(())
    }

    fn unusable(&self, error: &dyn std::fmt::Display) -> HostError {
        problem(&self.path, SimulatedFileProblem::Io(error.to_string()))
    }

    fn damaged(&self, damage: &str) -> HostError {
        let damage = damage.to_owned();
        problem(&self.path, SimulatedFileProblem::Damaged { line: self.lines, damage })
    }
}

fn problem(path: &Path, problem: SimulatedFileProblem) -> HostError {
    HostError::SimulatedFile { path: path.display().to_string(), problem }
}

fn push_lines(text: &mut String, records: &[Record]) -> serde_json::Result<()> {
    for record in records {
        text.push_str(&serde_json::to_string(record)?);
        text.push('\n');
    }
    Ok(())
}

fn lock(file: &File, path: &Path) -> Result<(), HostError> {
    let fail = |reason: String| problem(path, SimulatedFileProblem::Lock(reason));
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(fail(error.to_string())),
        }
    }
    Err(fail("another process holds the lock".to_owned()))
}
