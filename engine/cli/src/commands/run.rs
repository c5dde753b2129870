//! `tally run`: the control loop, until it is asked to stop.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tally_control::convergence::Actor;
use tally_control::{Connector, ControlLoop, Ended, LoopOptions, SpecChange, SpecSource};
use tally_graph::Graph;
use tally_host::{Host, HostError, Secrets};
use tally_reconcile::memory::Declarations;
use tally_reconcile::rollback::apply::apply_rollbacks;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::args;
use crate::errors::{CliError, Exit};
use crate::events::{EventLog, path};
use crate::hosts;
use crate::json_file::read;
use crate::memory::Remembered;
use crate::metrics::Server;
use crate::project::{Project, graph_of};
use crate::secrets;
use crate::shared_store::sharing;
use crate::show::report;
use crate::show::terminal::{Terminal, err};
use crate::signals;
use crate::storage::Folder;

/// How often the files of the spec are checked.
const LOOK: Duration = Duration::from_millis(500);
/// Maximum duration of one observation; a host that takes longer is unreachable.
const OBSERVATION_DEADLINE: Duration = Duration::from_secs(10);

pub async fn run(args: args::RunArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let project = Project::find(&args.spec.spec)?;
    let mut watched = Watched { project: project.clone(), files: Vec::new() };
    let (graph, warnings) = graph_of(watched.compile())?;
    err(&report::people(&warnings, &graph.sources, terminal));
    let remembered = Remembered::read(&graph, &project)?;
    let cluster = graph.cluster().map(|cluster| cluster.name.clone()).unwrap_or_default();
    let _lock = lock(&project, &cluster)?;
    let mut followed = graph.clone();
    remembered.apply_rollbacks(&mut followed);
    let secrets = secrets::read(&followed, &project).await?;
    let declarations = remembered.declarations();
    let sharing = sharing(&args.store, &cluster, remembered.common()?)?;
    let memory = remembered.memory.clone();
    let events = Arc::new(EventLog::new(path(&project.kept(), &cluster), args.format, *terminal));
    let connector = Arc::new(RunConnector { project: project.clone() });
    let storage = Arc::new(Folder::new(&project, &graph, Actor::Run, remembered));
    let options = LoopOptions {
        resync: Duration::from_secs(u64::from(args.resync)),
        observation_deadline: OBSERVATION_DEADLINE,
        calls_per_host: 8,
        once: args.once,
        now_ms: hosts::now_ms,
    };
    let mut source = Source {
        files: watched,
        declared: memory.declared.clone(),
        declarations: File::new(declarations),
        next: Instant::now() + LOOK,
        terminal: *terminal,
        kept: KeptSecrets::new(&graph, &project, secrets.clone(), options.resync),
        spec: graph.clone(),
        new: None,
        reading: None,
    };
    // Before the first change: an address that cannot be had is a mistake at the command line.
    let mut server = match &args.metrics {
        Some(address) => Some(Server::bind(address).await?),
        None => None,
    };
    let controller = ControlLoop::new(graph, memory, connector, storage, events, options);
    let mut controller = controller.with_secrets(secrets);
    if let Some(sharing) = sharing {
        controller = controller.with_store(sharing);
    }
    if let Some(server) = &mut server {
        server.serve(controller.board());
        err(&format!("metrics: {}\n", server.shown));
        if server.is_open {
            err("metrics: other machines can read them, without a password\n");
        }
    }
    let ended = controller.run(&mut source, signals::stop(|| {})?).await;
    Ok(match ended {
        Ended::Tallies | Ended::Stopped => Exit::Done,
        Ended::Differs => Exit::Failed,
    })
}

/// Takes the lock of a cluster: one loop per folder keeps it.
fn lock(project: &Project, cluster: &str) -> Result<fs::File, CliError> {
    let folder = project.kept().join("run");
    let path = folder.join(format!("{cluster}.lock"));
    let failed = |error: std::io::Error| {
        CliError::Usage(
            format!("`{}` cannot be written: {error}", path.display()),
            "`tally run` keeps its events there. Is the folder writable?".to_owned(),
        )
    };
    fs::create_dir_all(&folder).map_err(failed)?;
    let file = fs::File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(CliError::Usage(
            format!("another `tally run` of this folder already runs for cluster `{cluster}`"),
            "`tally events --follow` shows what it does.".to_owned(),
        )),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Connects to the hosts of the spec.
struct RunConnector {
    project: Project,
}

#[async_trait]
impl Connector for RunConnector {
    async fn connect(&self, graph: &Graph, host: &str) -> Result<Arc<dyn Host>, HostError> {
        let unreachable =
            |reason: String| HostError::Unreachable { address: host.to_owned(), reason };
        let places = hosts::places(graph, &self.project)
            .map_err(|_| unreachable("Docker's own settings name no host".to_owned()))?;
        match places.iter().find(|place| place.name == host) {
            Some(place) => hosts::writer(place, &self.project).await,
            None => Err(unreachable("the spec has no such host".to_owned())),
        }
    }

    fn hosts(&self, graph: &Graph) -> Vec<String> {
        let places = hosts::places(graph, &self.project).unwrap_or_default();
        places.into_iter().map(|place| place.name).collect()
    }
}

/// A file, with its time and size when it was last checked.
struct File {
    path: PathBuf,
    seen: Option<(SystemTime, u64)>,
}

impl File {
    fn new(path: PathBuf) -> Self {
        let seen = stamp(&path);
        Self { path, seen }
    }

    fn has_changed(&mut self) -> bool {
        let now = stamp(&self.path);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

/// Checks whether one of them has changed. All are checked, since each one's stamp is taken.
fn have_changed(files: &mut [File]) -> bool {
    let changed: Vec<bool> = files.iter_mut().map(File::has_changed).collect();
    changed.contains(&true)
}

fn stamp(path: &PathBuf) -> Option<(SystemTime, u64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

/// The files a spec is made of.
struct Watched {
    project: Project,
    files: Vec<File>,
}

impl Watched {
    fn compile(&mut self) -> tally_lang::Compiled {
        let (compiled, files) = self.project.compile_and_watch();
        self.files = files.into_iter().map(File::new).collect();
        compiled
    }
}

/// Changes of the spec's files and of the declarations, checked periodically.
struct Source {
    files: Watched,
    declared: Declarations,
    declarations: File,
    next: Instant,
    terminal: Terminal,
    /// The spec that was last passed to the loop.
    spec: Graph,
    kept: KeptSecrets,
    /// A changed spec, whose secrets are being read.
    new: Option<Graph>,
    /// Secrets are being read. A task of its own, since waiting for it is cancelled again and again.
    reading: Option<JoinHandle<Result<Secrets, CliError>>>,
}

/// The secrets that were read last, and when to read them again.
struct KeptSecrets {
    secrets: Secrets,
    files: Vec<File>,
    /// Whether some come from commands, so that a change can only be seen by reading.
    elsewhere: bool,
    every: Duration,
    due: Instant,
    /// The last report of those that could not be read.
    told: Option<String>,
}

impl KeptSecrets {
    fn new(graph: &Graph, project: &Project, secrets: Secrets, every: Duration) -> Self {
        let (files, elsewhere) = secrets::watched(graph, project);
        let files = files.into_iter().map(File::new).collect();
        Self { secrets, files, elsewhere, every, due: Instant::now() + every, told: None }
    }

    /// Checks whether they are to be read now.
    fn is_due(&mut self) -> bool {
        let changed = have_changed(&mut self.files);
        let elsewhere = self.elsewhere && self.due <= Instant::now();
        if elsewhere {
            self.due = Instant::now() + self.every;
        }
        changed || elsewhere
    }
}

impl Source {
    /// Starts to read the secrets of a spec, as it is followed.
    fn read_secrets(&mut self) {
        let mut graph = self.new.as_ref().unwrap_or(&self.spec).clone();
        apply_rollbacks(&mut graph, &self.declared.rolled_back);
        let project = self.files.project.clone();
        if let Some(older) = self.reading.take() {
            older.abort();
        }
        self.reading = Some(tokio::spawn(async move { secrets::read(&graph, &project).await }));
    }

    /// Takes in the secrets that were read.
    fn has_read(&mut self, read: Result<Secrets, CliError>) -> Option<SpecChange> {
        match (read, self.new.take()) {
            (Ok(secrets), Some(graph)) => {
                let every = self.kept.every;
                let project = &self.files.project;
                self.kept = KeptSecrets::new(&graph, project, secrets.clone(), every);
                self.spec = graph.clone();
                Some(SpecChange::SpecWithSecrets(Box::new(graph), secrets))
            }
            (Ok(secrets), None) => {
                self.kept.told = None;
                if secrets == self.kept.secrets {
                    return None;
                }
                self.kept.secrets = secrets.clone();
                Some(SpecChange::Secrets(secrets))
            }
            (Err(error), Some(graph)) => {
                // A fixed secret is noticed, and the spec is followed then.
                let (files, elsewhere) = secrets::watched(&graph, &self.files.project);
                self.kept.files = files.into_iter().map(File::new).collect();
                self.kept.elsewhere |= elsewhere;
                self.new = Some(graph);
                self.once(&error).map(SpecChange::Broken)
            }
            (Err(error), None) => self.once(&error).map(SpecChange::SecretsUnreadable),
        }
    }

    /// Returns the report of an error, unless it was reported before.
    fn once(&mut self, error: &CliError) -> Option<String> {
        let words = self.words(error);
        let news = self.kept.told.as_ref() != Some(&words);
        self.kept.told = Some(words.clone());
        news.then_some(words)
    }

    fn words(&self, error: &CliError) -> String {
        match error {
            CliError::Reports(reports, sources) => {
                let plain = Terminal { colour: false, ..self.terminal };
                report::people(reports, sources, &plain)
            }
            other => other.to_string(),
        }
    }
}

#[async_trait]
impl SpecSource for Source {
    async fn changed(&mut self) -> SpecChange {
        loop {
            if let Some(reading) = &mut self.reading {
                // No other change is passed on meanwhile: changes keep their order.
                let read = reading.await;
                self.reading = None;
                let failed = |error: tokio::task::JoinError| CliError::Internal(error.to_string());
                match self.has_read(read.unwrap_or_else(|error| Err(failed(error)))) {
                    Some(news) => return news,
                    None => continue,
                }
            }
            tokio::time::sleep_until(self.next).await;
            self.next = Instant::now() + LOOK;
            if self.declarations.has_changed() {
                match read::<Declarations>(&self.declarations.path) {
                    Ok(declared) if declared != self.declared => {
                        let rolled_back = self.declared.rolled_back != declared.rolled_back;
                        self.declared = declared.clone();
                        if rolled_back {
                            self.read_secrets();
                        }
                        return SpecChange::Declared(declared);
                    }
                    Ok(_) => {}
                    Err(error) => return SpecChange::Broken(error.to_string()),
                }
            }
            if !have_changed(&mut self.files.files) {
                if self.kept.is_due() {
                    self.read_secrets();
                }
                continue;
            }
            let compiled = self.files.compile();
            let Some(graph) = compiled.graph else {
                let plain = Terminal { colour: false, ..self.terminal };
                let report = report::people(&compiled.diagnostics, &compiled.sources, &plain);
                return SpecChange::Broken(report);
            };
            self.new = Some(graph);
            self.read_secrets();
        }
    }
}
