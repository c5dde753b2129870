//! Replaces containers of a pod so that the old ones are proven to be dispensable: the new containers are created
//! first, then the old ones are stopped, and they are removed only once the new ones have started. If a new one
//! cannot be created or started, the old ones are started again.
//!
//! The old container is renamed before the new one is created, so that the deterministic name stays the
//! compare-and-swap: only the container that has it may be started. An old container that is stopped has no restart
//! policy any more, so that a restart of the engine does not start it beside its successor.
//!
//! Once an init has started, nothing is undone: it may have changed the pod's data in a way that the old containers
//! do not understand.

use std::collections::BTreeSet;

use super::{PodPlanner, removal_subject, remove_container, replace_cause};
use crate::desired::realise::DesiredContainer;
use crate::input::observed::{ContainerState, Live};
use crate::inventory::containers::{Containers, Found};
use crate::labels::{self, Role};
use crate::plan::builder::{About, owned};
use crate::plan::{Action, Cause, ChangeKind, OpId, Precondition, Target};
use crate::planner::pod::verdict::ContainerVerdict;

/// A restart policy of Docker: a container that is stopped stays stopped.
pub(super) const NO_RESTART: &str = "no";

/// An old container that is stopped, and removed once its successor has started.
pub(super) struct OldContainer<'f> {
    pub(super) found: &'f Found<'f>,
    pub(super) about: About,
    /// The place of its successor in the pod; `None` if the spec does not contain it any more.
    pub(super) place: Option<usize>,
    pub(super) renamed: Option<OpId>,
    pub(super) updated: Option<OpId>,
    pub(super) stopped: Option<OpId>,
}

impl OldContainer<'_> {
    /// Returns its name while its successor takes its place.
    pub(super) fn name(&self) -> String {
        let name = &self.found.container.name;
        if self.renamed.is_some() { labels::previous_name(name) } else { name.clone() }
    }

    /// Returns the name that it has when the replacement is undone.
    pub(super) fn own_name(&self) -> String {
        let name = self.found.container.name.as_str();
        let own = labels::name_before_replacement(name).filter(|_| self.place.is_some());
        own.unwrap_or(name).to_owned()
    }
}

/// A container that takes a place in the pod.
pub(super) struct NewContainer {
    pub(super) place: usize,
    pub(super) about: About,
    pub(super) target: Target,
    pub(super) precondition: Precondition,
    pub(super) created: Option<OpId>,
    pub(super) started: Option<OpId>,
}

/// The replacement of containers of one pod.
pub(super) struct Replacement<'f> {
    pub(super) olds: Vec<OldContainer<'f>>,
    pub(super) news: Vec<NewContainer>,
    /// The operations before the first start.
    pub(super) prepared: Vec<OpId>,
    pub(super) stops: Vec<OpId>,
    /// The writes and starts after which the old containers can be removed.
    pub(super) started: Vec<OpId>,
    /// The waits for the new containers.
    pub(super) waits: Vec<OpId>,
    /// Whether an init was started: a failure after that does not restore the old containers.
    pub(super) is_final: bool,
    /// Whether no new container had started before this plan: otherwise nobody can tell what it did.
    pub(super) is_restorable: bool,
    /// Whether an earlier replacement was interrupted before all new containers had started.
    pub(super) is_pending: bool,
    /// The entries of the plan, by the place of the container: the removal of the old one belongs to them.
    pub(super) entries: Vec<(usize, usize)>,
}

impl Replacement<'_> {
    /// Adds operations that must succeed before the old containers are removed.
    fn add_started(&mut self, operations: &[OpId]) {
        if !self.is_final {
            self.started.extend(operations);
        }
    }
}

/// Returns whether a container was never started.
fn is_unstarted(found: &Found<'_>) -> bool {
    found.container.state == ContainerState::Created && found.details.started_at_ms.is_none()
}

fn runs(found: &Found<'_>) -> bool {
    matches!(
        found.container.state,
        ContainerState::Running | ContainerState::Restarting | ContainerState::Paused
    )
}

/// Checks whether a replacement was interrupted before all new containers had started, and may still be undone: no init
/// of the new containers has started. An init that started before the old containers belongs to these.
fn is_pending(containers: &Containers<'_>) -> bool {
    let started = |found: &Found<'_>| found.details.started_at_ms;
    let old = containers.all_previous().filter_map(started).max();
    let is_new =
        |found: &Found<'_>| started(found).is_some_and(|at| old.is_some_and(|old| at > old));
    let mut inits = containers.values().filter(|found| found.identity.role == Role::Init);
    let is_open = |found: &Found<'_>| {
        containers.previous(found.identity.role, found.identity.name).is_some()
            && is_unstarted(found)
    };
    !inits.any(is_new) && containers.values().any(is_open)
}

impl<'a> PodPlanner<'a, '_, '_> {
    /// Starts the replacement of containers, if one is necessary or was interrupted: creates the new ones, then stops
    /// the old ones.
    pub(super) fn begin_replacement<'f>(
        &mut self,
        verdicts: &'f [ContainerVerdict<'f>],
        existing: Option<&'f Containers<'f>>,
        needs: &[OpId],
    ) -> Option<Replacement<'f>> {
        let existing = existing?;
        let replaces = verdicts.iter().any(|it| matches!(it, ContainerVerdict::Replace(..)));
        if !replaces && !existing.has_previous() {
            return None;
        }
        let mut replacement = Replacement {
            olds: Vec::new(),
            news: Vec::new(),
            prepared: Vec::new(),
            stops: Vec::new(),
            started: Vec::new(),
            waits: Vec::new(),
            is_final: false,
            is_restorable: true,
            is_pending: is_pending(existing),
            entries: Vec::new(),
        };
        let mut infra = None;
        for (place, verdict) in verdicts.iter().enumerate() {
            let pod = self.pod;
            let Some(desired) = pod.containers.get(place) else { continue };
            let mut after = needs.to_vec();
            after.extend(infra);
            let created =
                self.create_new(&mut replacement, (place, desired), verdict, existing, after);
            if desired.role == Role::Infra {
                infra = created;
            }
        }
        self.retire_extra(&mut replacement, existing);
        if replacement.olds.is_empty() && replacement.news.is_empty() {
            return None;
        }
        self.stop_old(&mut replacement, needs);
        Some(replacement)
    }

    /// Creates the container of one place, after the old one made way. Returns the operation that creates it.
    fn create_new<'f>(
        &mut self,
        replacement: &mut Replacement<'f>,
        (place, desired): (usize, &DesiredContainer<'a>),
        verdict: &ContainerVerdict<'f>,
        existing: &'f Containers<'f>,
        mut after: Vec<OpId>,
    ) -> Option<OpId> {
        let previous = existing.previous(desired.role, &desired.name);
        let (found, cause, generation) = match verdict {
            ContainerVerdict::Create => (self.holder_of_name(desired, existing), Cause::Needed, 1),
            ContainerVerdict::Replace(found, differs, _) => {
                (Some(*found), replace_cause(differs), found.identity.generation + 1)
            }
            ContainerVerdict::Keep(found, ..) => {
                self.continue_interrupted(replacement, (place, desired), found, previous?);
                return None;
            }
            ContainerVerdict::Done | ContainerVerdict::Stuck(_) => return None,
        };
        let about = self.about(desired, cause);
        if let Some(found) = found {
            self.make_way(replacement, (place, desired, &about), found, previous, &mut after);
        }
        let created = self.create_container(desired, &about, generation, &after);
        self.plan.gated.push(created);
        replacement.prepared.push(created);
        replacement.news.push(NewContainer {
            place,
            about,
            target: Target::Created(created),
            precondition: Precondition::None,
            created: Some(created),
            started: None,
        });
        Some(created)
    }

    /// Returns the container of another role that has the name of a new one: an init of the same name, for example.
    fn holder_of_name<'f>(
        &self,
        desired: &DesiredContainer<'a>,
        existing: &'f Containers<'f>,
    ) -> Option<&'f Found<'f>> {
        let name = self.pod.docker_name(self.context.cluster, desired);
        existing.values().find(|found| found.container.name == name)
    }

    /// Continues an interrupted replacement with a container that is kept: it starts if it has not yet, otherwise the
    /// container whose place it took is removed.
    fn continue_interrupted<'f>(
        &mut self,
        replacement: &mut Replacement<'f>,
        (place, desired): (usize, &DesiredContainer<'a>),
        found: &Found<'_>,
        previous: &'f Found<'f>,
    ) {
        if !is_unstarted(found) {
            replacement.is_restorable &= !replacement.is_pending;
            self.clear_previous(previous, desired);
            return;
        }
        replacement.is_restorable &= replacement.is_pending;
        let about = self.about(desired, Cause::Needed);
        replacement.olds.push(old(previous, &about, Some(place)));
        replacement.news.push(NewContainer {
            place,
            about,
            target: Target::Id(found.container.id.clone()),
            precondition: owned(self.context.cluster, found.container),
            created: None,
            started: None,
        });
    }

    /// Frees the name of a container for its successor: it is renamed, or removed if it never started.
    fn make_way<'f>(
        &mut self,
        replacement: &mut Replacement<'f>,
        (place, desired, about): (usize, &DesiredContainer<'a>, &About),
        found: &'f Found<'f>,
        previous: Option<&'f Found<'f>>,
        after: &mut Vec<OpId>,
    ) {
        if is_unstarted(found) && !found.identity.is_previous {
            // It never did anything, so nothing is lost with it.
            let (_, removed) =
                remove_container(found, about, self.context.cluster, None, after, self.builder);
            self.plan.gated.push(removed);
            after.push(removed);
            if let Some(previous) = previous {
                replacement.is_restorable &= replacement.is_pending;
                replacement.olds.push(old(previous, about, Some(place)));
            }
            return;
        }
        if let Some(previous) = previous {
            replacement.is_restorable &= !replacement.is_pending;
            after.push(self.clear_previous(previous, desired));
        }
        let mut old = old(found, about, Some(place));
        if !found.identity.is_previous {
            let renamed = self.rename(found, about, after);
            old.renamed = Some(renamed);
            replacement.prepared.push(renamed);
            after.push(renamed);
        }
        replacement.olds.push(old);
    }

    /// Gives an old container the name that it has while another one takes its place.
    fn rename(&mut self, found: &Found<'_>, about: &About, after: &[OpId]) -> OpId {
        let action = Action::Rename {
            target: Target::Id(found.container.id.clone()),
            name: labels::previous_name(&found.container.name),
        };
        let precondition = owned(self.context.cluster, found.container);
        let renamed = self.builder.op(about, action, precondition, after);
        self.plan.gated.push(renamed);
        renamed
    }

    /// Removes a container whose successor has started: a replacement was interrupted just before. Returns the
    /// operation that removes it.
    fn clear_previous(&mut self, previous: &Found<'_>, desired: &DesiredContainer<'a>) -> OpId {
        let about = About {
            cause: Cause::Needed,
            ..removal_subject(previous, self.context.host, Some(desired.span))
        };
        let (stop, remove) =
            remove_container(previous, &about, self.context.cluster, None, &[], self.builder);
        let done: Vec<OpId> = stop.into_iter().chain([remove]).collect();
        self.plan.gated.extend(&done);
        let note = Some("left by a replacement that was interrupted".to_owned());
        self.builder.change(&about, ChangeKind::Remove, Vec::new(), note, done);
        remove
    }

    /// Adds the containers that the spec does not contain any more: they stop with the others, and start again with
    /// them if the replacement fails.
    fn retire_extra<'f>(
        &mut self,
        replacement: &mut Replacement<'f>,
        existing: &'f Containers<'f>,
    ) {
        let wanted: BTreeSet<(Role, &str)> =
            self.pod.containers.iter().map(|c| (c.role, c.name.as_str())).collect();
        for found in existing.with_previous() {
            let is_known =
                replacement.olds.iter().any(|old| old.found.container.id == found.container.id);
            if !is_known && !wanted.contains(&(found.identity.role, found.identity.name)) {
                let about = removal_subject(found, self.context.host, Some(self.pod.workload.span));
                replacement.olds.push(old(found, &about, None));
            }
        }
        // Joiners before the infra container, which is the first in the pod.
        replacement.olds.sort_by_key(|old| {
            (old.found.identity.role == Role::Infra, std::cmp::Reverse(old.place))
        });
    }

    /// Stops the old containers once all new ones exist, joiners before the infra container.
    fn stop_old(&mut self, replacement: &mut Replacement<'_>, needs: &[OpId]) {
        let ready = [needs, &replacement.prepared].concat();
        let mut stops: Vec<OpId> = Vec::new();
        for old in &mut replacement.olds {
            let found = old.found;
            let target = Target::Id(found.container.id.clone());
            let precondition = self.owned_as(found, old.name());
            let mut after = ready.clone();
            if found.identity.role == Role::Infra {
                after.extend(&stops);
            }
            if found.details.live.restart != NO_RESTART {
                let live = Live { restart: NO_RESTART.to_owned(), ..found.details.live.clone() };
                let action = Action::Update { target: target.clone(), live };
                let id = self.builder.op(&old.about, action, precondition.clone(), &after);
                self.plan.gated.push(id);
                replacement.prepared.push(id);
                old.updated = Some(id);
                after = vec![id];
            }
            if found.container.state == ContainerState::Paused {
                // A paused process cannot handle its stop signal.
                let action = Action::Unpause { target: target.clone() };
                let id = self.builder.op(&old.about, action, precondition.clone(), &after);
                self.plan.gated.push(id);
                replacement.prepared.push(id);
                after = vec![id];
            }
            if runs(found) {
                let desired = old.place.and_then(|place| self.pod.containers.get(place));
                let grace_s = desired.and_then(|desired| desired.grace_s);
                let action = Action::Stop { target, grace_s };
                let id = self.builder.op(&old.about, action, precondition, &after);
                old.stopped = Some(id);
                stops.push(id);
            } else {
                stops.extend(old.updated);
            }
        }
        for old in &replacement.olds {
            self.note_stop(old.found, old.stopped);
        }
        replacement.stops = stops;
    }

    /// Writes the files of a new container, and starts it. Returns the operations for the plan's entry.
    pub(super) fn start_new(
        &mut self,
        replacement: &mut Replacement<'_>,
        place: usize,
        desired: &DesiredContainer<'a>,
    ) -> Vec<OpId> {
        let Some(new) = replacement.news.iter().position(|new| new.place == place) else {
            return Vec::new();
        };
        let Some((about, target, created)) = replacement
            .news
            .get(new)
            .map(|new| (new.about.clone(), new.target.clone(), new.created))
        else {
            return Vec::new();
        };
        let own = replacement.olds.iter().filter(|old| old.place == Some(place));
        let mut done: Vec<OpId> = own
            .flat_map(|old| [old.renamed, created, old.updated, old.stopped])
            .flatten()
            .collect();
        if done.is_empty() {
            done.extend(created);
        }
        let after: Vec<OpId> = created.into_iter().chain(replacement.stops.clone()).collect();
        let first = self.builder.plan.operations.len();
        let (started, rest) = self.bring_up(desired, &about, target, &after);
        let made = self.builder.plan.operations.iter().skip(first).map(|it| it.id);
        let made: Vec<OpId> = made.filter(|id| *id <= started).collect();
        replacement.add_started(&made);
        self.plan.ups.extend(&made);
        self.plan.gated.extend(&made);
        replacement.waits.extend(rest.iter().filter(|id| **id > started));
        done.extend(rest);
        self.note_start(replacement, place, desired, started);
        done
    }

    /// Notes the start of a container that takes a place.
    fn note_start(
        &self,
        replacement: &mut Replacement<'_>,
        place: usize,
        desired: &DesiredContainer<'_>,
        started: OpId,
    ) {
        if let Some(new) = replacement.news.iter_mut().find(|new| new.place == place)
            && !replacement.is_final
        {
            new.started = Some(started);
        }
        replacement.is_final |= desired.role == Role::Init;
    }

    /// Makes the operations on a kept container part of the replacement: a container that was created and not started
    /// before the replacement was interrupted. `first` is the number of its first operation.
    pub(super) fn keep_new(
        &mut self,
        replacement: &mut Replacement<'_>,
        place: usize,
        desired: &DesiredContainer<'_>,
        first: usize,
    ) {
        if !replacement.news.iter().any(|new| new.place == place) {
            return;
        }
        let made = self.builder.plan.operations.iter().skip(first);
        let made: Vec<(OpId, bool)> = made
            .filter(|it| it.action.mutates())
            .map(|it| (it.id, matches!(it.action, Action::Start { .. })))
            .collect();
        let ids: Vec<OpId> = made.iter().map(|(id, _)| *id).collect();
        self.builder.gate(&ids, &replacement.stops);
        replacement.add_started(&ids);
        if let Some((started, _)) = made.iter().find(|(_, is_start)| *is_start) {
            self.note_start(replacement, place, desired, *started);
        }
        let entry = self.builder.plan.changes.len().checked_sub(1);
        replacement.entries.extend(entry.map(|entry| (place, entry)));
    }

    /// Notes the plan's entry of a place, the last one that was added.
    pub(super) fn note_entry(&self, replacement: &mut Replacement<'_>, place: usize) {
        let entry = self.builder.plan.changes.len().checked_sub(1);
        replacement.entries.extend(entry.map(|entry| (place, entry)));
    }

    /// Removes the old containers once the new ones have started, and plans the way back.
    pub(super) fn finish_replacement(&mut self, replacement: &Replacement<'_>) {
        if !replacement.is_final {
            // A wait would fail when its container is removed because another one does not start.
            self.builder.gate(&replacement.waits, &replacement.started);
        }
        self.undo_replacement(replacement);
        let after = match replacement.started.as_slice() {
            [] => &replacement.stops,
            started => started,
        };
        for old in &replacement.olds {
            let precondition = self.owned_as(old.found, old.name());
            let action =
                Action::RemoveContainer { target: Target::Id(old.found.container.id.clone()) };
            let removed = self.builder.op(&old.about, action, precondition, after);
            self.plan.gated.push(removed);
            let entry = replacement.entries.iter().find(|(place, _)| Some(*place) == old.place);
            match entry.and_then(|(_, entry)| self.builder.plan.changes.get_mut(*entry)) {
                Some(change) => change.operations.push(removed),
                None => {
                    let ids = [old.updated, old.stopped, Some(removed)];
                    let done = ids.into_iter().flatten().collect();
                    self.builder.change(&old.about, ChangeKind::Remove, Vec::new(), None, done);
                }
            }
        }
    }

    /// Checks whether the pod's containers are always restarted.
    pub(super) fn restarts_always(&self) -> bool {
        self.pod.workload.restart == tally_graph::Restart::Always
    }

    /// Returns the precondition of a call on a container of the cluster with that name.
    pub(super) fn owned_as(&self, found: &Found<'_>, name: String) -> Precondition {
        let (id, cluster) = (found.container.id.clone(), self.context.cluster.to_owned());
        Precondition::Owned { id, name, cluster }
    }
}

/// Returns an old container with no operations yet.
fn old<'f>(found: &'f Found<'f>, about: &About, place: Option<usize>) -> OldContainer<'f> {
    let (renamed, updated, stopped) = (None, None, None);
    OldContainer { found, about: about.clone(), place, renamed, updated, stopped }
}
