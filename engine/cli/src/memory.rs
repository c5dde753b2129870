//! The memory of a cluster, beside the spec: `.tally/memory/CLUSTER.json` holds learned data, and losing it costs
//! time, never safety; `CLUSTER.declared.json` holds the declarations of people.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tally_control::lease::{Common, merge};
use tally_graph::Graph;
use tally_host::HostRead;
use tally_reconcile::input::observed::Observed;
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::memory::{Clocks, Declarations, Declared, Memory};
use tally_reconcile::rollback::apply::apply_rollbacks;

use crate::clocks::clocks;
use crate::errors::CliError;
use crate::history::HistoryFile;
use crate::hosts::{look, now_ms};
use crate::json_file::{read, write};
use crate::project::Project;
use crate::show::terminal::err;

/// The memory of one cluster, and the folder of its files.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// The memory.
    pub memory: Memory,
    cluster: String,
    folder: PathBuf,
    /// The declarations when they were last read or written.
    declared: Declarations,
    /// The clocks that its times are of.
    clocks: Option<Clocks>,
}

impl Remembered {
    /// Reads the memory of a spec's cluster; it is empty where there is no file.
    ///
    /// # Errors
    /// When there is one that cannot be read: declarations must not be lost unnoticed.
    pub fn read(graph: &Graph, project: &Project) -> Result<Self, CliError> {
        let cluster = graph.cluster().map(|cluster| cluster.name.clone()).unwrap_or_default();
        let folder = project.kept().join("memory");
        let mut memory: Memory = read(&folder.join(format!("{cluster}.json")))?;
        let declared: Declarations = read(&folder.join(format!("{cluster}.declared.json")))?;
        let clocks = clocks(now_ms());
        memory.learned.take_up(clocks.as_ref());
        memory.declared = declared.clone();
        memory.history.previous = HistoryFile::new(graph, project).previous_revisions(graph);
        Ok(Self { memory, cluster, folder, declared, clocks })
    }

    /// Returns the path of the declarations.
    #[must_use]
    pub fn declarations(&self) -> PathBuf {
        self.folder.join(format!("{}.declared.json", self.cluster))
    }

    /// Changes the declarations, and nothing else: a loop that runs meanwhile keeps its learned data.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn declare(&mut self, change: impl FnOnce(&mut Declarations)) -> Result<(), CliError> {
        change(&mut self.memory.declared);
        write(&self.declarations(), &self.memory.declared)?;
        self.declared = self.memory.declared.clone();
        Ok(())
    }

    /// Puts the revisions that workloads were rolled back to into a graph, and says so. A plan itself says which
    /// rollouts failed.
    pub fn apply_rollbacks(&self, graph: &mut Graph) {
        let rolled_back = &self.memory.declared.rolled_back;
        for address in apply_rollbacks(graph, rolled_back) {
            if rolled_back.get(&address).is_some_and(|rolled_back| rolled_back.failed.is_none()) {
                err(&format!(
                    "{address} runs its previous revision, because its last change was rolled \
                     back; a newer spec ends that\n"
                ));
            }
        }
    }

    /// Returns the clocks that the times of the memory are of.
    #[must_use]
    pub fn clocks(&self) -> Option<&Clocks> {
        self.clocks.as_ref()
    }

    /// Writes that a workload follows a previous revision, or no longer does, and keeps the declarations that people
    /// made meanwhile.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn set_rolled_back(
        &mut self,
        address: &str,
        rolled_back: Option<&RolledBack>,
    ) -> Result<(), CliError> {
        let mut now: Declarations = read(&self.declarations())?;
        for declared in [&mut now, &mut self.memory.declared, &mut self.declared] {
            match rolled_back {
                Some(rolled_back) => {
                    declared.rolled_back.insert(address.to_owned(), rolled_back.clone())
                }
                None => declared.rolled_back.remove(address),
            };
        }
        write(&self.declarations(), &now)
    }

    /// Returns the path of the declarations that were shared with other engines when this one last ran.
    fn common_path(&self) -> PathBuf {
        self.folder.join(format!("{}.common.json", self.cluster))
    }

    /// Reads the declarations that were shared with other engines when this one last ran.
    ///
    /// # Errors
    /// When there is a file that cannot be read.
    pub fn common(&self) -> Result<Common, CliError> {
        read(&self.common_path())
    }

    /// Writes the declarations, which came from other engines, and which of them are shared. Declarations that people
    /// made in the file meanwhile are kept.
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
        // Last: where this is not reached, the declarations of this engine count again.
        write(&self.common_path(), common)
    }

    /// Observes the hosts of `graph` and takes the result into the memory; returns it with its time, in milliseconds since
    /// 1970.
    pub async fn look(&mut self, graph: &Graph, readers: &[Arc<dyn HostRead>]) -> (Observed, i64) {
        let begun = Instant::now();
        let observed = look(graph, readers).await;
        let (took, now_ms) = (begun.elapsed(), now_ms());
        // Somebody may have set the clock meanwhile.
        let clocks = clocks(now_ms);
        self.memory.learned.set_clock(self.clocks.as_ref(), clocks.as_ref());
        self.clocks = clocks;
        self.memory.learn_observation(&self.cluster, &observed, took, now_ms);
        (observed, now_ms)
    }

    /// Writes the learned data, whole or not at all. Only one declaration ends by itself: that a host is lost, when it
    /// answers. It is removed from the declarations in the file, where people may have added others meanwhile.
    /// `now_ms` is the time of the clock that its times are of.
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
