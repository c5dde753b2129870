//! The trait, over the model: time, faults and latency come in here, the model stays pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tally_host::{
    ExecRequest, ExecSession, FileToWrite, Host, HostError, HostEvent, HostRead, LogChunk,
    LogRequest, PullProgress,
};
use tally_reconcile::input::observed::{
    ContainerDetails, ContainerState, Engine, Live, ObservedContainer, ObservedNetwork,
    ObservedVolume,
};
use tally_reconcile::plan::request::{ContainerRequest, NetworkRequest, Part, VolumeRequest};

use crate::faults::Faults;
use crate::file::SimFile;
use crate::watch::{Changes, Watcher, states};
use crate::{Clock, FaultKind, FaultPlan, Model, wall_clock};

/// How often a log that is followed is looked at.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);

/// How a simulated host is set up.
#[derive(Clone)]
pub struct SimOptions {
    /// Where its IDs come from.
    pub seed: u64,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// After so long a call that hangs ends with an error.
    pub deadline: Duration,
    /// So long every call takes.
    pub latency: Duration,
}

impl SimOptions {
    /// No faults, no latency.
    #[must_use]
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            seed,
            clock,
            faults: FaultPlan::default(),
            deadline: Duration::from_secs(30),
            latency: Duration::ZERO,
        }
    }
}

/// Where the state is.
pub(crate) enum Store {
    Memory(Box<Model>),
    File(Box<SimFile>),
}

impl Store {
    fn change<T>(&mut self, act: impl FnOnce(&mut Model) -> T) -> Result<T, HostError> {
        match self {
            Store::Memory(model) => Ok(act(model)),
            Store::File(file) => file.change(act),
        }
    }

    pub fn look<T>(&mut self, look: impl FnOnce(&mut Model) -> T) -> Result<T, HostError> {
        match self {
            Store::Memory(model) => Ok(look(model)),
            Store::File(file) => file.read_only(look),
        }
    }
}

/// A simulated Docker host.
pub struct SimHost {
    name: String,
    store: Arc<Mutex<Store>>,
    /// Goes up with every change that is made through this host.
    changes: Arc<Changes>,
    clock: Arc<dyn Clock>,
    faults: Mutex<Faults>,
    deadline: Duration,
    latency: Duration,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl SimHost {
    /// A host with nothing on it, whose state is in memory.
    #[must_use]
    pub fn new(name: &str, options: SimOptions) -> Self {
        let model = Model::new(options.seed);
        Self::with_model(name, model, options)
    }

    /// A host with nothing on it, without faults, that goes by the machine's clock.
    #[must_use]
    pub fn in_memory(name: &str) -> Self {
        Self::new(name, SimOptions::new(1, wall_clock()))
    }

    /// A host in a given state, kept in memory.
    #[must_use]
    pub fn with_model(name: &str, model: Model, options: SimOptions) -> Self {
        Self::with_store(name, Store::Memory(Box::new(model)), options)
    }

    pub(crate) fn with_store(name: &str, store: Store, options: SimOptions) -> Self {
        Self {
            name: name.to_owned(),
            store: Arc::new(Mutex::new(store)),
            changes: Arc::default(),
            clock: options.clock,
            faults: Mutex::new(Faults::new(options.faults)),
            deadline: options.deadline,
            latency: options.latency,
            running: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }

    /// Changes the state from outside, as people and crashes do: the model, and its time.
    ///
    /// # Errors
    /// When the state is in a file and that cannot be used.
    pub fn meddle<T>(&self, act: impl FnOnce(&mut Model, i64) -> T) -> Result<T, HostError> {
        let now_ms = self.clock.now_ms();
        let result = lock(&self.store).change(|model| act(model, now_ms));
        self.changed();
        result
    }

    /// Looks at the state from outside, up to date with its time.
    ///
    /// # Errors
    /// When the state is in a file and that cannot be used.
    pub fn look<T>(&self, look: impl FnOnce(&Model, i64) -> T) -> Result<T, HostError> {
        let now_ms = self.clock.now_ms();
        lock(&self.store).look(|model| {
            model.advance(now_ms);
            look(model, now_ms)
        })
    }

    fn changed(&self) {
        self.changes.one_more();
    }

    /// Replaces what goes wrong from now on.
    pub fn set_faults(&self, plan: FaultPlan) {
        *lock(&self.faults) = Faults::new(plan);
    }

    /// How often each kind of fault came to pass.
    #[must_use]
    pub fn fired(&self) -> BTreeMap<FaultKind, u64> {
        lock(&self.faults).fired()
    }

    /// How often each call was made.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.faults).counts()
    }

    /// So many calls that change something were under way at once, at most.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    async fn changing<T>(
        &self,
        call: &'static str,
        act: impl FnOnce(&mut Model, i64) -> Result<T, HostError> + Send,
    ) -> Result<T, HostError> {
        let at_once = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let changing = |store: &mut Store, now_ms| {
            let result = store.change(|it| act(it, now_ms));
            self.changed();
            result
        };
        let result = self.calling(call, changing).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        result
    }

    async fn looking<T>(
        &self,
        call: &'static str,
        look: impl FnOnce(&Model, i64) -> Result<T, HostError> + Send,
    ) -> Result<T, HostError> {
        let look = |store: &mut Store, now_ms| {
            store.look(|model| {
                model.advance(now_ms);
                look(model, now_ms)
            })
        };
        self.calling(call, look).await
    }

    /// Makes a call, with what goes wrong around it.
    async fn calling<T>(
        &self,
        call: &'static str,
        act: impl FnOnce(&mut Store, i64) -> Result<Result<T, HostError>, HostError> + Send,
    ) -> Result<T, HostError> {
        let fault = lock(&self.faults).next(call);
        let deadline = HostError::Deadline { call, after: self.deadline };
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        match &fault {
            Some(FaultKind::Slow { millis }) => {
                tokio::time::sleep(Duration::from_millis(*millis)).await;
            }
            Some(FaultKind::LoseRequest) => return Err(lost(call)),
            Some(FaultKind::Refuse { status, message }) => {
                return Err(HostError::Refused { status: *status, message: message.clone() });
            }
            Some(FaultKind::Hang { applied: false }) => {
                tokio::time::sleep(self.deadline).await;
                return Err(deadline);
            }
            Some(FaultKind::Unreachable) => {
                let address = format!("sim:{}", self.name);
                return Err(HostError::Unreachable {
                    address,
                    reason: "a simulated fault".to_owned(),
                });
            }
            Some(FaultKind::LoseReply | FaultKind::Hang { applied: true }) | None => {}
        }
        let now_ms = self.clock.now_ms();
        let result = act(&mut lock(&self.store), now_ms)?;
        match fault {
            Some(FaultKind::LoseReply) => Err(lost(call)),
            Some(FaultKind::Hang { .. }) => {
                tokio::time::sleep(self.deadline).await;
                Err(deadline)
            }
            _ => result,
        }
    }
}

fn lost(call: &str) -> HostError {
    HostError::Broken(format!("the reply to `{call}` broke off: a simulated fault"))
}

/// A panic while the lock was held is a test's; the state is whole all the same.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl HostRead for SimHost {
    fn name(&self) -> &str {
        &self.name
    }

    async fn engine(&self) -> Result<Engine, HostError> {
        self.looking("engine", |model, _| Ok(model.engine())).await
    }

    async fn ahead_ms(&self) -> Result<Option<i64>, HostError> {
        Ok(None)
    }

    async fn containers(&self) -> Result<Vec<ObservedContainer>, HostError> {
        self.looking("containers", |model, _| Ok(model.list())).await
    }

    async fn container(
        &self,
        id: &str,
        with_files: bool,
    ) -> Result<Option<(ObservedContainer, ContainerDetails)>, HostError> {
        self.looking("container", |model, now_ms| Ok(model.inspect(id, with_files, now_ms))).await
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>, HostError> {
        self.looking("volumes", |model, _| Ok(model.list_volumes())).await
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>, HostError> {
        self.looking("networks", |model, _| Ok(model.list_networks())).await
    }

    async fn images(&self) -> Result<BTreeMap<String, String>, HostError> {
        self.looking("images", |model, _| Ok(model.list_images())).await
    }

    async fn events(
        &self,
        cluster: &str,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError> {
        let first =
            self.looking("events", |model, now_ms| Ok(states(model, cluster, now_ms))).await?;
        let watcher = Watcher {
            store: Arc::clone(&self.store),
            seen: self.changes.count(),
            changes: Arc::clone(&self.changes),
            clock: Arc::clone(&self.clock),
            cluster: cluster.to_owned(),
            last: first,
            ready: VecDeque::new(),
        };
        Ok(stream::unfold(watcher, Watcher::next).boxed())
    }

    async fn logs(
        &self,
        id: &str,
        request: LogRequest,
    ) -> Result<BoxStream<'static, Result<LogChunk, HostError>>, HostError> {
        let follower = self
            .looking("logs", |model, now_ms| {
                let lines = model
                    .log(id, now_ms)
                    .ok_or_else(|| HostError::NotFound(format!("No such container: {id}")))?;
                let tail = request.tail.map_or(lines.len(), |tail| tail as usize);
                Ok(Follower { seen: lines.len().saturating_sub(tail), id: id.to_owned(), request })
            })
            .await?;
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let chunks = stream::unfold(Some(follower), move |follower| {
            let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
            async move { follower?.next(&store, clock.as_ref()).await }
        });
        Ok(chunks.boxed())
    }
}

/// Who reads a log, and how far.
struct Follower {
    id: String,
    seen: usize,
    request: LogRequest,
}

impl Follower {
    async fn next(
        mut self,
        store: &Mutex<Store>,
        clock: &dyn Clock,
    ) -> Option<(Result<LogChunk, HostError>, Option<Self>)> {
        loop {
            let now_ms = clock.now_ms();
            let look = |model: &mut Model| {
                model.advance(now_ms);
                let runs = model.inspect(&self.id, false, now_ms).is_some_and(|(seen, _)| {
                    matches!(seen.state, ContainerState::Running | ContainerState::Restarting)
                });
                (model.log(&self.id, now_ms).unwrap_or_default(), runs)
            };
            let looked = lock(store).look(look);
            let (lines, runs) = match looked {
                Ok(looked) => looked,
                Err(error) => return Some((Err(error), None)),
            };
            let fresh = lines.get(self.seen..).unwrap_or_default();
            if !fresh.is_empty() {
                let bytes = text(fresh, self.request.timestamps).into_bytes();
                self.seen = lines.len();
                return Some((Ok(LogChunk { stderr: false, bytes }), Some(self)));
            }
            if !self.request.follow || !runs {
                return None;
            }
            tokio::time::sleep(FOLLOW_PAUSE).await;
        }
    }
}

fn text(lines: &[(i64, String)], timestamps: bool) -> String {
    let line = |(at_ms, line): &(i64, String)| {
        if timestamps { format!("{at_ms} {line}\n") } else { format!("{line}\n") }
    };
    lines.iter().map(line).collect()
}

#[async_trait]
impl Host for SimHost {
    async fn pull(
        &self,
        image: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), HostError> {
        self.changing("pull", |model, _| model.pull(image)).await?;
        progress(PullProgress { layers_done: 1, layers: 1, bytes: 1, bytes_total: 1 });
        Ok(())
    }

    async fn load_infra_image(&self) -> Result<(), HostError> {
        self.changing("load_infra_image", |model, _| {
            model.load_infra_image();
            Ok(())
        })
        .await
    }

    async fn create_network(&self, request: &NetworkRequest) -> Result<String, HostError> {
        self.changing("create_network", |model, _| model.create_network(request)).await
    }

    async fn remove_network(&self, id: &str) -> Result<(), HostError> {
        self.changing("remove_network", |model, now_ms| model.remove_network(id, now_ms)).await
    }

    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), HostError> {
        self.changing("create_volume", |model, _| model.create_volume(request)).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), HostError> {
        self.changing("remove_volume", |model, _| model.remove_volume(name)).await
    }

    async fn create_container(&self, request: &ContainerRequest) -> Result<String, HostError> {
        self.changing("create_container", |model, now_ms| model.create(request, now_ms)).await
    }

    async fn write_files(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: Part,
    ) -> Result<(), HostError> {
        self.changing("write_files", |model, now_ms| model.write(id, files, part, now_ms)).await
    }

    async fn write_secrets(
        &self,
        id: &str,
        files: &[FileToWrite],
        part: Part,
    ) -> Result<(), HostError> {
        self.changing("write_secrets", |model, now_ms| model.write_secrets(id, files, part, now_ms))
            .await
    }

    async fn start(&self, id: &str) -> Result<(), HostError> {
        self.changing("start", |model, now_ms| model.start(id, now_ms)).await
    }

    async fn stop(&self, id: &str, _grace: Option<Duration>) -> Result<(), HostError> {
        self.changing("stop", |model, now_ms| model.stop(id, now_ms)).await
    }

    async fn restart(&self, id: &str, _grace: Option<Duration>) -> Result<(), HostError> {
        self.changing("restart", |model, now_ms| model.restart(id, now_ms)).await
    }

    async fn unpause(&self, id: &str) -> Result<(), HostError> {
        self.changing("unpause", |model, now_ms| model.unpause(id, now_ms)).await
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), HostError> {
        self.changing("signal", |model, now_ms| model.signal(id, signal, now_ms)).await
    }

    async fn update(&self, id: &str, live: &Live) -> Result<(), HostError> {
        self.changing("update", |model, now_ms| model.update(id, live, now_ms)).await
    }

    async fn remove_container(&self, id: &str) -> Result<(), HostError> {
        self.changing("remove_container", |model, now_ms| model.remove(id, now_ms)).await
    }

    async fn exec(&self, id: &str, request: &ExecRequest) -> Result<ExecSession, HostError> {
        let act = |model: &mut Model, now_ms| model.exec(id, &request.command, now_ms);
        let (exec, output) = self.changing("exec", act).await?;
        let chunk = LogChunk { stderr: false, bytes: output.into_bytes() };
        Ok(ExecSession {
            output: stream::iter([Ok(chunk)]).boxed(),
            input: request.stdin.then(
                || -> std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>> {
                    Box::pin(tokio::io::sink())
                },
            ),
            id: exec,
        })
    }

    async fn exec_exit_code(&self, exec_id: &str) -> Result<Option<i64>, HostError> {
        self.looking("exec_exit_code", |model, _| model.exec_code(exec_id).map(Some)).await
    }

    async fn exec_resize(&self, _: &str, _: u16, _: u16) -> Result<(), HostError> {
        self.looking("exec_resize", |_, _| Ok(())).await
    }
}
