//! Probes of containers.

use std::collections::BTreeMap;

use tally_graph::{Millis, Port, Probe, ProbeAction, Protocol, schema};
use tally_source::{Diagnostic, Span};

use crate::codes;
use crate::decode::{Data, Object, PortRef, Typed};
use crate::reporter::Reporter;
use crate::resolve::not_found;
use crate::write;

/// The ports of the probed container.
pub(super) struct ContainerPorts<'c> {
    pub ports: &'c BTreeMap<String, Port>,
    /// Whether one of them is wrong. Then no port is reported as missing.
    pub bad: bool,
}

/// Returns a probe; `None` when something in it is wrong.
pub(super) fn probe(
    cx: &mut Reporter<'_>,
    block: &Object<'_>,
    ports: &ContainerPorts<'_>,
) -> Option<Probe> {
    let action = action(cx, block, ports)?;
    let running = action == ProbeAction::Running;
    let time = |word: &str| match block.value(word) {
        Some(Typed::Duration(time)) => *time,
        _ => {
            let default = match word {
                "delay" if running => schema::RUNNING_DELAY,
                _ => schema::default_of(block.kind.key, word).unwrap_or_default(),
            };
            Millis::parse(default).unwrap_or_default()
        }
    };
    let number = |word: &str| match block.value(word) {
        Some(Typed::Int(number)) => *number,
        _ => schema::default_of(block.kind.key, word).and_then(|n| n.parse().ok()).unwrap_or(1),
    };
    let probe = Probe {
        action,
        every: time("every"),
        timeout: time("timeout"),
        delay: time("delay"),
        failures: number("failures"),
        successes: number("successes"),
    };
    for word in ["every", "timeout"] {
        let zero = matches!(block.value(word), Some(Typed::Duration(Millis(0))));
        if let (true, Some(field)) = (zero, block.get(word)) {
            cx.report(
                Diagnostic::error(codes::RANGE, format!("`{word}` must not be zero"))
                    .label(field.value_span, ""),
            );
        }
    }
    Some(probe)
}

fn action(
    cx: &mut Reporter<'_>,
    block: &Object<'_>,
    ports: &ContainerPorts<'_>,
) -> Option<ProbeAction> {
    let asked: Vec<_> =
        ["command", "http", "tcp"].iter().filter_map(|word| block.get(word)).collect();
    if let [first, second, ..] = asked.as_slice() {
        cx.report(
            Diagnostic::error(codes::PROBE, "a probe has one action")
                .label(second.span, "the second")
                .label(first.span, "the first")
                .help("One of `command`, `http` and `tcp`."),
        );
        return None;
    }
    if let (Some(port), false) = (block.get("port"), block.has("http")) {
        let help = if block.has("tcp") {
            "`tcp` names the port already."
        } else {
            "`port` is the port for `http`."
        };
        cx.report(
            Diagnostic::error(codes::PROBE, "`port` belongs to `http` only")
                .label(port.span, "")
                .help(help),
        );
        return None;
    }
    let Some(field) = asked.first() else {
        if block.kind.key == "liveness" && !block.bad {
            cx.report(
                Diagnostic::error(codes::PROBE, "a liveness needs a `command`, `http` or `tcp`")
                    .label(block.node.head, "this one has no action")
                    .help("For example: `liveness every=\"10s\" { command \"true\" }`"),
            );
        }
        return (!block.bad).then_some(ProbeAction::Running);
    };
    match &field.data {
        Data::List(words) => {
            Some(ProbeAction::Command(words.iter().map(|word| word.text.to_string()).collect()))
        }
        Data::Value(Typed::Text(path)) => {
            let port = match block.get("port") {
                Some(port) => named(cx, port, ports)?,
                None => only(cx, field.span, ports)?,
            };
            Some(ProbeAction::Http { path: path.to_string(), port })
        }
        Data::Value(Typed::PortRef(_)) => Some(ProbeAction::Tcp { port: named(cx, field, ports)? }),
        _ => None,
    }
}

/// Returns the port that a field names.
fn named(
    cx: &mut Reporter<'_>,
    field: &crate::decode::Field<'_>,
    ports: &ContainerPorts<'_>,
) -> Option<u16> {
    let Data::Value(Typed::PortRef(port)) = &field.data else { return None };
    let found = match port {
        PortRef::Name(name) => ports.ports.get(name.as_ref()).map(|port| port.number),
        PortRef::Number(number) => {
            ports.ports.values().map(|port| port.number).find(|n| n == number)
        }
    };
    if found.is_none() && !ports.bad {
        let names = ports.ports.keys().map(String::as_str);
        match port {
            PortRef::Name(name) => {
                let mut report = not_found(cx, "port", name, field.value_span, names);
                report.code = codes::NO_PORT;
                report.headline =
                    format!("this container has no port `{}`", write::shortened(name));
                if ports.ports.is_empty() {
                    report.help = Some("Name it first: `port NAME NUMBER`.".into());
                }
                cx.report(report);
            }
            PortRef::Number(number) => {
                let all: Vec<String> = ports
                    .ports
                    .iter()
                    .map(|(name, port)| format!("`{name}` {}", port.number))
                    .collect();
                let help = if all.is_empty() {
                    format!("Name it first: `port NAME {number}`.")
                } else {
                    format!("It has {}.", all.join(", "))
                };
                cx.report(
                    Diagnostic::error(
                        codes::NO_PORT,
                        format!("this container has no port {number}"),
                    )
                    .label(field.value_span, "")
                    .help(help),
                );
            }
        }
    }
    found
}

/// Returns the port if the container has exactly one.
fn only(cx: &mut Reporter<'_>, span: Span, ports: &ContainerPorts<'_>) -> Option<u16> {
    let tcp: Vec<(&String, &Port)> =
        ports.ports.iter().filter(|(_, port)| port.protocol == Protocol::Tcp).collect();
    match tcp.as_slice() {
        [(_, port)] => Some(port.number),
        _ if ports.bad => None,
        [] => {
            cx.report(
                Diagnostic::error(codes::NO_PORT, "this container has no port to probe")
                    .label(span, "")
                    .help("Name it first: `port http 8080`."),
            );
            None
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let question = match listed.split_last() {
                Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
                None => String::new(),
            };
            let mut found =
                Diagnostic::error(codes::WHICH_PORT, format!("which port: {question}?"))
                    .label(span, "");
            for name in names.iter().take(3) {
                found = found.maybe(
                    format!("write `port={name}`"),
                    span.at_end(),
                    format!(" port={name}"),
                );
            }
            cx.report(found);
            None
        }
    }
}
