//! Saved plans: a plan with the graph that it was made from.
//!
//! A plan is never executed as it was saved. It is made again from the same graph and compared: if they differ, the
//! cluster has changed since and the saved plan is refused.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tally_graph::Graph;
use tally_reconcile::Options;
use tally_reconcile::plan::balance::Balance;
use tally_reconcile::plan::reason::{Awaits, Blocked, BlockedBy};
use tally_reconcile::plan::subject::Subject;
use tally_reconcile::plan::{Change, Fallback, Operation, Plan, Pods, Reachable};
use tally_source::{Diagnostic, Span};

use crate::errors::CliError;
use crate::show::blocked::help;

/// The version of the format.
const FORMAT: u32 = 1;
/// The start of a saved plan, so that it is not read as a spec.
const MARK: &str = "tally plan";

/// A saved plan.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    mark: String,
    format: u32,
    /// The folder of the spec, for simulated hosts.
    pub folder: String,
    /// The workload of `--target`.
    pub target: Option<String>,
    /// Whether it removes everything.
    pub destroy: bool,
    /// Whether it removes named volumes too. Plans saved before this field existed never did.
    #[serde(default)]
    pub remove_volumes: bool,
    /// Whether it contains moves that only rebalance.
    #[serde(default)]
    pub rebalance: bool,
    /// The graph.
    pub graph: Graph,
    /// The plan.
    plan: SavedPlan,
}

/// The form of a plan in a file. Only its operations are compared with a new plan; the others are for people.
#[derive(Serialize, Deserialize)]
struct SavedPlan {
    cluster: String,
    operations: Vec<Operation>,
    changes: Vec<Change>,
    reachable: Vec<Reachable>,
    #[serde(rename = "powers")]
    host_access: Vec<String>,
    #[serde(default)]
    held: Vec<SavedBlocked>,
    #[serde(default)]
    fallbacks: Vec<Fallback>,
    #[serde(default)]
    pods: BTreeMap<String, Pods>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    balance: Option<Balance>,
    diagnostics: Vec<Diagnostic>,
}

/// A blocked change.
#[derive(Serialize, Deserialize)]
struct SavedBlocked {
    subject: Subject,
    host: String,
    why: SavedReason,
    origin: Option<Span>,
}

/// The reason, as text.
#[derive(Serialize, Deserialize)]
struct SavedReason {
    reason: String,
    help: Option<String>,
    #[serde(default)]
    awaits: Awaits,
    #[serde(default = "other")]
    by: BlockedBy,
}

/// Returns the kind of a reason that was saved before reasons had kinds.
fn other() -> BlockedBy {
    BlockedBy::Other
}

impl From<Plan> for SavedPlan {
    fn from(plan: Plan) -> Self {
        // Every field is named, so that a new one is not forgotten here.
        let Plan {
            cluster,
            operations,
            changes,
            reachable,
            host_access,
            blocked,
            fallbacks,
            pods,
            balance,
            diagnostics,
            compared: _,
        } = plan;
        let held = blocked.into_iter().map(SavedBlocked::from).collect();
        Self {
            cluster,
            operations,
            changes,
            reachable,
            host_access,
            held,
            fallbacks,
            pods,
            balance,
            diagnostics,
        }
    }
}

impl From<Blocked> for SavedBlocked {
    fn from(blocked: Blocked) -> Self {
        let Blocked { subject, host, reason, origin } = blocked;
        let why = SavedReason {
            help: help(&reason),
            awaits: reason.awaits(),
            by: reason.by(),
            reason: reason.to_string(),
        };
        Self { subject, host: host.unwrap_or_default(), why, origin }
    }
}

impl Saved {
    /// The contents of a saved plan: `target` as typed, and the other options.
    #[must_use]
    pub fn new(
        graph: Graph,
        plan: Plan,
        folder: &Path,
        target: Option<String>,
        options: &Options,
    ) -> Self {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Self {
            mark: MARK.to_owned(),
            format: FORMAT,
            folder: folder.display().to_string(),
            target,
            destroy: options.destroy,
            remove_volumes: options.remove_volumes,
            rebalance: options.rebalance,
            graph,
            plan: plan.into(),
        }
    }

    /// Writes the plan; only its owner may read it, because it contains the files of the spec.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CliError> {
        use std::io::Write as _;
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let failed = |error| CliError::File(format!("cannot write `{}`", path.display()), error);
        let text = serde_json::to_vec(self).map_err(|e| CliError::Internal(e.to_string()))?;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        // A file that exists keeps its permissions when it is opened.
        if file.metadata().map_err(failed)?.is_file() {
            let owner_only = std::fs::Permissions::from_mode(0o600);
            file.set_permissions(owner_only).map_err(failed)?;
        }
        file.write_all(&text).map_err(failed)
    }

    /// Reads a file if it is a saved plan; `None` otherwise.
    ///
    /// # Errors
    /// If it is a saved plan of another version, or damaged.
    pub fn read(path: &Path) -> Result<Option<Self>, CliError> {
        if !path.is_file() {
            return Ok(None);
        }
        let failed = |error| CliError::File(format!("cannot read `{}`", path.display()), error);
        let bytes = std::fs::read(path).map_err(failed)?;
        let begins = format!("{{\"mark\":\"{MARK}\",\"format\":");
        if !bytes.starts_with(begins.as_bytes()) {
            return Ok(None);
        }
        let damaged = |what: String| {
            let help = "Create it again with `tally plan --out FILE`.".to_owned();
            CliError::Usage(format!("`{}` {what}", path.display()), help)
        };
        if !bytes.starts_with(format!("{begins}{FORMAT},").as_bytes()) {
            return Err(damaged("was saved by another version of Tally".to_owned()));
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| damaged(format!("is a damaged saved plan: {error}")))
    }

    /// Returns the operations that were agreed to.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.plan.operations
    }
}
