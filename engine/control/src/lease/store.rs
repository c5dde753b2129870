//! The store that engines share, and its contents.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tally_reconcile::memory::Declarations;

/// Maximum number of hashes of earlier specs that are kept.
pub const MOST_EARLIER: usize = 64;
/// The largest document that is shared, in bytes; etcd takes 1.5 MiB in all.
pub const MOST_SHARED_BYTES: usize = 1 << 20;

/// A term of leading, as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The lease.
    pub lease: i64,
    /// Distinguishes the leader's key of this term from that of any other.
    pub key: i64,
}

/// The published spec.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpecRecord {
    /// Counts up with each spec that was published.
    pub epoch: u64,
    /// `Graph::fingerprint` of the spec.
    pub hash: String,
    /// The engine that published it.
    pub who: String,
    /// When, in milliseconds since 1970 by that engine's clock; only shown.
    pub at_ms: i64,
    /// The hashes of specs before it, newest first.
    pub earlier: Vec<String>,
}

/// How a spec compares to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreVerdict {
    /// It is the newest.
    Current,
    /// It was never published.
    New,
    /// It was published, and another one since.
    Superseded,
}

impl SpecRecord {
    /// Compares the spec with that hash to the published one.
    #[must_use]
    pub fn verdict(record: Option<&Self>, hash: &str) -> StoreVerdict {
        match record {
            None => StoreVerdict::New,
            Some(record) if record.hash == hash => StoreVerdict::Current,
            Some(record) if record.earlier.iter().any(|it| it == hash) => StoreVerdict::Superseded,
            Some(_) => StoreVerdict::New,
        }
    }

    /// Returns the record once `hash` is published after `before`.
    #[must_use]
    pub fn next(before: Option<&Self>, hash: &str, who: &str, at_ms: i64) -> Self {
        let epoch = before.map_or(0, |before| before.epoch).saturating_add(1);
        let newest = before.map(|before| before.hash.clone());
        let older = before.map(|before| before.earlier.clone()).unwrap_or_default();
        let earlier = newest.into_iter().chain(older).filter(|it| it != hash);
        let earlier = earlier.take(MOST_EARLIER).collect();
        Self { epoch, hash: hash.to_owned(), who: who.to_owned(), at_ms, earlier }
    }
}

/// The contents of the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreView {
    /// The name of the engine that leads, if one does.
    pub leader: Option<String>,
    /// The published spec.
    pub record: Option<SpecRecord>,
    /// The record's revision; 0 while there is none.
    pub record_revision: i64,
    /// The declarations; `None` while there never were any, or where they cannot be read.
    pub declared: Option<Declarations>,
    /// The revision of the declarations; 0 while there are none.
    pub declared_revision: i64,
}

/// The result of asking for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is ours.
    Ours {
        /// The term that begins.
        term: Term,
        /// How long it lasts from when it was asked for.
        lasts: Duration,
        /// The contents of the store.
        seen: StoreView,
        /// The memory of the last leader.
        memory: Option<String>,
    },
    /// Another engine has it.
    Theirs(StoreView),
}

/// The result of renewing the lease.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and not for long")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// It lasts longer.
    Longer {
        /// For how long, from when that was asked for.
        lasts: Duration,
        /// The contents of the store.
        seen: StoreView,
    },
    /// It has ended.
    Over,
}

/// A document beside the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// The declarations, if their revision is still that one.
    Declared {
        /// The declarations.
        text: String,
        /// The revision that it comes after; 0 when there must be none.
        after: i64,
    },
    /// The memory of the leader, as long as it leads.
    Memory {
        /// The memory.
        text: String,
        /// The term in which it leads.
        term: Term,
    },
}

/// Why a call of the store failed. Whether it had an effect is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or gave no answer in time.
    #[error("{0}")]
    Unreachable(String),
    /// It refused.
    #[error("it refused: {0}")]
    Refused(String),
    /// Its contents or its answer cannot be understood.
    #[error("{0}")]
    Unreadable(String),
}

/// The store that several engines of one cluster share. A second trait beside `Host`, since the simulation must
/// lose, delay and repeat the answers of a store.
///
/// Each call ends by itself within a deadline that the store was made with.
#[async_trait]
pub trait Store: Send + Sync {
    /// Reads the contents.
    async fn look(&self) -> Result<StoreView, StoreError>;

    /// Takes the lease under that name if nobody has it.
    async fn take(&self, name: &str, lasts: Duration) -> Result<Taken, StoreError>;

    /// Makes it last as long again, from now.
    async fn renew(&self, term: Term) -> Result<Renewed, StoreError>;

    /// Gives it back; it is no error when it has ended already.
    async fn give_back(&self, term: Term) -> Result<(), StoreError>;

    /// Publishes a spec, if the term lasts and the record's revision is still `after`; the new
    /// revision, or `None` where one of the two was not so.
    async fn publish(
        &self,
        term: Term,
        after: i64,
        record: &SpecRecord,
    ) -> Result<Option<i64>, StoreError>;

    /// Writes a document. Returns its new revision, or `None` where its condition did not hold.
    async fn write(&self, document: &Document) -> Result<Option<i64>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_superseded_by_the_ones_after_it_until_it_is_published_again() {
        let verdict = |record: &SpecRecord, hash| SpecRecord::verdict(Some(record), hash);
        assert_eq!(SpecRecord::verdict(None, "a"), StoreVerdict::New);
        let first = SpecRecord::next(None, "a", "one", 5);
        let second = SpecRecord::next(Some(&first), "b", "two", 6);
        assert_eq!((second.epoch, second.who.as_str()), (2, "two"));
        assert_eq!(verdict(&second, "a"), StoreVerdict::Superseded);
        assert_eq!(verdict(&second, "b"), StoreVerdict::Current);
        assert_eq!(verdict(&second, "c"), StoreVerdict::New);
        let third = SpecRecord::next(Some(&second), "a", "one", 7);
        assert_eq!((third.epoch, verdict(&third, "a")), (3, StoreVerdict::Current));
        assert_eq!(verdict(&third, "b"), StoreVerdict::Superseded);
        assert_eq!(third.earlier, ["b"], "what counts again is no earlier one");
    }

    #[test]
    fn the_history_is_bounded() {
        let mut record = SpecRecord::default();
        for number in 0..1_000 {
            record = SpecRecord::next(Some(&record), &format!("{number}"), "one", 0);
        }
        assert_eq!(record.earlier.len(), MOST_EARLIER);
        assert_eq!(record.earlier.first().map(String::as_str), Some("998"));
    }
}
