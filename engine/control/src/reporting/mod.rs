//! Reporting: entries of the journal, each reason once, and the metrics.

pub(crate) mod journal;
pub(crate) mod metrics;
mod reported;

use std::collections::BTreeSet;
use std::sync::Arc;

use tally_graph::Graph;
use tally_reconcile::plan::reason::Blocked;
use tally_reconcile::plan::{Cause, Change, ChangeKind, OpId, Plan};
use tally_source::Severity;

use self::journal::{EntryKind, Journal, JournalEntry};
use self::metrics::{Board, SharingMetrics};
use self::reported::Reported;
use crate::loop_clock::LoopClock;
use crate::storage::Stored;

/// The reports of the loop, with those that it made already.
pub(crate) struct Reporting {
    journal: Arc<dyn Journal>,
    /// The metrics.
    pub board: Board,
    clock: LoopClock,
    /// The errors and the blocked work of the last plan.
    reported: BTreeSet<Reported>,
}

impl Reporting {
    pub fn new(journal: Arc<dyn Journal>, clock: LoopClock) -> Self {
        Self { journal, board: Board::default(), clock, reported: BTreeSet::new() }
    }

    /// Reports something about a host, or about none.
    pub fn tell(&self, kind: EntryKind, host: &str, what: String) {
        let entry = JournalEntry::new(self.clock.wall_now_ms(), kind, what);
        self.entry(&JournalEntry { host: host.to_owned(), ..entry });
    }

    /// Adds an entry to the journal.
    pub fn entry(&self, entry: &JournalEntry) {
        self.journal.entry(entry);
    }

    /// Reports what could not be kept; the loop goes on without it.
    pub fn stored(&self, stored: Stored) {
        if let Err(error) = stored {
            self.tell(EntryKind::Failed, "", error.to_string());
        }
    }

    /// Reports what a plan blocks or cannot do, once for each reason.
    pub fn plan(&mut self, plan: &Plan, graph: &Graph) {
        let mut now: BTreeSet<Reported> = BTreeSet::new();
        for found in &plan.diagnostics {
            let key = Reported::Finding(found.code, found.headline.clone());
            if found.severity == Severity::Error && !self.reported.contains(&key) {
                let what = format!("{} {}", found.code, found.headline);
                self.tell(EntryKind::Failed, "", what);
            }
            now.insert(key);
        }
        for it in plan.blocked.iter().filter(|it| !it.reason.is_passing()) {
            let key = Reported::Blocked(it.subject.clone(), it.reason.clone());
            if !self.reported.contains(&key) {
                self.blocked(it, graph);
            }
            now.insert(key);
        }
        if self.reported.contains(&Reported::Tallies) {
            now.insert(Reported::Tallies);
        }
        self.reported = now;
    }

    /// Reports work that is blocked.
    pub fn blocked(&self, blocked: &Blocked, graph: &Graph) {
        let what = blocked.reason.to_string();
        self.entry(&JournalEntry {
            host: blocked.host.clone().unwrap_or_default(),
            workload: blocked.subject.address().into_owned(),
            pod: blocked.subject.pod().unwrap_or_default().to_owned(),
            place: blocked.origin.map(|span| graph.sources.line_place(span)),
            ..JournalEntry::new(self.clock.wall_now_ms(), EntryKind::Blocked, what)
        });
    }

    /// Reports once that everything is as specified.
    pub fn converged(&mut self, cluster: &str) {
        if self.reported.insert(Reported::Tallies) {
            self.tell(EntryKind::Tallies, "", format!("{cluster} tallies"));
        }
    }

    /// Notes that not everything is as specified: that it is again will be reported.
    pub fn differs(&mut self) {
        self.reported.remove(&Reported::Tallies);
    }

    /// Forgets the reports made already: all of them are made again.
    pub fn forget(&mut self) {
        self.reported.clear();
    }

    /// Reports something about an operation of a plan.
    pub fn operation(
        &self,
        kind: EntryKind,
        (plan, id): (&Plan, OpId),
        what: String,
        graph: &Graph,
    ) {
        let Some(operation) = plan.operation(id) else { return };
        self.operation_because(kind, (plan, id), what, operation.cause, graph);
    }

    /// Reports that a change of a plan was made.
    pub fn change(&self, plan: &Plan, change: &Change, graph: &Graph) {
        if let Some(first) = change.operations.first() {
            let what = words(change);
            self.operation_because(EntryKind::Done, (plan, *first), what, change.cause, graph);
        }
    }

    fn operation_because(
        &self,
        kind: EntryKind,
        (plan, id): (&Plan, OpId),
        what: String,
        cause: Cause,
        graph: &Graph,
    ) {
        let Some(operation) = plan.operation(id) else { return };
        self.entry(&JournalEntry {
            host: operation.host.clone(),
            workload: operation.subject.address().into_owned(),
            pod: operation.subject.pod().unwrap_or_default().to_owned(),
            cause: Some(cause),
            place: operation.origin.map(|span| graph.sources.line_place(span)),
            ..JournalEntry::new(self.clock.wall_now_ms(), kind, what)
        });
    }

    /// Changes the metrics of this engine among others.
    pub fn sharing(&self, change: impl FnOnce(&mut SharingMetrics)) {
        self.board.change(|metrics| {
            if let Some(shown) = &mut metrics.sharing {
                change(shown);
            }
        });
    }
}

/// Returns a change in one line: `replaced web (image, env.A)`.
fn words(change: &Change) -> String {
    let verb = match change.kind {
        ChangeKind::Create => "made",
        ChangeKind::Update => "changed",
        ChangeKind::Replace => "replaced",
        ChangeKind::Remove => "removed",
    };
    let container = change.subject.container();
    let address = change.subject.address();
    let what = container.or(change.note.as_deref()).unwrap_or(&address);
    let mut text = format!("{verb} {what}");
    if !change.fields.is_empty() {
        let fields: Vec<String> = change.fields.iter().map(|f| f.path.to_string()).collect();
        text.push_str(&format!(" ({})", fields.join(", ")));
    } else if let (Some(_), Some(note)) = (container, &change.note) {
        text.push_str(&format!(": {note}"));
    }
    text
}
