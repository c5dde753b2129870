//! What was done and why: entries for people and machines, written by whoever hears them.

use serde::{Deserialize, Serialize};
use tally_reconcile::plan::Cause;

/// What an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// The loop began.
    Began,
    /// The loop ended.
    Ended,
    /// A new spec is followed.
    Spec,
    /// A changed spec is broken; the last good one is kept.
    BrokenSpec,
    /// A host answers.
    HostReady,
    /// A host does not answer.
    HostSilent,
    /// Something is as it should be again, or for the first time.
    Done,
    /// Something could not be done.
    Failed,
    /// A container's liveness has failed.
    Unwell,
    /// A rollout failed, and its workload goes back to what it was.
    RolledBack,
    /// Something is held back.
    Held,
    /// All is as the spec says.
    Tallies,
    /// This engine leads from now on.
    Leads,
    /// This engine leads no longer.
    StepsDown,
    /// Another engine leads.
    Follows,
    /// This engine would not lead, since its spec was superseded.
    StandsAside,
    /// The store that engines share does not answer.
    StoreSilent,
    /// It answers again.
    StoreReady,
}

impl EntryKind {
    /// The word for people and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            EntryKind::Began => "began",
            EntryKind::Ended => "ended",
            EntryKind::Spec => "spec",
            EntryKind::BrokenSpec => "broken-spec",
            EntryKind::HostReady => "host-ready",
            EntryKind::HostSilent => "host-silent",
            EntryKind::Done => "done",
            EntryKind::Failed => "failed",
            EntryKind::Unwell => "unwell",
            EntryKind::RolledBack => "rolled-back",
            EntryKind::Held => "held",
            EntryKind::Tallies => "tallies",
            EntryKind::Leads => "leads",
            EntryKind::StepsDown => "steps-down",
            EntryKind::Follows => "follows",
            EntryKind::StandsAside => "stands-aside",
            EntryKind::StoreSilent => "store-silent",
            EntryKind::StoreReady => "store-ready",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What kind of thing.
    pub kind: EntryKind,
    /// On which host; empty when on none.
    pub host: String,
    /// `controller/web`; empty when it is about none.
    pub workload: String,
    /// `web-0`; empty when it is about none.
    pub pod: String,
    /// One line.
    pub what: String,
    /// Why it was done.
    pub cause: Option<Cause>,
    /// `file:line` of the spec.
    pub place: Option<String>,
}

impl Entry {
    /// An entry about nothing in particular.
    #[must_use]
    pub fn new(at_ms: i64, kind: EntryKind, what: String) -> Self {
        let nothing = String::new;
        Self {
            at_ms,
            kind,
            host: nothing(),
            workload: nothing(),
            pod: nothing(),
            what,
            cause: None,
            place: None,
        }
    }
}

/// Hears what happens.
pub trait Journal: Send + Sync {
    /// Something happened. It is called from within the loop, so it must not block for long.
    fn entry(&self, entry: &Entry);
}

impl Journal for () {
    fn entry(&self, _: &Entry) {}
}
