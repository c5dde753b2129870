//! The results of leader election, applied to the loop. Without a store the engine always leads.

use tally_host::Permit;
use tally_reconcile::plan::Plan;
use tally_reconcile::rollback::apply::ended_rollbacks;

use super::ControlLoop;
use crate::leader_election::{Answered, CommonRead, MemoryWritten, Transition};
use crate::lease::Loss;
use crate::reporting::journal::EntryKind;
use crate::spec_changes::SpecChange;

impl ControlLoop {
    /// Checks whether this engine may change anything: it leads, or there are no others.
    pub(super) fn may_act(&self) -> bool {
        self.leadership.as_ref().is_none_or(|election| election.may_act())
    }

    /// Returns the permit that the executor checks before each call.
    pub(super) fn permit(&self) -> Permit {
        self.leadership.as_ref().map(|election| election.permit()).unwrap_or_default()
    }

    /// Drops the plan that waits for the store: it is no longer wanted.
    pub(super) fn drop_waiting(&mut self) {
        if let Some(election) = &mut self.leadership {
            self.pacing.dirty |= election.drop_waiting();
        }
    }

    /// Notes that the declarations may have changed here.
    pub(super) fn declared_moved(&mut self) {
        if let Some(election) = &mut self.leadership {
            election.declared_moved();
        }
    }

    /// Updates the role, and sends the store the requests that the role needs.
    pub(super) fn attend(&mut self) {
        self.update_role();
        let Some(election) = &mut self.leadership else { return };
        election.ask(self.clock.wall_now_ms());
        let (declared, storage) = (&self.state.memory.declared, self.state.storage().as_ref());
        election.share_declared(declared, storage, &self.reporting);
        election.share_memory();
    }

    /// Executes a plan: at once, or when the store has the memory that goes with it.
    pub(super) fn execute_or_share(&mut self, plan: Plan) {
        let at_once = match &mut self.leadership {
            None => Some(plan),
            Some(election) => election.offer(plan, &self.state.memory, &self.reporting),
        };
        if let Some(plan) = at_once {
            self.execute(plan);
        }
    }

    /// Takes in an answer of the store.
    pub(super) fn store_answered(&mut self, answered: Answered) {
        let Some(election) = &mut self.leadership else { return };
        let error = match answered {
            Answered::Lease(answer) => election.lease_answered(answer),
            Answered::Declared(all, written) => {
                let ours = &self.state.memory.declared;
                let to = (self.state.storage().as_ref(), &self.reporting);
                election.declared_written(all, written, ours, to)
            }
            Answered::Memory(text, written) => match election.memory_written(text, written) {
                MemoryWritten::Failed(error) => Some(error),
                MemoryWritten::Execute(plan) => {
                    self.execute(plan);
                    None
                }
                MemoryWritten::PlanAgain => {
                    self.pacing.dirty = true;
                    None
                }
            },
        };
        if let Some(election) = &mut self.leadership {
            election.report_store(error.as_ref(), &self.reporting);
        }
        self.note_others();
        self.read_common();
        self.update_role();
    }

    /// Notes that other engines change the cluster, once some spec is published: the next process on this machine
    /// must know.
    fn note_others(&mut self) {
        let is_published = self.leadership.as_ref().is_some_and(|it| it.is_published());
        if is_published && !self.state.memory.learned.shared {
            self.state.memory.learned.shared = true;
            self.remember();
        }
    }

    /// Takes in the declarations made at other engines.
    fn read_common(&mut self) {
        let Some(election) = &mut self.leadership else { return };
        match election.read_common(&self.state.memory.declared, &self.reporting) {
            CommonRead::Nothing | CommonRead::Unreadable => return,
            CommonRead::Known => {}
            CommonRead::New(all) => self.change(SpecChange::Declared(all)),
        }
        if let Some(election) = &self.leadership {
            let declared = &self.state.memory.declared;
            let stored = self.state.storage().shared(election.common(), declared);
            self.reporting.stored(stored);
        }
    }

    /// Takes in whether this engine leads now.
    pub(super) fn update_role(&mut self) {
        let Some(election) = &mut self.leadership else { return };
        match election.transition() {
            None => {}
            Some(Transition::Leads(epoch)) => self.leads(epoch),
            Some(Transition::SteppedDown(loss)) => self.steps_down(loss),
            Some(Transition::Follows(aside)) => {
                election.report_others(aside, self.clock.wall_now_ms(), &self.reporting);
            }
        }
    }

    /// Leads from now on.
    fn leads(&mut self, epoch: u64) {
        let Some(election) = &mut self.leadership else { return };
        let office = election.take_office(&mut self.state.memory, self.clock.now_ms());
        self.remember();
        self.end_rollbacks();
        self.state.read_previous_revisions();
        self.rollouts.forget_failures();
        self.reporting.forget();
        self.pacing.steady = false;
        // Another engine may have changed things until now.
        self.observation.schedule.observe_again(self.clock.clock_ms());
        self.pacing.dirty = true;
        let since_ms = self.clock.wall_now_ms();
        let leader = office.name.clone();
        self.reporting.sharing(|shown| {
            (shown.leads, shown.aside) = (true, false);
            (shown.epoch, shown.leader, shown.since_ms) = (epoch, leader, since_ms);
        });
        let what = format!("{} leads: epoch {epoch}, spec {}", office.name, office.spec);
        self.tell(EntryKind::Leads, "", what);
    }

    /// No longer leads, or not until the changed spec is published.
    fn steps_down(&mut self, loss: Option<Loss>) {
        let since_ms = self.clock.wall_now_ms();
        (self.pacing.last, self.pacing.steady) = (None, false);
        self.reporting.sharing(|shown| (shown.leads, shown.since_ms) = (false, since_ms));
        self.reporting.board.change(|metrics| metrics.tallies = false);
        if let Some(loss) = loss {
            let what = format!("leads no longer: {}; nothing is changed from here", loss.words());
            self.tell(EntryKind::StepsDown, "", what);
        }
    }

    /// Ends the rollbacks for whose workloads a newer spec came.
    pub(super) fn end_rollbacks(&mut self) {
        let over = ended_rollbacks(self.state.spec(), &self.state.memory.declared.rolled_back);
        let kept = self.state.end_rollbacks(&over);
        self.reporting.stored(kept);
        self.declared_moved();
    }

    /// Learns from the latest views while another engine leads, and changes nothing.
    pub(super) fn follow_the_leader(&mut self) {
        (self.pacing.dirty, self.pacing.steady) = (false, false);
        self.state.memory.in_flight.busy = self.execution.busy.pods();
        // That a lost host answers is the leader's to conclude: it may see it otherwise.
        let declared = self.state.memory.declared.clone();
        let is_new = self.state.learn(self.clock.now_ms());
        self.state.memory.declared = declared;
        if is_new {
            self.remember();
        }
    }

    /// Takes in that the spec to follow is another one.
    pub(super) fn spec_changed(&mut self) {
        let Some(election) = &mut self.leadership else { return };
        let hash = self.state.spec().fingerprint();
        election.follow(&hash);
        self.update_role();
        self.reporting.sharing(|shown| shown.spec.clone_from(&hash));
    }
}
