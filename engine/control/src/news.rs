//! What people change while the loop goes on: the spec, what is declared, secrets.

use std::sync::Arc;

use tally_host::Fetched;
use tally_reconcile::rollback::undo::undo;
use tokio::sync::watch;

use crate::controller::{Controller, News};
use crate::journal::EntryKind;

impl Controller {
    /// Takes news in.
    pub(crate) fn heed(&mut self, news: News) {
        self.drop_waiting();
        match news {
            News::Spec(graph) => {
                self.next = Some(*graph);
                // Calls in flight finish; nothing of the old spec begins.
                let _ = self.cancel.send(true);
            }
            // What went back is declared by this loop: it is no news to it.
            News::Declared(declared) if declared == self.memory.declared => {}
            News::Declared(declared) => {
                let undone = self.memory.declared.undone != declared.undone;
                self.memory.declared = declared;
                self.declared_moved();
                self.lookout.anew(self.clock_ms());
                self.reported.clear();
                self.dirty = true;
                if undone {
                    self.next.get_or_insert_with(|| self.spec.clone());
                    let _ = self.cancel.send(true);
                }
            }
            News::SpecWith(graph, secrets) => {
                self.next_secrets = Some(secrets);
                self.heed(News::Spec(graph));
            }
            News::Secrets(secrets) => {
                self.secrets = secrets;
                self.reported.clear();
                self.dirty = true;
            }
            News::Unread(report) => {
                let what = format!("what was read last is kept\n{report}");
                self.tell(EntryKind::Failed, "", what);
            }
            News::Broken(report) => {
                let what =
                    format!("the changed spec is broken, the last good one is kept\n{report}");
                self.board.change(|metrics| metrics.spec_is_good = false);
                self.tell(EntryKind::BrokenSpec, "", what);
            }
        }
    }

    /// Follows a new spec, once what is under way for the old one has ended.
    pub(crate) fn follow(&mut self) {
        if !self.running.is_empty() {
            return;
        }
        let Some(graph) = self.next.take() else { return };
        if let Some(secrets) = self.next_secrets.take() {
            self.secrets = secrets;
        }
        self.cancel = watch::channel(false).0;
        self.spec = graph;
        self.spec_changed();
        // Of several engines the one that leads says what is over.
        if self.may_act() {
            self.end_undone();
        }
        self.memory.history.previous = self.storage.previous_revisions(&self.spec);
        self.rollouts.forget();
        self.settled.clear();
        self.fetched = Fetched::default();
        let mut followed = self.spec.clone();
        let undone = undo(&mut followed, &self.memory.declared.undone);
        self.graph = Arc::new(followed);
        self.board.change(|metrics| metrics.spec_is_good = true);
        // What could not be made by the old spec may be made by the new one.
        self.memory.learned.backoff.clear();
        self.reported.clear();
        self.set_hosts();
        self.lookout.anew(self.clock_ms());
        self.dirty = true;
        let what = match undone.is_empty() {
            true => "following the changed spec".to_owned(),
            false => format!("following the spec, with {} as before", undone.join(", ")),
        };
        self.tell(EntryKind::Spec, "", what);
    }
}
