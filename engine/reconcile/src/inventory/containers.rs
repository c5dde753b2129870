//! What is ours on one host, sorted by pod, and what is not but stands in the way.

use std::collections::BTreeMap;

use crate::input::observed::{ContainerDetails, ContainerState, Health, ObservedContainer};
use crate::inventory::classify::Identity;
use crate::inventory::patterns::FastPath;
use crate::labels::Role;
use crate::plan::ReadyRule;

/// A container of ours.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// Who it is.
    pub identity: Identity<'a>,
    /// What was listed.
    pub container: &'a ObservedContainer,
    /// What inspecting showed.
    pub details: &'a ContainerDetails,
}

/// The containers of one pod, by role and name.
#[derive(Debug, Clone, Default)]
pub struct Containers<'a> {
    all: Vec<Found<'a>>,
    /// Which pod of its host it is, in the order of their names.
    pub(crate) number: usize,
    /// What a glance at it showed.
    pub(crate) fast_path: FastPath,
}

impl<'a> Containers<'a> {
    /// Puts one in its place; Docker has no two of one name.
    pub(crate) fn insert(&mut self, found: Found<'a>) {
        let key = |found: &Found<'a>| (found.identity.role, found.identity.name);
        match self.all.binary_search_by_key(&key(&found), key) {
            Ok(at) => self.all.splice(at..=at, [found]).for_each(drop),
            Err(at) => {
                // Most pods are one container, and a list takes room for four.
                self.all.reserve_exact(1);
                self.all.insert(at, found);
            }
        }
    }

    /// The container of that role and name.
    #[must_use]
    pub fn get(&self, role: Role, name: &str) -> Option<&Found<'a>> {
        self.all.iter().find(|found| (found.identity.role, found.identity.name) == (role, name))
    }

    /// All of them, in order.
    pub fn values(&self) -> std::slice::Iter<'_, Found<'a>> {
        self.all.iter()
    }

    /// Whether it has one of that role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.all.iter().any(|found| found.identity.role == role)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The workload that they say they are of.
    #[must_use]
    pub fn workload(&self) -> Option<&'a str> {
        self.all.first().map(|found| found.identity.workload)
    }
}

/// Our containers of one host by pod; the others by name.
#[derive(Debug, Default)]
pub struct Inventory<'a> {
    /// Ours.
    pub pods: BTreeMap<&'a str, Containers<'a>>,
    /// Not ours, or not surely ours, by name, with the reason for the latter.
    pub others: BTreeMap<&'a str, (&'a ObservedContainer, Option<&'static str>)>,
}

impl Found<'_> {
    /// Whether it has ended with exit code 0.
    #[must_use]
    pub fn has_ended_well(&self) -> bool {
        self.container.state == ContainerState::Exited && self.details.exit_code == Some(0)
    }

    /// Whether it serves, whatever version it is of: as [`Found::is_ready`] by the rule of what is asked
    /// for now, but whether its health counts is its own version's word. One that was made without a
    /// health check can never become healthy, and serves all the same.
    #[must_use]
    pub fn serves(&self, rule: &ReadyRule, infra: Option<&Self>, now_ms: i64) -> bool {
        if self.identity.wished.is_some() {
            return self.is_ready(rule, infra, now_ms);
        }
        let healthy = self.identity.applied().readiness.is_some();
        self.is_ready(&ReadyRule { healthy, ..rule.clone() }, infra, now_ms)
    }

    /// Whether it is ready by the rule, as far as a snapshot taken at `now_ms` can tell. `infra` is the
    /// infra container of its pod: without a network it serves nobody.
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

    /// Whether it runs on in a network that is dead. An infra container that starts again has a new
    /// network; who joined before stays in the old one, so `running` proves nothing and the times of
    /// starting do. The network of one that is paused is the one it was.
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
