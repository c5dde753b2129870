//! The index of pods on ready hosts. A map of all pods by name would take longer to build than all queries
//! of it: nearly all pods are `name-ordinal` of a controller, so these are indexed by number.

use tally_graph::{Graph, Replicas};

use crate::inventory::containers::Containers;
use crate::inventory::host_status::Hosts;
use crate::inventory::patterns::{FastPath, Patterns, ordinal};

/// A pod of a controller: its ordinal, the number of its ready host, and its containers there.
type HostedPod<'a> = (u32, usize, &'a Containers<'a>);

/// The ready hosts that have each pod.
pub(crate) struct PodIndex<'a> {
    /// The pods of controllers, by ordinal and host, for each name of a controller.
    rows: Vec<(&'a str, Vec<HostedPod<'a>>)>,
    /// All other pods, sorted, with their hosts.
    others: Vec<(&'a str, usize)>,
}

impl<'a> PodIndex<'a> {
    pub fn new(graph: &'a Graph, hosts: &'a Hosts<'a>, patterns: &Patterns) -> Self {
        let counted = graph.workloads().filter(|it| matches!(it.replicas, Replicas::Count(_)));
        let mut rows: Vec<_> = counted.map(|it| (it.name.as_str(), Vec::new())).collect();
        rows.sort_unstable_by_key(|(name, _)| *name);
        rows.dedup_by_key(|(name, _)| *name);
        let mut all = Self { rows, others: Vec::new() };
        let known: Vec<Option<usize>> =
            patterns.all().iter().map(|pattern| all.at(&pattern.name)).collect();
        for (number, host) in hosts.ready.iter().enumerate() {
            for (pod, found) in &host.inventory.pods {
                // The fast path has already parsed most names.
                let FastPath { workload, ordinal, .. } = found.fast_path;
                let at = workload.and_then(|number| *known.get(number as usize)?);
                let place = at.zip(ordinal).or_else(|| all.place(pod));
                debug_assert_eq!(place, all.place(pod));
                match place.and_then(|(at, ordinal)| Some((all.rows.get_mut(at)?, ordinal))) {
                    Some(((_, row), ordinal)) => row.push((ordinal, number, found)),
                    None => all.others.push((pod, number)),
                }
            }
        }
        for (_, row) in &mut all.rows {
            row.sort_unstable_by_key(|(ordinal, host, _)| (*ordinal, *host));
        }
        all.others.sort_unstable();
        all
    }

    /// Returns the row and the ordinal of a pod whose name is that of a controller with an ordinal.
    fn place(&self, pod: &str) -> Option<(usize, u32)> {
        let (name, digits) = pod.rsplit_once('-')?;
        let ordinal = ordinal(digits)?;
        Some((self.at(name)?, ordinal))
    }

    /// Returns the row of a workload.
    fn at(&self, name: &str) -> Option<usize> {
        self.rows.binary_search_by(|(known, _)| (*known).cmp(name)).ok()
    }

    /// Returns all existing pods of a controller, by ordinal and host.
    pub fn row(&self, controller: &str) -> PodRow<'_, 'a> {
        let at = self.at(controller);
        PodRow(
            at.and_then(|at| self.rows.get(at)).map(|(_, row)| row.as_slice()).unwrap_or_default(),
        )
    }

    /// Returns the hosts that have the pod of that name, in their order.
    pub fn hosts(&self, pod: &str) -> Vec<usize> {
        if let Some((at, ordinal)) = self.place(pod) {
            let row = self.rows.get(at).map(|(_, row)| row.as_slice()).unwrap_or_default();
            return PodRow(row).of(ordinal).iter().map(|(_, host, _)| *host).collect();
        }
        let from = self.others.partition_point(|(known, _)| *known < pod);
        let own = self.others.get(from..).unwrap_or_default();
        own.iter().take_while(|(known, _)| *known == pod).map(|(_, host)| *host).collect()
    }
}

/// The pods of one controller, by ordinal and host.
#[derive(Clone, Copy)]
pub(crate) struct PodRow<'r, 'a>(&'r [HostedPod<'a>]);

impl<'r, 'a> PodRow<'r, 'a> {
    /// Returns the hosts that have the pod with that ordinal, in their order, with its containers there.
    pub fn of(self, ordinal: u32) -> &'r [HostedPod<'a>] {
        let from = self.0.partition_point(|(known, ..)| *known < ordinal);
        let own = self.0.get(from..).unwrap_or_default();
        own.get(..own.partition_point(|(known, ..)| *known == ordinal)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known<'a>(found: &'a Containers<'a>) -> PodIndex<'a> {
        PodIndex {
            rows: vec![
                ("web", vec![(0, 1, found), (0, 4, found), (12, 0, found)]),
                ("web-1", vec![(2, 3, found)]),
            ],
            others: vec![("db", 2), ("web-00", 7), ("web-a", 1)],
        }
    }

    #[test]
    fn a_pod_is_found_by_its_name_alone() {
        let found = Containers::default();
        let known = known(&found);
        for (pod, expected) in [
            ("web-0", vec![1, 4]),
            ("web-12", vec![0]),
            ("web-1", vec![]),
            ("web-1-2", vec![3]),
            ("db", vec![2]),
            ("web-00", vec![7]),
            ("web-a", vec![1]),
            ("web", vec![]),
        ] {
            assert_eq!(known.hosts(pod), expected, "{pod}");
        }
        let row = |name: &str, ordinal| -> Vec<usize> {
            known.row(name).of(ordinal).iter().map(|(_, host, _)| *host).collect()
        };
        assert_eq!(row("web", 0), [1, 4]);
        assert_eq!(row("web-1", 2), [3]);
        assert!(row("web", 1).is_empty() && row("db", 0).is_empty());
    }

    #[test]
    fn only_the_canonical_form_of_an_ordinal_is_parsed() {
        let found = Containers::default();
        let known = known(&found);
        for other in ["web-00", "web-012", "web-+1", "web--1", "web-", "web-4294967296", "web-a"] {
            assert_eq!(known.place(other), None, "{other}");
        }
        assert_eq!(known.place("web-4294967295"), Some((0, u32::MAX)));
    }
}
