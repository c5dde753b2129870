//! Ports of hosts: each may be published once on a host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tally_graph::{Protocol, Publish, Replicas};
use tally_source::{Diagnostic, Span};

use crate::codes;
use crate::lower::{LoweredService, LoweredWorkload};
use crate::reporter::Reporter;

/// The number of pods that publish a port, and the first place.
#[derive(Default)]
struct RequestedPort {
    count: u32,
    first: Option<Span>,
}

/// The requests for one port in one family of addresses.
#[derive(Default)]
struct FamilyRequests {
    everywhere: RequestedPort,
    by_address: BTreeMap<IpAddr, RequestedPort>,
    any: RequestedPort,
}

/// The requests for one port. `0.0.0.0` and `[::]` do not exclude each other.
#[derive(Default)]
struct PortGroup {
    v4: FamilyRequests,
    v6: FamilyRequests,
}

impl PortGroup {
    /// Returns the families that an address belongs to; without one, a port is published in both.
    fn families(&mut self, ip: Option<IpAddr>) -> Vec<&mut FamilyRequests> {
        match ip {
            None => vec![&mut self.v4, &mut self.v6],
            Some(IpAddr::V4(_)) => vec![&mut self.v4],
            Some(IpAddr::V6(_)) => vec![&mut self.v6],
        }
    }
}

impl FamilyRequests {
    /// Returns the number of requests that exclude one for an address, and the place of the first.
    fn taken(&self, address: Option<IpAddr>) -> (u32, Option<Span>) {
        let Some(ip) = address else { return (self.any.count, self.any.first) };
        let own = self.by_address.get(&ip);
        let count = self.everywhere.count.saturating_add(own.map_or(0, |own| own.count));
        (count, self.everywhere.first.or(own.and_then(|own| own.first)))
    }
}

/// Reports host ports that are published by more pods than the cluster has hosts.
pub(crate) fn host_ports(
    cx: &mut Reporter<'_>,
    workloads: &[LoweredWorkload],
    services: &[LoweredService],
    hosts: usize,
) {
    let hosts = u32::try_from(hosts.max(1)).unwrap_or(u32::MAX);
    let mut groups: BTreeMap<(u16, Protocol), PortGroup> = BTreeMap::new();
    for lowered in workloads {
        let per_host = lowered.workload.replicas == Replicas::PerHost;
        let count = match lowered.workload.replicas {
            Replicas::Count(count) => count,
            Replicas::PerHost => hosts,
        };
        let mut ports: Vec<_> = lowered.facts.ports.values().collect();
        ports.sort_by_key(|fact| fact.span);
        for fact in ports {
            let Some(publish) = &fact.publish else { continue };
            if count > hosts && !per_host {
                replicas(cx, lowered, publish, fact.publish_span, count, hosts);
                continue;
            }
            let group = groups.entry((publish.port, fact.protocol)).or_default();
            want(cx, group, publish, fact.publish_span, count, hosts);
        }
    }
    for service in services {
        for (publish, span) in &service.published {
            let group = groups.entry((publish.port, Protocol::Tcp)).or_default();
            want(cx, group, publish, *span, hosts, hosts);
        }
    }
}

fn want(
    cx: &mut Reporter<'_>,
    group: &mut PortGroup,
    publish: &Publish,
    span: Span,
    count: u32,
    hosts: u32,
) {
    let address = publish.ip.filter(|ip| !ip.is_unspecified());
    let mut families = group.families(publish.ip);
    let taken = families.iter().map(|family| family.taken(address));
    let (taken, first) = taken.max_by_key(|(count, _)| *count).unwrap_or_default();
    if let Some(first) = first.filter(|_| count > 0 && taken.saturating_add(count) > hosts) {
        let headline = match hosts {
            1 => format!("host port {} is wanted twice on one host", publish.port),
            _ => format!(
                "host port {} is wanted {} times on {hosts} hosts",
                publish.port,
                taken.saturating_add(count)
            ),
        };
        cx.report(
            Diagnostic::error(codes::HOST_PORT, headline)
                .label(span, "the second")
                .label(first, "the first")
                .help("Each port of a host can be published once. Publish another one, or put one pod in front that serves both."),
        );
        return;
    }
    let add = |wanted: &mut RequestedPort| {
        wanted.count = wanted.count.saturating_add(count);
        wanted.first = wanted.first.or(Some(span));
    };
    for family in &mut families {
        add(&mut family.any);
        match address {
            None => add(&mut family.everywhere),
            Some(ip) => add(family.by_address.entry(ip).or_default()),
        }
    }
}

fn replicas(
    cx: &mut Reporter<'_>,
    lowered: &LoweredWorkload,
    publish: &Publish,
    span: Span,
    count: u32,
    hosts: u32,
) {
    let hosts = match hosts {
        1 => "one host".to_owned(),
        hosts => format!("{hosts} hosts"),
    };
    let mut found = Diagnostic::error(
        codes::HOST_PORT,
        format!("host port {} is wanted {count} times on {hosts}", publish.port),
    )
    .label(span, "each replica publishes it");
    if let Some(replicas) = lowered.facts.replicas_span {
        found = found.label(replicas, "the number of replicas");
    }
    cx.report(found.help(
        "Each port of a host can be published once. Publish it on one pod in front of the replicas.",
    ));
}
