//! The cluster, its hosts, and named volumes.

use std::collections::BTreeMap;

use tally_graph::{Capacity, Cluster, Host, HostAddress, TlsFiles, Volume};
use tally_source::{Diagnostic, FileId, SourceMap, Span};

use super::Lowering;
use super::origins::Notes;
use crate::codes;
use crate::decode::{Context, Object, Typed};
use crate::resolve::{clash, resolve_path};

/// The cluster with its hosts.
pub(super) struct Lowered {
    pub cluster: Cluster,
    pub hosts: Vec<Host>,
}

/// The one cluster of the spec.
pub(super) fn cluster(
    low: &mut Lowering<'_, '_>,
    clusters: &[Object<'_>],
    incomplete: bool,
    sources: &SourceMap,
) -> Lowered {
    let file = FileId(0);
    let Some(first) = clusters.first() else {
        let top = Span::new(file, 0, 0);
        // After a byte-order mark, which must stay the first character.
        let marked = sources.get(file).is_some_and(|file| file.text.starts_with('\u{feff}'));
        let at = if marked { Span::new(file, 3, 3) } else { top };
        if !incomplete {
            low.cx.report(
                Diagnostic::error(codes::CLUSTERS, "no `cluster` line in this spec")
                    .label(at, "it stands at the top")
                    .help("The name of the cluster stands on everything that Tally makes, so it is written, and never taken from the folder.")
                    .maybe("write `cluster NAME` at the top", at, "cluster NAME\n\n"),
            );
        }
        let cluster = Cluster { name: String::new(), lost_after: None, span: top };
        return Lowered { cluster, hosts: Vec::new() };
    };
    for second in clusters.iter().skip(1) {
        low.cx.report(
            Diagnostic::error(codes::CLUSTERS, "a spec has one cluster, and this is a second")
                .label(second.title_span, "the second")
                .label(first.title_span, "the first")
                .help("Two clusters are two specs, each in a folder of its own."),
        );
    }
    let mut names: BTreeMap<&str, Span> = BTreeMap::new();
    let mut machines: BTreeMap<String, Span> = BTreeMap::new();
    let mut hosts = Vec::new();
    for object in first.objects("host") {
        if let Some(other) =
            names.insert(object.name, object.name_span).filter(|_| !object.name.is_empty())
        {
            low.cx.report(clash(
                format!("two hosts are called `{}`", object.name),
                object.name_span,
                other,
            ));
            names.insert(object.name, other);
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
                        .help("One engine would be counted twice."),
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
    let cluster = Cluster { name: first.name.to_owned(), lost_after, span: first.title_span };
    Lowered { cluster, hosts }
}

fn host(low: &mut Lowering<'_, '_>, object: &Object<'_>) -> Host {
    let address = match object.value("address") {
        Some(Typed::Address(address)) => address.clone(),
        _ => HostAddress::Unix(String::new()),
    };
    let labels = labels(&mut low.cx, object, &["host", "os", "arch"], "hosts");
    let capacity = object.block("capacity").map(capacity).unwrap_or_default();
    let tls = object.block("tls").and_then(|block| tls(&mut low.cx, block));
    tcp_needs_tls(&mut low.cx, object, &address);
    let mut notes = Notes::new(&mut low.origins);
    notes.field(&["address"], object, "address");
    label_notes(&mut notes, object);
    if let Some(block) = object.block("capacity") {
        notes.field(&["capacity", "cpu"], block, "cpu");
        notes.field(&["capacity", "memory"], block, "memory");
    }
    notes.field(&["tls"], object, "tls");
    notes.field(&["drain"], object, "drain");
    let provenance = notes.provenance;
    Host {
        name: object.name.to_owned(),
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

fn tls(cx: &mut Context<'_>, block: &Object<'_>) -> Option<TlsFiles> {
    let mut path = |word: &str| {
        let field = block.get(word)?;
        let text = block.text(word)?;
        resolve_path(cx.sources, text, field.value_span, &mut cx.out)
    };
    let (ca, cert, key) = (path("ca"), path("cert"), path("key"));
    Some(TlsFiles { ca: ca?, cert: cert?, key: key? })
}

/// A Docker port without TLS gives the machine to whoever reaches it.
fn tcp_needs_tls(cx: &mut Context<'_>, object: &Object<'_>, address: &HostAddress) {
    let span = object.get("address").map_or(object.title_span, |field| field.span);
    match (address, object.get("tls")) {
        (HostAddress::Tcp(url), None) => {
            let host = url.trim_start_matches("tcp://");
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            let loopback = host == "localhost" || host == "[::1]" || host.starts_with("127.");
            if !loopback {
                cx.report(
                    Diagnostic::error(codes::BARE_TCP, "`tcp://` without `tls` gives this machine to everyone who reaches it")
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
                    .label(span, "this one is reached in another way"),
            );
        }
        _ => {}
    }
}

/// A named volume.
pub(super) fn volume(low: &mut Lowering<'_, '_>, object: &Object<'_>) -> Volume {
    let mut notes = Notes::new(&mut low.origins);
    notes.field(&["host-path"], object, "host-path");
    notes.field(&["per-host"], object, "per-host");
    Volume {
        name: object.name.to_owned(),
        host_path: object.text("host-path").map(str::to_owned),
        per_host: matches!(object.value("per-host"), Some(Typed::Bool(true))),
        span: object.title_span,
        provenance: notes.provenance,
    }
}

/// Labels, and whether one of them is wrong.
pub(super) struct Labels {
    pub texts: BTreeMap<String, String>,
    pub bad: bool,
}

/// The labels of a host or a workload; `own` are those that nobody writes.
pub(super) fn labels(cx: &mut Context<'_>, object: &Object<'_>, own: &[&str], of: &str) -> Labels {
    let mut labels = Labels { texts: BTreeMap::new(), bad: object.is_poisoned("label") };
    let mut spans: BTreeMap<&str, Span> = BTreeMap::new();
    for pair in pairs(object, "label") {
        if own.contains(&pair.key) {
            labels.bad = true;
            cx.report(
                Diagnostic::error(
                    codes::NAME,
                    format!("{of} carry the label `{}` without anybody writing it", pair.key),
                )
                .label(pair.span, "")
                .help("Selectors can use it. Give yours another key."),
            );
            continue;
        }
        if let Some(first) = spans.get(pair.key) {
            labels.bad = true;
            cx.report(set_twice(pair.key, "label", pair.span, *first));
            continue;
        }
        spans.insert(pair.key, pair.span);
        labels.bad |= pair.text.is_none();
        labels
            .texts
            .insert(pair.key.to_owned(), pair.text.as_deref().unwrap_or_default().to_owned());
    }
    labels
}

/// All pairs of the maps of that word.
pub(super) fn pairs<'o, 'a>(
    object: &'o Object<'a>,
    word: &'static str,
) -> impl Iterator<Item = &'o crate::decode::Pair<'a>> {
    object.all(word).flat_map(|field| match &field.data {
        crate::decode::Data::Map(pairs) => pairs.as_slice(),
        _ => &[],
    })
}

/// A key of a map that stands twice.
pub(super) fn set_twice(key: &str, map: &str, second: Span, first: Span) -> Diagnostic {
    Diagnostic::error(codes::TWICE, format!("`{key}` is set twice in `{map}`"))
        .label(second, "the second")
        .label(first, "the first")
        .help("Leave one of them out.")
}

pub(super) fn label_notes(notes: &mut Notes<'_>, object: &Object<'_>) {
    for pair in pairs(object, "label") {
        notes.written(&["label", pair.key], pair.span);
    }
}
