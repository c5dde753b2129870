//! What a thing found on a host is to us: an ordered table of rules, the first that matches wins.
//! An owner needs label, name and cluster to agree; whatever only claims to be ours is quarantined:
//! reported, and never touched.

use std::collections::BTreeMap;

use tally_graph::Workload;

use crate::input::observed::ObservedContainer;
use crate::inventory::patterns::Patterns;
use crate::labels::applied::Applied;
use crate::labels::{self, OurLabels, Role};

/// What a container is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class<'a> {
    /// Not ours: never touched.
    Foreign,
    /// It claims to be ours and is not, or is damaged: never touched, and said.
    Quarantined(&'static str),
    /// Ours.
    Ours(Identity<'a>),
}

/// Who a container of ours is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Its part in the pod.
    pub role: Role,
    /// `controller/frontend`.
    pub workload: &'a str,
    /// The pod's name.
    pub pod: &'a str,
    /// Its name in the pod.
    pub name: &'a str,
    /// How often it was made.
    pub generation: u64,
    /// What Docker was told, as its label has it.
    spec: &'a str,
    /// The number, among the spec's patterns, of the workload for which that is word by word what is asked
    /// for now.
    pub(crate) wished: Option<u32>,
}

impl Identity<'_> {
    /// Whether it is word by word what this workload asks for now. The workload is the graph's own.
    pub(crate) fn is_wished(&self, workload: &Workload) -> bool {
        self.wished.is_some()
            && self
                .workload
                .strip_suffix(workload.name.as_str())
                .and_then(|kind| kind.strip_suffix('/'))
                .is_some_and(|kind| kind == workload.kind.word())
    }

    /// What Docker was told.
    #[must_use]
    pub fn applied(&self) -> Applied {
        // It was read when the container was classified, or is the text that we would write.
        Applied::from_label(self.spec).unwrap_or_default()
    }
}

/// A container with what the rules look at.
struct Seen<'c, 'a> {
    cluster: &'c str,
    container: &'a ObservedContainer,
    labels: OurLabels<'a>,
    role: Option<Role>,
    wished: Option<u32>,
}

type Rule = fn(&Seen<'_, '_>) -> Option<Class<'static>>;

/// The rules, in order.
const RULES: &[Rule] = &[
    // Nothing says that it is ours, or it is another cluster's.
    |seen| (seen.labels.cluster != Some(seen.cluster)).then_some(Class::Foreign),
    // It says so, but a label that every container of ours has is missing or unknown: copied
    // labels, or a newer Tally's.
    |seen| match seen.role {
        Some(Role::Container | Role::Init | Role::Infra) => None,
        Some(_) => Some(Class::Quarantined("its role is not a container's")),
        None => Some(Class::Quarantined("its role is not known to this version")),
    },
    |seen| {
        let OurLabels { workload, pod, name, spec, .. } = seen.labels;
        let missing = [workload, pod, name, spec].contains(&None);
        missing.then_some(Class::Quarantined("labels of ours are missing"))
    },
    // Labels can be copied (`docker commit`, a shell's history); the name cannot be had twice.
    |seen| {
        let (pod, name) = (seen.labels.pod.unwrap_or(""), seen.labels.name.unwrap_or(""));
        let agrees = match seen.role {
            Some(Role::Infra) => labels::is_joined_of(&seen.container.name, &[seen.cluster, pod]),
            _ => labels::is_joined_of(&seen.container.name, &[seen.cluster, pod, name]),
        };
        (!agrees).then_some(Class::Quarantined("its name does not agree with its labels"))
    },
    |seen| {
        let readable =
            seen.wished.is_some() || seen.labels.spec.and_then(Applied::from_label).is_some();
        (!readable).then_some(Class::Quarantined("its applied spec cannot be read"))
    },
];

/// What a container is to the cluster, whose workloads look as `patterns` say.
pub(crate) fn classify<'a>(
    cluster: &str,
    container: &'a ObservedContainer,
    patterns: &Patterns,
) -> Class<'a> {
    let labels = OurLabels::of(&container.labels);
    let role = labels.role.and_then(Role::parse);
    let text = |label: Option<&'a str>| label.unwrap_or_default();
    let (workload, pod, name) = (text(labels.workload), text(labels.pod), text(labels.name));
    let spec = text(labels.spec);
    let wished = role.and_then(|role| patterns.wished(workload, pod, (role, name), spec));
    let seen = Seen { cluster, container, labels, role, wished };
    if let Some(class) = RULES.iter().find_map(|rule| rule(&seen)) {
        return class;
    }
    Class::Ours(Identity {
        role: role.unwrap_or(Role::Container),
        workload,
        pod,
        name,
        generation: text(labels.generation).parse().unwrap_or(1),
        spec,
        wished,
    })
}

/// Whether a volume or network is ours: label and role agree with what the name is for.
#[must_use]
pub fn owns(cluster: &str, role: Role, labels: &BTreeMap<String, String>) -> bool {
    labels.get(labels::CLUSTER).map(String::as_str) == Some(cluster)
        && labels.get(labels::ROLE).map(String::as_str) == Some(role.word())
}
