//! The plan: a directed acyclic graph of operations. Every operation is one Docker call (or one wait), with
//! its cause, the position in the spec that it comes from, the fields that differ, and the precondition
//! that must hold when it is made. The plan decides; the executor obeys.

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
use crate::plan::request::{
    ContainerRequest, FilesPart, FilesRequest, NetworkRequest, VolumeRequest,
};
use crate::plan::subject::Subject;

/// The number of an operation in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpId(pub u32);

/// A container that an operation is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// An observed container, by its full ID.
    Id(String),
    /// The container that an earlier operation of this plan creates.
    Created(OpId),
}

/// The condition under which a container counts as ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyRule {
    /// Whether its health check must be healthy.
    pub healthy: bool,
    /// Minimum time since its last start, without a restart, in milliseconds.
    pub running_ms: u64,
    /// Whether ending with exit code 0 counts as ready (pods that are not always restarted).
    pub may_end: bool,
    /// Time after which the wait fails, in milliseconds.
    pub deadline_ms: u64,
}

/// The action of an operation. Each variant is one call of the Docker API, or one wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Pulls an image. If several hosts pull the same tag, all get the image that the first of them got.
    PullImage {
        /// In the form of [`tally_graph::ImageRef`].
        image: String,
    },
    /// Loads the image of infra containers.
    LoadInfraImage,
    /// Creates the cluster's network.
    CreateNetwork(NetworkRequest),
    /// Removes a network of the cluster.
    RemoveNetwork {
        /// Full ID.
        id: String,
    },
    /// Creates a volume.
    CreateVolume(VolumeRequest),
    /// Removes a volume of the cluster.
    RemoveVolume {
        /// Its name: volumes have no ID.
        name: String,
    },
    /// Creates a container.
    CreateContainer(Box<ContainerRequest>),
    /// Writes files into a container, with the record beside them.
    WriteFiles {
        /// The container.
        target: Target,
        /// The files.
        files: FilesRequest,
    },
    /// Writes the files with secrets into the memory that a container shares with its infra container, with
    /// the record beside them.
    WriteSecrets {
        /// The container that uses them.
        target: Target,
        /// The files; each of them contains secrets.
        files: FilesRequest,
    },
    /// Starts a container.
    Start {
        /// The container.
        target: Target,
    },
    /// Stops a container.
    Stop {
        /// The container.
        target: Target,
        /// Time until it is killed, in seconds; Docker's default when `None`.
        grace_s: Option<u64>,
    },
    /// Stops and starts a container.
    Restart {
        /// The container.
        target: Target,
        /// Time until it is killed, in seconds; Docker's default when `None`.
        grace_s: Option<u64>,
    },
    /// Unpauses a paused container.
    Unpause {
        /// The container.
        target: Target,
    },
    /// Sends a signal.
    Signal {
        /// The container.
        target: Target,
        /// The signal: `SIGHUP`.
        signal: String,
    },
    /// Changes the settings that can be changed while a container runs.
    Update {
        /// The container.
        target: Target,
        /// The new settings.
        live: Live,
    },
    /// Renames a container. It succeeds if the container has the name already.
    Rename {
        /// The container.
        target: Target,
        /// Its new name.
        name: String,
    },
    /// Removes a stopped container, and its anonymous volumes.
    RemoveContainer {
        /// The container.
        target: Target,
    },
    /// Waits until a container is ready.
    AwaitReady {
        /// The container.
        target: Target,
        /// The condition.
        rule: ReadyRule,
    },
    /// Waits until a container has ended with exit code 0.
    AwaitExit {
        /// The container.
        target: Target,
        /// Time after which the wait fails, in milliseconds.
        deadline_ms: u64,
    },
}

/// Returns the target of an action, as a shared or a mutable borrow like the action.
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
            | Action::Rename { target, .. }
            | Action::RemoveContainer { target }
            | Action::AwaitReady { target, .. }
            | Action::AwaitExit { target, .. } => Some(target),
            _ => None,
        }
    };
}

impl Action {
    /// Checks whether it changes anything; waits do not.
    #[must_use]
    pub fn mutates(&self) -> bool {
        !matches!(self, Action::AwaitReady { .. } | Action::AwaitExit { .. })
    }

    /// Returns the kind of the operation, in one word for programs.
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
            Action::WriteFiles { files, .. } if files.part == FilesPart::Record => "record-files",
            Action::WriteFiles { .. } => "write-files",
            Action::WriteSecrets { files, .. } if files.part == FilesPart::Record => {
                "record-secrets"
            }
            Action::WriteSecrets { .. } => "write-secrets",
            Action::Start { .. } => "start",
            Action::Stop { .. } => "stop",
            Action::Restart { .. } => "restart",
            Action::Unpause { .. } => "unpause",
            Action::Signal { .. } => "signal",
            Action::Update { .. } => "update",
            Action::Rename { .. } => "rename",
            Action::RemoveContainer { .. } => "remove-container",
            Action::AwaitReady { .. } => "await-ready",
            Action::AwaitExit { .. } => "await-exit",
        }
    }

    /// Returns the container that it refers to, if that exists when the operation starts.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        target_of!(self)
    }

    /// Returns the target to change it.
    pub(crate) fn target_mut(&mut self) -> Option<&mut Target> {
        target_of!(self)
    }
}

/// The cause of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The spec asks for an object that does not exist.
    New,
    /// The spec has changed since it was applied.
    SpecChanged,
    /// A container was changed outside the spec.
    Drift,
    /// The spec does not ask for it any more.
    Gone,
    /// Another operation needs it.
    Needed,
}

/// The condition that must hold right before the call. The planner sets it, the executor checks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precondition {
    /// None: the call itself is refused when it must not happen (a create whose name is taken).
    None,
    /// The container still exists under this full ID, with this name and Tally's labels.
    Owned {
        /// Full ID.
        id: String,
        /// Its name.
        name: String,
        /// The cluster in its label.
        cluster: String,
    },
    /// The volume or network still has the cluster's label.
    OwnedObject {
        /// Its name (volumes) or full ID (networks).
        key: String,
        /// The cluster in its label.
        cluster: String,
    },
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its path.
    pub path: FieldPath,
    /// The current value; `None` if the field is not set.
    pub old: Option<serde_json::Value>,
    /// The new value; `None` if the field is removed.
    pub new: Option<serde_json::Value>,
    /// The effect of the change.
    pub class: UpdateClass,
    /// The position of the new value in the spec.
    pub origin: Option<Span>,
}

/// One Docker call, or one wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: OpId,
    /// The host that it is made on.
    pub host: String,
    /// The Docker call, or the wait.
    pub action: Action,
    /// The object that it is about.
    pub subject: Subject,
    /// The cause.
    pub cause: Cause,
    /// The position in the spec to point at when it fails.
    pub origin: Option<Span>,
    /// The condition that must hold right before it.
    pub precondition: Precondition,
    /// Operations that must succeed first.
    pub after: Vec<OpId>,
    /// For an operation that undoes another one: when it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
}

/// When an operation is needed that undoes another one. The plan as a whole undoes nothing: only a replacement that
/// fails before the new containers run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// It is needed if one of these fails or is skipped.
    pub unless: Vec<OpId>,
    /// The operation that it undoes: if that was not started, there is nothing to undo. `None` if an earlier plan
    /// carried it out.
    pub of: Option<OpId>,
}

/// The change of one object, for people: the lines of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The object.
    pub subject: Subject,
    /// The host that it is on.
    pub host: String,
    /// The kind of change.
    pub kind: ChangeKind,
    /// The cause.
    pub cause: Cause,
    /// The finding in one line, for drift.
    pub note: Option<String>,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
    /// The position of the node in the spec.
    pub origin: Option<Span>,
    /// The operations that carry it out.
    pub operations: Vec<OpId>,
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The object is created.
    Create,
    /// The object is changed in place.
    Update,
    /// The object is removed and created again.
    Replace,
    /// The object is removed.
    Remove,
}

/// An address that is reachable after the plan is applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reachable {
    /// The host.
    pub host: String,
    /// `127.0.0.1:8080` or `8080`.
    pub publish: tally_graph::Publish,
    /// TCP or UDP.
    pub protocol: tally_graph::Protocol,
    /// The pod that answers.
    pub pod: String,
    /// The name of its port.
    pub port: String,
    /// Whether it is reachable already.
    pub already: bool,
}

/// A rollout of this plan that is rolled back automatically when it fails.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fallback {
    /// The address of the workload: `controller/web`.
    pub workload: String,
    /// Whether there is a revision to roll back to; otherwise a failed rollout stays.
    #[serde(rename = "goes_back")]
    pub can_roll_back: bool,
    /// The entry of the history to roll back to; `None` if it is the revision of the older pods.
    pub entry: Option<u64>,
    /// The images of the containers of that revision, or the reason why there is none.
    pub what: String,
}

/// The number of pods of a workload when the plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pods {
    /// Pods that the spec asks for.
    pub desired: usize,
    /// Pods on hosts that answer.
    pub placed: usize,
    /// Ready pods.
    pub ready: usize,
}

/// A plan for a cluster.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The name of the cluster.
    pub cluster: String,
    /// Its operations, by number.
    pub operations: Vec<Operation>,
    /// The changes that the operations carry out, for people.
    pub changes: Vec<Change>,
    /// Published addresses.
    pub reachable: Vec<Reachable>,
    /// The access to its host that changed pods get, in words.
    pub host_access: Vec<String>,
    /// Changes that the spec asks for and this plan does not make, with the reasons.
    pub blocked: Vec<Blocked>,
    /// Rollouts that are rolled back automatically when they fail.
    pub fallbacks: Vec<Fallback>,
    /// How many pods each workload has, by address.
    pub pods: BTreeMap<String, Pods>,
    /// The report of a rebalancing, if one was requested.
    pub balance: Option<Balance>,
    /// Reasons why objects cannot be changed, and findings without an operation. With an error the plan is
    /// empty.
    pub diagnostics: Vec<Diagnostic>,
    /// Number of pods that were compared field by field. The fast path recognised the others as up to date,
    /// which makes planning fast in the steady state.
    pub compared: usize,
}

impl Plan {
    /// Checks whether the plan changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.operations.iter().any(|operation| operation.action.mutates())
    }

    /// Checks whether there is an error: then the plan has no operations.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// Returns the workloads that are up to date and ready, with no operations and nothing blocked. A
    /// workload that was rolled back is up to date with its previous revision. A plan with an error, or
    /// without pods, returns none.
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

    /// Returns the operation with that number.
    #[must_use]
    pub fn operation(&self, id: OpId) -> Option<&Operation> {
        self.operations.get(id.0 as usize)
    }
}
