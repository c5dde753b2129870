//! An engine among the others of its cluster: what the store is asked, and what its answers change.

mod shared;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tally_host::{Permit, Steady, clean};
use tally_reconcile::memory::Declarations;
use tally_reconcile::plan::Plan;
use tally_reconcile::rollback::undo::ended;
use tokio::time::Instant;

use crate::controller::{Controller, Future};
use crate::journal::EntryKind;
use crate::lease::{
    Answer, Ask, Bounds, Common, Document, Lease, Seen, SpecRecord, Standing, Store, StoreError,
    Taken, Verdict,
};
use crate::metrics::SharingMetrics;
use shared::HandedOver;

/// So many digits of a hash are shown.
const SHOWN_DIGITS: usize = 12;

/// What an engine needs to stand beside others.
pub struct Sharing {
    /// What they share.
    pub store: Arc<dyn Store>,
    /// Its name, for people; others have others.
    pub name: String,
    /// How long its lease lasts from each renewal.
    pub lasts: Duration,
    /// Its spec is meant even if another was published since.
    pub supersede: bool,
    /// What was declared in common when it was here last.
    pub common: Common,
    /// For how long the machine has slept in all, in milliseconds.
    pub slept_ms: fn() -> u64,
}

/// Its place among the others.
pub(crate) struct Seat {
    store: Arc<dyn Store>,
    name: String,
    lasts: Duration,
    bounds: Bounds,
    clock: Steady,
    lease: Lease,
    /// What is under way: at most one question of the lease, and one document.
    calls: FuturesUnordered<Future<Answered>>,
    /// For the epoch in which it leads.
    permit: Permit,
    /// The epoch in which it leads, as it was told.
    leads: Option<u64>,
    /// What the last leader remembered, until that is taken in.
    handed_over: Option<String>,
    /// Whether anybody had led when the lease was taken.
    is_successor: bool,
    common: Common,
    /// Of what is common; −1 before anything was seen.
    common_revision: i64,
    /// When the store was asked last, when what was seen last was asked for, and when a document was written
    /// last.
    asked_ms: u64,
    shown_ms: u64,
    written_ms: Option<u64>,
    /// Whether what is declared may differ from what is common.
    is_moved: bool,
    writing: bool,
    write_at_ms: u64,
    /// What was remembered in the store last in this term.
    remembered: String,
    /// A plan that begins once what is remembered with it is in the store.
    waiting: Option<(Plan, String)>,
    told: Told,
}

/// What was told, so that it is told once.
#[derive(Default)]
struct Told {
    leader: Option<String>,
    aside: Option<u64>,
    /// `Lease::changes` then.
    changes: u64,
    is_silent: bool,
    faults: BTreeSet<String>,
}

/// What the store answered.
pub(crate) enum Answered {
    Lease(Answer),
    Declared(Declarations, Result<Option<i64>, StoreError>),
    Memory(String, Result<Option<i64>, StoreError>),
}

/// Waits for an answer of the store; for ever where there is no store, or nothing was asked.
pub(crate) async fn answer(seat: &mut Option<Box<Seat>>) -> Answered {
    match seat {
        Some(seat) if !seat.calls.is_empty() => match seat.calls.next().await {
            Some(answered) => answered,
            None => std::future::pending().await,
        },
        _ => std::future::pending().await,
    }
}

impl Seat {
    pub fn new(sharing: Sharing, spec: &str) -> Self {
        let Sharing { store, name, lasts, supersede, common, slept_ms } = sharing;
        let bounds = Bounds::of(lasts);
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
            common,
            common_revision: -1,
            asked_ms: 0,
            shown_ms: 0,
            written_ms: None,
            is_moved: true,
            writing: false,
            write_at_ms: 0,
            remembered: String::new(),
            waiting: None,
            told: Told::default(),
        }
    }

    /// When to ask the store again.
    pub fn wake(&self) -> Instant {
        let now_ms = self.clock.now_ms();
        // What is due already waits for an answer.
        let later = !self.writing && self.write_at_ms > now_ms;
        let write_ms = if later { self.write_at_ms } else { u64::MAX };
        let wake_ms = self.lease.wake_ms().min(write_ms);
        // A second is soon enough to look at the clock again: the machine may sleep meanwhile.
        Instant::now() + Duration::from_millis(wake_ms.saturating_sub(now_ms).min(1_000))
    }

    /// Asks the store what is to be asked now.
    fn ask(&mut self, at_ms: i64) {
        let now_ms = self.clock.now_ms();
        while let Some(ask) = self.lease.next(now_ms) {
            self.asked_ms = now_ms;
            let (store, name, lasts) = (Arc::clone(&self.store), self.name.clone(), self.lasts);
            let limit = Duration::from_millis(self.bounds.call_ms);
            self.calls.push(Box::pin(async move {
                let asked = asked(store.as_ref(), ask, &name, lasts, at_ms);
                let answer = tokio::time::timeout(limit, asked).await;
                let silent = |_| Answer::Failed(StoreError::Silent(no_answer(limit)));
                Answered::Lease(answer.unwrap_or_else(silent))
            }));
        }
    }

    fn write(
        &mut self,
        document: Document,
        wrap: impl FnOnce(Written) -> Answered + Send + 'static,
    ) {
        let store = Arc::clone(&self.store);
        let limit = Duration::from_millis(self.bounds.call_ms);
        self.writing = true;
        self.calls.push(Box::pin(async move {
            let written = tokio::time::timeout(limit, store.write(&document)).await;
            wrap(written.unwrap_or_else(|_| Err(StoreError::Silent(no_answer(limit)))))
        }));
    }
}

type Written = Result<Option<i64>, StoreError>;

fn no_answer(limit: Duration) -> String {
    format!("no answer within {} ms", limit.as_millis())
}

async fn asked(store: &dyn Store, ask: Ask, name: &str, lasts: Duration, at_ms: i64) -> Answer {
    let answer = match ask {
        Ask::Look => store.look().await.map(Answer::Seen),
        Ask::Take => store.take(name, lasts).await.map(Answer::Taken),
        Ask::Renew(term) => store.renew(term).await.map(Answer::Renewed),
        Ask::GiveBack(term) => store.give_back(term).await.map(|()| Answer::GivenBack),
        Ask::Publish { term, after, record } => {
            let record = SpecRecord { at_ms, ..record };
            store.publish(term, after, &record).await.map(Answer::Published)
        }
    };
    answer.unwrap_or_else(Answer::Failed)
}

impl Controller {
    /// The same beside other engines, which share a store.
    #[must_use]
    pub fn with_store(mut self, sharing: Sharing) -> Self {
        let seat = Seat::new(sharing, &self.spec.fingerprint());
        self.board.change(|metrics| {
            let spec = self.spec.fingerprint();
            metrics.sharing = Some(SharingMetrics { spec, ..SharingMetrics::default() });
        });
        self.seat = Some(Box::new(seat));
        self
    }

    /// Whether this engine may change anything: it leads, or there are no others.
    pub(crate) fn may_act(&self) -> bool {
        self.seat.as_ref().is_none_or(|seat| seat.leads.is_some() && seat.permit.ask().is_ok())
    }

    /// What the executor asks before each call.
    pub(crate) fn permit(&self) -> Permit {
        self.seat.as_ref().map(|seat| seat.permit.clone()).unwrap_or_default()
    }

    /// Whether a plan waits for the store.
    pub(crate) fn plan_waits(&self) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.waiting.is_some())
    }

    /// A plan that waits for the store is no longer wanted.
    pub(crate) fn drop_waiting(&mut self) {
        if let Some(seat) = &mut self.seat {
            self.dirty |= seat.waiting.take().is_some();
        }
    }

    /// What is declared may have changed here.
    pub(crate) fn declared_moved(&mut self) {
        if let Some(seat) = &mut self.seat {
            seat.is_moved = true;
        }
    }

    /// Asks the store what is to be asked now, and takes in how this engine stands then.
    pub(crate) fn attend(&mut self) {
        self.stand();
        let at_ms = (self.options.now_ms)();
        if let Some(seat) = &mut self.seat {
            seat.ask(at_ms);
        }
        self.share_declared();
        self.share_memory();
    }

    /// Takes in what the store answered.
    pub(crate) fn store_answered(&mut self, answered: Answered) {
        let Some(seat) = &mut self.seat else { return };
        let now_ms = seat.clock.now_ms();
        let error = match answered {
            Answered::Lease(mut answer) => {
                let error = match &mut answer {
                    Answer::Failed(error) => Some(error.clone()),
                    Answer::Taken(Taken::Ours { memory, seen, .. }) => {
                        seat.handed_over = memory.take();
                        seat.is_successor = seen.record_revision != 0;
                        None
                    }
                    _ => None,
                };
                if answer.shows() {
                    seat.shown_ms = seat.asked_ms;
                }
                seat.lease.answered(answer, now_ms);
                error
            }
            Answered::Declared(all, written) => self.declared_written(all, written),
            Answered::Memory(text, written) => self.memory_written(text, written),
        };
        self.tell_store(error);
        self.note_others();
        self.heed_common();
        self.stand();
    }

    /// Once a spec is published whoever leads changes things, and who comes after on this machine must know.
    fn note_others(&mut self) {
        let published = |seat: &Seat| seat.lease.seen().record_revision != 0;
        if self.seat.as_deref().is_some_and(published) && !self.memory.learned.shared {
            self.memory.learned.shared = true;
            self.remember();
        }
    }

    /// Tells once that the store does not answer, and that it does again.
    fn tell_store(&mut self, error: Option<StoreError>) {
        let answers = error.is_none();
        self.show(|shown| shown.store_answers = answers);
        let Some(seat) = &mut self.seat else { return };
        let was_silent = std::mem::replace(&mut seat.told.is_silent, error.is_some());
        let told = match (error, was_silent) {
            (Some(error), false) => {
                (EntryKind::StoreSilent, format!("the store: {}", clean::line(&error.to_string())))
            }
            (None, true) => (EntryKind::StoreReady, "the store answers again".to_owned()),
            _ => return,
        };
        self.tell(told.0, "", told.1);
    }

    /// Takes in how this engine stands now.
    pub(crate) fn stand(&mut self) {
        let Some(seat) = &mut self.seat else { return };
        let now_ms = seat.clock.now_ms();
        seat.lease.tick(now_ms);
        match (seat.lease.standing(now_ms), seat.leads) {
            (Standing::Leader { epoch, until_ms }, Some(before)) if epoch == before => {
                seat.permit.extend(until_ms);
                if seat.permit.ask().is_err() {
                    // It was stopped between the answer and now: what was begun before stays ended.
                    seat.permit = Permit::until(seat.clock, until_ms);
                }
            }
            (Standing::Leader { epoch, until_ms }, _) => {
                seat.permit.end();
                seat.permit = Permit::until(seat.clock, until_ms);
                seat.leads = Some(epoch);
                self.leads(epoch);
            }
            (Standing::Follower { .. }, Some(_)) => {
                seat.permit.end();
                seat.leads = None;
                seat.waiting = None;
                self.steps_down();
            }
            (Standing::Follower { aside }, None) => {
                let changes = seat.lease.changes();
                if seat.lease.has_looked() && seat.told.changes != changes {
                    seat.told.changes = changes;
                    self.looks_on(aside.map(|aside| aside.by));
                }
            }
        }
    }

    /// This engine leads from now on.
    fn leads(&mut self, epoch: u64) {
        let Some(seat) = &mut self.seat else { return };
        seat.told = Told { is_silent: seat.told.is_silent, ..Told::default() };
        seat.remembered.clear();
        let _ = seat.lease.take_loss();
        let (name, handed_over) = (seat.name.clone(), seat.handed_over.take());
        let is_successor = seat.is_successor;
        let spec = short(seat.lease.spec());
        let now_ms = self.now_ms();
        // What another engine wrote may be of another version; losing it costs time.
        match handed_over.map(|text| serde_json::from_str::<HandedOver>(&text)) {
            Some(Ok(handed_over)) => handed_over.add_to(&mut self.memory, now_ms),
            // Who led before made nothing.
            None if is_successor => HandedOver::default().add_to(&mut self.memory, now_ms),
            // Nobody led yet, or the store has lost what it held.
            None | Some(Err(_)) => {}
        }
        self.remember();
        self.end_undone();
        self.memory.history.previous = self.storage.previous_revisions(&self.spec);
        self.rollouts.forget();
        self.reported.clear();
        self.at_rest = false;
        // Another may have changed things until now.
        self.lookout.anew(self.clock_ms());
        self.dirty = true;
        let since_ms = (self.options.now_ms)();
        let leader = name.clone();
        self.show(|shown| {
            (shown.leads, shown.aside) = (true, false);
            (shown.epoch, shown.leader, shown.since_ms) = (epoch, leader, since_ms);
        });
        self.tell(EntryKind::Leads, "", format!("{name} leads: epoch {epoch}, spec {spec}"));
    }

    /// This engine leads no longer, or not until its changed spec counts.
    fn steps_down(&mut self) {
        let Some(seat) = &mut self.seat else { return };
        let loss = seat.lease.take_loss();
        let since_ms = (self.options.now_ms)();
        (self.last, self.at_rest) = (None, false);
        self.show(|shown| (shown.leads, shown.since_ms) = (false, since_ms));
        self.board.change(|metrics| metrics.tallies = false);
        if let Some(loss) = loss {
            let what = format!("leads no longer: {}; nothing is changed from here", loss.words());
            self.tell(EntryKind::StepsDown, "", what);
        }
    }

    /// Another leads, or nobody does yet: tells once who, and why this engine stands aside if it does.
    fn looks_on(&mut self, aside: Option<SpecRecord>) {
        let Some(seat) = &mut self.seat else { return };
        let Seen { leader, record, .. } = seat.lease.seen().clone();
        // Its own lease, which it does not count on yet or any more, leads nobody.
        let leader = leader.filter(|leader| *leader != seat.name);
        let spec = seat.lease.spec().to_owned();
        let epoch = record.as_ref().map_or(0, |record| record.epoch);
        let is_new = SpecRecord::verdict(record.as_ref(), &spec) == Verdict::New;
        let by_epoch = aside.as_ref().map(|by| by.epoch);
        let tell_aside = by_epoch.is_some() && seat.told.aside != by_epoch;
        seat.told.aside = by_epoch;
        let tell_leader = leader.is_some() && seat.told.leader != leader;
        seat.told.leader.clone_from(&leader);
        let since_ms = (self.options.now_ms)();
        self.show(|shown| {
            if tell_leader || shown.aside != by_epoch.is_some() {
                shown.since_ms = since_ms;
            }
            shown.leader = leader.clone().unwrap_or_default();
            (shown.epoch, shown.aside) = (epoch, by_epoch.is_some());
        });
        if let (Some(leader), true) = (leader, tell_leader) {
            let mut what = format!("{} leads: epoch {epoch}", clean::line(&leader));
            if is_new {
                what.push_str(", with another spec than the one here");
            }
            self.tell(EntryKind::Follows, "", what);
        }
        if let (Some(by), true) = (aside, tell_aside) {
            let what = format!(
                "stands aside: the spec here ({}) was followed by another one ({}), which {} \
                 published as epoch {}. Bring the files up to date, or begin with --supersede if \
                 they are meant",
                short(&spec),
                short(&clean::line(&by.hash)),
                clean::line(&by.who),
                by.epoch
            );
            self.tell(EntryKind::StandsAside, "", what);
        }
    }

    /// Takes what was undone and a newer spec has come for out of what is declared.
    pub(crate) fn end_undone(&mut self) {
        for address in ended(&self.spec, &self.memory.declared.undone) {
            self.memory.declared.undone.remove(&address);
            self.kept(self.storage.rolled_back(&address, None));
        }
        self.declared_moved();
    }

    /// Looks on: remembers what was seen, and changes nothing.
    pub(crate) fn look_on(&mut self) {
        (self.dirty, self.at_rest) = (false, false);
        let now_ms = self.now_ms();
        self.memory.in_flight.busy = self.busy.pods();
        // That a lost host answers is the leader's to conclude: it may see it otherwise.
        let declared = self.memory.declared.clone();
        let is_new = self.memory.learn(&self.cluster, &self.observed, now_ms);
        self.memory.declared = declared;
        if is_new {
            self.remember();
        }
    }

    /// The hash of the spec that is followed has changed.
    pub(crate) fn spec_changed(&mut self) {
        let Some(seat) = &mut self.seat else { return };
        let (hash, now_ms) = (self.spec.fingerprint(), seat.clock.now_ms());
        if seat.lease.follow(&hash, now_ms) {
            // How it stands to the others is told anew.
            (seat.told.aside, seat.told.leader) = (None, None);
        }
        self.stand();
        self.show(|shown| shown.spec.clone_from(&hash));
    }

    fn show(&self, change: impl FnOnce(&mut SharingMetrics)) {
        self.board.change(|metrics| {
            if let Some(shown) = &mut metrics.sharing {
                change(shown);
            }
        });
    }

    /// Gives the lease back, so that another leads at once.
    pub(crate) async fn resign(&mut self) {
        let Some(seat) = &mut self.seat else { return };
        seat.permit.end();
        let Some(term) = seat.lease.resign() else { return };
        let limit = Duration::from_millis(seat.bounds.call_ms);
        let given_back = tokio::time::timeout(limit, seat.store.give_back(term)).await;
        if !matches!(given_back, Ok(Ok(()))) {
            let what = "the lease could not be given back; it runs out by itself".to_owned();
            self.tell(EntryKind::Failed, "", what);
        }
    }
}

fn short(hash: &str) -> String {
    hash.chars().take(SHOWN_DIGITS).collect()
}
