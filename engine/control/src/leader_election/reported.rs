//! Reports of leader election, each once.

use std::collections::BTreeSet;

use tally_host::clean;

use crate::lease::{SpecRecord, StoreError, StoreVerdict, StoreView};
use crate::reporting::Reporting;
use crate::reporting::journal::EntryKind;

/// The number of digits of a hash that are shown.
const SHOWN_DIGITS: usize = 12;

/// The reports made already.
#[derive(Default)]
pub(super) struct ReportedLeader {
    leader: Option<String>,
    /// The epoch of the spec that superseded this engine's.
    aside: Option<u64>,
    /// `Lease::changes` then.
    changes: u64,
    store_unreachable: bool,
    faults: BTreeSet<&'static str>,
}

impl ReportedLeader {
    /// Forgets everything but whether the store answers.
    pub fn forget(&mut self) {
        *self = Self { store_unreachable: self.store_unreachable, ..Self::default() };
    }

    /// Forgets the reports about the other engines.
    pub fn forget_others(&mut self) {
        (self.aside, self.leader) = (None, None);
    }

    /// Checks whether the lease has changed since the last call.
    pub fn has_changed(&mut self, changes: u64) -> bool {
        std::mem::replace(&mut self.changes, changes) != changes
    }

    /// Reports that the store does not answer, or that it does again.
    pub fn store(&mut self, error: Option<&StoreError>, reporting: &Reporting) {
        reporting.sharing(|shown| shown.store_answers = error.is_none());
        let was_unreachable = std::mem::replace(&mut self.store_unreachable, error.is_some());
        let (kind, what) = match (error, was_unreachable) {
            (Some(error), false) => (
                EntryKind::StoreUnreachable,
                format!("the store: {}", clean::line(&error.to_string())),
            ),
            (None, true) => (EntryKind::StoreReady, "the store answers again".to_owned()),
            _ => return,
        };
        reporting.tell(kind, "", what);
    }

    /// Reports a fault of the shared documents.
    pub fn fault(&mut self, what: &'static str, reporting: &Reporting) {
        if self.faults.insert(what) {
            reporting.tell(EntryKind::Failed, "", what.to_owned());
        }
    }

    /// Reports which engine leads, and which spec superseded the one of this engine, if one did.
    pub fn others(
        &mut self,
        (name, spec): (&str, &str),
        seen: &StoreView,
        aside: Option<SpecRecord>,
        (since_ms, reporting): (i64, &Reporting),
    ) {
        // Its own lease, which it does not count on yet or any more, makes nobody leader.
        let leader = seen.leader.clone().filter(|leader| *leader != name);
        let epoch = seen.record.as_ref().map_or(0, |record| record.epoch);
        let is_new = SpecRecord::verdict(seen.record.as_ref(), spec) == StoreVerdict::New;
        let by_epoch = aside.as_ref().map(|by| by.epoch);
        let tell_aside = by_epoch.is_some() && self.aside != by_epoch;
        self.aside = by_epoch;
        let tell_leader = leader.is_some() && self.leader != leader;
        self.leader.clone_from(&leader);
        reporting.sharing(|shown| {
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
            reporting.tell(EntryKind::Follows, "", what);
        }
        if let (Some(by), true) = (aside, tell_aside) {
            let what = format!(
                "stands aside: the spec here ({}) was followed by another one ({}), which {} \
                 published as epoch {}. Bring the files up to date, or begin with --supersede if \
                 they are meant",
                short(spec),
                short(&clean::line(&by.hash)),
                clean::line(&by.who),
                by.epoch
            );
            reporting.tell(EntryKind::StandsAside, "", what);
        }
    }
}

/// Returns the first digits of a hash, to show.
pub(super) fn short(hash: &str) -> String {
    hash.chars().take(SHOWN_DIGITS).collect()
}
