//! The plan: a directed acyclic graph of operations. Every operation is one Docker call (or one
//! wait), with its cause, the place in the spec it comes from, the fields that differ, and what
//! must still be true when it is made. The plan decides; the executor obeys.

pub mod balance;
pub(crate) mod blocked;
pub(crate) mod builder;
pub(crate) mod pod_plan;
pub mod reason;
pub mod request;
pub mod subject;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tally_graph::FieldPath;
use tally_graph::schema::UpdateClass;
use tally_source::{Diagnostic, Severity, Span};

use crate::input::observed::Live;
use crate::plan::balance::Balance;
use crate::plan::reason::{Blocked, BlockedBy};
use crate::plan::request::{ContainerRequest, FilesRequest, NetworkRequest, Part, VolumeRequest};
use crate::plan::subject::Subject;

/// The number of an operation in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpId(pub u32);

/// A container that an operation is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One that was seen, by its full ID.
    Id(String),
    /// The one that an earlier operation of this plan creates.
    Created(OpId),
}

/// When a container counts as ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyRule {
    /// Whether its health check must be healthy.
    pub healthy: bool,
    /// It must have run so long since its own start, without a restart.
    pub running_ms: u64,
    /// Whether ending with exit code 0 counts as ready (pods that do not restart always).
    pub may_end: bool,
    /// The wait fails after so long.
    pub deadline_ms: u64,
}

/// What is done. Each variant is one call of the Docker API, or one wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Fetches an image. Of a tag that several hosts fetch all get what the first of them got.
    PullImage {
        /// In the form of [`tally_graph::ImageRef`].
        image: String,
    },
    /// Loads the image of infra containers.
    LoadInfraImage,
    /// Makes the cluster's network.
    CreateNetwork(NetworkRequest),
    /// Removes a network of ours.
    RemoveNetwork {
        /// Full ID.
        id: String,
    },
    /// Makes a volume.
    CreateVolume(VolumeRequest),
    /// Removes a volume of ours.
    RemoveVolume {
        /// Volumes have no ID.
        name: String,
    },
    /// Makes a container.
    CreateContainer(Box<ContainerRequest>),
    /// Writes files into a container, with the record beside them.
    WriteFiles {
        /// Into which.
        target: Target,
        /// What.
        files: FilesRequest,
    },
    /// Writes the files that hold secrets into the memory that a container shares with its infra
    /// container, with the record beside them.
    WriteSecrets {
        /// Whose.
        target: Target,
        /// What; each of them holds secrets.
        files: FilesRequest,
    },
    /// Starts a container.
    Start {
        /// Which.
        target: Target,
    },
    /// Stops a container.
    Stop {
        /// Which.
        target: Target,
        /// Time until it is killed, in seconds; Docker's own when `None`.
        grace_s: Option<u64>,
    },
    /// Stops and starts a container.
    Restart {
        /// Which.
        target: Target,
        /// Time until it is killed, in seconds; Docker's own when `None`.
        grace_s: Option<u64>,
    },
    /// Lets a paused container run on.
    Unpause {
        /// Which.
        target: Target,
    },
    /// Sends a signal.
    Signal {
        /// To which.
        target: Target,
        /// `SIGHUP`.
        signal: String,
    },
    /// Changes what can be changed while it runs.
    Update {
        /// Which.
        target: Target,
        /// The new settings.
        live: Live,
    },
    /// Removes a stopped container, and its anonymous volumes.
    RemoveContainer {
        /// Which.
        target: Target,
    },
    /// Waits until a container is ready.
    AwaitReady {
        /// Which.
        target: Target,
        /// What ready means.
        rule: ReadyRule,
    },
    /// Waits until a container has ended with exit code 0.
    AwaitExit {
        /// Which.
        target: Target,
        /// The wait fails after so long.
        deadline_ms: u64,
    },
}

/// The target of an action, borrowed as the action is.
macro_rules! target_of {
    ($action:expr) => {
        match $action {
            Action::WriteFiles { target, .. }
            | Action::WriteSecrets { target, .. }
            | Action::Start { target }
            | Action::Stop { target, .. }
            | Action::Restart { target, .. }
            | Action::Unpause { target }
            | Action::Signal { target, .. }
            | Action::Update { target, .. }
            | Action::RemoveContainer { target }
            | Action::AwaitReady { target, .. }
            | Action::AwaitExit { target, .. } => Some(target),
            _ => None,
        }
    };
}

impl Action {
    /// Whether it changes anything; waits do not.
    #[must_use]
    pub fn mutates(&self) -> bool {
        !matches!(self, Action::AwaitReady { .. } | Action::AwaitExit { .. })
    }

    /// What kind of operation it is, in a word for machines.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Action::PullImage { .. } => "pull-image",
            Action::LoadInfraImage => "load-infra-image",
            Action::CreateNetwork(_) => "create-network",
            Action::RemoveNetwork { .. } => "remove-network",
            Action::CreateVolume(_) => "create-volume",
            Action::RemoveVolume { .. } => "remove-volume",
            Action::CreateContainer(_) => "create-container",
            Action::WriteFiles { files, .. } if files.part == Part::Record => "record-files",
            Action::WriteFiles { .. } => "write-files",
            Action::WriteSecrets { files, .. } if files.part == Part::Record => "record-secrets",
            Action::WriteSecrets { .. } => "write-secrets",
            Action::Start { .. } => "start",
            Action::Stop { .. } => "stop",
            Action::Restart { .. } => "restart",
            Action::Unpause { .. } => "unpause",
            Action::Signal { .. } => "signal",
            Action::Update { .. } => "update",
            Action::RemoveContainer { .. } => "remove-container",
            Action::AwaitReady { .. } => "await-ready",
            Action::AwaitExit { .. } => "await-exit",
        }
    }

    /// The container it is about, if it is about one that exists by then.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        target_of!(self)
    }

    /// The same, to be changed.
    pub(crate) fn target_mut(&mut self) -> Option<&mut Target> {
        target_of!(self)
    }
}

/// Why an operation is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The spec asks for something that is not there.
    New,
    /// The spec has changed since it was applied.
    SpecChanged,
    /// What runs was changed outside the spec.
    Drift,
    /// The spec no longer asks for it.
    Gone,
    /// Another operation needs it.
    Needed,
}

/// What must still be true right before the call; checked by the executor, decided here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precondition {
    /// Nothing: the call itself refuses what must not happen (a create whose name is taken).
    None,
    /// The container still exists under this full ID, with this name and our labels.
    Owned {
        /// Full ID.
        id: String,
        /// Its name.
        name: String,
        /// Our cluster.
        cluster: String,
    },
    /// The volume or network still carries our cluster's label.
    OwnedObject {
        /// Its name (volumes) or full ID (networks).
        key: String,
        /// Our cluster.
        cluster: String,
    },
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Which.
    pub path: FieldPath,
    /// What stands there now; `None` when nothing does.
    pub old: Option<serde_json::Value>,
    /// What shall; `None` when nothing shall.
    pub new: Option<serde_json::Value>,
    /// What the change does.
    pub class: UpdateClass,
    /// Where the new value is written.
    pub origin: Option<Span>,
}

/// One Docker call, or one wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: OpId,
    /// On which host.
    pub host: String,
    /// What is done.
    pub action: Action,
    /// What it is about.
    pub subject: Subject,
    /// Why.
    pub cause: Cause,
    /// The place in the spec to point at when it fails.
    pub origin: Option<Span>,
    /// What must still be true.
    pub precondition: Precondition,
    /// Operations that must have succeeded before.
    pub after: Vec<OpId>,
}

/// What happens to one thing, for people: the lines of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What it is about.
    pub subject: Subject,
    /// On which host.
    pub host: String,
    /// What happens.
    pub kind: ChangeKind,
    /// Why.
    pub cause: Cause,
    /// One line that says what was found, for drift.
    pub note: Option<String>,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
    /// The node in the spec.
    pub origin: Option<Span>,
    /// The operations that carry it out.
    pub operations: Vec<OpId>,
}

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is made.
    Create,
    /// It is changed where it stands.
    Update,
    /// It is removed and made anew.
    Replace,
    /// It is removed.
    Remove,
}

/// What the hosts make reachable when the plan is applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reachable {
    /// On which host.
    pub host: String,
    /// `127.0.0.1:8080` or `8080`.
    pub publish: tally_graph::Publish,
    /// TCP or UDP.
    pub protocol: tally_graph::Protocol,
    /// The pod that answers.
    pub pod: String,
    /// The name of its port.
    pub port: String,
    /// Whether it is so already.
    pub already: bool,
}

/// A rollout of this plan that goes back by itself when it fails.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fallback {
    /// `controller/web`.
    pub workload: String,
    /// Whether there is something that it can go back to; else it stays where it is.
    pub goes_back: bool,
    /// The entry of the history that it goes back to; `None` where it is what its older pods run.
    pub entry: Option<u64>,
    /// The images that its containers run there, or why it stays.
    pub what: String,
}

/// How many pods of a workload there are, at the time the plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pods {
    /// Asked for.
    pub desired: usize,
    /// There, on a host that answers.
    pub placed: usize,
    /// Ready.
    pub ready: usize,
}

/// A plan.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The cluster it is for.
    pub cluster: String,
    /// Its operations, by number.
    pub operations: Vec<Operation>,
    /// The same for people.
    pub changes: Vec<Change>,
    /// Published addresses.
    pub reachable: Vec<Reachable>,
    /// What changed pods can do to their host, in words.
    pub powers: Vec<String>,
    /// What the spec asks for and this plan does not do, with the reasons.
    pub blocked: Vec<Blocked>,
    /// Rollouts that go back by themselves when they fail.
    pub fallbacks: Vec<Fallback>,
    /// How many pods each workload has, by address.
    pub pods: BTreeMap<String, Pods>,
    /// What evening out comes to, where somebody asked for it.
    pub balance: Option<Balance>,
    /// Why things that should change cannot, and what is not acted on yet. Errors stop the plan.
    pub diagnostics: Vec<Diagnostic>,
    /// How many pods were compared field by field. The others were seen at a glance to have nothing to do, which
    /// is what makes the plan of a calm cluster quick.
    pub compared: usize,
}

impl Plan {
    /// Whether nothing would be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.operations.iter().any(|operation| operation.action.mutates())
    }

    /// Whether there is an error: then there is nothing to do in it.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// The workloads that are as they shall be, ready, with nothing to do and nothing held back. What
    /// went back is as it shall be. A plan that an error has cleared says nothing of any, and one without
    /// pods nothing of what they would be.
    #[must_use]
    pub fn settled(&self) -> BTreeSet<String> {
        if self.has_errors() {
            return BTreeSet::new();
        }
        let changing = self.operations.iter().filter(|operation| operation.action.mutates());
        let mut open: BTreeSet<Cow<'_, str>> =
            changing.map(|operation| operation.subject.address()).collect();
        let blocked = self.blocked.iter().filter(|it| it.reason.by() != BlockedBy::RolledBack);
        open.extend(blocked.map(|it| it.subject.address()));
        let ready = self
            .pods
            .iter()
            .filter(|(_, pods)| (1..).contains(&pods.desired) && pods.ready == pods.desired);
        let settled = ready.filter(|(address, _)| !open.contains(address.as_str()));
        settled.map(|(address, _)| address.clone()).collect()
    }

    /// The operation with that number.
    #[must_use]
    pub fn operation(&self, id: OpId) -> Option<&Operation> {
        self.operations.get(id.0 as usize)
    }
}
