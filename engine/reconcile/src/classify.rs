//! What a thing found on a host is to us: an ordered table of rules, the first that matches wins.
//! An owner needs label, name and cluster to agree; whatever only claims to be ours is quarantined:
//! reported, and never touched.

use std::collections::BTreeMap;

use crate::applied::Applied;
use crate::labels::{self, Role};
use crate::observed::ObservedContainer;

/// What a container is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Not ours: never touched.
    Foreign,
    /// It claims to be ours and is not, or is damaged: never touched, and said.
    Quarantined(&'static str),
    /// Ours.
    Ours(Box<Identity>),
}

/// Who a container of ours is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its part in the pod.
    pub role: Role,
    /// `controller/frontend`.
    pub workload: String,
    /// The pod's name.
    pub pod: String,
    /// Its name in the pod.
    pub name: String,
    /// How often it was made.
    pub generation: u64,
    /// What Docker was told.
    pub applied: Applied,
}

type Rule = fn(&str, &ObservedContainer) -> Option<Class>;

/// The rules, in order.
const RULES: &[Rule] = &[
    // Nothing says that it is ours, or it is another cluster's.
    |cluster, container| {
        let claimed = container.labels.get(labels::CLUSTER).map(String::as_str);
        (claimed != Some(cluster)).then_some(Class::Foreign)
    },
    // It says so, but a label that every container of ours has is missing or unknown: copied
    // labels, or a newer Tally's.
    |_, container| match role(container) {
        Some(Role::Container | Role::Init | Role::Infra) => None,
        Some(_) => Some(Class::Quarantined("its role is not a container's")),
        None => Some(Class::Quarantined("its role is not known to this version")),
    },
    |_, container| {
        let all = [labels::WORKLOAD, labels::POD, labels::NAME, labels::SPEC];
        let missing = all.iter().any(|key| !container.labels.contains_key(*key));
        missing.then_some(Class::Quarantined("labels of ours are missing"))
    },
    // Labels can be copied (`docker commit`, a shell's history); the name cannot be had twice.
    |cluster, container| {
        let label = |key: &str| container.labels.get(key).map(String::as_str).unwrap_or_default();
        let expected = match role(container) {
            Some(Role::Infra) => labels::infra_name(cluster, label(labels::POD)),
            _ => labels::container_name(cluster, label(labels::POD), label(labels::NAME)),
        };
        (container.name != expected)
            .then_some(Class::Quarantined("its name does not agree with its labels"))
    },
    |_, container| {
        let spec = container.labels.get(labels::SPEC).and_then(|text| Applied::from_label(text));
        spec.is_none().then_some(Class::Quarantined("its applied spec cannot be read"))
    },
];

/// What a container is to the cluster.
#[must_use]
pub fn classify(cluster: &str, container: &ObservedContainer) -> Class {
    if let Some(class) = RULES.iter().find_map(|rule| rule(cluster, container)) {
        return class;
    }
    let label = |key: &str| container.labels.get(key).cloned().unwrap_or_default();
    Class::Ours(Box::new(Identity {
        role: role(container).unwrap_or(Role::Container),
        workload: label(labels::WORKLOAD),
        pod: label(labels::POD),
        name: label(labels::NAME),
        generation: label(labels::GENERATION).parse().unwrap_or(1),
        applied: Applied::from_label(&label(labels::SPEC)).unwrap_or_default(),
    }))
}

fn role(container: &ObservedContainer) -> Option<Role> {
    container.labels.get(labels::ROLE).and_then(|word| Role::parse(word))
}

/// Whether a volume or network is ours: label and role agree with what the name is for.
#[must_use]
pub fn owns(cluster: &str, role: Role, labels: &BTreeMap<String, String>) -> bool {
    labels.get(labels::CLUSTER).map(String::as_str) == Some(cluster)
        && labels.get(labels::ROLE).map(String::as_str) == Some(role.word())
}
