//! What is kept: the spec in its versions, and what must be there of each.

use std::collections::{BTreeMap, BTreeSet};

use tally_tests::lab::{Lab, Way};

/// The cluster's name, and so the first part of all names in Docker.
pub const CLUSTER: &str = "chaos";
/// So many pods of `web` there are at least and at most.
pub const LEAST_WEB: usize = 5;
pub const MOST_WEB: usize = 9;
/// Beyond the number of `web`, and below it, while it changes.
pub const SURGE: usize = 1;
pub const UNAVAILABLE: usize = 2;
/// The pod with data, which may run once anywhere.
pub const STATEFUL: &str = "db-0";
/// Its volume.
pub const VOLUME: &str = "chaos.data";
/// Hosts by way: the first one has no cable that could be pulled.
const WAYS: [Way; 5] = [Way::Unix, Way::Tls, Way::Ssh, Way::Tls, Way::Ssh];

/// A version of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Pods of `web`.
    pub web: usize,
    /// `tally.local/hello:1` or `:2`.
    pub image: usize,
    /// A number in an environment, so that a change makes containers anew.
    pub number: usize,
    /// Whether most of it is left out: nobody means that, and it must not be followed.
    pub gutted: bool,
}

impl Version {
    pub const FIRST: Self = Self { web: 6, image: 1, number: 0, gutted: false };

    /// The spec.
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

    /// The containers that must run, by pod, as names in Docker.
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
        add("front", &["", "front"]); // its init makes it a pod of more than one
        for nth in 0..self.web {
            add(&format!("web-{nth}"), &["web"]);
        }
        for host in hosts {
            add(&format!("agent-{host}"), &["", "reader", "writer"]);
        }
        pods
    }
}
