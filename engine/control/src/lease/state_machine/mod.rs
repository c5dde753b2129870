//! Leader election as a state machine. It is given the time, by a clock that does not jump, and the store's answers;
//! it returns what to ask next, and the role of this engine. Pure.

use std::time::Duration;

use crate::lease::store::{Renewed, SpecRecord, StoreError, StoreVerdict, StoreView, Taken, Term};

/// The interval at which an engine reads the store, in milliseconds.
const LOOK_MS: u64 = 1_000;
/// The pause before a question without an answer is asked again, in milliseconds.
const RETRY_MS: u64 = 500;

/// Durations, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lease duration.
    pub lasts_ms: u64,
    /// The time before its end by the store's clock at which it counts as over.
    pub margin_ms: u64,
    /// The time from one renewal to the next.
    pub renew_ms: u64,
    /// Maximum wait for an answer of the store.
    pub call_ms: u64,
}

impl Bounds {
    /// Returns the bounds of a lease of that duration.
    #[must_use]
    pub fn new(lasts: Duration) -> Self {
        let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        Self {
            lasts_ms,
            margin_ms: lasts_ms / 5,
            renew_ms: lasts_ms / 3,
            call_ms: (lasts_ms / 5).max(1),
        }
    }
}

/// The role of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseRole {
    /// It follows.
    Follower {
        /// Why it does not stand for election although it could.
        aside: Option<Aside>,
    },
    /// It has the lease and its spec is the published one: it may change things.
    Leader {
        /// Of its spec.
        epoch: u64,
        /// Until when, unless it renews.
        until_ms: u64,
    },
}

/// Its spec was superseded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The published spec.
    pub by: SpecRecord,
}

/// Why a term ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It was not renewed in time.
    RanOut,
    /// The store says that it is over.
    Refused,
    /// Another spec counts.
    Superseded,
}

impl Loss {
    /// Returns the reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Loss::RanOut => "the lease was not renewed in time",
            Loss::Refused => "the store says that the lease has ended",
            Loss::Superseded => "another spec was published",
        }
    }
}

/// A question to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The contents.
    Look,
    /// The lease.
    Take,
    /// A longer lease.
    Renew(Term),
    /// That this spec counts.
    Publish {
        /// The term in which this engine leads.
        term: Term,
        /// The record's revision that it comes after.
        after: i64,
        /// What to publish.
        record: SpecRecord,
    },
    /// That another may lead.
    GiveBack(Term),
}

/// An answer of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// To reading the contents.
    Seen(StoreView),
    /// To asking for the lease.
    Taken(Taken),
    /// To asking for a longer one.
    Renewed(Renewed),
    /// To publishing: the record's new revision.
    Published(Option<i64>),
    /// To giving back.
    GivenBack,
    /// Nothing, or nothing of use.
    Failed(StoreError),
}

impl LeaseAnswer {
    /// Checks whether it shows the contents of the store.
    #[must_use]
    pub fn shows(&self) -> bool {
        let renewed = matches!(self, Self::Renewed(Renewed::Longer { .. }));
        renewed || matches!(self, Self::Seen(_) | Self::Taken(_))
    }
}

/// The lease, while this engine has it.
#[derive(Debug, Clone)]
struct Held {
    term: Term,
    until_ms: u64,
    renew_at_ms: u64,
    /// The epoch of the spec that is followed, once it is sure that this one counts.
    epoch: Option<u64>,
    publish_at_ms: u64,
}

/// A request without an answer yet.
#[derive(Debug, Clone)]
struct Open {
    ask: Ask,
    sent_ms: u64,
}

/// The state machine of one engine.
#[derive(Debug, Clone)]
pub struct Lease {
    bounds: Bounds,
    name: String,
    /// The hash of the spec that is followed.
    spec: String,
    /// Somebody said that this spec is meant, although it may be an older one.
    supersede: bool,
    /// The spec changed while this engine led.
    changed: bool,
    seen: StoreView,
    /// Whether anything was seen yet.
    has_looked: bool,
    /// Counts the changes that may affect a follower's status.
    changes: u64,
    held: Option<Held>,
    open: Option<Open>,
    /// Something was published after that revision, or may yet be: no answer came. Until the record has
    /// another revision it says nothing, since what was sent may still arrive.
    unsure: Option<i64>,
    /// A lease that may still be ours although we do not count on it, and until when at most.
    leftover: Option<(Term, u64)>,
    due_ms: u64,
    /// Why the last term ended, until that was asked for.
    loss: Option<Loss>,
}

impl Lease {
    /// Creates the state machine of an engine that follows the spec with that hash. `supersede`: the spec is meant
    /// even if it was superseded.
    #[must_use]
    pub fn new(bounds: Bounds, name: &str, spec: &str, supersede: bool) -> Self {
        Self {
            bounds,
            name: name.to_owned(),
            spec: spec.to_owned(),
            supersede,
            changed: false,
            seen: StoreView::default(),
            has_looked: false,
            changes: 0,
            held: None,
            open: None,
            unsure: None,
            leftover: None,
            due_ms: 0,
            loss: None,
        }
    }

    /// Returns the latest known contents of the store.
    #[must_use]
    pub fn seen(&self) -> &StoreView {
        &self.seen
    }

    /// Checks whether the contents of the store are known.
    #[must_use]
    pub fn has_looked(&self) -> bool {
        self.has_looked
    }

    /// Returns a number that grows with every change that concerns a follower: an earlier report may be outdated then.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Returns the hash of the spec that is followed.
    #[must_use]
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Returns the term, while it lasts; also before this spec is surely the published one.
    #[must_use]
    pub fn term(&self, now_ms: u64) -> Option<Term> {
        self.held.as_ref().filter(|held| now_ms < held.until_ms).map(|held| held.term)
    }

    /// Returns the role of this engine.
    #[must_use]
    pub fn role(&self, now_ms: u64) -> LeaseRole {
        if let Some(held) = self.held.as_ref().filter(|held| now_ms < held.until_ms)
            && let Some(epoch) = held.epoch
        {
            return LeaseRole::Leader { epoch, until_ms: held.until_ms };
        }
        let superseded = self.verdict() == StoreVerdict::Superseded && !self.is_meant();
        let by = self.seen.record.clone().filter(|_| superseded);
        LeaseRole::Follower { aside: by.map(|by| Aside { by }) }
    }

    /// Returns why the last term ended, once.
    pub fn take_loss(&mut self) -> Option<Loss> {
        self.loss.take()
    }

    /// Follows a spec from now on, with nothing in progress for the one before it; returns whether it is another one.
    pub fn follow(&mut self, spec: &str, now_ms: u64) -> bool {
        if self.spec == spec {
            return false;
        }
        self.changed |= matches!(self.role(now_ms), LeaseRole::Leader { .. });
        spec.clone_into(&mut self.spec);
        self.changes += 1;
        if let Some(held) = &mut self.held {
            held.epoch = None;
            held.publish_at_ms = now_ms;
        }
        self.settle(now_ms);
        true
    }

    /// Returns when to ask again, although nothing happens.
    #[must_use]
    pub fn wake_ms(&self) -> u64 {
        let until = self.held.as_ref().map(|held| held.until_ms);
        if self.open.is_some() {
            // Its answer wakes; until then only the deadline counts.
            return until.unwrap_or(u64::MAX);
        }
        let Some(held) = &self.held else { return self.due_ms };
        let next = if held.epoch.is_none() { held.publish_at_ms } else { self.due_ms };
        held.until_ms.min(held.renew_at_ms).min(next)
    }

    /// Returns the next question to the store; `None` while it has not answered. The first rule that fits decides:
    ///
    /// | | asks |
    /// |---|---|
    /// | something was not answered | nothing |
    /// | a third of the lease is over | for a longer one |
    /// | it leads, and it is not sure that its spec counts | to publish it |
    /// | it leads | to read the lease |
    /// | a lease may be left over | to give it back |
    /// | nobody leads, and its spec is not superseded | for the lease |
    /// | else | to read the lease |
    pub fn next(&mut self, now_ms: u64) -> Option<Ask> {
        self.tick(now_ms);
        if self.open.is_some() || self.wake_ms() > now_ms {
            return None;
        }
        let ask = match &self.held {
            Some(held) if held.renew_at_ms <= now_ms => Ask::Renew(held.term),
            Some(held) if held.epoch.is_some() => Ask::Look,
            Some(held) => {
                let before = self.seen.record.as_ref();
                let record = SpecRecord::next(before, &self.spec, &self.name, 0);
                let after = self.seen.record_revision;
                self.unsure = Some(after);
                Ask::Publish { term: held.term, after, record }
            }
            None => self.next_of_a_follower(now_ms),
        };
        self.open = Some(Open { ask: ask.clone(), sent_ms: now_ms });
        Some(ask)
    }

    fn next_of_a_follower(&mut self, now_ms: u64) -> Ask {
        if let Some((term, _)) = self.leftover.filter(|(_, until)| now_ms < *until) {
            return Ask::GiveBack(term);
        }
        self.leftover = None;
        if self.may_take() { Ask::Take } else { Ask::Look }
    }

    /// Checks whether nobody leads as far as it knows, and its spec may lead.
    fn may_take(&self) -> bool {
        let is_one = self.verdict() != StoreVerdict::Superseded || self.is_meant();
        self.has_looked && self.seen.leader.is_none() && is_one
    }

    /// Takes in the answer to the last question.
    pub fn answered(&mut self, answer: LeaseAnswer, now_ms: u64) {
        let Some(Open { ask, sent_ms }) = self.open.take() else { return };
        self.tick(now_ms);
        self.due_ms = now_ms.saturating_add(LOOK_MS);
        match (ask, answer) {
            (_, LeaseAnswer::Failed(_)) => self.failed(now_ms),
            (_, LeaseAnswer::Seen(seen)) => self.saw(seen, now_ms),
            (_, LeaseAnswer::Taken(Taken::Theirs(seen))) => self.see(seen),
            (_, LeaseAnswer::Taken(Taken::Ours { term, lasts, seen, .. })) => {
                self.see(seen);
                self.took(term, lasts, sent_ms, now_ms);
            }
            (_, LeaseAnswer::Renewed(Renewed::Over)) => {
                if self.held.take().is_some() {
                    self.lost(Loss::Refused, now_ms);
                }
            }
            (Ask::Renew(term), LeaseAnswer::Renewed(Renewed::Longer { lasts, seen })) => {
                self.see(seen);
                self.renewed(term, lasts, sent_ms);
                self.settle(now_ms);
            }
            (Ask::Publish { record, .. }, LeaseAnswer::Published(Some(revision))) => {
                self.seen.record = Some(record);
                self.seen.record_revision = revision;
                self.unsure = None;
                self.settle(now_ms);
            }
            (_, LeaseAnswer::Published(_)) => {
                // Somebody published, maybe this very engine with an answer that was lost, or the term is over:
                // renewing shows which, and until then the lease last seen says nothing.
                if let Some(held) = &mut self.held {
                    held.renew_at_ms = now_ms;
                }
            }
            (_, LeaseAnswer::GivenBack) => {
                self.leftover = None;
                // It was ours, so the lease last seen says that we lead.
                self.seen.leader = None;
                self.has_looked = false;
                self.due_ms = now_ms;
            }
            (_, LeaseAnswer::Renewed(_)) => {}
        }
    }

    /// Ends the term; returns the lease that is to be given back, if there is one.
    pub fn resign(&mut self) -> Option<Term> {
        let held = self.held.take().map(|held| held.term);
        held.or(self.leftover.take().map(|(term, _)| term))
    }

    fn verdict(&self) -> StoreVerdict {
        SpecRecord::verdict(self.seen.record.as_ref(), &self.spec)
    }

    fn is_meant(&self) -> bool {
        self.supersede || self.changed
    }

    fn see(&mut self, seen: StoreView) {
        self.changes += u64::from(self.seen != seen || !self.has_looked);
        self.seen = seen;
        self.has_looked = true;
    }

    fn saw(&mut self, seen: StoreView, now_ms: u64) {
        self.see(seen);
        let may_take = self.may_take();
        match &mut self.held {
            // Only renewing shows whose term it is: names may be alike.
            Some(held) if self.seen.leader.as_ref() != Some(&self.name) => {
                held.renew_at_ms = now_ms;
            }
            // Where nobody leads the lease is asked for at once.
            None if may_take => self.due_ms = now_ms,
            _ => {}
        }
        self.settle(now_ms);
    }

    /// Ends a term whose deadline is over: then [`Lease::take_loss`] returns why.
    pub fn tick(&mut self, now_ms: u64) {
        if let Some(held) = self.held.take_if(|held| held.until_ms <= now_ms) {
            self.leave(held.term, now_ms);
            self.lost(Loss::RanOut, now_ms);
        }
    }

    fn failed(&mut self, now_ms: u64) {
        let again = now_ms.saturating_add(RETRY_MS);
        self.due_ms = again;
        if let Some(held) = &mut self.held {
            held.renew_at_ms = held.renew_at_ms.max(again);
            held.publish_at_ms = again;
        }
    }

    fn took(&mut self, term: Term, lasts: Duration, sent_ms: u64, now_ms: u64) {
        let until_ms = self.until(lasts, sent_ms);
        if until_ms <= now_ms {
            // The answer came too late to count on it.
            self.leave(term, now_ms);
            self.due_ms = now_ms;
            return;
        }
        let renew_at_ms = sent_ms.saturating_add(self.bounds.renew_ms);
        let publish_at_ms = now_ms;
        // A request of another term can no longer arrive.
        self.unsure = None;
        self.held = Some(Held { term, until_ms, renew_at_ms, epoch: None, publish_at_ms });
        self.settle(now_ms);
    }

    fn renewed(&mut self, term: Term, lasts: Duration, sent_ms: u64) {
        let until_ms = self.until(lasts, sent_ms);
        let renew_at_ms = sent_ms.saturating_add(self.bounds.renew_ms);
        if let Some(held) = self.held.as_mut().filter(|held| held.term == term) {
            held.until_ms = held.until_ms.max(until_ms);
            held.renew_at_ms = renew_at_ms;
        }
    }

    /// Returns until when a lease is valid. The store counts from the arrival of the request, which is after it was
    /// sent.
    fn until(&self, lasts: Duration, sent_ms: u64) -> u64 {
        let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let lasts = lasts.min(self.bounds.lasts_ms);
        sent_ms.saturating_add(lasts.saturating_sub(self.bounds.margin_ms))
    }

    /// Compares the spec with the one that counts, while this engine has the lease.
    fn settle(&mut self, now_ms: u64) {
        let (verdict, is_meant) = (self.verdict(), self.is_meant());
        let epoch = self.seen.record.as_ref().map_or(0, |record| record.epoch);
        let Some(held) = &mut self.held else { return };
        let other = held.epoch.is_some_and(|before| before != epoch);
        let is_sure = self.unsure != Some(self.seen.record_revision);
        match verdict {
            // Published once more, so that a request still on its way comes too late.
            StoreVerdict::Current if !is_sure && held.epoch.is_none() => {}
            StoreVerdict::Current if !other => {
                held.epoch = Some(epoch);
                (self.supersede, self.changed) = (false, false);
            }
            StoreVerdict::New | StoreVerdict::Superseded
                if held.epoch.is_none() && (is_meant || verdict == StoreVerdict::New) => {}
            // A newer one came while this one counted, or this one is an old one.
            _ => {
                let term = held.term;
                self.held = None;
                self.leave(term, now_ms);
                self.lost(Loss::Superseded, now_ms);
            }
        }
    }

    fn leave(&mut self, term: Term, now_ms: u64) {
        self.leftover = Some((term, now_ms.saturating_add(self.bounds.lasts_ms)));
    }

    fn lost(&mut self, loss: Loss, now_ms: u64) {
        self.changed = false;
        self.changes += 1;
        self.loss = Some(loss);
        self.has_looked = false;
        self.due_ms = now_ms;
    }
}

#[cfg(test)]
mod tests;
