//! A shared store in memory, with etcd's semantics of a lease, a record and documents. The time is a parameter.

use std::time::Duration;

use tally_control::lease::{Document, Renewed, SpecRecord, StoreView, Taken, Term};

/// A value and the revision at which it was written.
type Kept<T> = Option<(T, i64)>;

/// The content of the store.
#[derive(Debug, Clone, Default)]
pub struct ModelStore {
    revision: i64,
    leader: Option<Leader>,
    record: Kept<SpecRecord>,
    declared: Kept<String>,
    memory: Option<String>,
}

#[derive(Debug, Clone)]
struct Leader {
    name: String,
    term: Term,
    lasts_ms: i64,
    until_ms: i64,
}

impl ModelStore {
    fn expire(&mut self, now_ms: i64) {
        self.leader.take_if(|leader| leader.until_ms <= now_ms);
    }

    fn holds(&self, term: Term) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader.term == term)
    }

    fn next_revision(&mut self) -> i64 {
        self.revision += 1;
        self.revision
    }

    /// Returns the holder of the lease.
    #[must_use]
    pub fn leader(&mut self, now_ms: i64) -> Option<String> {
        self.expire(now_ms);
        self.leader.as_ref().map(|leader| leader.name.clone())
    }

    /// Returns the current spec.
    #[must_use]
    pub fn record(&self) -> Option<&SpecRecord> {
        self.record.as_ref().map(|(record, _)| record)
    }

    /// Returns an observation of the store.
    #[must_use]
    pub fn look(&mut self, now_ms: i64) -> StoreView {
        self.expire(now_ms);
        let declared = self.declared.clone();
        StoreView {
            leader: self.leader.as_ref().map(|leader| leader.name.clone()),
            record: self.record().cloned(),
            record_revision: self.record.as_ref().map_or(0, |(_, revision)| *revision),
            declared_revision: declared.as_ref().map_or(0, |(_, revision)| *revision),
            declared: declared.and_then(|(text, _)| serde_json::from_str(&text).ok()),
        }
    }

    /// Takes the lease if it is free.
    #[must_use]
    pub fn take(&mut self, name: &str, lasts: Duration, now_ms: i64) -> Taken {
        self.expire(now_ms);
        if self.leader.is_some() {
            return Taken::Theirs(self.look(now_ms));
        }
        let revision = self.next_revision();
        let term = Term { lease: revision, key: revision };
        let lasts_ms = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX / 4);
        let until_ms = now_ms + lasts_ms;
        self.leader = Some(Leader { name: name.to_owned(), term, lasts_ms, until_ms });
        Taken::Ours { term, lasts, seen: self.look(now_ms), memory: self.memory.clone() }
    }

    /// Renews a lease.
    #[must_use]
    pub fn renew(&mut self, term: Term, now_ms: i64) -> Renewed {
        self.expire(now_ms);
        let Some(leader) = self.leader.as_mut().filter(|leader| leader.term == term) else {
            return Renewed::Over;
        };
        leader.until_ms = now_ms + leader.lasts_ms;
        let lasts = Duration::from_millis(u64::try_from(leader.lasts_ms).unwrap_or(0));
        Renewed::Longer { lasts, seen: self.look(now_ms) }
    }

    /// Gives a lease back.
    pub fn give_back(&mut self, term: Term) {
        self.leader.take_if(|leader| leader.term == term);
    }

    /// Publishes a spec.
    #[must_use]
    pub fn publish(
        &mut self,
        term: Term,
        after: i64,
        record: &SpecRecord,
        now_ms: i64,
    ) -> Option<i64> {
        self.expire(now_ms);
        let before = self.record.as_ref().map_or(0, |(_, revision)| *revision);
        if !self.holds(term) || before != after {
            return None;
        }
        let revision = self.next_revision();
        self.record = Some((record.clone(), revision));
        Some(revision)
    }

    /// Writes a document.
    #[must_use]
    pub fn write(&mut self, document: &Document, now_ms: i64) -> Option<i64> {
        self.expire(now_ms);
        match document {
            Document::Declared { text, after } => {
                let before = self.declared.as_ref().map_or(0, |(_, revision)| *revision);
                if before != *after {
                    return None;
                }
                let revision = self.next_revision();
                self.declared = Some((text.clone(), revision));
                Some(revision)
            }
            Document::Memory { text, term } => {
                if !self.holds(*term) {
                    return None;
                }
                self.memory = Some(text.clone());
                Some(self.next_revision())
            }
        }
    }
}
