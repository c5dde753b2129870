//! What is ours on one host, sorted by pod, and what is not but stands in the way.

use std::collections::BTreeMap;

use crate::classify::{Class, Identity, classify};
use crate::labels::Role;
use crate::observed::{ContainerDetails, ContainerState, Health, HostState, ObservedContainer};
use crate::plan::ReadyRule;

/// A container of ours.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// Who it is; boxed, since a map of a pod's containers has room for eleven and mostly holds one.
    pub identity: Box<Identity>,
    /// What was listed.
    pub container: &'a ObservedContainer,
    /// What inspecting showed.
    pub details: &'a ContainerDetails,
}

/// The containers of one pod, by role and name.
pub type Containers<'a> = BTreeMap<(Role, String), Found<'a>>;

/// Our containers of one host by pod, then by role and name; the others by name.
#[derive(Debug, Default)]
pub struct Inventory<'a> {
    /// Ours.
    pub pods: BTreeMap<String, Containers<'a>>,
    /// Not ours, or not surely ours, by name, with the reason for the latter.
    pub others: BTreeMap<&'a str, (&'a ObservedContainer, Option<&'static str>)>,
}

/// Sorts what a host showed. A container of ours that could not be inspected vanished between the
/// list and the inspection; it is left out, and the next observation will tell.
#[must_use]
pub fn inventory<'a>(cluster: &str, host: &'a HostState) -> Inventory<'a> {
    let mut all = Inventory::default();
    for container in &host.containers {
        match (classify(cluster, container), &container.details) {
            (Class::Ours(identity), Some(details)) => {
                let key = (identity.role, identity.name.clone());
                let pod = all.pods.entry(identity.pod.clone()).or_default();
                pod.insert(key, Found { identity, container, details });
            }
            (Class::Ours(_), None) => {}
            (Class::Foreign, _) => {
                all.others.insert(&container.name, (container, None));
            }
            (Class::Quarantined(why), _) => {
                all.others.insert(&container.name, (container, Some(why)));
            }
        }
    }
    all
}

impl Found<'_> {
    /// Whether it has ended with exit code 0.
    #[must_use]
    pub fn has_ended_well(&self) -> bool {
        self.container.state == ContainerState::Exited && self.details.exit_code == Some(0)
    }

    /// Whether it is ready by the rule, as far as a snapshot taken at `now_ms` can tell.
    #[must_use]
    pub fn is_ready(&self, rule: &ReadyRule, now_ms: i64) -> bool {
        if rule.may_end && self.has_ended_well() {
            return true;
        }
        let since = self.details.started_at_ms.map_or(0, |start| now_ms.saturating_sub(start));
        let long_enough = since >= i64::try_from(rule.running_ms).unwrap_or(i64::MAX);
        let healthy = !rule.healthy || self.details.health == Health::Healthy;
        self.container.state == ContainerState::Running && healthy && long_enough
    }
}
