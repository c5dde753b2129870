//! Plans the way back of a replacement: the operations that run if a new container cannot be created or started.

use super::PodPlanner;
use super::replace::{NO_RESTART, OldContainer, Replacement};
use crate::input::observed::Live;
use crate::labels::{self, Role};
use crate::plan::request::{FilesPart, FilesRequest};
use crate::plan::{Action, OpId, Target, Undo};

/// A restart policy of Docker: a container that ends is always started again.
const ALWAYS_RESTART: &str = "always";

impl PodPlanner<'_, '_, '_> {
    /// Plans the operations that bring the old containers back if a new one cannot be created or started.
    pub(super) fn undo_replacement(&mut self, replacement: &Replacement<'_>) {
        let has_old = replacement.olds.iter().any(|old| old.place.is_some());
        if !has_old || !replacement.is_restorable {
            return;
        }
        let unless: Vec<OpId> =
            [replacement.prepared.as_slice(), &replacement.stops, &replacement.started].concat();
        let undo = |of: Option<OpId>| Undo { unless: unless.clone(), of };
        let mut cleared: Vec<OpId> = Vec::new();
        for new in replacement.news.iter().rev() {
            let mut after = Vec::new();
            if let Some(started) = new.started {
                let action = Action::Stop { target: new.target.clone(), grace_s: None };
                after.push(self.builder.undo(
                    &new.about,
                    action,
                    new.precondition.clone(),
                    &[],
                    undo(Some(started)),
                ));
            }
            let action = Action::RemoveContainer { target: new.target.clone() };
            let precondition = new.precondition.clone();
            let of = undo(new.created);
            cleared.push(self.builder.undo(&new.about, action, precondition, &after, of));
        }
        let mut infra = None;
        // The infra container starts first.
        for old in replacement.olds.iter().rev() {
            let started = self.restore(old, &undo, &cleared, infra);
            if old.found.identity.role == Role::Infra {
                infra = started;
            }
        }
    }

    /// Plans the operations that bring one old container back. Returns the one that starts it.
    fn restore(
        &mut self,
        old: &OldContainer<'_>,
        undo: &dyn Fn(Option<OpId>) -> Undo,
        cleared: &[OpId],
        infra: Option<OpId>,
    ) -> Option<OpId> {
        let found = old.found;
        let target = Target::Id(found.container.id.clone());
        let mut after = cleared.to_vec();
        if old.place.is_some() {
            let action = Action::Rename { target: target.clone(), name: old.own_name() };
            let precondition = self.owned_as(found, old.name());
            let of = undo(old.renamed);
            after = vec![self.builder.undo(&old.about, action, precondition, &after, of)];
        }
        let back = self.owned_as(found, old.own_name());
        // An earlier plan may have stopped it, so that it has no restart policy any more.
        let must_run = self.restarts_always() && found.identity.role != Role::Init;
        let live = match old.updated {
            Some(_) => Some(found.details.live.clone()),
            None => (must_run && found.details.live.restart == NO_RESTART)
                .then(|| Live { restart: ALWAYS_RESTART.to_owned(), ..found.details.live.clone() }),
        };
        if let Some(live) = live {
            let action = Action::Update { target: target.clone(), live };
            let of = undo(old.updated);
            after = vec![self.builder.undo(&old.about, action, back.clone(), &after, of)];
        }
        if old.stopped.is_none() && !must_run {
            return None;
        }
        let of = undo(old.stopped);
        after.extend(infra);
        after.extend(self.restore_secrets(old, &of, &after));
        let action = Action::Start { target };
        Some(self.builder.undo(&old.about, action, back, &after, of))
    }

    /// Writes the secrets of an old container into memory again, which are lost when its infra container stops.
    fn restore_secrets(
        &mut self,
        old: &OldContainer<'_>,
        of: &Undo,
        after: &[OpId],
    ) -> Option<OpId> {
        let place = old.place.filter(|_| {
            old.found.container.labels.get(labels::SECRETS).is_some_and(|has| has == "1")
        })?;
        let files = self.pod.containers.get(place)?.keyed_files.as_ref()?.iter();
        let files = files.filter(|(_, file)| file.is_secret());
        let files = files.map(|(path, file)| (path.clone(), file.clone())).collect();
        let action = Action::WriteSecrets {
            target: Target::Id(old.found.container.id.clone()),
            files: FilesRequest { files, part: FilesPart::All },
        };
        let back = self.owned_as(old.found, old.own_name());
        Some(self.builder.undo(&old.about, action, back, after, of.clone()))
    }
}
