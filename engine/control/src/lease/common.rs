//! The shared declarations, as far as this engine knows: those that the store showed or confirmed, and those that were
//! written without an answer, which may be in the store too. Pure.

use serde::{Deserialize, Serialize};
use tally_reconcile::memory::Declarations;

use super::merge::{known, merge};

/// Maximum number of documents written without an answer that are kept, the latest.
const MOST_TRIED: usize = 8;

/// The declarations that engines share. They must outlive the process: an engine that restarts and no longer knows
/// its own write takes it for another's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Common {
    /// The last ones that the store confirmed.
    #[serde(flatten)]
    pub declared: Declarations,
    /// The ones that were written, and may be in the store.
    pub tried: Vec<Tried>,
}

/// A document that was written without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tried {
    /// The revision that it was to follow: it has no effect where the store has another one then.
    pub after: i64,
    /// Its contents.
    pub declared: Declarations,
}

impl Common {
    /// Notes the declarations that are about to be written after a revision.
    pub fn trying(&mut self, after: i64, declared: &Declarations) {
        let tried = Tried { after, declared: declared.clone() };
        if self.tried.contains(&tried) {
            return;
        }
        if self.tried.len() >= MOST_TRIED {
            self.tried.remove(0);
        }
        self.tried.push(tried);
    }

    /// Takes in that they were written, as the store answered: earlier attempts come too late.
    pub fn written(&mut self, declared: Declarations) {
        *self = Self { declared, tried: Vec::new() };
    }

    /// Takes in the declarations that the store shows, with their revision. Returns all declarations when `ours` are
    /// those of this engine.
    pub fn seen(
        &mut self,
        ours: &Declarations,
        theirs: Declarations,
        revision: i64,
    ) -> Declarations {
        // A write that follows this very revision may still be on its way.
        let (on_its_way, tried): (Vec<Tried>, Vec<Tried>) =
            std::mem::take(&mut self.tried).into_iter().partition(|it| it.after == revision);
        let base = tried
            .iter()
            .fold(self.declared.clone(), |base, tried| known(&base, &tried.declared, &theirs));
        let all = merge(&base, ours, &theirs);
        *self = Self { declared: theirs, tried: on_its_way };
        all
    }
}

#[cfg(test)]
mod tests {
    use tally_reconcile::memory::Declared;

    use super::*;

    fn frozen(why: &str) -> Declarations {
        Declarations { frozen: Some(why.to_owned()), ..Declarations::default() }
    }

    #[test]
    fn a_freeze_that_was_written_without_an_answer_and_ended_since_does_not_come_back() {
        let (none, freeze) = (Declarations::default(), frozen("release"));
        let mut common = Common::default();
        common.trying(3, &freeze);
        // The engine was killed, and the freeze ended meanwhile.
        let text = serde_json::to_string(&common).unwrap();
        let mut common: Common = serde_json::from_str(&text).unwrap();
        assert_eq!(common.seen(&none, none.clone(), 3), none, "it is on its way");
        assert_eq!(common.seen(&none, freeze.clone(), 4), none);
        assert_eq!(common, Common { declared: freeze.clone(), tried: Vec::new() });
        // Who never wrote it takes it for another's.
        assert_eq!(Common::default().seen(&none, freeze.clone(), 4), freeze);
    }

    #[test]
    fn what_others_declared_beside_what_was_written_without_an_answer_counts() {
        let mut common = Common::default();
        common.trying(3, &frozen("release"));
        let hosts = [("a".to_owned(), Declared::Lost)].into();
        let theirs = Declarations { hosts, ..frozen("release") };
        let all = common.seen(&Declarations::default(), theirs.clone(), 5);
        assert_eq!(all, Declarations { frozen: None, ..theirs });
    }

    #[test]
    fn an_end_that_was_written_without_an_answer_does_not_end_what_began_again() {
        let (none, freeze) = (Declarations::default(), frozen("release"));
        let mut common = Common { declared: freeze.clone(), tried: Vec::new() };
        common.trying(3, &none);
        assert_eq!(common.seen(&freeze, none, 4), freeze);
    }

    #[test]
    fn a_written_document_makes_what_was_tried_before_come_too_late() {
        let mut common = Common::default();
        (0..20).for_each(|after| common.trying(after, &frozen("once")));
        common.trying(19, &frozen("once"));
        assert_eq!(common.tried.len(), MOST_TRIED);
        common.written(frozen("twice"));
        assert_eq!(common, Common { declared: frozen("twice"), tried: Vec::new() });
    }

    #[test]
    fn what_an_older_version_wrote_down_is_read() {
        let old = serde_json::to_string(&frozen("release")).unwrap();
        let read: Common = serde_json::from_str(&old).unwrap();
        assert_eq!(read.declared, frozen("release"));
    }
}
