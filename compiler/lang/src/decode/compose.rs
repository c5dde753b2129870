//! Values in the spelling of Compose.

use crate::syntax::{Entry, Node, ValueKind};
use crate::write;

/// The maximum number of ports that a report writes out.
const MOST_PORTS: usize = 8;

/// Returns `ports "8080:80"` and `ports { http 80 }` as nodes of this language; `None` for any other form.
pub(super) fn ports(node: &Node) -> Option<String> {
    let ports: Option<Vec<String>> = match &node.block {
        None => node.entries.iter().map(port).collect(),
        Some(block) if node.entries.is_empty() => block.nodes.iter().map(named_port).collect(),
        Some(_) => None,
    };
    ports.filter(|ports| (1..=MOST_PORTS).contains(&ports.len())).map(|ports| ports.join("; "))
}

fn port(entry: &Entry) -> Option<String> {
    match &entry.value.kind {
        ValueKind::Number(number) if entry.key.is_none() => Some(format!("port NAME {number}")),
        ValueKind::Text(text, _) if entry.key.is_none() => {
            let fields = port_fields(text)?;
            Some(format!("port NAME {fields}"))
        }
        _ => None,
    }
}

fn named_port(node: &Node) -> Option<String> {
    let [entry] = node.entries.as_slice() else { return None };
    let ValueKind::Number(number) = &entry.value.kind else { return None };
    let plain = node.block.is_none() && entry.key.is_none();
    plain.then(|| format!("port {} {number}", write::text(&node.name.text)))
}

/// Returns `"127.0.0.1:8080:80/udp"` as the number and the fields of a port; `None` if it is no such text.
pub(super) fn port_fields(text: &str) -> Option<String> {
    let (ports, protocol) = match text.split_once('/') {
        Some((ports, protocol)) => (ports, Some(protocol)),
        None => (text, None),
    };
    let (host, inner) = match ports.rsplit_once(':') {
        Some((host, inner)) => (Some(host), inner),
        None => (None, ports),
    };
    inner.parse::<u16>().ok().filter(|port| *port > 0)?;
    let mut fields = inner.to_owned();
    if let Some(host) = host {
        let host = if host.contains([':', '.']) { format!("\"{host}\"") } else { host.to_owned() };
        fields.push_str(&format!(" publish={host}"));
    }
    if let Some(protocol) = protocol.filter(|protocol| *protocol != "tcp") {
        fields.push_str(&format!(" protocol={}", write::text(protocol)));
    }
    Some(fields)
}
