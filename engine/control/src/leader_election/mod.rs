//! Leader election: drives the lease against the store. The loop applies the results: that this engine leads, or
//! no longer does, and the declarations made at other engines.

mod documents;
mod handover;
mod reported;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tally_host::{Permit, Steady};
use tally_reconcile::memory::{Declarations, Memory};
use tally_reconcile::plan::Plan;
use tokio::time::Instant;

pub(crate) use self::documents::{CommonRead, MemoryWritten};
use self::documents::{Documents, WriteDecision, Written, is_too_large, memory_document};
use self::handover::HandedOver;
use self::reported::{ReportedLeader, short};
use crate::lease::{
    Ask, Bounds, Common, Document, Lease, LeaseAnswer, LeaseRole, Loss, SpecRecord, Store,
    StoreError, Taken,
};
use crate::reporting::Reporting;
use crate::storage::Storage;
use crate::task::Task;

/// The settings of an engine that runs beside others.
pub struct Sharing {
    /// The store that they share.
    pub store: Arc<dyn Store>,
    /// The name of this engine, for people; each engine has another one.
    pub name: String,
    /// Lease duration, from each renewal.
    pub lasts: Duration,
    /// Whether this engine's spec replaces another one that was published since.
    pub supersede: bool,
    /// The shared declarations when this engine last ran.
    pub common: Common,
    /// For how long the machine has slept in all, in milliseconds.
    pub slept_ms: fn() -> u64,
}

/// An answer of the store.
pub(crate) enum Answered {
    Lease(LeaseAnswer),
    Declared(Declarations, Written),
    Memory(String, Written),
}

/// A change of this engine's role.
pub(crate) enum Transition {
    /// It leads from now on, in this epoch.
    Leads(u64),
    /// It no longer leads, or not until its changed spec is published.
    SteppedDown(Option<Loss>),
    /// It follows: the store shows something new. The spec that superseded its own, if one did.
    Follows(Option<SpecRecord>),
}

/// The state that a new leader takes over.
pub(crate) struct Office {
    /// The name of this engine.
    pub name: String,
    /// The hash of the spec that it leads with.
    pub spec: String,
}

/// Waits for an answer of the store; for ever where there is no store, or nothing was asked.
pub(crate) async fn answer(election: &mut Option<Box<LeaderElection>>) -> Answered {
    match election {
        Some(election) if !election.calls.is_empty() => match election.calls.next().await {
            Some(answered) => answered,
            None => std::future::pending().await,
        },
        _ => std::future::pending().await,
    }
}

/// One engine among others.
pub(crate) struct LeaderElection {
    store: Arc<dyn Store>,
    name: String,
    lasts: Duration,
    bounds: Bounds,
    clock: Steady,
    lease: Lease,
    /// The calls in progress: at most one for the lease, and one for a document.
    calls: FuturesUnordered<Task<Answered>>,
    /// The permit of the epoch in which it leads.
    permit: Permit,
    /// The epoch in which it leads, as the loop knows it.
    leads: Option<u64>,
    /// The memory of the last leader, until it is taken in.
    handed_over: Option<String>,
    /// Whether there was a leader before the lease was taken.
    is_successor: bool,
    documents: Documents,
    reported: ReportedLeader,
}

impl LeaderElection {
    pub fn new(sharing: Sharing, spec: &str) -> Self {
        let Sharing { store, name, lasts, supersede, common, slept_ms } = sharing;
        let bounds = Bounds::new(lasts);
        let clock = Steady::new(slept_ms);
        Self {
            lease: Lease::new(bounds, &name, spec, supersede),
            store,
            name,
            lasts,
            bounds,
            clock,
            calls: FuturesUnordered::new(),
            permit: Permit::until(clock, 0),
            leads: None,
            handed_over: None,
            is_successor: false,
            documents: Documents::new(common),
            reported: ReportedLeader::default(),
        }
    }

    /// Checks whether this engine leads, and may still make calls.
    pub fn may_act(&self) -> bool {
        self.leads.is_some() && self.permit.ask().is_ok()
    }

    /// Returns the permit that the executor checks before each call.
    pub fn permit(&self) -> Permit {
        self.permit.clone()
    }

    /// Checks whether some spec was published: from then on other engines change the cluster too.
    pub fn is_published(&self) -> bool {
        self.lease.seen().record_revision != 0
    }

    /// Returns when to ask the store again.
    pub fn wake(&self) -> Instant {
        let now_ms = self.clock.now_ms();
        let wake_ms = self.lease.wake_ms().min(self.documents.write_at_ms(now_ms));
        // A second is soon enough to check the clock again: the machine may sleep meanwhile.
        Instant::now() + Duration::from_millis(wake_ms.saturating_sub(now_ms).min(1_000))
    }

    /// Sends the store the request that the lease needs now, if any; `at_ms` is the wall clock.
    pub fn ask(&mut self, at_ms: i64) {
        let now_ms = self.clock.now_ms();
        while let Some(ask) = self.lease.next(now_ms) {
            self.documents.asked(now_ms);
            let (store, name, lasts) = (Arc::clone(&self.store), self.name.clone(), self.lasts);
            let limit = Duration::from_millis(self.bounds.call_ms);
            self.calls.push(Box::pin(async move {
                let asked = asked(store.as_ref(), ask, &name, lasts, at_ms);
                let answer = tokio::time::timeout(limit, asked).await;
                let silent = |_| LeaseAnswer::Failed(StoreError::Unreachable(no_answer(limit)));
                Answered::Lease(answer.unwrap_or_else(silent))
            }));
        }
    }

    /// Takes in an answer about the lease; returns the error where there was none.
    pub fn lease_answered(&mut self, mut answer: LeaseAnswer) -> Option<StoreError> {
        let now_ms = self.clock.now_ms();
        let error = match &mut answer {
            LeaseAnswer::Failed(error) => Some(error.clone()),
            LeaseAnswer::Taken(Taken::Ours { memory, seen, .. }) => {
                self.handed_over = memory.take();
                self.is_successor = seen.record_revision != 0;
                None
            }
            _ => None,
        };
        if answer.shows() {
            self.documents.shown();
        }
        self.lease.answered(answer, now_ms);
        error
    }

    /// Returns how this engine's role has changed, if it has.
    pub fn transition(&mut self) -> Option<Transition> {
        let now_ms = self.clock.now_ms();
        self.lease.tick(now_ms);
        match (self.lease.role(now_ms), self.leads) {
            (LeaseRole::Leader { epoch, until_ms }, Some(before)) if epoch == before => {
                self.permit.extend(until_ms);
                if self.permit.ask().is_err() {
                    // It was suspended between the answer and now: operations started before stay ended.
                    self.permit = Permit::until(self.clock, until_ms);
                }
                None
            }
            (LeaseRole::Leader { epoch, until_ms }, _) => {
                self.permit.end();
                self.permit = Permit::until(self.clock, until_ms);
                self.leads = Some(epoch);
                Some(Transition::Leads(epoch))
            }
            (LeaseRole::Follower { .. }, Some(_)) => {
                self.permit.end();
                self.leads = None;
                self.documents.drop_waiting();
                Some(Transition::SteppedDown(self.lease.take_loss()))
            }
            (LeaseRole::Follower { aside }, None) => {
                let changes = self.lease.changes();
                let is_new = self.lease.has_looked() && self.reported.has_changed(changes);
                is_new.then(|| Transition::Follows(aside.map(|aside| aside.by)))
            }
        }
    }

    /// Begins a term as leader: adds the memory of the last one to `memory`.
    pub fn take_office(&mut self, memory: &mut Memory, now_ms: i64) -> Office {
        self.reported.forget();
        self.documents.forget_remembered();
        let _ = self.lease.take_loss();
        let handed_over = self.handed_over.take();
        let is_successor = self.is_successor;
        // Another engine may have written it in another version; losing it costs time.
        match handed_over.map(|text| serde_json::from_str::<HandedOver>(&text)) {
            Some(Ok(handed_over)) => handed_over.add_to(memory, now_ms),
            // The last leader made nothing.
            None if is_successor => HandedOver::default().add_to(memory, now_ms),
            // There was no leader yet, or the store has lost its contents.
            None | Some(Err(_)) => {}
        }
        Office { name: self.name.clone(), spec: short(self.lease.spec()) }
    }

    /// Follows another spec, by its hash.
    pub fn follow(&mut self, hash: &str) {
        let now_ms = self.clock.now_ms();
        if self.lease.follow(hash, now_ms) {
            // How it compares to the other engines is reported again.
            self.reported.forget_others();
        }
    }

    /// Gives the lease back, so that another engine leads at once; returns whether that failed.
    pub async fn resign(&mut self) -> bool {
        self.permit.end();
        let Some(term) = self.lease.resign() else { return false };
        let limit = Duration::from_millis(self.bounds.call_ms);
        let given_back = tokio::time::timeout(limit, self.store.give_back(term)).await;
        !matches!(given_back, Ok(Ok(())))
    }

    /// Reports whether the store answered.
    pub fn report_store(&mut self, error: Option<&StoreError>, reporting: &Reporting) {
        self.reported.store(error, reporting);
    }

    /// Reports which engine leads, and which spec superseded the one of this engine, if one did.
    pub fn report_others(
        &mut self,
        aside: Option<SpecRecord>,
        since_ms: i64,
        reporting: &Reporting,
    ) {
        let own = (self.name.as_str(), self.lease.spec());
        self.reported.others(own, self.lease.seen(), aside, (since_ms, reporting));
    }

    /// Notes that the declarations of this engine may have changed.
    pub fn declared_moved(&mut self) {
        self.documents.declared_moved();
    }

    /// Checks whether a plan waits for the store.
    pub fn plan_waits(&self) -> bool {
        self.documents.plan_waits()
    }

    /// Drops the plan that waits for the store, since it is no longer wanted; returns whether there was one.
    pub fn drop_waiting(&mut self) -> bool {
        self.documents.drop_waiting()
    }

    /// Takes a plan that is to be executed; returns it when that may be at once, and not only when the store
    /// has the memory that goes with it.
    pub fn offer(&mut self, plan: Plan, memory: &Memory, reporting: &Reporting) -> Option<Plan> {
        let text = HandedOver::text_of(memory);
        let is_large = is_too_large(&text);
        let at_once = self.documents.offer(plan, text);
        if is_large {
            self.reported.fault("what is remembered is too large to be shared", reporting);
        }
        if at_once.is_none() {
            self.share_memory();
        }
        at_once
    }

    /// Writes the memory that a plan waits for.
    pub fn share_memory(&mut self) {
        let now_ms = self.clock.now_ms();
        let Some(text) = self.documents.memory_to_write(now_ms) else { return };
        let Some(term) = self.lease.term(now_ms).filter(|_| self.permit.ask().is_ok()) else {
            self.documents.drop_waiting();
            return;
        };
        let document = memory_document(text.clone(), term);
        self.write(document, move |written| Answered::Memory(text, written));
    }

    /// Takes in the answer to writing the memory.
    pub fn memory_written(&mut self, text: String, written: Written) -> MemoryWritten {
        let may_act = self.permit.ask().is_ok();
        self.documents.memory_written(text, written, (self.clock.now_ms(), may_act))
    }

    /// Writes the declarations of this engine into the store, where they differ.
    pub fn share_declared(
        &mut self,
        ours: &Declarations,
        storage: &dyn Storage,
        reporting: &Reporting,
    ) {
        if !self.lease.has_looked() {
            return;
        }
        let revision = self.lease.seen().declared_revision;
        match self.documents.share(ours, revision, self.clock.now_ms()) {
            WriteDecision::Nothing => {}
            WriteDecision::TooLarge => {
                self.reported.fault("what is declared is too large to be shared", reporting);
            }
            WriteDecision::Write(document) => {
                reporting.stored(storage.shared(&self.documents.common, ours));
                let ours = ours.clone();
                self.write(document, move |written| Answered::Declared(ours, written));
            }
        }
    }

    /// Takes in the answer to writing the declarations; returns the error where there was none.
    pub fn declared_written(
        &mut self,
        all: Declarations,
        written: Written,
        ours: &Declarations,
        (storage, reporting): (&dyn Storage, &Reporting),
    ) -> Option<StoreError> {
        match self.documents.declared_written(all, written, self.clock.now_ms()) {
            Ok(true) => {
                reporting.stored(storage.shared(&self.documents.common, ours));
                None
            }
            Ok(false) => None,
            Err(error) => Some(error),
        }
    }

    /// Takes in the shared declarations that the store shows.
    pub fn read_common(&mut self, ours: &Declarations, reporting: &Reporting) -> CommonRead {
        if !self.lease.has_looked() {
            return CommonRead::Nothing;
        }
        let seen = self.lease.seen();
        let read = self.documents.read(ours, seen.declared.as_ref(), seen.declared_revision);
        if let CommonRead::Unreadable = read {
            self.reported.fault("what is declared in the store cannot be read", reporting);
        }
        read
    }

    /// Returns the shared declarations, as far as this engine knows them.
    pub fn common(&self) -> &Common {
        &self.documents.common
    }

    fn write(
        &mut self,
        document: Document,
        wrap: impl FnOnce(Written) -> Answered + Send + 'static,
    ) {
        let store = Arc::clone(&self.store);
        let limit = Duration::from_millis(self.bounds.call_ms);
        self.documents.writing();
        self.calls.push(Box::pin(async move {
            let written = tokio::time::timeout(limit, store.write(&document)).await;
            wrap(written.unwrap_or_else(|_| Err(StoreError::Unreachable(no_answer(limit)))))
        }));
    }
}

fn no_answer(limit: Duration) -> String {
    format!("no answer within {} ms", limit.as_millis())
}

async fn asked(
    store: &dyn Store,
    ask: Ask,
    name: &str,
    lasts: Duration,
    at_ms: i64,
) -> LeaseAnswer {
    let answer = match ask {
        Ask::Look => store.look().await.map(LeaseAnswer::Seen),
        Ask::Take => store.take(name, lasts).await.map(LeaseAnswer::Taken),
        Ask::Renew(term) => store.renew(term).await.map(LeaseAnswer::Renewed),
        Ask::GiveBack(term) => store.give_back(term).await.map(|()| LeaseAnswer::GivenBack),
        Ask::Publish { term, after, record } => {
            let record = SpecRecord { at_ms, ..record };
            store.publish(term, after, &record).await.map(LeaseAnswer::Published)
        }
    };
    answer.unwrap_or_else(LeaseAnswer::Failed)
}
