//! The memory that a leader hands over to the next one, through the store.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tally_reconcile::memory::{Backoff, Memory};

use crate::backoff::pause_ms;

/// The memory that an engine needs that takes over.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct HandedOver {
    /// The pods that were on each host, or were being made there.
    hosts: BTreeMap<String, BTreeSet<String>>,
    backoff: BTreeMap<String, BTreeMap<String, Backoff>>,
}

impl HandedOver {
    /// Returns the part of a memory that is handed over, as JSON.
    pub fn text_of(memory: &Memory) -> String {
        let hosts = memory.learned.hosts.iter();
        let hosts = hosts.filter_map(|(name, host)| Some((name.clone(), host.pods.clone()?)));
        let all = Self { hosts: hosts.collect(), backoff: memory.learned.backoff.clone() };
        serde_json::to_string(&all).unwrap_or_default()
    }

    /// Adds it to a memory. A host that answers will be observed again; on one that does not, the pods that
    /// either memory knows may exist, and no others.
    pub fn add_to(self, memory: &mut Memory, now_ms: i64) {
        for host in memory.learned.hosts.values_mut() {
            host.may_have_more = false;
        }
        for (name, pods) in self.hosts {
            memory.learned.hosts.entry(name).or_default().pods.get_or_insert_default().extend(pods);
        }
        for (host, pods) in self.backoff {
            let known = memory.learned.backoff.entry(host).or_default();
            for (pod, mut backoff) in pods {
                // The other engine's clock may differ: the pause is at most as long as it was then.
                let longest = now_ms.saturating_add(pause_ms(backoff.crashes));
                backoff.until_ms = backoff.until_ms.min(longest);
                known.entry(pod).or_insert(backoff);
            }
        }
    }
}
