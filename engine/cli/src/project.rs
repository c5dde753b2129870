//! A spec on disk, and compiling it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tally_graph::Graph;
use tally_lang::{Compiled, FixedSpec, LoadError, Loader};
use tally_source::{Diagnostic, Severity};

use crate::errors::CliError;

/// The first file of a folder's spec.
pub const ENTRY: &str = "tally.kdl";
/// Maximum size of a file, in bytes; larger files are rejected before they fill the memory.
const LARGEST_FILE: u64 = 16 << 20;

/// A spec on disk.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder of its first file.
    pub folder: PathBuf,
    /// The first file's name.
    pub entry: String,
    /// The folder as typed; empty for the current one.
    pub shown: String,
}

impl Project {
    /// Returns the project of a file or folder.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(spec: &Path) -> Result<Self, CliError> {
        let none = |what: String, help: &str| CliError::Usage(what, help.to_owned());
        let shown = spec.display().to_string();
        if spec.is_dir() {
            if !spec.join(ENTRY).is_file() {
                let what = match shown.as_str() {
                    "." => "no tally.kdl in this folder".to_owned(),
                    _ => format!("no tally.kdl in `{shown}`"),
                };
                return Err(none(what, "`tally init` writes one; or name a spec: `tally … PATH`."));
            }
            return Ok(Self {
                folder: spec.to_owned(),
                entry: ENTRY.to_owned(),
                shown: shown_folder(spec),
            });
        }
        if !spec.is_file() {
            return Err(none(format!("no file or folder `{shown}`"), "Check the path."));
        }
        let folder = match spec.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let name = spec.file_name().and_then(|name| name.to_str());
        let entry = name
            .ok_or_else(|| none(format!("`{shown}` has a name that is not UTF-8"), "Rename it."))?;
        Ok(Self { shown: shown_folder(&folder), folder, entry: entry.to_owned() })
    }

    /// Compiles the spec.
    pub fn compile(&self) -> Compiled {
        self.compile_and_watch().0
    }

    /// Compiles the spec, and returns its files too, including those that could not be read.
    pub fn compile_and_watch(&self) -> (Compiled, Vec<PathBuf>) {
        let mut disk = self.disk();
        let compiled = tally_lang::compile(&self.entry, &mut disk);
        (self.with_shown_names(compiled), disk.read)
    }

    /// Compiles the spec and applies its certain edits; writes nothing.
    pub fn fix(&self) -> FixedSpec {
        let fixed = tally_lang::fix(&self.entry, &mut self.disk());
        FixedSpec { compiled: self.with_shown_names(fixed.compiled), ..fixed }
    }

    fn disk(&self) -> Disk {
        let root = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        Disk { root, read: Vec::new() }
    }

    /// Puts the folder as typed before the names of the files.
    fn with_shown_names(&self, mut compiled: Compiled) -> Compiled {
        if !self.shown.is_empty() {
            compiled.sources.prefix_names(&self.shown);
            if let Some(graph) = &mut compiled.graph {
                graph.sources.prefix_names(&self.shown);
            }
        }
        compiled
    }

    /// Returns the graph, or the reports of the errors; warnings are returned too.
    ///
    /// # Errors
    /// The reports.
    pub fn graph(&self) -> Result<(Graph, Vec<Diagnostic>), CliError> {
        graph_of(self.compile())
    }

    /// Returns the folder next to the spec for simulated hosts.
    #[must_use]
    pub fn kept(&self) -> PathBuf {
        self.folder.join(".tally")
    }
}

/// Returns the compiled graph, or the reports of the errors; warnings are returned too.
///
/// # Errors
/// The reports.
pub fn graph_of(compiled: Compiled) -> Result<(Graph, Vec<Diagnostic>), CliError> {
    match compiled.graph {
        Some(graph) => Ok((graph, compiled.diagnostics)),
        None => Err(CliError::Reports(compiled.diagnostics, Box::new(compiled.sources))),
    }
}

/// Checks whether there are errors among reports.
#[must_use]
pub fn has_errors(reports: &[Diagnostic]) -> bool {
    reports.iter().any(|report| report.severity == Severity::Error)
}

fn shown_folder(folder: &Path) -> String {
    let text = folder.display().to_string();
    let text = text.trim_end_matches('/').trim_start_matches("./").to_owned();
    if text == "." { String::new() } else { text }
}

/// The files below one folder. A link that leads out of it is rejected: a spec of someone else must not read other
/// files.
struct Disk {
    root: PathBuf,
    read: Vec<PathBuf>,
}

impl Loader for Disk {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, LoadError> {
        self.read.push(self.root.join(path));
        let real = self.root.join(path).canonicalize().map_err(load_error)?;
        if !real.starts_with(&self.root) {
            return Err(LoadError::Outside);
        }
        // Opening a pipe would wait for its writer.
        if !fs::metadata(&real).map_err(load_error)?.is_file() {
            return Err(LoadError::NotRegular);
        }
        let file = fs::File::open(&real).map_err(load_error)?;
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(load_error)?;
        if bytes.len() as u64 > LARGEST_FILE { Err(LoadError::TooLarge) } else { Ok(bytes) }
    }
}

fn load_error(error: std::io::Error) -> LoadError {
    match error.kind() {
        std::io::ErrorKind::NotFound => LoadError::NotFound,
        _ => LoadError::Other(error.to_string()),
    }
}
