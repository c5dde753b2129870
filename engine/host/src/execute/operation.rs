//! One operation: its precondition, its call, and what became of a call whose reply was lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use tally_graph::{FileSpec, Graph};
use tally_reconcile::input::observed::ContainerState;
use tally_reconcile::labels;
use tally_reconcile::plan::request::FilesRequest;
use tally_reconcile::plan::{Action, Operation, Precondition, Target};
use tokio::sync::watch;

use super::{Event, ExecuteOptions, Failure, FailureKind, Progress, Withheld, create, wait};
use crate::{FileToWrite, Host, HostError, LogRequest, clean};

/// Reading a failed container's last lines must not hold up the failure.
const LAST_LINES_DEADLINE: Duration = Duration::from_secs(3);
/// So much output is read for them at most.
const LAST_LINES_BYTES: usize = 256 << 10;

/// What every operation of a walk needs.
pub(super) struct Context<'a> {
    graph: &'a Graph,
    hosts: &'a BTreeMap<String, Arc<dyn Host>>,
    pub(super) progress: &'a dyn Progress,
    pub(super) cancel: &'a watch::Receiver<bool>,
    pub(super) options: &'a ExecuteOptions,
    /// So many waits are under way: they share a rate of looks.
    pub(super) waiting: AtomicUsize,
}

/// How an operation ended.
pub(super) enum Ending {
    /// It was done; the full ID of what it made.
    Done(Option<String>),
    /// It failed.
    Failed(Failure),
    /// It was a wait, and the plan was cancelled.
    BrokenOff,
    /// It was not begun, or its wait was broken off: the permit does not hold.
    Withheld(Withheld),
}

impl<'a> Context<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        hosts: &'a BTreeMap<String, Arc<dyn Host>>,
        progress: &'a dyn Progress,
        cancel: &'a watch::Receiver<bool>,
        options: &'a ExecuteOptions,
    ) -> Self {
        let waiting = AtomicUsize::new(0);
        Self { graph, hosts, progress, cancel, options, waiting }
    }

    /// Runs an operation on the container `target`, if it is about one.
    pub(super) async fn run(&self, operation: &Operation, target: Option<String>) -> Ending {
        let Some(host) = self.hosts.get(&operation.host) else {
            let reason = "there is no connection to it".to_owned();
            let error = HostError::Unreachable { address: operation.host.clone(), reason };
            return failed(error.into(), Vec::new());
        };
        let host = host.as_ref();
        if operation.action.target().is_some() && target.is_none() {
            let reason = "the container it is about was not made".to_owned();
            return failed(FailureKind::PreconditionFailed(reason), Vec::new());
        }
        let target = target.unwrap_or_default();
        match check(host, operation).await {
            Ok(Standing::Holds) => {}
            Ok(Standing::AlreadySo) => return Ending::Done(None),
            Err(kind) => return failed(kind, Vec::new()),
        }
        // Asked after the look, right before the call: looking may have taken long.
        let permit = &self.options.permit;
        if let (true, Err(why)) = (operation.action.mutates(), permit.ask()) {
            return Ending::Withheld(why);
        }
        match self.act(host, operation, &target).await {
            Ok(Step::Done(made)) => Ending::Done(made),
            Ok(Step::BrokenOff) => Ending::BrokenOff,
            Ok(Step::Withheld(why)) => Ending::Withheld(why),
            Err(kind) => {
                let lines = self.last_lines_of(host, operation, &target).await;
                let secrets = &self.options.secrets;
                let lines = lines.iter().map(|line| secrets.redact(line)).collect();
                failed(self.redacted(kind), lines)
            }
        }
    }

    async fn act(
        &self,
        host: &dyn Host,
        operation: &Operation,
        target: &str,
    ) -> Result<Step, FailureKind> {
        let id = operation.id;
        let grace = |seconds: &Option<u64>| seconds.map(Duration::from_secs);
        match &operation.action {
            Action::AwaitReady { target: of, rule } => {
                let is_new = matches!(of, Target::Created(_));
                wait::ready(self, host, id, target, rule, is_new).await
            }
            Action::AwaitExit { deadline_ms, .. } => {
                wait::exit(self, host, id, target, *deadline_ms).await
            }
            Action::CreateContainer(request) => {
                let mut joined = self.options.secrets.joined(request).map_err(unread)?;
                joined.image = self.options.fetched.name_on(host, &request.image);
                Ok(Step::Done(Some(create::container(host, &joined).await?)))
            }
            Action::CreateNetwork(request) => {
                Ok(Step::Done(Some(create::network(host, request).await?)))
            }
            Action::CreateVolume(request) => done(create::volume(host, request).await),
            Action::PullImage { image } => {
                let heard = |pulled| self.progress.event(Event::Pulling(id, pulled));
                let permit = &self.options.permit;
                Ok(self.options.fetched.fetch(host, image, permit, &heard).await?)
            }
            Action::LoadInfraImage => done(host.load_infra_image().await),
            Action::RemoveNetwork { id } => done(host.remove_network(id).await),
            Action::RemoveVolume { name } => done(host.remove_volume(name).await),
            Action::WriteFiles { files: request, .. } => {
                let files = self.contents(request)?;
                done(self.twice(|| host.write_files(target, &files, request.part)).await)
            }
            Action::WriteSecrets { files: request, .. } => {
                let files = self.secret_contents(request)?;
                done(self.twice(|| host.write_secrets(target, &files, request.part)).await)
            }
            Action::Update { live, .. } => done(self.twice(|| host.update(target, live)).await),
            Action::Start { .. } => done(
                looked_at(host, target, host.start(target).await, |state| {
                    state == Some(ContainerState::Running)
                })
                .await,
            ),
            Action::Unpause { .. } => {
                let unpaused = host.unpause(target).await;
                let is_so = |state| state == Some(ContainerState::Running);
                done(looked_at(host, target, unpaused, is_so).await)
            }
            Action::Stop { grace_s, .. } => {
                let stopped = host.stop(target, grace(grace_s)).await;
                done(looked_at(host, target, stopped, is_stopped).await)
            }
            Action::RemoveContainer { .. } => {
                let removed = host.remove_container(target).await;
                done(looked_at(host, target, removed, |state| state.is_none()).await)
            }
            // A lost reply to these two cannot be told from a lost request by looking.
            Action::Restart { grace_s, .. } => done(host.restart(target, grace(grace_s)).await),
            Action::Signal { signal, .. } => done(host.signal(target, signal).await),
        }
    }

    /// Makes a call that may be made twice without harm, once more when its reply was lost and the
    /// permit still holds.
    async fn twice<F>(&self, call: impl Fn() -> F) -> Result<(), HostError>
    where
        F: Future<Output = Result<(), HostError>>,
    {
        match call().await {
            Err(error) if is_uncertain(&error) && self.options.permit.ask().is_ok() => call().await,
            other => other,
        }
    }

    fn contents(&self, request: &FilesRequest) -> Result<Vec<FileToWrite>, FailureKind> {
        let file = |(path, spec): (&String, &FileSpec)| {
            if spec.is_secret() {
                return Ok(to_write(path, spec, Vec::new()));
            }
            let content = self.graph.contents.get(&spec.content).ok_or_else(|| {
                FailureKind::PreconditionFailed(format!("the content of {path} is not in the plan"))
            })?;
            Ok(to_write(path, spec, content.0.clone()))
        };
        request.files.iter().map(file).collect()
    }

    fn secret_contents(&self, request: &FilesRequest) -> Result<Vec<FileToWrite>, FailureKind> {
        let file = |(path, spec): (&String, &FileSpec)| {
            let template = spec.secret.clone().unwrap_or_default();
            let content = self.options.secrets.join(&template).map_err(unread)?;
            Ok(to_write(path, spec, content))
        };
        request.files.iter().map(file).collect()
    }

    /// What failed, without what the secrets hold: a daemon may quote what it was sent.
    fn redacted(&self, kind: FailureKind) -> FailureKind {
        let text = kind.to_string();
        let shown = self.options.secrets.redact(&text);
        match shown == text {
            true => kind,
            false => FailureKind::Host(HostError::Refused { status: 0, message: shown }),
        }
    }

    /// The last lines of a container that did not start or stay as it should.
    async fn last_lines_of(
        &self,
        host: &dyn Host,
        operation: &Operation,
        target: &str,
    ) -> Vec<String> {
        let ran = matches!(
            operation.action,
            Action::Start { .. }
                | Action::Restart { .. }
                | Action::AwaitReady { .. }
                | Action::AwaitExit { .. }
        );
        if !ran || self.options.last_lines == 0 {
            return Vec::new();
        }
        last_lines(host, target, self.options.last_lines).await
    }
}

/// The last lines that a container printed, cleaned; none where they cannot be had soon. They may hold
/// what its secrets hold.
pub async fn last_lines(host: &dyn Host, id: &str, most: u32) -> Vec<String> {
    let request = LogRequest { tail: Some(most), follow: false, timestamps: false };
    let read = async {
        let mut bytes = Vec::new();
        let mut stream = host.logs(id, request).await.ok()?;
        while let Some(Ok(chunk)) = stream.next().await {
            bytes.extend_from_slice(&chunk.bytes);
            if bytes.len() > LAST_LINES_BYTES {
                break;
            }
        }
        Some(bytes)
    };
    let bytes = tokio::time::timeout(LAST_LINES_DEADLINE, read).await.ok().flatten();
    clean::last_lines(&bytes.unwrap_or_default(), most as usize)
}

fn to_write(path: &str, spec: &FileSpec, content: Vec<u8>) -> FileToWrite {
    FileToWrite {
        path: path.to_owned(),
        content,
        mode: spec.mode,
        owner: spec.owner.clone(),
        keyed: spec.is_secret().then(|| spec.content.clone()),
    }
}

fn unread(name: String) -> FailureKind {
    FailureKind::PreconditionFailed(format!("the secret `{name}` was not read"))
}

/// How a step of an operation ended well.
pub(super) enum Step {
    /// It is done; the full ID of what it made.
    Done(Option<String>),
    /// The wait was cancelled.
    BrokenOff,
    /// The permit does not hold.
    Withheld(Withheld),
}

fn done(result: Result<(), HostError>) -> Result<Step, FailureKind> {
    result.map(|()| Step::Done(None)).map_err(FailureKind::from)
}

fn failed(kind: FailureKind, last_lines: Vec<String>) -> Ending {
    Ending::Failed(Failure { kind, last_lines })
}

/// Whether what was asked for may have happened although the call failed.
pub(super) fn is_uncertain(error: &HostError) -> bool {
    matches!(error, HostError::Deadline { .. } | HostError::Broken(_))
}

fn is_stopped(state: Option<ContainerState>) -> bool {
    matches!(
        state,
        None | Some(ContainerState::Exited | ContainerState::Created | ContainerState::Dead)
    )
}

/// When the outcome of a call is not known, or the container has gone, looks whether it is so.
/// What a call was for counts, not its reply.
async fn looked_at(
    host: &dyn Host,
    target: &str,
    result: Result<(), HostError>,
    is_so: impl Fn(Option<ContainerState>) -> bool,
) -> Result<(), HostError> {
    let error = match result {
        Err(error) if is_uncertain(&error) || matches!(error, HostError::NotFound(_)) => error,
        other => return other,
    };
    match host.container(target, false).await {
        Ok(seen) if is_so(seen.as_ref().map(|(container, _)| container.state)) => Ok(()),
        _ => Err(error),
    }
}

/// How an operation stands to what is there.
enum Standing {
    /// Its precondition holds.
    Holds,
    /// It is for taking something away, and that is gone.
    AlreadySo,
}

/// Checks the precondition, right before the call.
async fn check(host: &dyn Host, operation: &Operation) -> Result<Standing, FailureKind> {
    let takes_away = matches!(
        operation.action,
        Action::Stop { .. }
            | Action::RemoveContainer { .. }
            | Action::RemoveNetwork { .. }
            | Action::RemoveVolume { .. }
    );
    let (cluster, found) = match &operation.precondition {
        Precondition::None => return Ok(Standing::Holds),
        Precondition::Owned { id, name, cluster } => {
            let seen = host.container(id, false).await?;
            let found = seen.map(|(container, _)| container);
            if let Some(container) = found.as_ref().filter(|container| container.name != *name) {
                let change = format!("it was called {name} and is now {}", container.name);
                return Err(FailureKind::PreconditionFailed(change));
            }
            (cluster, found.map(|container| container.labels))
        }
        Precondition::OwnedObject { key, cluster } => {
            (cluster, object(host, operation, key).await?)
        }
    };
    match found {
        None if takes_away => Ok(Standing::AlreadySo),
        None => Err(FailureKind::PreconditionFailed("it was removed meanwhile".to_owned())),
        Some(labels) if labels.get(labels::CLUSTER) == Some(cluster) => Ok(Standing::Holds),
        Some(_) => {
            let change = format!("it no longer carries the label of cluster {cluster}");
            Err(FailureKind::PreconditionFailed(change))
        }
    }
}

/// The labels of a volume or a network; `None` when it is gone.
async fn object(
    host: &dyn Host,
    operation: &Operation,
    key: &str,
) -> Result<Option<BTreeMap<String, String>>, HostError> {
    if matches!(operation.action, Action::RemoveNetwork { .. }) {
        let network = host.networks().await?.into_iter().find(|network| network.id == key);
        return Ok(network.map(|network| network.labels));
    }
    let volume = host.volumes().await?.into_iter().find(|volume| volume.name == key);
    Ok(volume.map(|volume| volume.labels))
}

/// Counts a wait for as long as it lives.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    pub(super) fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
