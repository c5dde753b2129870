//! Pods and controllers.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{
    Address, Amount, Dependency, Fingerprint, Kind, OnFailure, Place, PodVolume, PodVolumeSource,
    Protocol, Replicas, Restart, Strategy, Until, Update, Workload, WorkloadKind,
};
use tally_source::{Diagnostic, Span};

use super::lowered::{LoweredWorkload, PortFact, WorkloadFacts};
use super::lowering::Lowering;
use super::origins::Notes;
use super::{container, maps, selectors};
use crate::codes;
use crate::decode::{Data, Object, Typed};
use crate::reporter::Reporter;
use crate::resolve::{Names, clash, not_found};

/// Lowers a pod or a controller.
pub(super) fn workload(
    low: &mut Lowering<'_, '_>,
    names: &Names<'_>,
    object: &Object<'_>,
) -> LoweredWorkload {
    let kind = match object.kind.key {
        "controller" => WorkloadKind::Controller,
        _ => WorkloadKind::Pod,
    };
    let mut facts = WorkloadFacts::default();
    let labels =
        maps::labels(&mut low.cx, object, &["cluster", "controller", "pod", "job"], "pods");
    facts.labels_bad = labels.bad || object.name().is_empty();
    facts.replicas_span = object.get("replicas").map(|field| field.span);
    let volumes = volumes(low, names, object);
    let depends_on = dependencies(&mut low.cx, names, object);
    let place = place(&mut low.cx, object, &mut facts);
    let mut workload = Workload {
        kind,
        name: object.name().to_owned(),
        labels: labels.texts,
        replicas: match object.value("replicas") {
            Some(Typed::Replicas(replicas)) => *replicas,
            _ => Replicas::Count(1),
        },
        update: update(&mut low.cx, object),
        restart: restart(object),
        place,
        depends_on,
        volumes,
        inits: Vec::new(),
        containers: Vec::new(),
        span: object.title_span,
        provenance: notes(low, object),
        container_provenance: BTreeMap::new(),
        container_spans: BTreeMap::new(),
        known: Fingerprint::default(),
    };
    let mut used = BTreeSet::new();
    containers(low, names, object, &mut workload, &mut facts, &mut used);
    unused(&mut low.cx, object, &used);
    low.used_volumes.extend(facts.volumes.iter().cloned());
    LoweredWorkload { workload, facts }
}

fn containers(
    low: &mut Lowering<'_, '_>,
    names: &Names<'_>,
    object: &Object<'_>,
    workload: &mut Workload,
    facts: &mut WorkloadFacts,
    used: &mut BTreeSet<String>,
) {
    let own: BTreeMap<&str, ()> =
        workload.volumes.iter().map(|volume| (volume.name.as_str(), ())).collect();
    let own: BTreeSet<String> = own.into_keys().map(str::to_owned).collect();
    let mut seen: BTreeMap<&str, (Span, &str)> = BTreeMap::new();
    let mut numbers: BTreeMap<(u16, Protocol), (Span, String)> = BTreeMap::new();
    for field in &object.fields {
        let Data::Object(inner) = &field.data else { continue };
        if !matches!(inner.kind.key, "container" | "init") {
            continue;
        }
        if let Some((first, word)) = seen.get(inner.name()).filter(|_| !inner.name().is_empty()) {
            let headline = if *word == inner.kind.word {
                format!("two {}s of `{}` are called `{}`", word, object.name(), inner.name())
            } else {
                format!(
                    "a container and an init of `{}` are called `{}`",
                    object.name(),
                    inner.name()
                )
            };
            low.cx.report(clash(headline, inner.name_span, *first));
        } else {
            seen.insert(inner.name(), (inner.name_span, inner.kind.word));
        }
        let lowered = container::container(low, names, &own, inner);
        used.extend(lowered.own_volumes);
        for (volume, span) in lowered.spec_volumes {
            facts.volume_spans.entry(volume.clone()).or_insert(span);
            facts.volumes.insert(volume);
        }
        facts.ports_bad |= lowered.ports_bad;
        for (name, fact) in lowered.ports {
            port(&mut low.cx, object, facts, &mut numbers, name, fact, inner.name());
        }
        workload.container_provenance.insert(inner.name().to_owned(), lowered.provenance);
        workload.container_spans.insert(inner.name().to_owned(), inner.title_span);
        match inner.kind.key {
            "init" => workload.inits.push(lowered.container),
            _ => workload.containers.push(lowered.container),
        }
    }
    // Most pods have one container: the spare capacity of a growing list would be most of a graph.
    workload.containers.shrink_to_fit();
    workload.inits.shrink_to_fit();
    facts.ports_bad |= object.is_poisoned("container");
}

/// Adds a port of one container to those of the pod.
fn port(
    cx: &mut Reporter<'_>,
    pod: &Object<'_>,
    facts: &mut WorkloadFacts,
    numbers: &mut BTreeMap<(u16, Protocol), (Span, String)>,
    name: String,
    fact: PortFact,
    container: &str,
) {
    if let Some(first) = facts.ports.get(&name) {
        cx.report(
            clash(
                format!("two ports of `{}` are called `{name}`", pod.name),
                fact.span,
                first.span,
            )
            .help("Services and probes refer to a port of a pod by its name."),
        );
        return;
    }
    match numbers.get(&(fact.number, fact.protocol)) {
        Some((first, other)) if other != container && fact.number != 0 => cx.report(
            Diagnostic::error(
                codes::SAME_PATH,
                format!("two containers of `{}` serve on port {}", pod.name, fact.number),
            )
            .label(fact.span, "the second")
            .label(*first, "the first")
            .help("The containers of a pod share one network, so each port can be used once."),
        ),
        Some(_) => {}
        None => {
            numbers.insert((fact.number, fact.protocol), (fact.span, container.to_owned()));
        }
    }
    facts.ports.insert(name, fact);
}

fn restart(object: &Object<'_>) -> Restart {
    match object.text("restart") {
        Some("on-failure") => Restart::OnFailure,
        Some("never") => Restart::Never,
        _ => Restart::Always,
    }
}

fn update(cx: &mut Reporter<'_>, object: &Object<'_>) -> Update {
    let Some(block) = object.block("update") else { return Update::default() };
    let amount = |word: &str, default: Amount| match block.value(word) {
        Some(Typed::Amount(amount)) => *amount,
        _ => default,
    };
    let update = Update {
        strategy: match block.text("strategy") {
            Some("recreate") => Strategy::Recreate,
            _ => Strategy::Rolling,
        },
        max_unavailable: amount("max-unavailable", Amount::Count(1)),
        max_surge: amount("max-surge", Amount::Count(0)),
        progress_deadline: match block.value("progress-deadline") {
            Some(Typed::Duration(deadline)) => Some(*deadline),
            _ => None,
        },
        on_failure: match block.text("on-failure") {
            Some("rollback") => OnFailure::Rollback,
            _ => OnFailure::Pause,
        },
    };
    update_moves(cx, block, &update);
    update
}

/// Reports an `update` that could never replace a pod, or with a field that has no effect.
fn update_moves(cx: &mut Reporter<'_>, block: &Object<'_>, update: &Update) {
    let zero = |amount: Amount| matches!(amount, Amount::Count(0) | Amount::Percent(0));
    if update.strategy == Strategy::Recreate {
        if let Some(field) = block.get("max-surge").or_else(|| block.get("max-unavailable")) {
            let word = if block.has("max-surge") { "max-surge" } else { "max-unavailable" };
            cx.report(
                Diagnostic::error(
                    codes::CONTRADICTION,
                    format!("`strategy=recreate` stops all pods, so `{word}` has no effect"),
                )
                .label(field.span, "")
                .help("Leave one of the two out."),
            );
        }
    } else if zero(update.max_unavailable)
        && zero(update.max_surge)
        && let Some(field) = block.get("max-unavailable")
        && !block.is_poisoned("max-surge")
    {
        cx.report(
            Diagnostic::error(
                codes::CONTRADICTION,
                "no pod may be unavailable and none may be added, so none could ever be replaced",
            )
            .label(field.span, "")
            .help(
                "Allow a surge pod (`max-surge=1`), or one unavailable pod (`max-unavailable=1`).",
            ),
        );
    }
}

fn place(cx: &mut Reporter<'_>, object: &Object<'_>, facts: &mut WorkloadFacts) -> Place {
    let Some(block) = object.block("place") else { return Place::default() };
    facts.require_span = block.get("require").map(|field| field.span);
    let mut selector = |word: &str| match &block.get(word)?.data {
        Data::Selector(draft) => Some(selectors::lower(cx, draft)),
        _ => None,
    };
    let (require, prefer) = (selector("require"), selector("prefer"));
    let (avoid, near) = (selector("avoid"), selector("near"));
    let spread = block.block("spread").and_then(|spread| {
        facts.spread_span = spread.get("by").map(|field| field.value_span);
        spread.text("by").map(str::to_owned)
    });
    Place { require, spread, prefer, avoid, near }
}

fn volumes(low: &mut Lowering<'_, '_>, names: &Names<'_>, object: &Object<'_>) -> Vec<PodVolume> {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    let mut volumes = Vec::new();
    for inner in object.objects("volume") {
        if let Some(first) = seen.get(inner.name()).filter(|_| !inner.name().is_empty()) {
            low.cx.report(clash(
                format!("two volumes of `{}` are called `{}`", object.name(), inner.name()),
                inner.name_span,
                *first,
            ));
            continue;
        }
        if let Some(other) = names.volumes.get(inner.name()) {
            low.cx.report(
                Diagnostic::error(
                    codes::SAME_NAME,
                    format!(
                        "`{}` is a volume of the spec and of this {}",
                        inner.name(),
                        object.kind.word
                    ),
                )
                .label(inner.name_span, "this one is the pod's own")
                .label(other.name_span, "this one is the spec's")
                .help("A mount could mean either. Give one of them another name."),
            );
        }
        seen.insert(inner.name(), inner.name_span);
        let source = match inner.text("host-path") {
            Some(path) => PodVolumeSource::HostPath(path.to_owned()),
            None => PodVolumeSource::Empty,
        };
        volumes.push(PodVolume { name: inner.name().to_owned(), source, span: inner.title_span });
    }
    volumes
}

/// Reports volumes of the pod that nothing mounts: they have no other use.
fn unused(cx: &mut Reporter<'_>, object: &Object<'_>, used: &BTreeSet<String>) {
    // A wrong mount may be the missing one.
    let bad = object.bad
        || object.objects("container").chain(object.objects("init")).any(|inner| inner.bad);
    for inner in object.objects("volume") {
        if !bad && !inner.name().is_empty() && !used.contains(inner.name()) {
            cx.report(
                Diagnostic::error(
                    codes::UNUSED_VOLUME,
                    format!("nothing mounts `{}`", inner.name()),
                )
                .label(inner.title_span, "")
                .help(format!(
                    "In the container that needs it: `mount {} \"/path\"`. Else leave it out.",
                    inner.name()
                )),
            );
        }
    }
}

fn dependencies(cx: &mut Reporter<'_>, names: &Names<'_>, object: &Object<'_>) -> Vec<Dependency> {
    let mut seen: BTreeMap<Address, Span> = BTreeMap::new();
    let mut found = Vec::new();
    for inner in object.objects("depends-on") {
        let (Some(kind), Some(name)) = (inner.text("kind"), inner.text("name")) else { continue };
        let Some(kind) = Kind::parse(kind) else { continue };
        let address = Address::new(kind, name);
        let span = inner.get("name").map_or(inner.title_span, |field| field.value_span);
        if !target_exists(cx, names, inner, &address, span) {
            continue;
        }
        let whole = inner.node.head;
        if let Some(first) = seen.get(&address) {
            cx.report(
                Diagnostic::error(
                    codes::TWICE,
                    format!("`depends-on {kind} {name}` is written twice"),
                )
                .label(whole, "the second")
                .label(*first, "the first")
                .help("Leave one of them out."),
            );
            continue;
        }
        seen.insert(address.clone(), whole);
        let until = match inner.text("until") {
            Some("started") => Until::Started,
            Some("completed") => Until::Completed,
            _ => Until::Ready,
        };
        if until == Until::Completed {
            never_completes(cx, names, inner, &address);
        }
        found.push(Dependency { on: address, until, span: whole });
    }
    found
}

fn target_exists(
    cx: &mut Reporter<'_>,
    names: &Names<'_>,
    inner: &Object<'_>,
    address: &Address,
    span: Span,
) -> bool {
    let name = address.name.as_str();
    let workload = names.workloads.get(name).map(|object| object.kind.word);
    let service = names.services.get(name).map(|_| "service");
    let right = match address.kind {
        Kind::Service => service.is_some(),
        kind => workload == Some(kind.word()),
    };
    if right {
        return true;
    }
    let kind = address.kind.word();
    if let Some(other) = workload.or(service) {
        let kind_span = inner.get("kind").map_or(span, |field| field.value_span);
        cx.report(
            Diagnostic::error(codes::OTHER_KIND, format!("`{name}` is a {other}, not a {kind}"))
                .label(kind_span.to(span), "")
                .maybe(format!("write `depends-on {other} {name}`"), kind_span, other),
        );
    } else if !cx.hidden.may_declare(kind, name) && !cx.is_full() {
        let all: Vec<&str> = match address.kind {
            Kind::Service => names.services.keys().copied().collect(),
            _ => names
                .workloads
                .iter()
                .filter(|(_, o)| o.kind.word == kind)
                .map(|(name, _)| *name)
                .collect(),
        };
        let found = not_found(cx, kind, name, span, all);
        cx.report(found);
    }
    false
}

fn never_completes(
    cx: &mut Reporter<'_>,
    names: &Names<'_>,
    inner: &Object<'_>,
    address: &Address,
) {
    let span = inner.get("until").map_or(inner.title_span, |field| field.span);
    let value = inner.get("until").map_or(span, |field| field.value_span);
    let name = &address.name;
    let target = names.workloads.get(name.as_str());
    let found = match (address.kind, target) {
        (Kind::Service, _) => {
            Diagnostic::error(codes::NEVER_ENDS, format!("`{name}` never completes: it is a service"))
        }
        (_, Some(target)) if !target.is_poisoned("restart") && restart(target) == Restart::Always => {
            Diagnostic::error(codes::NEVER_ENDS, format!("`{name}` never completes: it restarts always"))
                .help(format!("A dependency that completes has `restart never` or `restart on-failure`; `{name}` has neither."))
        }
        _ => return,
    };
    cx.report(found.label(span, "").maybe("write `until=ready`", value, "ready"));
}

fn notes(low: &mut Lowering<'_, '_>, object: &Object<'_>) -> tally_graph::Provenance {
    let mut notes = Notes::new(&mut low.origins);
    notes.written(&[], object.title_span);
    maps::label_notes(&mut notes, object);
    notes.field(&["restart"], object, "restart");
    if object.kind.key == "controller" {
        notes.field(&["replicas"], object, "replicas");
        match object.block("update") {
            Some(block) => {
                for word in
                    ["max-unavailable", "strategy", "max-surge", "progress-deadline", "on-failure"]
                {
                    notes.field(&["update", word], block, word);
                }
            }
            None => {
                if let (Some(kind), Some(row)) = (
                    tally_graph::schema::kind("update"),
                    tally_graph::schema::field("update", "max-unavailable"),
                ) {
                    notes.default(&["update", "max-unavailable"], kind, row, object.title_span);
                }
            }
        }
    }
    if let Some(block) = object.block("place") {
        for word in ["require", "spread", "prefer", "avoid", "near"] {
            notes.field(&["place", word], block, word);
        }
    }
    for inner in object.objects("depends-on") {
        notes.written(&["depends-on"], inner.node.head);
    }
    for inner in object.objects("volume") {
        notes.written(&["volume", inner.name()], inner.node.head);
        notes.field(&["volume", inner.name(), "host-path"], inner, "host-path");
    }
    notes.provenance
}
