//! Inputs from outside: views of hosts, probes, failed rollouts, changes that people make.

use tally_graph::Graph;
use tally_host::unknown;
use tally_reconcile::input::observed::HostView;
use tally_reconcile::rollback::{self, Decision, RolloutFailure};

use super::ControlLoop;
use crate::backoff;
use crate::liveness::ProbeRequest;
use crate::observation::{Arrived, HostObservation};
use crate::reporting::journal::{EntryKind, JournalEntry};
use crate::rollouts::FailedRollout;
use crate::spec_changes::SpecChange;

impl ControlLoop {
    /// Takes in a view of a host.
    pub(super) fn observed(&mut self, observation: HostObservation) {
        let (clock_ms, now_ms) = (self.clock.clock_ms(), self.clock.now_ms());
        let before = self.state.observed.hosts.get(&observation.host);
        let answered = matches!(before, Some(HostView::Ready(_)));
        let first = before.is_none();
        let Some(arrived) = self.observation.arrived(observation, before, &self.clock) else {
            return;
        };
        let Arrived { host, number, started_ms, result, reconnected } = arrived;
        if reconnected {
            self.reporting.board.change(|metrics| metrics.reconnected(&host));
        }
        let mut is_new = true;
        match result {
            Ok(state) => {
                let (graph, cluster) = (self.state.graph(), self.state.cluster());
                self.liveness.observed(graph, cluster, &host, &state, clock_ms);
                let cluster = cluster.to_owned();
                backoff::learn(&mut self.state.memory, &cluster, &host, &state, now_ms);
                let version = state.engine.version.clone();
                is_new = !self.is_nothing_new(&host, &state);
                let view = HostView::Ready(Box::new(state));
                self.state.observed.hosts.insert(host.clone(), view);
                self.execution.busy.observed(&host, number);
                if !answered {
                    self.tell(EntryKind::HostReady, &host, format!("answers (Docker {version})"));
                }
            }
            Err(unreachable) => {
                let remembered = self.state.memory.learned.hosts.entry(host.clone()).or_default();
                remembered.unreachable_until_ms = Some(started_ms);
                let view = unknown(&unreachable.reason, unreachable.answers);
                self.state.observed.hosts.insert(host.clone(), view);
                self.execution.busy.unreachable(&host);
                if answered || first {
                    let what = format!("does not answer: {}", unreachable.reason);
                    self.tell(EntryKind::HostUnreachable, &host, what);
                }
            }
        }
        if let Some(view) = self.state.observed.hosts.get(&host) {
            let lost = self.state.memory.is_lost(&host, self.lost_after(), now_ms);
            self.reporting.board.change(|metrics| metrics.looked(&host, view, lost, now_ms));
        }
        if is_new {
            self.pacing.dirty = true;
        } else {
            self.assert_steady();
        }
    }

    /// Takes in the result of a probe: a container that failed too often is restarted by the next plan.
    pub(super) fn probed(&mut self, request: &ProbeRequest, answer: Result<(), String>) {
        let clock_ms = self.clock.clock_ms();
        let failed = self.liveness.probed(&request.id, answer.is_ok(), clock_ms);
        let Err(why) = answer else { return };
        let memory = &mut self.state.memory;
        if !failed
            || self.execution.busy.has(&request.pod)
            || !memory.in_flight.failing.insert(request.id.clone())
        {
            return;
        }
        let now_ms = self.clock.now_ms();
        self.reporting.board.change(|metrics| metrics.unwell += 1);
        let times = backoff::unwell(memory, &request.host, &request.pod, now_ms);
        let what =
            format!("the liveness of {} failed: {why} (time {times} in a row)", request.container);
        // The command of a probe may print secrets.
        let what = self.state.secrets.redact(&what);
        self.reporting.entry(&JournalEntry {
            host: request.host.clone(),
            workload: request.workload.clone(),
            pod: request.pod.clone(),
            ..JournalEntry::new(now_ms, EntryKind::Unwell, what)
        });
        self.pacing.dirty = true;
    }

    /// Checks which rollouts failed according to the latest views.
    pub(super) fn watch_rollouts(&mut self) {
        // The spec that comes next is judged by its own pods.
        if self.pending.is_some() {
            return;
        }
        self.state.prepare();
        let observation = &self.observation;
        self.rollouts.watch(&self.state, &self.clock, |host| observation.connection(host));
    }

    /// Takes in that a rollout failed: it is rolled back, or stays as it is.
    pub(super) fn rollout_failed(&mut self, rollout: FailedRollout) {
        let FailedRollout { workload: address, of, failed } = rollout;
        let is_over =
            self.pending.is_some() || self.state.fingerprint(&address).as_deref() != Some(&*of);
        if is_over || !self.may_act() {
            return;
        }
        let lines = failed.last_lines.iter().map(|line| self.state.secrets.redact(line)).collect();
        let failed = RolloutFailure { last_lines: lines, ..failed };
        let Some(decision) = self.state.decide(&address, failed.clone()) else {
            self.rollouts.forget_failed(&address);
            return;
        };
        let name = failed.name(&address);
        let mut what = format!("{name}: {}", failed.why);
        if let Some(line) = failed.last_lines.last() {
            what.push_str(&format!(" (last line: {line})"));
        }
        match decision {
            Decision::Stay(why) => {
                let what = format!("the rollout failed and stays where it is: {why}; {what}");
                self.report_rollout(EntryKind::Failed, &address, &failed, what);
            }
            Decision::RollBack(rolled_back) => {
                let goal =
                    rolled_back.failed.as_ref().map(RolloutFailure::goal).unwrap_or_default();
                let images = rollback::images(&rolled_back.workload);
                let what = format!("rolls back to {goal} ({images}), since {what}");
                self.report_rollout(EntryKind::RolledBack, &address, &failed, what);
                self.reporting.board.change(|metrics| metrics.rollbacks += 1);
                let kept = self.state.roll_back(&address, *rolled_back);
                self.reporting.stored(kept);
                self.declared_moved();
                // Followed as a changed spec is: calls in flight finish first.
                self.pending.follow_again(self.state.spec());
                self.execution.stop();
            }
        }
    }

    fn report_rollout(
        &self,
        kind: EntryKind,
        address: &str,
        failed: &RolloutFailure,
        what: String,
    ) {
        let graph = self.state.graph();
        let workload = graph.workload_at(address);
        let span = workload.map(|workload| rollback::failure_span(graph, workload, failed));
        self.reporting.entry(&JournalEntry {
            host: failed.host.clone(),
            workload: address.to_owned(),
            pod: failed.pod.clone(),
            place: span.map(|span| graph.sources.line_place(span)),
            ..JournalEntry::new(self.clock.wall_now_ms(), kind, what)
        });
    }

    /// Takes in a change that people made.
    pub(super) fn change(&mut self, change: SpecChange) {
        self.drop_waiting();
        match change {
            SpecChange::Spec(graph) | SpecChange::SpecWithSecrets(graph, _)
                if self.renames_cluster(&graph).is_some() =>
            {
                let report = self.renames_cluster(&graph).unwrap_or_default();
                self.change(SpecChange::Broken(report));
            }
            SpecChange::Spec(graph) => {
                self.pending.set(*graph);
                // Calls in flight finish; no call for the old spec starts.
                self.execution.stop();
            }
            // The rollbacks that this loop declared itself are no change to it.
            SpecChange::Declared(declared) if declared == self.state.memory.declared => {}
            SpecChange::Declared(declared) => {
                let rolled_back = self.state.memory.declared.rolled_back != declared.rolled_back;
                self.state.memory.declared = declared;
                self.declared_moved();
                self.observation.schedule.observe_again(self.clock.clock_ms());
                self.reporting.forget();
                self.pacing.dirty = true;
                if rolled_back {
                    self.pending.follow_again(self.state.spec());
                    self.execution.stop();
                }
            }
            SpecChange::SpecWithSecrets(graph, secrets) => {
                self.pending.set_secrets(secrets);
                self.change(SpecChange::Spec(graph));
            }
            SpecChange::Secrets(secrets) => {
                self.state.secrets = secrets;
                self.reporting.forget();
                self.pacing.dirty = true;
            }
            SpecChange::SecretsUnreadable(report) => {
                let what = format!("what was read last is kept\n{report}");
                self.tell(EntryKind::Failed, "", what);
            }
            SpecChange::Broken(report) => {
                let what =
                    format!("the changed spec is broken, the last good one is kept\n{report}");
                self.reporting.board.change(|metrics| metrics.spec_is_good = false);
                self.tell(EntryKind::BrokenSpec, "", what);
            }
        }
    }

    /// Returns the report about a spec of another cluster. The pods of this cluster would be left behind, and all of
    /// them created a second time.
    fn renames_cluster(&self, graph: &Graph) -> Option<String> {
        let name = |graph: &Graph| graph.cluster().map(|cluster| cluster.name.clone());
        let (old, new) = (name(self.state.spec())?, name(graph)?);
        (old != new).then(|| {
            format!(
                "it is of cluster `{new}`, and the pods of `{old}` would be left behind. To rename a cluster, \
                 end this loop, destroy `{old}` with the old spec, and start the loop with the new one."
            )
        })
    }

    /// Follows a new spec, once the executions for the old one have ended.
    pub(super) fn follow(&mut self) {
        if !self.execution.running.is_empty() {
            return;
        }
        let Some((spec, secrets)) = self.pending.take() else { return };
        if let Some(secrets) = secrets {
            self.state.secrets = secrets;
        }
        self.execution.allow();
        self.state.set_spec(spec);
        self.spec_changed();
        // Of several engines the leader says which rollbacks are over.
        if self.may_act() {
            self.end_rollbacks();
        }
        self.state.read_previous_revisions();
        self.rollouts.forget();
        let rolled_back = self.state.follow();
        self.reporting.board.change(|metrics| metrics.spec_is_good = true);
        // Operations that failed with the old spec may succeed with the new one.
        self.state.memory.learned.backoff.clear();
        self.reporting.forget();
        self.set_hosts();
        self.observation.schedule.observe_again(self.clock.clock_ms());
        self.pacing.dirty = true;
        let what = if rolled_back.is_empty() {
            "following the changed spec".to_owned()
        } else {
            format!("following the spec, with {} as before", rolled_back.join(", "))
        };
        self.tell(EntryKind::Spec, "", what);
    }
}
