//! Services: which pods they select, and by which ports.

use std::collections::BTreeMap;

use tally_graph::{Provenance, Publish, Selector, Service, ServicePort};
use tally_source::{Diagnostic, Span, nearest};

use super::lowered::{LoweredService, LoweredWorkload};
use super::lowering::Lowering;
use super::origins::Notes;
use super::selectors::{self, Selectable};

use crate::codes;
use crate::decode::{Data, Object, SelectorDraft, Typed};
use crate::reporter::Reporter;
use crate::resolve::{Names, not_found};
use crate::write;

pub(super) fn service(
    low: &mut Lowering<'_, '_>,
    names: &Names<'_>,
    labels: &Selectable,
    workloads: &[LoweredWorkload],
    object: &Object<'_>,
) -> LoweredService {
    let cx = &mut low.cx;
    let mut matched = Vec::new();
    let mut select = Selector::default();
    let mut known = false;
    if let Some(field) = object.get("select")
        && let Data::Selector(draft) = &field.data
    {
        select = selectors::lower(cx, draft);
        if references(cx, names, draft) {
            matched = labels.matches(&select);
            known = !matched.is_empty();
            if labels.is_exhausted() {
                return exhausted(cx, object, field.span);
            }
            let hidden = values(draft).any(|value| cx.hidden.may_declare("pod", value));
            if !known && !labels.bad && !hidden && !cx.is_full() {
                no_match(cx, labels, draft, &select, field.span);
            }
        }
    }
    let (ports, published) = ports(cx, object, workloads, &matched, known, &select);
    if ports.is_empty() && !object.bad && !object.has("port") {
        cx.report(
            Diagnostic::error(codes::MISSING_FIELD, format!("`{}` has no port", object.name()))
                .label(object.title_span, "")
                .help("A service is reached at the ports it names: `port http`."),
        );
    }
    let provenance = notes(low, object);
    let service = Service {
        name: object.name().to_owned(),
        select,
        ports,
        span: object.title_span,
        provenance,
    };
    LoweredService { service, matched, published }
}

/// Returns the values of the pairs of a selector.
fn values<'d>(draft: &'d SelectorDraft<'_>) -> impl Iterator<Item = &'d str> {
    draft.all.iter().filter_map(|pair| pair.text())
}

/// Reports, once, that the services of the spec select too many pods.
fn exhausted(cx: &mut Reporter<'_>, object: &Object<'_>, span: Span) -> LoweredService {
    if !cx.out.iter().any(|found| found.code == codes::BUDGET) {
        cx.report(
            Diagnostic::error(codes::BUDGET, "the services of this spec select too many pods")
                .label(span, "with this one, more than 4,000,000 together")
                .help("Select by a label that few pods have, such as `controller=NAME`."),
        );
    }
    let service = Service {
        name: object.name().to_owned(),
        select: Selector::default(),
        ports: ServicePorts::new(),
        span: object.title_span,
        provenance: Provenance::default(),
    };
    LoweredService { service, matched: Vec::new(), published: Vec::new() }
}

/// Checks whether the pairs that name a pod or a controller name one.
fn references(cx: &mut Reporter<'_>, names: &Names<'_>, draft: &SelectorDraft<'_>) -> bool {
    let mut ok = true;
    for pair in draft.all.iter().chain(&draft.not) {
        let (kind, Some(name)) = (pair.key(), pair.text()) else { continue };
        let value = pair.value_span;
        match (kind, names.workloads.get(name)) {
            ("job", _) => {
                ok = false;
                cx.report(
                    Diagnostic::error(codes::LATER_KIND, "`job` is not in this version yet")
                        .label(pair.key.span, ""),
                );
            }
            ("pod" | "controller", Some(object)) if object.kind.word != kind => {
                ok = false;
                let other = object.kind.word;
                cx.report(
                    Diagnostic::error(
                        codes::OTHER_KIND,
                        format!("`{name}` is a {other}, not a {kind}"),
                    )
                    .label(pair.span, "")
                    .maybe(
                        format!("write `{other}={name}`"),
                        pair.key.span,
                        other,
                    ),
                );
            }
            ("pod" | "controller", None) => {
                ok = false;
                if !cx.hidden.may_declare(kind, name) && !cx.is_full() {
                    let all = names.workloads.iter().filter(|(_, object)| object.kind.word == kind);
                    let found = not_found(cx, kind, name, value, all.map(|(name, _)| *name));
                    cx.report(found);
                }
            }
            _ => {}
        }
    }
    ok
}

/// Reports a selector that matches nothing, with the label that differs.
fn no_match(
    cx: &mut Reporter<'_>,
    labels: &Selectable,
    draft: &SelectorDraft<'_>,
    select: &Selector,
    span: Span,
) {
    for pair in &draft.all {
        let mut rest = select.clone();
        let Some(wanted) = rest.all.remove(pair.key()) else { continue };
        let among = labels.matches(&rest);
        if among.is_empty() {
            continue;
        }
        let condition =
            if rest == Selector::default() { String::new() } else { format!(" where `{rest}`") };
        let values = labels.values_of(pair.key(), &among);
        let found = match values.as_slice() {
            [] => {
                let keys: Vec<&str> = among
                    .iter()
                    .filter_map(|at| labels.labels.get(*at))
                    .flat_map(|l| l.keys())
                    .map(String::as_str)
                    .collect();
                let found = Diagnostic::error(
                    codes::NO_MATCH,
                    format!("no pod matches: none has a label `{}`{condition}", pair.key()),
                )
                .label(pair.span, "");
                match nearest(pair.key(), keys) {
                    Some(key) => {
                        let meant = format!("{}={}", write::text(key), cx.raw(pair.value_span));
                        found.maybe(format!("write `{meant}`"), pair.span, meant)
                    }
                    None => found,
                }
            }
            values => {
                let shown: Vec<String> =
                    values.iter().take(5).map(|value| format!("`{value}`")).collect();
                let shown = shown.join(" or ");
                let found = Diagnostic::error(
                    codes::NO_MATCH,
                    format!("no pod matches: `{}` is {shown}{condition}", pair.key()),
                )
                .label(pair.span, "");
                let meant = nearest(&wanted, values.iter().copied());
                match meant {
                    Some(value) => {
                        let meant = format!("{}={}", write::text(pair.key()), write::text(value));
                        found.maybe(format!("write `{meant}`"), pair.span, meant)
                    }
                    None => found,
                }
            }
        };
        cx.report(found);
        return;
    }
    cx.report(
        Diagnostic::error(codes::NO_MATCH, format!("no pod matches `{select}`"))
            .label(span, "")
            .help("Labels are written on pods and controllers: `label app=shop`."),
    );
}

type ServicePorts = BTreeMap<String, ServicePort>;

fn ports(
    cx: &mut Reporter<'_>,
    object: &Object<'_>,
    workloads: &[LoweredWorkload],
    matched: &[usize],
    known: bool,
    select: &Selector,
) -> (ServicePorts, Vec<(Publish, Span)>) {
    let mut ports = ServicePorts::new();
    let mut published = Vec::new();
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for port in object.objects("port") {
        if let Some(first) = seen.get(port.name()).filter(|_| !port.name().is_empty()) {
            cx.report(crate::resolve::clash(
                format!("two ports of `{}` are called `{}`", object.name(), port.name()),
                port.name_span,
                *first,
            ));
            continue;
        }
        seen.insert(port.name(), port.name_span);
        let own = match port.value("number") {
            Some(Typed::Port(number)) => Some(*number),
            _ => None,
        };
        let number = if known && !port.name().is_empty() {
            pods_number(cx, port, workloads, matched, select, own)
        } else {
            None
        };
        let publish = match port.value("publish") {
            Some(Typed::Publish(publish)) => Some(publish.clone()),
            _ => None,
        };
        if let (Some(publish), Some(field)) = (&publish, port.get("publish")) {
            published.push((publish.clone(), field.span));
        }
        ports.insert(
            port.name().to_owned(),
            ServicePort { number: own.or(number).unwrap_or(0), publish },
        );
    }
    (ports, published)
}

/// Returns the number of the pods' port of that name; reports pods that lack it.
fn pods_number(
    cx: &mut Reporter<'_>,
    port: &Object<'_>,
    workloads: &[LoweredWorkload],
    matched: &[usize],
    select: &Selector,
    own: Option<u16>,
) -> Option<u16> {
    let mut first: Option<(u16, Span)> = None;
    for lowered in matched.iter().filter_map(|at| workloads.get(*at)) {
        let Some(fact) = lowered.facts.ports.get(port.name()) else {
            if !lowered.facts.ports_bad && !cx.hidden.may_contain(port.name()) {
                no_port(cx, port, workloads, matched, lowered, select);
            }
            return None;
        };
        match first {
            Some((number, span)) if number != fact.number && own.is_none() => {
                cx.report(
                    Diagnostic::error(
                        codes::WHICH_PORT,
                        format!(
                            "the pods' port `{}` is {number} here and {} there",
                            port.name(),
                            fact.number
                        ),
                    )
                    .label(port.name_span, "the service needs a number of its own")
                    .label(span, "one")
                    .label(fact.span, "the other")
                    .help(format!("For example: `port {} 80`", port.name())),
                );
                return None;
            }
            Some(_) => {}
            None => first = Some((fact.number, fact.span)),
        }
    }
    first.map(|(number, _)| number)
}

fn no_port(
    cx: &mut Reporter<'_>,
    port: &Object<'_>,
    workloads: &[LoweredWorkload],
    matched: &[usize],
    lowered: &LoweredWorkload,
    select: &Selector,
) {
    let name = port.name();
    let some_have = matched
        .iter()
        .filter_map(|at| workloads.get(*at))
        .any(|other| other.facts.ports.contains_key(name));
    let address = lowered.workload.address();
    let headline = if some_have {
        format!(
            "`{} {}` has no port `{name}`, and `{select}` selects it too",
            address.kind, address.name
        )
    } else {
        format!("the pods of `{select}` have no port `{name}`")
    };
    let names: Vec<&str> = lowered.facts.ports.keys().map(String::as_str).collect();
    let mut found = Diagnostic::error(codes::NO_PORT, headline).label(port.name_span, "");
    match (nearest(name, names.iter().copied()), names.as_slice()) {
        (Some(meant), _) if !some_have => {
            found = found.maybe(format!("write `{meant}`"), port.name_span, meant)
        }
        (_, []) => found = found.help("A port has a name in the container: `port http 8080`."),
        (_, some) => {
            let shown: Vec<String> = some.iter().take(8).map(|name| format!("`{name}`")).collect();
            found = found.help(format!("`{}` has {}.", address.name, shown.join(", ")));
        }
    }
    cx.report(found);
}

fn notes(low: &mut Lowering<'_, '_>, object: &Object<'_>) -> Provenance {
    let mut notes = Notes::new(&mut low.origins);
    notes.written(&[], object.title_span);
    notes.field(&["select"], object, "select");
    for port in object.objects("port") {
        notes.written(&["ports", port.name()], port.node.head);
        for word in ["number", "publish"] {
            notes.field(&["ports", port.name(), word], port, word);
        }
    }
    notes.provenance
}
