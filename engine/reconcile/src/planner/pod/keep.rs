//! Plans the changes of a container that is kept: in-place updates, files, and repairs.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::FileSpec;
use tally_graph::schema::UpdateClass;

use super::PodPlanner;
use crate::desired::realise::{DesiredContainer, INIT_DEADLINE_MS};
use crate::diff::Difference;
use crate::input::observed::ContainerState;
use crate::inventory::containers::Found;
use crate::labels::{self, Role};
use crate::plan::builder::{About, owned};
use crate::plan::pod_plan::Unended;
use crate::plan::request::{FilesPart, FilesRequest};
use crate::plan::{Action, Cause, ChangeKind, OpId, Precondition, Target};
use crate::planner::pod::verdict::{Repair, infra_of};

impl<'a> PodPlanner<'a, '_, '_> {
    /// Plans a container that is kept: in-place updates, files, and the repair that it needs.
    pub(super) fn keep(
        &mut self,
        desired: &DesiredContainer<'a>,
        found: &Found<'_>,
        differs: &Difference,
        repair: Option<Repair>,
    ) {
        let about = self.about(desired, Cause::SpecChanged);
        let target = Target::Id(found.container.id.clone());
        let renamed = self.rename_back(found, &about);
        let precondition = self.owned(found);
        let class = differs.class();
        self.plan.rolls |= differs.spec.iter().any(|it| it.class >= UpdateClass::Restart);
        let restart_by_file = class == UpdateClass::Restart
            && matches!(repair, Some(Repair::Restart | Repair::Unpause));
        let mut done = Vec::new();
        if !restart_by_file {
            done = self.change_in_place(desired, found, differs, &about);
            self.plan.gated.extend(&done);
        }
        let act = |this: &mut Self, action: Action, after: &[OpId]| {
            let mut after = after.to_vec();
            if desired.role != Role::Infra {
                after.extend(this.infra.map(|(_, start)| start));
            }
            after.extend(&this.init_waits);
            let id = this.builder.op(&about, action, precondition.clone(), &after);
            this.plan.gated.push(id);
            id
        };
        let mut last = None;
        if repair == Some(Repair::Unpause) {
            let id = act(self, Action::Unpause { target: target.clone() }, &done);
            done.push(id);
            last = Some(id);
        }
        if restart_by_file {
            // Stop before writing files. If the apply is interrupted in between, a stopped container is left,
            // never a container that runs with the old files.
            let stop = Action::Stop { target: target.clone(), grace_s: desired.grace_s };
            let stop = act(self, stop, &done);
            self.note_stop(found, Some(stop));
            done.push(stop);
            let changed = self.change_in_place(desired, found, differs, &about);
            self.builder.gate(&changed, &[stop]);
            done.extend(changed);
            let id = act(self, Action::Start { target: target.clone() }, &done);
            done.push(id);
            last = Some(id);
        } else if repair == Some(Repair::Restart) {
            let action = Action::Restart { target: target.clone(), grace_s: desired.grace_s };
            let id = act(self, action, &done);
            self.plan.stops.push((found.container.id.clone(), id));
            self.plan.disruptive = true;
            done.push(id);
            last = Some(id);
        } else if repair == Some(Repair::Start) {
            let id = act(self, Action::Start { target: target.clone() }, &done);
            done.push(id);
            last = Some(id);
        }
        if let Some(last) = last {
            if desired.role == Role::Infra {
                self.infra = Some((None, last));
            }
            done.extend(self.wait_after_start(desired, &about, target, precondition, last));
        } else {
            self.wait_where_unready(desired, found, &about, target, precondition);
        }
        if let Some(renamed) = renamed {
            self.builder.gate(&done, &[renamed]);
            done.insert(0, renamed);
        }
        self.report_kept(desired, found, differs, repair, done);
    }

    /// Gives a container its own name again: a replacement was interrupted before its successor was created.
    fn rename_back(&mut self, found: &Found<'_>, about: &About) -> Option<OpId> {
        let own = labels::name_before_replacement(&found.container.name)?;
        let target = Target::Id(found.container.id.clone());
        let action = Action::Rename { target, name: own.to_owned() };
        let precondition = owned(self.context.cluster, found.container);
        let renamed = self.builder.op(about, action, precondition, &[]);
        self.plan.gated.push(renamed);
        Some(renamed)
    }

    /// Returns the precondition of calls on a container that is kept, under its own name.
    fn owned(&self, found: &Found<'_>) -> Precondition {
        let name = &found.container.name;
        Precondition::Owned {
            id: found.container.id.clone(),
            name: labels::name_before_replacement(name).unwrap_or(name).to_owned(),
            cluster: self.context.cluster.to_owned(),
        }
    }

    /// Adds a wait for a container that runs but is not ready or has not ended.
    fn wait_where_unready(
        &mut self,
        desired: &DesiredContainer<'a>,
        found: &Found<'_>,
        about: &About,
        target: Target,
        precondition: Precondition,
    ) {
        let about = About { cause: Cause::Needed, ..about.clone() };
        if desired.role == Role::Container && !found.has_ended_well() {
            self.plan.unended.push(Unended {
                about: about.clone(),
                target: target.clone(),
                precondition: precondition.clone(),
                start: None,
                deadline_ms: INIT_DEADLINE_MS,
            });
        }
        let running_init =
            desired.role == Role::Init && found.container.state == ContainerState::Running;
        if running_init {
            let action = Action::AwaitExit { target, deadline_ms: INIT_DEADLINE_MS };
            self.init_waits = vec![self.builder.op(&about, action, precondition, &[])];
        } else if desired.role == Role::Container
            && !found.is_ready(
                &desired.ready,
                infra_of(self.pod, self.context),
                self.context.now_ms,
            )
        {
            let action = Action::AwaitReady { target, rule: desired.ready.clone() };
            let wait = self.builder.op(&about, action, precondition, &[]);
            self.plan.ready.push(wait);
        }
    }

    /// Plans Docker's update, and the changed files with their signals.
    fn change_in_place(
        &mut self,
        desired: &DesiredContainer<'a>,
        found: &Found<'_>,
        differs: &Difference,
        about: &About,
    ) -> Vec<OpId> {
        let precondition = self.owned(found);
        let target = Target::Id(found.container.id.clone());
        let mut done = Vec::new();
        if differs.all().any(|change| change.class == UpdateClass::Live) {
            let action = Action::Update { target: target.clone(), live: desired.live() };
            done.push(self.builder.op(about, action, precondition.clone(), &[]));
        }
        let changed: Vec<&str> = differs
            .all()
            .filter(|change| change.path.first() == "file")
            .filter_map(|change| change.path.segments().nth(1))
            .collect();
        let Some(files) = desired.files().filter(|_| !changed.is_empty()) else {
            return done;
        };
        let signals = self.signals(found, differs, files, &changed);
        // The record states which files were applied, so it is written last: an interrupted apply is repeated.
        let (first, last) = if signals.is_empty() {
            (FilesPart::All, None)
        } else {
            (FilesPart::Contents, Some(FilesPart::Record))
        };
        let rewritten = differs.spec.iter().any(|change| change.path.first() == "file");
        let written = self.write(desired, found, about, first, rewritten, &[]);
        done.extend(&written);
        let signalled: Vec<OpId> = signals
            .into_iter()
            .map(|signal| {
                let action = Action::Signal { target: target.clone(), signal: signal.clone() };
                self.builder.op(about, action, precondition.clone(), &written)
            })
            .collect();
        done.extend(&signalled);
        if let Some(part) = last {
            done.extend(self.write(desired, found, about, part, rewritten, &signalled));
        }
        done
    }

    /// Returns the signals that notify a container of changed files, if signals are sufficient.
    fn signals<'f>(
        &self,
        found: &Found<'_>,
        differs: &Difference,
        files: &'f BTreeMap<String, FileSpec>,
        changed: &[&str],
    ) -> BTreeSet<&'f String> {
        let reload = differs.class() == UpdateClass::Reload
            && found.container.state == ContainerState::Running;
        let own = files.iter().filter(|(path, _)| reload && changed.contains(&path.as_str()));
        own.filter_map(|(_, file)| file.on_change.as_ref()).collect()
    }

    /// Writes the files with secrets into memory, and then all files if `rewritten`.
    fn write(
        &mut self,
        desired: &DesiredContainer<'a>,
        found: &Found<'_>,
        about: &About,
        part: FilesPart,
        rewritten: bool,
        after: &[OpId],
    ) -> Vec<OpId> {
        let precondition = self.owned(found);
        let target = Target::Id(found.container.id.clone());
        let into = (target.clone(), precondition.clone());
        let mut written: Vec<OpId> =
            self.write_secrets(desired, about, into, part, after).into_iter().collect();
        if let Some(files) = desired.files().filter(|_| rewritten) {
            let files = FilesRequest { files: files.clone(), part };
            let after = [after, written.as_slice()].concat();
            let action = Action::WriteFiles { target, files };
            written.push(self.builder.op(about, action, precondition, &after));
        }
        written
    }

    /// Adds the plan's entries for a container that is kept: spec changes and, separately, drift.
    fn report_kept(
        &mut self,
        desired: &DesiredContainer<'a>,
        found: &Found<'_>,
        differs: &Difference,
        repair: Option<Repair>,
        done: Vec<OpId>,
    ) {
        if !differs.spec.is_empty() {
            let about = self.about(desired, Cause::SpecChanged);
            let fields = differs.spec.clone();
            self.builder.change(&about, ChangeKind::Update, fields, None, done.clone());
        }
        let lost = differs.drift.iter().any(|change| change.path.first() == "file");
        let by_spec = differs.class() == UpdateClass::Restart && repair == Some(Repair::Restart);
        let note = lost.then(|| "its secrets are not in memory, will be written again".to_owned());
        let note = note.or_else(|| {
            repair.filter(|_| !by_spec).map(|repair| {
                if repair == Repair::Restart && self.context.was_asked_to_restart(found) {
                    "a restart was requested".to_owned()
                } else {
                    drift_note(found, repair, self.context.failing.contains(&found.container.id))
                }
            })
        });
        let renamed = found.identity.is_previous;
        let note = note.or_else(|| {
            renamed.then(|| "a replacement was interrupted, will get its name again".to_owned())
        });
        if !differs.drift.is_empty() || note.is_some() {
            // A container that was never started comes from an interrupted apply. It is no drift.
            let unfinished = found.container.state == ContainerState::Created
                && differs.drift.iter().all(|change| change.path.first() == "file");
            let asked = repair == Some(Repair::Restart) && self.context.was_asked_to_restart(found);
            let cause = if unfinished || asked || renamed { Cause::Needed } else { Cause::Drift };
            let about = self.about(desired, cause);
            let fields = differs.drift.clone();
            self.builder.change(&about, ChangeKind::Update, fields, note, done);
        }
    }
}

/// Returns the note about a repair.
fn drift_note(found: &Found<'_>, repair: Repair, failing: bool) -> String {
    if failing && repair == Repair::Restart {
        return "its liveness probe failed, will be restarted".to_owned();
    }
    match (repair, found.container.state, found.details.exit_code) {
        (Repair::Unpause, ..) => "paused, will be unpaused".to_owned(),
        (Repair::Restart, ..) => {
            "its pod's network was recreated without it, will be restarted".to_owned()
        }
        (Repair::Start, ContainerState::Created, _) => {
            "created and never started, will be started".to_owned()
        }
        (Repair::Start, _, Some(code)) => {
            format!("stopped (exit code {code}), will be started")
        }
        (Repair::Start, ..) => "stopped, will be started".to_owned(),
    }
}
