//! What is remembered between two runs, beside the spec: `.tally/memory/CLUSTER.json` holds what was
//! learned, and losing it costs time, never safety; `CLUSTER.declared.json` what people declared.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tally_control::lease::{Common, merge};
use tally_graph::Graph;
use tally_host::HostRead;
use tally_reconcile::input::observed::Observed;
use tally_reconcile::memory::revisions::Undone;
use tally_reconcile::memory::{Clocks, Declarations, Declared, Memory};
use tally_reconcile::rollback::undo::undo;

use crate::clocks::clocks;
use crate::errors::CliError;
use crate::history::History;
use crate::hosts::{look, now_ms};
use crate::project::Project;
use crate::show::terminal::err;

/// The largest file that is read, in bytes; the names of a million pods fit.
const LARGEST: u64 = 64 << 20;

/// The memory of one cluster, and where it lies.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// What is remembered.
    pub memory: Memory,
    cluster: String,
    folder: PathBuf,
    /// What was declared when it was last read or written.
    declared: Declarations,
    /// The clocks that its times are of.
    clocks: Option<Clocks>,
}

impl Remembered {
    /// What is remembered of a spec's cluster; nothing where there is no file.
    ///
    /// # Errors
    /// When there is one that cannot be read: what somebody declared must not be forgotten unseen.
    pub fn read(graph: &Graph, project: &Project) -> Result<Self, CliError> {
        let cluster = graph.cluster().map(|cluster| cluster.name.clone()).unwrap_or_default();
        let folder = project.kept().join("memory");
        let mut memory: Memory = read(&folder.join(format!("{cluster}.json")))?;
        let declared: Declarations = read(&folder.join(format!("{cluster}.declared.json")))?;
        let clocks = clocks(now_ms());
        memory.learned.take_up(clocks.as_ref());
        memory.declared = declared.clone();
        memory.history.previous = History::of(graph, project).formers(graph);
        Ok(Self { memory, cluster, folder, declared, clocks })
    }

    /// Where it is written what people declared.
    #[must_use]
    pub fn declarations(&self) -> PathBuf {
        self.folder.join(format!("{}.declared.json", self.cluster))
    }

    /// Changes what is declared, and nothing else: a loop that runs meanwhile keeps what it has
    /// learned.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn declare(&mut self, change: impl FnOnce(&mut Declarations)) -> Result<(), CliError> {
        change(&mut self.memory.declared);
        write(&self.declarations(), &self.memory.declared)?;
        self.declared = self.memory.declared.clone();
        Ok(())
    }

    /// Puts what was undone into a graph, and says so, but of what failed and went back: a plan says
    /// that itself.
    pub fn undo(&self, graph: &mut Graph) {
        let undone = &self.memory.declared.undone;
        for address in undo(graph, undone) {
            if undone.get(&address).is_some_and(|undone| undone.failed.is_none()) {
                err(&format!(
                    "{address} follows what it was before its last change, which was undone; a \
                     newer spec ends that\n"
                ));
            }
        }
    }

    /// Returns the clocks that the times of the memory are of.
    #[must_use]
    pub fn clocks(&self) -> Option<&Clocks> {
        self.clocks.as_ref()
    }

    /// Puts into the file that a workload goes back to what it was, or no longer does, beside what
    /// people may have declared meanwhile.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn set_undone(&mut self, address: &str, undone: Option<&Undone>) -> Result<(), CliError> {
        let mut now: Declarations = read(&self.declarations())?;
        for declared in [&mut now, &mut self.memory.declared, &mut self.declared] {
            match undone {
                Some(undone) => declared.undone.insert(address.to_owned(), undone.clone()),
                None => declared.undone.remove(address),
            };
        }
        write(&self.declarations(), &now)
    }

    /// Where it is written what was declared in common with other engines when this one was there last.
    fn common_path(&self) -> PathBuf {
        self.folder.join(format!("{}.common.json", self.cluster))
    }

    /// What was declared in common with other engines when this one was there last.
    ///
    /// # Errors
    /// When there is a file that cannot be read.
    pub fn common(&self) -> Result<Common, CliError> {
        read(&self.common_path())
    }

    /// Writes down what is declared here, since that came from other engines, and what of it is common.
    /// What people may have declared meanwhile in the file stands.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn share(&mut self, common: &Common, declared: &Declarations) -> Result<(), CliError> {
        let now: Declarations = read(&self.declarations())?;
        let all = merge(&self.declared, &now, declared);
        if all != now {
            write(&self.declarations(), &all)?;
        }
        self.declared = declared.clone();
        self.memory.declared = declared.clone();
        // Last: where this is not reached, what was declared here counts once more.
        write(&self.common_path(), common)
    }

    /// Looks at the hosts of `graph` and takes in what was seen, and says when that was, in milliseconds
    /// since 1970.
    pub async fn look(&mut self, graph: &Graph, readers: &[Arc<dyn HostRead>]) -> (Observed, i64) {
        let begun = Instant::now();
        let observed = look(graph, readers).await;
        let (took, now_ms) = (begun.elapsed(), now_ms());
        // Somebody may have set the clock meanwhile.
        let clocks = clocks(now_ms);
        self.memory.learned.set_clock(self.clocks.as_ref(), clocks.as_ref());
        self.clocks = clocks;
        self.memory.looked(&self.cluster, &observed, took, now_ms);
        (observed, now_ms)
    }

    /// Writes down what was learned, whole or not at all. Of what people declared only this can be
    /// learned: that a lost host answers. It is taken out of what stands in the file now, since
    /// they may have declared more meanwhile. `now_ms` is what the clock says that its times are of.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&mut self, now_ms: i64) -> Result<(), CliError> {
        self.memory.learned.written = clocks(now_ms);
        write(&self.folder.join(format!("{}.json", self.cluster)), &self.memory)?;
        let answers = |name: &String| {
            self.declared.hosts.contains_key(name) && !self.memory.declared.hosts.contains_key(name)
        };
        if self.declared.hosts.keys().any(answers) {
            let mut now: Declarations = read(&self.declarations())?;
            now.hosts.retain(|name, declared| *declared != Declared::Lost || !answers(name));
            write(&self.declarations(), &now)?;
        }
        self.declared = self.memory.declared.clone();
        Ok(())
    }
}

/// Reads a file of JSON; what stands for nothing where there is none.
///
/// # Errors
/// When there is one that cannot be read.
pub fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T, CliError> {
    let unreadable = |error: String| {
        CliError::Usage(
            format!("`{}` cannot be read: {error}", path.display()),
            "It holds what was seen last, or which hosts were declared lost and what is frozen. \
             Put it right, or remove it to forget."
                .to_owned(),
        )
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(unreadable(error.to_string())),
        Ok(file) if file.len() > LARGEST => Err(unreadable("it is too large".into())),
        Ok(_) => {
            let text = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
            serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))
        }
    }
}

/// Writes a file of JSON, whole or not at all.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(path: &Path, value: &impl Serialize) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::Usage(
            format!("`{}` cannot be written: {error}", path.display()),
            "Tally remembers there what it saw last. Is the folder writable?".to_owned(),
        )
    };
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed)?;
    let text = serde_json::to_vec(value).map_err(|error| CliError::Internal(error.to_string()))?;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::File::create(&new).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_elsewhere_comes_here_beside_what_was_just_declared_here() {
        let folder = tempfile::tempdir().unwrap();
        let mut remembered = Remembered {
            memory: Memory::default(),
            cluster: "shop".to_owned(),
            folder: folder.path().to_owned(),
            declared: Declarations::default(),
            clocks: None,
        };
        // Somebody declares something here, of which the loop has not heard yet.
        let here = Declarations {
            hosts: [("beta".to_owned(), Declared::Lost)].into(),
            ..Declarations::default()
        };
        write(&remembered.declarations(), &here).unwrap();
        let frozen = Some("release".to_owned());
        let there = Declarations { frozen: frozen.clone(), ..Declarations::default() };
        let common = Common { declared: there.clone(), ..Common::default() };
        remembered.share(&common, &there).unwrap();
        let now: Declarations = read(&remembered.declarations()).unwrap();
        assert_eq!((now.frozen, now.hosts), (frozen, here.hosts));
        assert_eq!(remembered.common().unwrap(), common);
    }

    #[test]
    fn what_people_declare_while_a_loop_runs_is_not_lost_when_a_lost_host_answers() {
        let folder = tempfile::tempdir().unwrap();
        let lost = |name: &str| (name.to_owned(), Declared::Lost);
        let known = Declarations { hosts: [lost("beta")].into(), ..Declarations::default() };
        let mut remembered = Remembered {
            memory: Memory { declared: known.clone(), ..Memory::default() },
            cluster: "shop".to_owned(),
            folder: folder.path().to_owned(),
            declared: known.clone(),
            clocks: None,
        };
        let path = remembered.declarations();
        // Somebody declares more, of which the loop has not heard yet.
        let frozen = Some("release freeze".to_owned());
        let hosts = [lost("beta"), lost("gamma"), ("delta".to_owned(), Declared::Fenced)].into();
        write(&path, &Declarations { hosts, frozen: frozen.clone(), ..known }).unwrap();
        // And beta answers.
        remembered.memory.declared.hosts.clear();
        remembered.write(0).unwrap();
        let now: Declarations = read(&path).unwrap();
        assert_eq!(now.frozen, frozen);
        assert_eq!(now.hosts, [lost("gamma"), ("delta".to_owned(), Declared::Fenced)].into());
    }
}
