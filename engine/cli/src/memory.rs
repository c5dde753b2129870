//! What is remembered between two runs, beside the spec: `.tally/memory/CLUSTER.json`. Losing it
//! costs time, never safety: what is not remembered is waited for.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use tally_graph::Graph;
use tally_reconcile::memory::Memory;
use tally_reconcile::observed::Observed;

use crate::errors::CliError;
use crate::project::Project;

/// The largest file that is read, in bytes; the names of a million pods fit.
const LARGEST: u64 = 64 << 20;

/// The memory of one cluster, and where it lies.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// What is remembered.
    pub memory: Memory,
    cluster: String,
    path: PathBuf,
}

impl Remembered {
    /// What is remembered of a spec's cluster; nothing when there is no file.
    ///
    /// # Errors
    /// When there is one that cannot be read: what somebody declared must not be forgotten unseen.
    pub fn read(graph: &Graph, project: &Project) -> Result<Self, CliError> {
        let cluster = graph.cluster().map(|cluster| cluster.name.clone()).unwrap_or_default();
        let path = project.kept().join("memory").join(format!("{cluster}.json"));
        let unreadable = |error: String| {
            CliError::Usage(
                format!("`{}` cannot be read: {error}", path.display()),
                "It holds which hosts were declared lost, and what is frozen. Put it right, or \
                 remove it to forget."
                    .to_owned(),
            )
        };
        let memory = match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Memory::default(),
            Err(error) => return Err(unreadable(error.to_string())),
            Ok(file) if file.len() > LARGEST => return Err(unreadable("it is too large".into())),
            Ok(_) => {
                let text = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
                serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?
            }
        };
        Ok(Self { memory, cluster, path })
    }

    /// Takes in what was seen.
    pub fn learn(&mut self, observed: &Observed, now_ms: i64) {
        self.memory.learn(&self.cluster, observed, now_ms);
    }

    /// Writes it down, whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self) -> Result<(), CliError> {
        let failed = |error: std::io::Error| {
            CliError::Usage(
                format!("`{}` cannot be written: {error}", self.path.display()),
                "Tally remembers there what it saw last. Is the folder writable?".to_owned(),
            )
        };
        let folder = self.path.parent().unwrap_or(&self.path);
        fs::create_dir_all(folder).map_err(failed)?;
        let text = serde_json::to_vec(&self.memory)
            .map_err(|error| CliError::Internal(error.to_string()))?;
        let new = self.path.with_extension(format!("{}.new", std::process::id()));
        let written = fs::File::create(&new).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&new, &self.path)).map_err(failed)
    }
}
