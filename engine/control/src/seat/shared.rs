//! What engines of one cluster share beside the lease: what people declared anywhere, and what the
//! leader remembers, which the store knows before a plan begins.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tally_reconcile::memory::{Backoff, Declarations, Memory};
use tally_reconcile::plan::Plan;

use super::{Answered, Written};
use crate::backoff::pause_ms;
use crate::controller::{Controller, News};
use crate::journal::EntryKind;
use crate::lease::{Document, MOST_SHARED_BYTES, StoreError};

/// A document that could not be written is tried again after so long, in milliseconds.
const WRITE_AGAIN_MS: u64 = 500;

/// What another engine needs to know that takes over.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct HandedOver {
    /// The pods that were on each host, or were begun to be made there.
    hosts: BTreeMap<String, BTreeSet<String>>,
    backoff: BTreeMap<String, BTreeMap<String, Backoff>>,
}

impl HandedOver {
    pub(super) fn of(memory: &Memory) -> String {
        let hosts = memory.learned.hosts.iter();
        let hosts = hosts.filter_map(|(name, host)| Some((name.clone(), host.pods.clone()?)));
        let all = Self { hosts: hosts.collect(), backoff: memory.learned.backoff.clone() };
        serde_json::to_string(&all).unwrap_or_default()
    }

    /// What was known of a host that answers is seen anew; of one that does not, all that one of the two
    /// knows may be there, and no more.
    pub(super) fn add_to(self, memory: &mut Memory, now_ms: i64) {
        for host in memory.learned.hosts.values_mut() {
            host.may_have_more = false;
        }
        for (name, pods) in self.hosts {
            memory.learned.hosts.entry(name).or_default().pods.get_or_insert_default().extend(pods);
        }
        for (host, pods) in self.backoff {
            let known = memory.learned.backoff.entry(host).or_default();
            for (pod, mut backoff) in pods {
                // Its clock may be another: from now on it is no longer than it was then.
                let longest = now_ms.saturating_add(pause_ms(backoff.crashes));
                backoff.until_ms = backoff.until_ms.min(longest);
                known.entry(pod).or_insert(backoff);
            }
        }
    }
}

impl Controller {
    /// A plan is to be carried out: at once, or when the store knows what it makes.
    pub(crate) fn begin_shared(&mut self, plan: Plan) {
        let text = match &self.seat {
            None => return self.begin(plan),
            Some(_) => HandedOver::of(&self.memory),
        };
        let Some(seat) = &mut self.seat else { return };
        let is_large = text.len() > MOST_SHARED_BYTES;
        if seat.remembered == text || is_large {
            if is_large {
                self.tell_fault("what is remembered is too large to be shared");
            }
            return self.begin(plan);
        }
        seat.waiting = Some((plan, text));
        self.share_memory();
    }

    pub(super) fn share_memory(&mut self) {
        let Some(seat) = &mut self.seat else { return };
        let now_ms = seat.clock.now_ms();
        let Some((_, text)) = &seat.waiting else { return };
        let text = text.clone();
        if seat.writing || now_ms < seat.write_at_ms {
            return;
        }
        let Some(term) = seat.lease.term(now_ms).filter(|_| seat.permit.ask().is_ok()) else {
            seat.waiting = None;
            return;
        };
        let document = Document::Memory { text: text.clone(), term };
        seat.write(document, move |written| Answered::Memory(text, written));
    }

    pub(super) fn memory_written(&mut self, text: String, written: Written) -> Option<StoreError> {
        let seat = self.seat.as_mut()?;
        seat.writing = false;
        match written {
            Ok(Some(_)) => {
                let waited = seat.waiting.take_if(|(_, waits)| *waits == text);
                seat.remembered = text;
                match waited.filter(|_| seat.permit.ask().is_ok()) {
                    Some((plan, _)) => self.begin(plan),
                    None => self.dirty = true,
                }
                None
            }
            Ok(None) => {
                // The term is over; renewing shows that.
                seat.waiting = None;
                self.dirty = true;
                None
            }
            Err(error) => {
                seat.write_at_ms = seat.clock.now_ms().saturating_add(WRITE_AGAIN_MS);
                Some(error)
            }
        }
    }

    /// Puts what was declared here into the store.
    pub(super) fn share_declared(&mut self) {
        let Some(seat) = &mut self.seat else { return };
        let is_due = seat.lease.has_looked() && seat.clock.now_ms() >= seat.write_at_ms;
        let can_be_read = seat.lease.seen().declared_revision == seat.common_revision;
        if !seat.is_moved || seat.writing || !is_due || !can_be_read {
            return;
        }
        seat.is_moved = false;
        let ours = self.memory.declared.clone();
        if ours == seat.common.declared {
            return;
        }
        let text = serde_json::to_string(&ours).unwrap_or_default();
        if text.len() > MOST_SHARED_BYTES {
            return self.tell_fault("what is declared is too large to be shared");
        }
        // Noted first: the answer may be lost, and this process may end.
        seat.common.trying(seat.common_revision, &ours);
        let stored = self.storage.shared(&seat.common, &ours);
        let document = Document::Declared { text, after: seat.common_revision };
        seat.write(document, move |written| Answered::Declared(ours, written));
        self.kept(stored);
    }

    pub(super) fn declared_written(
        &mut self,
        all: Declarations,
        written: Written,
    ) -> Option<StoreError> {
        let seat = self.seat.as_mut()?;
        seat.writing = false;
        match written {
            Ok(Some(revision)) => {
                seat.common.written(all);
                seat.common_revision = revision;
                seat.written_ms = Some(seat.clock.now_ms());
                let stored = self.storage.shared(&seat.common, &self.memory.declared);
                self.kept(stored);
                None
            }
            // Somebody declared something meanwhile, and the next look shows what; or nobody knows.
            untold => {
                seat.is_moved = true;
                seat.write_at_ms = seat.clock.now_ms().saturating_add(WRITE_AGAIN_MS);
                untold.err()
            }
        }
    }

    /// Takes in what was declared elsewhere.
    pub(super) fn heed_common(&mut self) {
        let Some(seat) = &mut self.seat else { return };
        // What was asked for before our own write was answered may be older than that.
        let is_old = seat.writing || seat.written_ms.is_some_and(|at| seat.shown_ms <= at);
        let seen = seat.lease.seen();
        let revision = seen.declared_revision;
        if !seat.lease.has_looked() || is_old || revision == seat.common_revision {
            return;
        }
        if revision == 0 {
            // Nothing is there, or no longer: what is declared here counts, and goes there.
            seat.common.seen(&self.memory.declared, Declarations::default(), 0);
            seat.common_revision = 0;
            seat.is_moved = true;
            return;
        }
        let Some(theirs) = seen.declared.clone() else {
            return self.tell_fault("what is declared in the store cannot be read");
        };
        let ours = &self.memory.declared;
        let all = seat.common.seen(ours, theirs, revision);
        let is_news = all != *ours;
        seat.common_revision = revision;
        seat.is_moved = true;
        if is_news {
            self.heed(News::Declared(all));
        }
        if let Some(seat) = &self.seat {
            self.kept(self.storage.shared(&seat.common, &self.memory.declared));
        }
    }

    pub(super) fn tell_fault(&mut self, what: &str) {
        let Some(seat) = &mut self.seat else { return };
        if seat.told.faults.insert(what.to_owned()) {
            self.tell(EntryKind::Failed, "", what.to_owned());
        }
    }
}
