//! The cluster, its hosts, and named volumes.

use std::collections::BTreeMap;

use tally_graph::{Capacity, Cluster, Host, HostAddress, TlsFiles, Volume};
use tally_source::{Diagnostic, FileId, Span};

use super::lowered::LoweredCluster;
use super::lowering::Lowering;
use super::maps;
use super::origins::Notes;
use crate::codes;
use crate::decode::{Object, Typed};
use crate::reporter::Reporter;
use crate::resolve::{clash, resolve_path};

/// Names of networks that Docker keeps for itself.
const DOCKERS_NETWORKS: [&str; 4] = ["bridge", "default", "host", "none"];

/// Reports a cluster whose network would have the name of one of Docker's own.
fn name_of_network(low: &mut Lowering<'_, '_>, cluster: &Object<'_>) {
    if DOCKERS_NETWORKS.contains(&cluster.name()) {
        low.cx.report(
            Diagnostic::error(codes::NAME, format!("`{}` is a network of Docker", cluster.name()))
                .label(cluster.name_span, "")
                .help("The network of a cluster has the cluster's name. Give it another one."),
        );
    }
}

/// Lowers the one cluster of the spec.
pub(crate) fn cluster(
    low: &mut Lowering<'_, '_>,
    clusters: &[Object<'_>],
    incomplete: bool,
) -> LoweredCluster {
    let file = FileId(0);
    let Some(first) = clusters.first() else {
        let top = Span::new(file, 0, 0);
        // After a byte-order mark, which must stay the first character.
        let marked = low.cx.sources.get(file).is_some_and(|file| file.text.starts_with('\u{feff}'));
        let at = if marked { Span::new(file, 3, 3) } else { top };
        if !incomplete {
            low.cx.report(
                Diagnostic::error(codes::CLUSTERS, "no `cluster` line in this spec")
                    .label(at, "it belongs at the top")
                    .help("The name of the cluster is part of every object that Tally creates, so it is written, and never taken from the folder.")
                    .maybe("write `cluster NAME` at the top", at, "cluster NAME\n\n"),
            );
        }
        let cluster = Cluster { name: String::new(), lost_after: None, span: top };
        return LoweredCluster { cluster, hosts: Vec::new() };
    };
    for second in clusters.iter().skip(1) {
        low.cx.report(
            Diagnostic::error(codes::CLUSTERS, "a spec has one cluster, and this is a second")
                .label(second.title_span, "the second")
                .label(first.title_span, "the first")
                .help("Two clusters are two specs, each in a folder of its own."),
        );
    }
    name_of_network(low, first);
    let mut names: BTreeMap<&str, Span> = BTreeMap::new();
    let mut machines: BTreeMap<String, Span> = BTreeMap::new();
    let mut hosts = Vec::new();
    for object in first.objects("host") {
        if let Some(other) =
            names.insert(object.name(), object.name_span).filter(|_| !object.name().is_empty())
        {
            low.cx.report(clash(
                format!("two hosts are called `{}`", object.name()),
                object.name_span,
                other,
            ));
            names.insert(object.name(), other);
        }
        let host = host(low, object);
        let span = object.get("address").map_or(object.title_span, |field| field.span);
        let address = host.address.to_string();
        if object.has("address") && !object.is_poisoned("address") {
            if let Some(other) = machines.get(&address) {
                low.cx.report(
                    Diagnostic::error(codes::CONTRADICTION, "two hosts have one address")
                        .label(span, "the second")
                        .label(*other, "the first")
                        .help("One engine would be used twice."),
                );
            }
            machines.entry(address).or_insert(span);
        }
        hosts.push(host);
    }
    let lost_after = match first.value("lost-after") {
        Some(Typed::Duration(after)) => Some(*after),
        _ => None,
    };
    let cluster = Cluster { name: first.name().to_owned(), lost_after, span: first.title_span };
    LoweredCluster { cluster, hosts }
}

fn host(low: &mut Lowering<'_, '_>, object: &Object<'_>) -> Host {
    let address = match object.value("address") {
        Some(Typed::Address(address)) => address.clone(),
        _ => HostAddress::Unix(String::new()),
    };
    let labels = maps::labels(&mut low.cx, object, &["host", "os", "arch"], "hosts");
    let capacity = object.block("capacity").map(capacity).unwrap_or_default();
    let tls = object.block("tls").and_then(|block| tls(&mut low.cx, block));
    tcp_needs_tls(&mut low.cx, object, &address);
    let mut notes = Notes::new(&mut low.origins);
    notes.field(&["address"], object, "address");
    maps::label_notes(&mut notes, object);
    if let Some(block) = object.block("capacity") {
        notes.field(&["capacity", "cpu"], block, "cpu");
        notes.field(&["capacity", "memory"], block, "memory");
    }
    notes.field(&["tls"], object, "tls");
    notes.field(&["drain"], object, "drain");
    let provenance = notes.provenance;
    Host {
        name: object.name().to_owned(),
        address,
        labels: labels.texts,
        capacity,
        tls,
        drain: matches!(object.value("drain"), Some(Typed::Bool(true))),
        span: object.title_span,
        provenance,
    }
}

fn capacity(block: &Object<'_>) -> Capacity {
    let cpu = match block.value("cpu") {
        Some(Typed::Cpu(cpu)) => Some(*cpu),
        _ => None,
    };
    let memory = match block.value("memory") {
        Some(Typed::Bytes(memory)) => Some(*memory),
        _ => None,
    };
    Capacity { cpu, memory }
}

fn tls(cx: &mut Reporter<'_>, block: &Object<'_>) -> Option<TlsFiles> {
    let mut path = |word: &str| {
        let field = block.get(word)?;
        let text = block.text(word)?;
        resolve_path(cx.sources, text, field.value_span, &mut cx.out)
    };
    let (ca, cert, key) = (path("ca"), path("cert"), path("key"));
    Some(TlsFiles { ca: ca?, cert: cert?, key: key? })
}

/// Reports `tcp://` without TLS: everyone who can connect to the port controls the machine.
fn tcp_needs_tls(cx: &mut Reporter<'_>, object: &Object<'_>, address: &HostAddress) {
    let span = object.get("address").map_or(object.title_span, |field| field.span);
    match (address, object.get("tls")) {
        (HostAddress::Tcp(url), None) => {
            let host = url.trim_start_matches("tcp://");
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            let loopback = host == "localhost" || host == "[::1]" || host.starts_with("127.");
            if !loopback {
                cx.report(
                    Diagnostic::error(codes::BARE_TCP, "`tcp://` without `tls` gives everyone who can connect to it control of this host")
                        .label(span, "")
                        .help("Add `tls ca=\"…\" cert=\"…\" key=\"…\"` to the block of the host, or reach it by `ssh://`."),
                );
            }
        }
        (HostAddress::Ssh(_) | HostAddress::Sim(_) | HostAddress::Unix(_), Some(field))
            if !object.is_poisoned("address") =>
        {
            cx.report(
                Diagnostic::error(codes::CONTRADICTION, "`tls` is for hosts at `tcp://`")
                    .label(field.span, "")
                    .label(span, "this host is at another address"),
            );
        }
        _ => {}
    }
}

/// Lowers a named volume.
pub(super) fn volume(low: &mut Lowering<'_, '_>, object: &Object<'_>) -> Volume {
    let mut notes = Notes::new(&mut low.origins);
    notes.field(&["host-path"], object, "host-path");
    notes.field(&["per-host"], object, "per-host");
    Volume {
        name: object.name().to_owned(),
        host_path: object.text("host-path").map(str::to_owned),
        per_host: matches!(object.value("per-host"), Some(Typed::Bool(true))),
        span: object.title_span,
        provenance: notes.provenance,
    }
}
