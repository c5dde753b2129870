//! Classifies the containers on a host with an ordered table of rules; the first rule that matches applies.
//! Tally manages a container only if label, name and cluster agree. A container that has Tally's labels but
//! does not agree is quarantined: it is reported, and never changed.

use std::collections::BTreeMap;

use tally_graph::Workload;

use crate::input::observed::ObservedContainer;
use crate::inventory::patterns::Patterns;
use crate::labels::applied::Applied;
use crate::labels::{self, OurLabels, Role};

/// The class of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class<'a> {
    /// Not managed by Tally: never changed.
    Foreign,
    /// It has Tally's labels, but they do not agree or are damaged: never changed, but reported.
    Quarantined(&'static str),
    /// Managed by Tally.
    Ours(Identity<'a>),
}

/// The identity of a container that Tally manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Its role in the pod.
    pub role: Role,
    /// The address of its workload: `controller/frontend`.
    pub workload: &'a str,
    /// The pod's name.
    pub pod: &'a str,
    /// Its name in the pod.
    pub name: &'a str,
    /// The number of times that it was created.
    pub generation: u64,
    /// Whether another container takes its place: it has the name for that time.
    pub is_previous: bool,
    /// The applied spec, as the text of its label.
    spec: &'a str,
    /// The number of the pattern of the workload whose desired labels and spec this container has exactly.
    pub(crate) matching_pattern: Option<u32>,
}

impl Identity<'_> {
    /// Checks whether it has exactly the labels and spec that this workload asks for. The workload must be
    /// of the same graph.
    pub(crate) fn is_exactly_desired(&self, workload: &Workload) -> bool {
        self.matching_pattern.is_some()
            && self
                .workload
                .strip_suffix(workload.name.as_str())
                .and_then(|kind| kind.strip_suffix('/'))
                .is_some_and(|kind| kind == workload.kind.word())
    }

    /// Returns the applied spec.
    #[must_use]
    pub fn applied(&self) -> Applied {
        // It was parsed when the container was classified, or equals the text that we would write.
        Applied::from_label(self.spec).unwrap_or_default()
    }
}

/// A container with the data that the rules need.
struct ContainerFacts<'c, 'a> {
    cluster: &'c str,
    container: &'a ObservedContainer,
    labels: OurLabels<'a>,
    role: Option<Role>,
    matching_pattern: Option<u32>,
}

type Rule = fn(&ContainerFacts<'_, '_>) -> Option<Class<'static>>;

/// The rules, in order.
const RULES: &[Rule] = &[
    // It has no label of Tally, or that of another cluster.
    |seen| (seen.labels.cluster != Some(seen.cluster)).then_some(Class::Foreign),
    // It has the label, but another label that all our containers have is missing or unknown: copied
    // labels, or those of a newer version of Tally.
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
    // Labels can be copied (`docker commit`, a shell's history); the name is unique.
    |seen| {
        let (pod, name) = (seen.labels.pod.unwrap_or(""), seen.labels.name.unwrap_or(""));
        let own = labels::name_before_replacement(&seen.container.name);
        let own = own.unwrap_or(&seen.container.name);
        let agrees = match seen.role {
            Some(Role::Infra) => labels::is_joined_of(own, &[seen.cluster, pod]),
            _ => labels::is_joined_of(own, &[seen.cluster, pod, name]),
        };
        (!agrees).then_some(Class::Quarantined("its name does not agree with its labels"))
    },
    |seen| {
        let readable = seen.matching_pattern.is_some()
            || seen.labels.spec.and_then(Applied::from_label).is_some();
        (!readable).then_some(Class::Quarantined("its applied spec cannot be read"))
    },
];

/// Classifies a container for the cluster, whose workloads have these `patterns`.
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
    let matching_pattern =
        role.and_then(|role| patterns.matching_pattern(workload, pod, (role, name), spec));
    let seen = ContainerFacts { cluster, container, labels, role, matching_pattern };
    if let Some(class) = RULES.iter().find_map(|rule| rule(&seen)) {
        return class;
    }
    Class::Ours(Identity {
        role: role.unwrap_or(Role::Container),
        workload,
        pod,
        name,
        generation: text(labels.generation).parse().unwrap_or(1),
        is_previous: labels::name_before_replacement(&container.name).is_some(),
        spec,
        matching_pattern,
    })
}

/// Checks whether a volume or network belongs to the cluster: the labels have the cluster and the expected
/// role.
#[must_use]
pub fn owns(cluster: &str, role: Role, labels: &BTreeMap<String, String>) -> bool {
    labels.get(labels::CLUSTER).map(String::as_str) == Some(cluster)
        && labels.get(labels::ROLE).map(String::as_str) == Some(role.word())
}
