//! The journal: entries for people and programs about each change and its cause. An implementation of [`Journal`]
//! writes them.

use serde::{Deserialize, Serialize};
use tally_reconcile::plan::Cause;

/// Defines the kinds with their words, so that none is missing from the list of all.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal,)*) => {
        /// The kind of an entry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum EntryKind {
            $($(#[$doc])* $kind,)*
        }

        impl EntryKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Returns the word for people and in JSON.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }
        }
    };
}

kinds! {
    /// The loop started.
    Began = "began",
    /// The loop ended.
    Ended = "ended",
    /// A new spec is followed.
    Spec = "spec",
    /// A changed spec is broken; the last good one is kept.
    BrokenSpec = "broken-spec",
    /// A host answers.
    HostReady = "host-ready",
    /// A host is unreachable.
    #[serde(rename = "host-silent")]
    HostUnreachable = "host-silent",
    /// A change was made: something is as specified again, or for the first time.
    Done = "done",
    /// Something failed.
    Failed = "failed",
    /// A container's liveness has failed.
    Unwell = "unwell",
    /// A rollout failed, and its workload is rolled back.
    RolledBack = "rolled-back",
    /// Something is blocked.
    #[serde(rename = "held")]
    Blocked = "held",
    /// Everything is as specified.
    Tallies = "tallies",
    /// This engine leads from now on.
    Leads = "leads",
    /// This engine no longer leads.
    StepsDown = "steps-down",
    /// Another engine leads.
    Follows = "follows",
    /// This engine does not stand for election, since its spec was superseded.
    StandsAside = "stands-aside",
    /// The store that engines share is unreachable.
    #[serde(rename = "store-silent")]
    StoreUnreachable = "store-silent",
    /// It answers again.
    StoreReady = "store-ready",
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Its kind.
    pub kind: EntryKind,
    /// The host; empty when it is about none.
    pub host: String,
    /// `controller/web`; empty when it is about none.
    pub workload: String,
    /// `web-0`; empty when it is about none.
    pub pod: String,
    /// One line.
    pub what: String,
    /// The cause of the change.
    pub cause: Option<Cause>,
    /// `file:line` of the spec.
    pub place: Option<String>,
}

impl JournalEntry {
    /// Creates an entry about no host or workload.
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

/// Receives entries.
pub trait Journal: Send + Sync {
    /// Takes an entry. It is called from within the loop, so it must not block for long.
    fn entry(&self, entry: &JournalEntry);
}

impl Journal for () {
    fn entry(&self, _: &JournalEntry) {}
}
