//! What was done and why: entries for people and machines, written by whoever hears them.

use serde::{Deserialize, Serialize};
use tally_reconcile::plan::Cause;

/// Makes the kinds with their words, so that none is missing among all of them.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal,)*) => {
        /// What an entry tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum EntryKind {
            $($(#[$doc])* $kind,)*
        }

        impl EntryKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The word for people and in JSON.
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
    /// The loop began.
    Began = "began",
    /// The loop ended.
    Ended = "ended",
    /// A new spec is followed.
    Spec = "spec",
    /// A changed spec is broken; the last good one is kept.
    BrokenSpec = "broken-spec",
    /// A host answers.
    HostReady = "host-ready",
    /// A host does not answer.
    HostSilent = "host-silent",
    /// Something is as it should be again, or for the first time.
    Done = "done",
    /// Something could not be done.
    Failed = "failed",
    /// A container's liveness has failed.
    Unwell = "unwell",
    /// A rollout failed, and its workload goes back to what it was.
    RolledBack = "rolled-back",
    /// Something is blocked.
    #[serde(rename = "held")]
    Blocked = "held",
    /// All is as the spec says.
    Tallies = "tallies",
    /// This engine leads from now on.
    Leads = "leads",
    /// This engine leads no longer.
    StepsDown = "steps-down",
    /// Another engine leads.
    Follows = "follows",
    /// This engine would not lead, since its spec was superseded.
    StandsAside = "stands-aside",
    /// The store that engines share does not answer.
    StoreSilent = "store-silent",
    /// It answers again.
    StoreReady = "store-ready",
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
