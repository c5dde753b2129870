//! Containers and inits.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{
    Bytes, Container, Cpu, ImageRef, Mount, MountSource, Port, Protocol, Provenance, Pull,
    Resources, Settings, Stop, Template, Ulimit,
};
use tally_source::{Diagnostic, Span};

use super::lowered::{LoweredContainer, PortFact};
use super::lowering::Lowering;
use super::origins::Notes;
use super::paths::{once, trimmed};
use super::{files, maps, probe, secrets};
use crate::codes;
use crate::decode::{Data, Object, PairValue, Typed};
use crate::reporter::Reporter;
use crate::resolve::{Names, clash, not_found};

/// The minimum memory limit that Docker accepts.
const LEAST_MEMORY: Bytes = Bytes(6 << 20);

pub(super) fn container(
    low: &mut Lowering<'_, '_>,
    names: &Names<'_>,
    own: &BTreeSet<String>,
    object: &Object<'_>,
) -> LoweredContainer {
    // Where the image is wrong the graph is never used, so any other will do.
    let image = match object.value("image") {
        Some(Typed::Image(image)) => image.clone(),
        _ => ImageRef { registry: None, repository: "x".into(), tag: None, digest: None },
    };
    let mut container = Container::new(object.name(), image);
    container.pull = match object.text("pull") {
        Some("always") => Pull::Always,
        Some("never") => Pull::Never,
        _ => Pull::Missing,
    };
    container.entrypoint = list(object, "entrypoint");
    container.command = list(object, "command");
    container.settings = settings(object);
    env(low, names, object, &mut container);
    let mut lowered = LoweredContainer {
        container,
        provenance: Provenance::default(),
        ports: Vec::new(),
        ports_bad: object.is_poisoned("port") || object.objects("port").any(|port| port.bad),
        own_volumes: BTreeSet::new(),
        spec_volumes: Vec::new(),
    };
    let mut paths: BTreeMap<String, Span> = BTreeMap::new();
    lowered.container.file = files::files(low, names, object, &mut paths);
    mounts(&mut low.cx, names, own, object, &mut lowered, &mut paths);
    ports(&mut low.cx, object, &mut lowered);
    lowered.container.resources =
        object.block("resources").map(|block| resources(&mut low.cx, block)).unwrap_or_default();
    lowered.container.ulimit = ulimits(&mut low.cx, object);
    let container_ports =
        probe::ContainerPorts { ports: &lowered.container.port, bad: lowered.ports_bad };
    let readiness = object
        .block("readiness")
        .and_then(|block| probe::probe(&mut low.cx, block, &container_ports));
    let liveness = object
        .block("liveness")
        .and_then(|block| probe::probe(&mut low.cx, block, &container_ports));
    lowered.container.readiness = readiness;
    lowered.container.liveness = liveness;
    lowered.container.stop = object.block("stop").map(stop).unwrap_or_default();
    lowered.provenance = notes(low, object);
    lowered
}

/// Returns the settings that Docker takes as written.
fn settings(object: &Object<'_>) -> Settings {
    let text = |word: &str| object.text(word).map(str::to_owned);
    Settings { workdir: text("workdir"), user: text("user") }
}

fn list(object: &Object<'_>, word: &str) -> Option<Vec<String>> {
    match &object.get(word)?.data {
        Data::List(texts) => Some(texts.iter().map(|word| word.text.to_string()).collect()),
        _ => None,
    }
}

fn env(
    low: &mut Lowering<'_, '_>,
    names: &Names<'_>,
    object: &Object<'_>,
    container: &mut Container,
) {
    let mut spans: BTreeMap<&str, Span> = BTreeMap::new();
    for pair in maps::pairs(object, "env") {
        if let Some(first) = spans.get(pair.key()) {
            low.cx.report(maps::set_twice(pair.key(), "env", pair.span, *first));
            continue;
        }
        spans.insert(pair.key(), pair.span);
        let template = match &pair.value {
            PairValue::Plain(text) => Template::Plain(text.to_string()),
            PairValue::Template(template) => secrets::template(low, names, template),
            PairValue::Poison => continue,
        };
        container.env.insert(pair.key().to_owned(), template);
    }
}

fn mounts(
    cx: &mut Reporter<'_>,
    names: &Names<'_>,
    own: &BTreeSet<String>,
    object: &Object<'_>,
    lowered: &mut LoweredContainer,
    paths: &mut BTreeMap<String, Span>,
) {
    for mount in object.objects("mount") {
        let volume = mount.text("volume");
        let span = mount.get("volume").map_or(mount.title_span, |field| field.value_span);
        let mut source = MountSource::Spec;
        if let Some(volume) = volume {
            if own.contains(volume) {
                source = MountSource::Pod;
                lowered.own_volumes.insert(volume.to_owned());
            } else if names.volumes.contains_key(volume) {
                lowered.spec_volumes.push((volume.to_owned(), span));
            } else if !cx.hidden.may_declare("volume", volume) && !cx.is_full() {
                let all = own.iter().map(String::as_str).chain(names.volumes.keys().copied());
                // The intended volume is mounted, only under a wrong name.
                let meant = if cx.is_crowded() {
                    None
                } else {
                    tally_source::nearest(volume, all.clone().take(5000)).map(str::to_owned)
                };
                let found = not_found(cx, "volume", volume, span, all);
                cx.report(found);
                if cx.is_crowded() {
                    lowered.own_volumes.extend(own.iter().cloned());
                }
                if let Some(meant) = meant {
                    lowered.own_volumes.insert(meant.clone());
                    if names.volumes.contains_key(meant.as_str()) {
                        lowered.spec_volumes.push((meant, span));
                    }
                }
            }
        }
        let (Some(volume), Some(path)) = (volume, mount.text("path")) else { continue };
        let key = trimmed(path);
        let path_span = mount.get("path").map_or(mount.title_span, |field| field.value_span);
        if !once(cx, paths, &key, path_span) {
            continue;
        }
        let read_only = matches!(mount.value("read-only"), Some(Typed::Bool(true)));
        lowered.container.mount.insert(key, Mount { volume: volume.to_owned(), source, read_only });
    }
}

fn ports(cx: &mut Reporter<'_>, object: &Object<'_>, lowered: &mut LoweredContainer) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for port in object.objects("port") {
        if let Some(first) = seen.get(port.name()).filter(|_| !port.name().is_empty()) {
            cx.report(clash(
                format!("two ports of `{}` are called `{}`", object.name(), port.name()),
                port.name_span,
                *first,
            ));
            continue;
        }
        seen.insert(port.name(), port.name_span);
        let number = match port.value("number") {
            Some(Typed::Port(number)) => *number,
            _ => 0,
        };
        let protocol = match port.text("protocol") {
            Some("udp") => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        let publish = match port.value("publish") {
            Some(Typed::Publish(publish)) => Some(publish.clone()),
            _ => None,
        };
        let publish_span = port.get("publish").map_or(port.title_span, |field| field.span);
        let fact = PortFact {
            number,
            protocol,
            publish: publish.clone(),
            publish_span,
            span: port.node.head,
        };
        lowered.ports.push((port.name().to_owned(), fact));
        lowered.container.port.insert(port.name().to_owned(), Port { number, protocol, publish });
    }
}

fn resources(cx: &mut Reporter<'_>, block: &Object<'_>) -> Resources {
    let cpu = |word: &str| match block.value(word) {
        Some(Typed::Cpu(cpu)) => Some(*cpu),
        _ => None,
    };
    let bytes = |word: &str| match block.value(word) {
        Some(Typed::Bytes(bytes)) => Some(*bytes),
        _ => None,
    };
    let resources = Resources {
        cpu: cpu("cpu"),
        memory: bytes("memory"),
        max_cpu: cpu("max-cpu"),
        max_memory: bytes("max-memory"),
    };
    less_than(cx, block, "max-cpu", "cpu", resources.max_cpu, resources.cpu, |a: &Cpu, b: &Cpu| {
        a < b
    });
    less_than(
        cx,
        block,
        "max-memory",
        "memory",
        resources.max_memory,
        resources.memory,
        |a: &Bytes, b| a < b,
    );
    for (word, value) in [("memory", resources.memory), ("max-memory", resources.max_memory)] {
        let (Some(field), Some(value)) = (block.get(word), value) else { continue };
        if value < LEAST_MEMORY {
            cx.report(
                Diagnostic::error(
                    codes::RANGE,
                    format!("`{word}` is at least 6MiB, Docker's minimum"),
                )
                .label(field.value_span, ""),
            );
        }
    }
    resources
}

/// Reports a limit below the reservation.
fn less_than<T>(
    cx: &mut Reporter<'_>,
    block: &Object<'_>,
    most: &str,
    least: &str,
    a: Option<T>,
    b: Option<T>,
    less: impl Fn(&T, &T) -> bool,
) {
    let (Some(a), Some(b), Some(high), Some(low)) = (a, b, block.get(most), block.get(least))
    else {
        return;
    };
    if less(&a, &b) {
        cx.report(
            Diagnostic::error(codes::CONTRADICTION, format!("`{most}` is less than `{least}`"))
                .label(high.span, "the limit")
                .label(low.span, "the reservation"),
        );
    }
}

fn ulimits(cx: &mut Reporter<'_>, object: &Object<'_>) -> BTreeMap<String, Ulimit> {
    let mut limits = BTreeMap::new();
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for limit in object.objects("ulimit") {
        if let Some(first) = seen.get(limit.name()) {
            cx.report(maps::set_twice(limit.name(), "ulimit", limit.title_span, *first));
            continue;
        }
        seen.insert(limit.name(), limit.title_span);
        let value = |word: &str| match limit.value(word) {
            Some(Typed::Limit(value)) => Some(*value),
            _ => None,
        };
        let soft = value("soft").unwrap_or_default();
        let hard = value("hard").unwrap_or(soft);
        let above = hard.is_some_and(|hard| soft.is_none_or(|soft| soft > hard));
        if let (true, Some(a), Some(b)) =
            (above && value("soft").is_some(), limit.get("soft"), limit.get("hard"))
        {
            cx.report(
                Diagnostic::error(codes::CONTRADICTION, "the soft limit is above the hard one")
                    .label(a.span, "")
                    .label(b.span, "the hard limit"),
            );
        }
        limits.insert(limit.name().to_owned(), Ulimit { soft, hard });
    }
    limits
}

fn stop(block: &Object<'_>) -> Stop {
    let grace = match block.value("grace") {
        Some(Typed::Duration(grace)) => Some(*grace),
        _ => None,
    };
    Stop { signal: block.text("signal").map(str::to_owned), grace }
}

fn notes(low: &mut Lowering<'_, '_>, object: &Object<'_>) -> Provenance {
    let mut notes = Notes::new(&mut low.origins);
    notes.written(&[], object.title_span);
    for word in ["image", "pull", "entrypoint", "command", "workdir", "user"] {
        notes.field(&[word], object, word);
    }
    for pair in maps::pairs(object, "env") {
        notes.written(&["env", pair.key()], pair.span);
    }
    for file in object.objects("file") {
        let path = trimmed(file.text("path").unwrap_or_default());
        notes.written(&["file", &path], file.node.head);
        let content = ["from", "secret"].into_iter().find(|word| file.has(word)).unwrap_or("text");
        notes.field(&["file", &path, "content"], file, content);
        for word in ["mode", "owner", "on-change"] {
            notes.field(&["file", &path, word], file, word);
        }
    }
    for port in object.objects("port") {
        notes.written(&["port", port.name()], port.node.head);
        for word in ["number", "protocol", "publish"] {
            notes.field(&["port", port.name(), word], port, word);
        }
    }
    for mount in object.objects("mount") {
        let path = trimmed(mount.text("path").unwrap_or_default());
        notes.written(&["mount", &path], mount.node.head);
        for word in ["volume", "read-only"] {
            notes.field(&["mount", &path, word], mount, word);
        }
    }
    if let Some(block) = object.block("resources") {
        for word in ["cpu", "memory", "max-cpu", "max-memory"] {
            notes.field(&["resources", word], block, word);
        }
    }
    for limit in object.objects("ulimit") {
        notes.written(&["ulimit", limit.name()], limit.node.head);
        for word in ["soft", "hard"] {
            notes.field(&["ulimit", limit.name(), word], limit, word);
        }
    }
    for kind in ["readiness", "liveness"] {
        let Some(block) = object.block(kind) else { continue };
        notes.written(&[kind], block.node.head);
        for row in block.kind.fields {
            notes.field(&[kind, row.word], block, row.word);
        }
    }
    if let Some(block) = object.block("stop") {
        for word in ["signal", "grace"] {
            notes.field(&["stop", word], block, word);
        }
    }
    notes.provenance
}
