//! The documents that engines share beside the lease: the declarations that people made at any engine, and the memory
//! of the leader, which the store holds before a plan is executed.

use tally_reconcile::memory::Declarations;
use tally_reconcile::plan::Plan;

use crate::lease::{Common, Document, MOST_SHARED_BYTES, StoreError, Term};

/// A document that could not be written is written again after this time, in milliseconds.
const WRITE_AGAIN_MS: u64 = 500;

/// The result of writing a document: its new revision, or `None` where its condition did not hold.
pub(crate) type Written = Result<Option<i64>, StoreError>;

/// The next step of the loop once the leader's memory was written.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and not for long")]
pub(crate) enum MemoryWritten {
    /// It executes this plan.
    Execute(Plan),
    /// It plans again: the plan that waited is no longer wanted, or the term is over.
    PlanAgain,
    /// It waits: the store did not answer.
    Failed(StoreError),
}

/// The shared declarations that the store showed.
pub(crate) enum CommonRead {
    /// Nothing to take in.
    Nothing,
    /// They are the ones that are known here.
    Known,
    /// These are declared in all.
    New(Declarations),
    /// They cannot be read.
    Unreadable,
}

/// What to do with the declarations of this engine.
pub(super) enum WriteDecision {
    /// Nothing now.
    Nothing,
    /// They are written.
    Write(Document),
    /// They cannot be: they are too large.
    TooLarge,
}

/// The shared documents, as far as this engine knows them. Times are of the lease's clock, in milliseconds.
pub(super) struct Documents {
    /// The shared declarations.
    pub common: Common,
    /// Their revision; `None` before anything was read.
    common_revision: Option<i64>,
    /// When the store was last asked.
    asked_ms: u64,
    /// When the answer was asked for that is known now.
    shown_ms: u64,
    /// When the declarations were last written.
    written_ms: Option<u64>,
    /// Whether the declarations of this engine may differ from the shared ones.
    is_moved: bool,
    writing: bool,
    write_at_ms: u64,
    /// The memory that was written last in this term.
    remembered: String,
    /// A plan that is executed once the memory that goes with it is in the store.
    waiting: Option<(Plan, String)>,
}

impl Documents {
    pub fn new(common: Common) -> Self {
        Self {
            common,
            common_revision: None,
            asked_ms: 0,
            shown_ms: 0,
            written_ms: None,
            is_moved: true,
            writing: false,
            write_at_ms: 0,
            remembered: String::new(),
            waiting: None,
        }
    }

    /// Returns when a document is to be written, if that is later than now; else its answer is waited for.
    pub fn write_at_ms(&self, now_ms: u64) -> u64 {
        let later = !self.writing && self.write_at_ms > now_ms;
        if later { self.write_at_ms } else { u64::MAX }
    }

    /// Notes that the store is being asked.
    pub fn asked(&mut self, now_ms: u64) {
        self.asked_ms = now_ms;
    }

    /// Notes that the answer to the last question showed the contents of the store.
    pub fn shown(&mut self) {
        self.shown_ms = self.asked_ms;
    }

    /// Notes that a document is being written.
    pub fn writing(&mut self) {
        self.writing = true;
    }

    /// Notes that the declarations of this engine may have changed.
    pub fn declared_moved(&mut self) {
        self.is_moved = true;
    }

    /// Forgets which memory was written.
    pub fn forget_remembered(&mut self) {
        self.remembered.clear();
    }

    /// Checks whether a plan waits for the store.
    pub fn plan_waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// Drops the plan that waits for the store; returns whether there was one.
    pub fn drop_waiting(&mut self) -> bool {
        self.waiting.take().is_some()
    }

    /// Decides whether the declarations of this engine are written, when the store shows that revision of the
    /// shared ones.
    pub fn share(&mut self, ours: &Declarations, revision: i64, now_ms: u64) -> WriteDecision {
        let can_be_read = self.common_revision == Some(revision);
        if !self.is_moved || self.writing || now_ms < self.write_at_ms || !can_be_read {
            return WriteDecision::Nothing;
        }
        self.is_moved = false;
        if *ours == self.common.declared {
            return WriteDecision::Nothing;
        }
        let text = serde_json::to_string(ours).unwrap_or_default();
        if text.len() > MOST_SHARED_BYTES {
            return WriteDecision::TooLarge;
        }
        // Noted before it is written: the answer may be lost, and this process may end.
        self.common.trying(revision, ours);
        WriteDecision::Write(Document::Declared { text, after: revision })
    }

    /// Takes in the answer to writing the declarations; returns whether they were written, or the error.
    pub fn declared_written(
        &mut self,
        all: Declarations,
        written: Written,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        self.writing = false;
        if let Ok(Some(revision)) = written {
            self.common.written(all);
            self.common_revision = Some(revision);
            self.written_ms = Some(now_ms);
            return Ok(true);
        }
        // Another engine declared something meanwhile, and the next answer shows it; or nobody knows.
        self.is_moved = true;
        self.write_at_ms = now_ms.saturating_add(WRITE_AGAIN_MS);
        written.map(|_| false)
    }

    /// Takes in the shared declarations that the store shows, with their revision; 0 is none.
    pub fn read(
        &mut self,
        ours: &Declarations,
        theirs: Option<&Declarations>,
        revision: i64,
    ) -> CommonRead {
        // An answer that was asked for before our own write was answered may be older than that.
        let is_old = self.writing || self.written_ms.is_some_and(|at| self.shown_ms <= at);
        if is_old || self.common_revision == Some(revision) {
            return CommonRead::Nothing;
        }
        if revision == 0 {
            // The store has none, or none any more: the declarations of this engine count, and are written.
            self.common.seen(ours, Declarations::default(), 0);
            self.common_revision = Some(0);
            self.is_moved = true;
            return CommonRead::Nothing;
        }
        let Some(theirs) = theirs else { return CommonRead::Unreadable };
        let all = self.common.seen(ours, theirs.clone(), revision);
        self.common_revision = Some(revision);
        self.is_moved = true;
        if all == *ours { CommonRead::Known } else { CommonRead::New(all) }
    }

    /// Takes a plan whose memory is `text`; returns it when it is executed at once, because the store has that
    /// memory or cannot hold it.
    pub fn offer(&mut self, plan: Plan, text: String) -> Option<Plan> {
        if self.remembered == text || is_too_large(&text) {
            return Some(plan);
        }
        self.waiting = Some((plan, text));
        None
    }

    /// Returns the memory that is to be written now, if some is.
    pub fn memory_to_write(&self, now_ms: u64) -> Option<String> {
        let (_, text) = self.waiting.as_ref()?;
        let is_due = !self.writing && now_ms >= self.write_at_ms;
        is_due.then(|| text.clone())
    }

    /// Takes in the answer to writing a memory; `may_act` is whether calls may still be made.
    pub fn memory_written(
        &mut self,
        text: String,
        written: Written,
        (now_ms, may_act): (u64, bool),
    ) -> MemoryWritten {
        self.writing = false;
        match written {
            Ok(Some(_)) => {
                let waited = self.waiting.take_if(|(_, waits)| *waits == text);
                self.remembered = text;
                match waited.filter(|_| may_act) {
                    Some((plan, _)) => MemoryWritten::Execute(plan),
                    None => MemoryWritten::PlanAgain,
                }
            }
            Ok(None) => {
                // The term is over; renewing shows that.
                self.waiting = None;
                MemoryWritten::PlanAgain
            }
            Err(error) => {
                self.write_at_ms = now_ms.saturating_add(WRITE_AGAIN_MS);
                MemoryWritten::Failed(error)
            }
        }
    }
}

/// Checks whether a document is too large for the store.
pub(super) fn is_too_large(text: &str) -> bool {
    text.len() > MOST_SHARED_BYTES
}

/// Returns the document that holds the memory of a leader.
pub(super) fn memory_document(text: String, term: Term) -> Document {
    Document::Memory { text, term }
}
