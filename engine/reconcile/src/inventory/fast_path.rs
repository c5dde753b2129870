//! The fast path: recognises pods that are up to date, so that only the others are compared field by field.
//!
//! Nothing is decided here: a pod that does not match takes the full comparison, and the full comparison of
//! a pod that matches finds nothing to do. [`crate::Options::thorough`] compares every pod in full; tests
//! check that the plans are the same.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::FileSpec;

use crate::input::observed::ContainerState;
use crate::inventory::containers::{Containers, Found};
use crate::inventory::patterns::{ContainerPattern, FastPath, Pattern, Patterns, ordinal};
use crate::labels::Role;

/// The input of the fast path besides the pod itself.
pub(crate) struct FastPathInput<'a> {
    /// Containers whose liveness has failed, by full ID.
    pub failing: &'a BTreeSet<String>,
    /// Containers to restart, by workload, each with the time of its last start before the restart.
    pub restarts: &'a BTreeMap<String, BTreeMap<String, i64>>,
    /// The time of the host's clock, in milliseconds since 1970.
    pub now_ms: i64,
}

impl Patterns {
    /// Compares a pod with its pattern.
    pub fn fast_path(
        &self,
        pod: &str,
        found: &Containers<'_>,
        input: &FastPathInput<'_>,
    ) -> FastPath {
        let workload = found.values().next().and_then(|found| found.identity.matching_pattern);
        let Some((number, pattern)) = workload.and_then(|it| Some((it, self.get(it)?))) else {
            return FastPath::default();
        };
        let digits = pod.strip_prefix(&*pattern.name).and_then(|rest| rest.strip_prefix('-'));
        let ordinal = digits.and_then(ordinal);
        FastPath { workload, ordinal, is_up_to_date: pattern.is_up_to_date(number, found, input) }
    }
}

impl FastPathInput<'_> {
    /// Checks whether a running container must be restarted although it is up to date, like
    /// [`crate::planner::pod::context::PodContext`].
    fn must_restart(&self, found: &Found<'_>) -> bool {
        let asked = self.restarts.get(found.identity.workload);
        let last = asked.and_then(|restarts| restarts.get(&found.container.id));
        self.failing.contains(&found.container.id)
            || (last.is_some() && last.copied() == found.details.started_at_ms)
    }
}

impl Pattern {
    /// Checks whether a pod is up to date and ready; `number` is the number of this pattern.
    fn is_up_to_date(
        &self,
        number: u32,
        found: &Containers<'_>,
        input: &FastPathInput<'_>,
    ) -> bool {
        let infra = found.get(Role::Infra, "");
        !found.has_previous()
            && found.len() == self.containers.len()
            && self.joined == infra.is_some()
            && self.containers.iter().zip(found.values()).all(|(desired, found)| {
                !found.identity.is_previous
                    && found.identity.matching_pattern == Some(number)
                    && desired.role == found.identity.role
                    && desired.name == found.identity.name
                    && desired.is_up_to_date(found, infra, input)
            })
    }
}

impl ContainerPattern {
    fn is_up_to_date(
        &self,
        found: &Found<'_>,
        infra: Option<&Found<'_>>,
        input: &FastPathInput<'_>,
    ) -> bool {
        let details = found.details;
        let as_told = details.live == self.live && self.has_files(found);
        let joined = details.joined.as_ref().zip(infra);
        let as_told = as_told && joined.is_none_or(|(joined, infra)| *joined == infra.container.id);
        if self.role == Role::Init {
            return as_told && found.has_ended_well();
        }
        as_told
            && found.container.state == ContainerState::Running
            && !found.is_cut_off(infra)
            && !input.must_restart(found)
            && (self.role == Role::Infra || found.is_ready(&self.ready, infra, input.now_ms))
    }

    fn has_files(&self, found: &Found<'_>) -> bool {
        let recorded = found.details.files.as_ref().filter(|files| !files.is_empty());
        match (self.files.as_ref(), recorded) {
            (None, None) => true,
            (Some(desired), Some(recorded)) => {
                let same = |(path, file): (&String, &FileSpec)| {
                    recorded.get(path).is_some_and(|old| old.is_same_as(file))
                };
                desired.len() == recorded.len() && desired.iter().all(same)
            }
            _ => false,
        }
    }
}
