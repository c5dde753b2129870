//! The subject of an operation, a change or a block.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use tally_graph::Workload;

/// The name of infra containers, which have none in the spec.
const INFRA: &str = "(infra)";

/// The object that an operation, a change or a block is about. Workloads are named by their address, such
/// as `controller/web`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Columns", into = "Columns")]
pub enum Subject {
    /// The cluster by its name, and with it the cluster's network.
    Cluster(String),
    /// A host by its name.
    Host(String),
    /// An image, in the form of [`tally_graph::ImageRef`].
    Image(String),
    /// A named volume of the spec.
    Volume(String),
    /// A workload as a whole.
    Workload(String),
    /// A pod with all of its containers and volumes.
    Pod {
        /// Its workload; empty if only the pod's name is known.
        workload: String,
        /// Its name: `web-0`.
        pod: String,
    },
    /// A container of a pod, or an init.
    Container {
        /// The pod's workload.
        workload: String,
        /// Its pod.
        pod: String,
        /// Its name in the pod.
        container: String,
    },
    /// The infra container of a pod.
    Infra {
        /// The pod's workload.
        workload: String,
        /// Its pod.
        pod: String,
    },
}

impl Subject {
    /// Returns a workload as a whole.
    #[must_use]
    pub fn from_workload(workload: &Workload) -> Self {
        Self::Workload(workload.address().to_string())
    }

    /// Returns a pod of a workload.
    #[must_use]
    pub fn from_pod(workload: &Workload, pod: &str) -> Self {
        Self::Pod { workload: workload.address().to_string(), pod: pod.to_owned() }
    }

    /// Returns the subject of an object from its labels: `owner` is a workload's address, or the address of a
    /// named volume; a pod's own object also names its pod.
    #[must_use]
    pub fn from_labels(owner: &str, pod: Option<&str>) -> Self {
        let pod = pod.unwrap_or_default().to_owned();
        Columns { workload: owner.to_owned(), pod, container: String::new() }.into()
    }

    /// Returns the address of the workload, volume, host or cluster; of an image `image ` and its name.
    #[must_use]
    pub fn address(&self) -> Cow<'_, str> {
        match self {
            Self::Cluster(name) => Cow::Owned(format!("cluster/{name}")),
            Self::Host(name) => Cow::Owned(format!("host/{name}")),
            Self::Image(name) => Cow::Owned(format!("image {name}")),
            Self::Volume(name) => Cow::Owned(format!("volume/{name}")),
            Self::Workload(workload)
            | Self::Pod { workload, .. }
            | Self::Container { workload, .. }
            | Self::Infra { workload, .. } => Cow::Borrowed(workload),
        }
    }

    /// Returns the name of the pod; `None` for a subject that belongs to no pod.
    #[must_use]
    pub fn pod(&self) -> Option<&str> {
        match self {
            Self::Pod { pod, .. } | Self::Container { pod, .. } | Self::Infra { pod, .. } => {
                Some(pod)
            }
            Self::Cluster(_)
            | Self::Host(_)
            | Self::Image(_)
            | Self::Volume(_)
            | Self::Workload(_) => None,
        }
    }

    /// Returns the name of the container, `(infra)` for an infra container; `None` if the subject is not a
    /// container.
    #[must_use]
    pub fn container(&self) -> Option<&str> {
        match self {
            Self::Container { container, .. } => Some(container),
            Self::Infra { .. } => Some(INFRA),
            _ => None,
        }
    }

    /// Checks whether it belongs to the pod of that name.
    #[must_use]
    pub fn is_of_pod(&self, name: &str) -> bool {
        self.pod() == Some(name)
    }

    /// Returns the pod of a container, and anything else as it is.
    #[must_use]
    pub fn whole_pod(&self) -> Self {
        match self {
            Self::Container { workload, pod, .. } | Self::Infra { workload, pod } => {
                Self::Pod { workload: workload.clone(), pod: pod.clone() }
            }
            other => other.clone(),
        }
    }

    fn key(&self) -> (Cow<'_, str>, Option<&str>, Option<&str>) {
        (self.address(), self.pod(), self.container())
    }
}

/// Orders by address, then pod, then container: the order in which plans list subjects.
impl Ord for Subject {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The form in JSON and in saved plans: three texts, empty where there is none.
#[derive(Serialize, Deserialize)]
struct Columns {
    workload: String,
    pod: String,
    container: String,
}

impl From<Subject> for Columns {
    fn from(subject: Subject) -> Self {
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        Self {
            workload: subject.address().into_owned(),
            pod: text(subject.pod()),
            container: text(subject.container()),
        }
    }
}

impl From<Columns> for Subject {
    fn from(Columns { workload, pod, container }: Columns) -> Self {
        if container == INFRA {
            return Self::Infra { workload, pod };
        }
        if !container.is_empty() {
            return Self::Container { workload, pod, container };
        }
        if !pod.is_empty() {
            return Self::Pod { workload, pod };
        }
        let named = |prefix: &str| workload.strip_prefix(prefix).map(str::to_owned);
        named("cluster/")
            .map(Self::Cluster)
            .or_else(|| named("host/").map(Self::Host))
            .or_else(|| named("image ").map(Self::Image))
            .or_else(|| named("volume/").map(Self::Volume))
            .unwrap_or(Self::Workload(workload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_is_parsed_from_its_own_json() {
        let (workload, pod) = ("controller/web".to_owned(), "web-0".to_owned());
        let all = [
            (Subject::Cluster("shop".into()), ["cluster/shop", "", ""]),
            (Subject::Host("a".into()), ["host/a", "", ""]),
            (Subject::Image("nginx:1".into()), ["image nginx:1", "", ""]),
            (Subject::Volume("data".into()), ["volume/data", "", ""]),
            (Subject::Workload(workload.clone()), ["controller/web", "", ""]),
            (
                Subject::Pod { workload: workload.clone(), pod: pod.clone() },
                ["controller/web", "web-0", ""],
            ),
            (
                Subject::Container {
                    workload: workload.clone(),
                    pod: pod.clone(),
                    container: "nginx".into(),
                },
                ["controller/web", "web-0", "nginx"],
            ),
            (Subject::Infra { workload, pod }, ["controller/web", "web-0", "(infra)"]),
        ];
        for (subject, [workload, pod, container]) in all {
            let text = serde_json::to_string(&subject).unwrap();
            let expected =
                format!(r#"{{"workload":"{workload}","pod":"{pod}","container":"{container}"}}"#);
            assert_eq!(text, expected);
            assert_eq!(serde_json::from_str::<Subject>(&text).unwrap(), subject);
        }
    }
}
