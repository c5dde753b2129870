//! The containers on one host: those of the cluster by pod, and the others, which may occupy names and
//! ports.

use std::collections::BTreeMap;

use crate::input::observed::{ContainerDetails, ContainerState, Health, ObservedContainer};
use crate::inventory::classify::Identity;
use crate::inventory::patterns::FastPath;
use crate::labels::Role;
use crate::plan::ReadyRule;

/// A container of the cluster.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// Its identity.
    pub identity: Identity<'a>,
    /// The data from the list of containers.
    pub container: &'a ObservedContainer,
    /// The data from its inspection.
    pub details: &'a ContainerDetails,
}

/// The containers of one pod, by role and name.
#[derive(Debug, Clone, Default)]
pub struct Containers<'a> {
    all: Vec<Found<'a>>,
    /// The containers whose place another one takes: a replacement that was interrupted.
    previous: Vec<Found<'a>>,
    /// The number of the pod on its host, in the order of the names.
    pub(crate) number: usize,
    /// The result of the fast path.
    pub(crate) fast_path: FastPath,
}

impl<'a> Containers<'a> {
    /// Adds a container, by its name.
    pub(crate) fn add(&mut self, found: Found<'a>) {
        if found.identity.is_previous { self.previous.push(found) } else { self.insert(found) }
    }

    /// Makes a previous container the current one where no other took its place: the replacement was interrupted
    /// before the new container was created.
    pub(crate) fn promote_previous(&mut self) {
        for found in std::mem::take(&mut self.previous) {
            match self.get(found.identity.role, found.identity.name) {
                None => self.insert(found),
                Some(_) => self.previous.push(found),
            }
        }
    }

    /// Returns the container whose place the one with that role and name takes.
    pub(crate) fn previous(&self, role: Role, name: &str) -> Option<&Found<'a>> {
        let is_it = |found: &&Found<'a>| (found.identity.role, found.identity.name) == (role, name);
        self.previous.iter().find(is_it)
    }

    /// Returns the containers whose places others take.
    pub(crate) fn all_previous(&self) -> impl Iterator<Item = &Found<'a>> {
        self.previous.iter()
    }

    /// Checks whether the place of a container is taken by another one.
    pub(crate) fn has_previous(&self) -> bool {
        !self.previous.is_empty()
    }

    /// Returns all containers, also those whose place another one takes; joiners before the infra container.
    pub(crate) fn with_previous(&self) -> impl Iterator<Item = &Found<'a>> {
        let mut all: Vec<&Found<'a>> = self.all.iter().chain(&self.previous).collect();
        all.sort_by_key(|found| found.identity.role);
        all.into_iter()
    }

    /// Inserts a container in order; names in Docker are unique.
    pub(crate) fn insert(&mut self, found: Found<'a>) {
        let key = |found: &Found<'a>| (found.identity.role, found.identity.name);
        match self.all.binary_search_by_key(&key(&found), key) {
            Ok(at) => self.all.splice(at..=at, [found]).for_each(drop),
            Err(at) => {
                // Most pods have one container, but a list would allocate space for four.
                self.all.reserve_exact(1);
                self.all.insert(at, found);
            }
        }
    }

    /// Returns the container with that role and name.
    #[must_use]
    pub fn get(&self, role: Role, name: &str) -> Option<&Found<'a>> {
        self.all.iter().find(|found| (found.identity.role, found.identity.name) == (role, name))
    }

    /// Returns all containers, in order.
    pub fn values(&self) -> std::slice::Iter<'_, Found<'a>> {
        self.all.iter()
    }

    /// Checks whether it has a container with that role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.all.iter().any(|found| found.identity.role == role)
    }

    /// Returns the number of containers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Checks whether there are no containers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the workload in their labels.
    #[must_use]
    pub fn workload(&self) -> Option<&'a str> {
        self.all.first().map(|found| found.identity.workload)
    }
}

/// The containers of one host: those of the cluster by pod, the others by name.
#[derive(Debug, Default)]
pub struct Inventory<'a> {
    /// The pods of the cluster.
    pub pods: BTreeMap<&'a str, Containers<'a>>,
    /// Containers that Tally does not manage, by name; quarantined ones with the reason.
    pub others: BTreeMap<&'a str, (&'a ObservedContainer, Option<&'static str>)>,
}

impl Found<'_> {
    /// Checks whether it has ended with exit code 0.
    #[must_use]
    pub fn has_ended_well(&self) -> bool {
        self.container.state == ContainerState::Exited && self.details.exit_code == Some(0)
    }

    /// Checks whether it serves, of any revision: like [`Found::is_ready`] with the current rule, except
    /// that its own revision decides whether its health counts. A container that was created without a
    /// health check can never become healthy, but serves.
    #[must_use]
    pub fn serves(&self, rule: &ReadyRule, infra: Option<&Self>, now_ms: i64) -> bool {
        if self.identity.matching_pattern.is_some() {
            return self.is_ready(rule, infra, now_ms);
        }
        let healthy = self.identity.applied().readiness.is_some();
        self.is_ready(&ReadyRule { healthy, ..rule.clone() }, infra, now_ms)
    }

    /// Checks whether it is ready by the rule, as far as a snapshot taken at `now_ms` (milliseconds since
    /// 1970) shows. `infra` is the infra container of its pod: without a network it cannot serve.
    #[must_use]
    pub fn is_ready(&self, rule: &ReadyRule, infra: Option<&Self>, now_ms: i64) -> bool {
        if rule.may_end && self.has_ended_well() {
            return true;
        }
        let since = self.details.started_at_ms.map_or(0, |start| now_ms.saturating_sub(start));
        let long_enough = since >= i64::try_from(rule.running_ms).unwrap_or(i64::MAX);
        let healthy = !rule.healthy || self.details.health == Health::Healthy;
        let runs = self.container.state == ContainerState::Running;
        runs && healthy && long_enough && !self.is_cut_off(infra)
    }

    /// Checks whether it still runs in a network that does not exist any more. An infra container that
    /// starts again has a new network, and containers that joined before stay in the old one: so `running`
    /// proves nothing, and the start times must be compared. A paused infra container keeps its network.
    pub fn is_cut_off(&self, infra: Option<&Self>) -> bool {
        let Some(infra) = infra else { return self.details.joined.is_some() };
        infra.container.id != self.container.id
            && (self.details.joined.as_ref().is_some_and(|joined| *joined != infra.container.id)
                || !matches!(
                    infra.container.state,
                    ContainerState::Running | ContainerState::Paused
                )
                || infra.details.started_at_ms > self.details.started_at_ms)
    }
}
