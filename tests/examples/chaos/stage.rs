//! The versions of the spec, and the expected containers of each.

use std::collections::{BTreeMap, BTreeSet};

use tally_tests::lab::{Lab, Way};

/// The cluster's name, and so the first part of all names in Docker.
pub const CLUSTER: &str = "chaos";
/// The minimum and the maximum number of pods of `web`.
pub const LEAST_WEB: usize = 5;
pub const MOST_WEB: usize = 9;
/// The maximum number of pods of `web` beyond the specified number, and below it, during a change.
pub const SURGE: usize = 1;
pub const UNAVAILABLE: usize = 2;
/// The pod with data, which may run only once in the cluster.
pub const STATEFUL: &str = "db-0";
/// Its volume.
pub const VOLUME: &str = "chaos.data";
/// The hosts' ways: the first one has no cable that could be disconnected.
const WAYS: [Way; 5] = [Way::Unix, Way::Tls, Way::Ssh, Way::Tls, Way::Ssh];

/// A version of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Pods of `web`.
    pub web: usize,
    /// `tally.local/hello:1` or `:2`.
    pub image: usize,
    /// A number in an environment, so that a change recreates containers.
    pub number: usize,
    /// Whether most pods are left out, as by mistake: this version must not be applied.
    pub gutted: bool,
}

impl Version {
    pub const FIRST: Self = Self { web: 6, image: 1, number: 0, gutted: false };

    /// Returns the text of the spec.
    pub fn text(&self, lab: &Lab) -> String {
        let Self { web, image, number, gutted } = self;
        let mut text = lab.cluster(CLUSTER, &WAYS);
        text.push_str(&format!(
            "volume data\n\
             controller db {{\n    place {{ require host=beta; }}\n    \
             container db image=\"tally.local/hello:1\" {{\n        \
             command \"sh\" \"-c\" \"date >>/data/starts; exec sleep 100000\"\n        \
             mount data \"/data\"\n        stop grace=\"1s\"\n        \
             readiness every=\"3s\" {{ command \"test\" \"-s\" \"/data/starts\"; }}\n    }}\n}}\n\
             pod front {{\n    depends-on controller db\n    \
             init prepare image=\"tally.local/hello:1\" {{ command \"true\"; }}\n    \
             container front image=\"tally.local/hello:1\" {{\n        \
             command \"sleep\" \"100000\"\n        env NUMBER={number}\n        stop grace=\"1s\"\n    }}\n}}\n"
        ));
        if !gutted {
            text.push_str(&format!(
                "controller web replicas={web} {{\n    \
                 update max-unavailable={UNAVAILABLE} max-surge={SURGE}\n    \
                 container web image=\"tally.local/hello:{image}\" {{\n        \
                 command \"sleep\" \"100000\"\n        env NUMBER={number}\n        stop grace=\"1s\"\n    }}\n}}\n\
                 controller agent replicas=per-host {{\n    volume page\n    \
                 container reader image=\"tally.local/hello:1\" {{\n        \
                 command \"sleep\" \"100000\"\n        mount page \"/page\" read-only=#true\n        stop grace=\"1s\"\n    }}\n    \
                 container writer image=\"tally.local/hello:1\" {{\n        \
                 command \"sleep\" \"100000\"\n        mount page \"/page\"\n        env NUMBER={number}\n        stop grace=\"1s\"\n    }}\n}}\n"
            ));
        }
        text
    }

    /// Returns the containers that must run, by pod, with their names in Docker.
    pub fn expected(&self, hosts: &[String]) -> BTreeMap<String, BTreeSet<String>> {
        let mut pods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut add = |pod: &str, parts: &[&str]| {
            let names = parts.iter().map(|part| {
                if part.is_empty() {
                    format!("{CLUSTER}.{pod}")
                } else {
                    format!("{CLUSTER}.{pod}.{part}")
                }
            });
            pods.insert(pod.to_owned(), names.collect());
        };
        add(STATEFUL, &["db"]);
        add("front", &["", "front"]); // its init container makes it a pod of several
        for nth in 0..self.web {
            add(&format!("web-{nth}"), &["web"]);
        }
        for host in hosts {
            add(&format!("agent-{host}"), &["", "reader", "writer"]);
        }
        pods
    }
}
