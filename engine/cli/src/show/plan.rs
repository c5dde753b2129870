//! A plan for people.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tally_graph::schema::UpdateClass;
use tally_graph::{Graph, HostAddress, Protocol, Replicas, Strategy, Workload};
use tally_reconcile::plan::reason::{Blocked, goal};
use tally_reconcile::plan::{
    Action, Cause, Change, ChangeKind, Fallback, FieldChange, OpId, Plan, Reachable,
};

use crate::show::balance;
use crate::show::blocked::help;
use crate::show::terminal::{Style, Terminal, clean};
use crate::show::values::{count, value};

/// Maximum length of a field's value; a longer value is cut and not wrapped.
const LONGEST_VALUE: usize = 60;

/// Returns the whole plan as text.
#[must_use]
pub fn people(plan: &Plan, graph: &Graph, header: &str, terminal: &Terminal) -> String {
    let mut out = format!("{header}\n");
    let destroy = plan.changes.iter().all(|change| change.kind == ChangeKind::Remove)
        && plan.reachable.is_empty()
        && plan.balance.is_none();
    let workloads = graph.workloads().map(|w| (w.address().to_string(), w)).collect();
    let several_hosts = graph.hosts().nth(1).is_some();
    let restarts = plan.operations.iter().filter(|it| matches!(it.action, Action::Restart { .. }));
    let restarts = restarts.map(|it| it.id).collect();
    let shown = PlanView { graph, terminal, workloads, destroy, several_hosts, restarts };
    let halves = balance::halves(plan);
    let listed = plan.changes.iter().filter(|change| !balance::is_half(change, &halves));
    let (drift, spec): (Vec<&Change>, Vec<&Change>) =
        listed.partition(|change| change.cause == Cause::Drift);
    for (title, changes) in [("", spec), ("Changed outside the spec", drift)] {
        if changes.is_empty() {
            continue;
        }
        out.push('\n');
        if !title.is_empty() {
            out.push_str(&format!("{}\n", terminal.paint(Style::Bold, title)));
        }
        shown.changes(&changes, &mut out);
    }
    for power in &plan.host_access {
        let mark = terminal.paint(Style::Change, "!");
        out.push_str(&format!("\n  {mark} {power}"));
    }
    if !plan.host_access.is_empty() {
        out.push('\n');
    }
    shown.fallbacks(&plan.fallbacks, &mut out);
    shown.reachable(&plan.reachable, &mut out);
    if let Some(found) = &plan.balance {
        out.push_str(&balance::people(found, graph, terminal));
    }
    out.push_str(&blocked(&plan.blocked, graph, terminal));
    out.push('\n');
    out.push_str(&summary(plan, graph, terminal));
    out
}

/// Returns the blocked changes with their reasons; pods with the same reason together.
#[must_use]
pub fn blocked<'b>(
    all: impl IntoIterator<Item = &'b Blocked>,
    graph: &Graph,
    terminal: &Terminal,
) -> String {
    let mut groups: Vec<(&Blocked, Vec<&str>)> = Vec::new();
    for it in all {
        let alike = |other: &&mut (&Blocked, Vec<&str>)| {
            other.0.subject.address() == it.subject.address() && other.0.reason == it.reason
        };
        match groups.iter_mut().find(alike) {
            Some((_, pods)) => pods.extend(it.subject.pod()),
            None => groups.push((it, it.subject.pod().into_iter().collect())),
        }
    }
    if groups.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", terminal.paint(Style::Bold, "Blocked"));
    for (it, pods) in groups {
        let what =
            if pods.is_empty() { it.subject.address().into_owned() } else { pod_list(&pods) };
        let mark = terminal.paint(Style::Change, "  !");
        let place = it.origin.map(|span| graph.sources.line_place(span)).unwrap_or_default();
        let place = terminal.paint(Style::Dim, &place);
        out.push_str(&format!("{mark} {}  {place}\n", terminal.paint(Style::Bold, &what)));
        let reason = terminal.wrap(&clean(&it.reason.to_string()), 6);
        out.push_str(&format!("      {reason}\n"));
        if let Some(help) = help(&it.reason) {
            let help = terminal.wrap(&clean(&help), 6);
            out.push_str(&format!("      {}\n", terminal.paint(Style::Dim, &help)));
        }
    }
    out
}

/// Returns the last line: the summary of a plan.
#[must_use]
pub fn summary(plan: &Plan, graph: &Graph, terminal: &Terminal) -> String {
    if plan.is_empty() {
        let mut text = if plan.blocked.is_empty() {
            tallies(plan, graph, terminal)
        } else {
            format!(
                "{} nothing can be done now; everything else is up to date.\n",
                terminal.paint(Style::Change, "Blocked:")
            )
        };
        let waits = waiting(plan);
        if !waits.is_empty() {
            let mark = terminal.paint(Style::Change, "not ready:");
            text.push_str(&format!("  {mark} {}\n", waits.join(", ")));
        }
        return text;
    }
    let halves = balance::halves(plan);
    let listed: Vec<&Change> =
        plan.changes.iter().filter(|change| !balance::is_half(change, &halves)).collect();
    let of = |kind: ChangeKind| {
        let things: BTreeSet<_> =
            listed.iter().filter(|c| c.kind == kind).map(|c| &c.subject).collect();
        let volumes_and_networks =
            listed.iter().filter(|c| c.kind == kind && c.subject.container().is_none()).count();
        let named: BTreeSet<_> = things.iter().filter(|s| s.container().is_some()).collect();
        named.len() + volumes_and_networks
    };
    let parts = [
        (of(ChangeKind::Create), "to add", Style::Add),
        (of(ChangeKind::Update), "to change", Style::Change),
        (of(ChangeKind::Replace), "to replace", Style::Change),
        (of(ChangeKind::Remove), "to remove", Style::Remove),
        (halves.len() / 2, "to move", Style::Change),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, word, style)| terminal.paint(*style, &format!("{number} {word}")))
        .collect();
    format!("{} {}\n", terminal.paint(Style::Bold, "Plan:"), parts.join(", "))
}

fn tallies(plan: &Plan, graph: &Graph, terminal: &Terminal) -> String {
    let hosts = u32::try_from(graph.hosts().count().max(1)).unwrap_or(u32::MAX);
    let pods: usize =
        graph.workloads().map(|workload| workload.replicas.pods(hosts) as usize).sum();
    let line = format!("{} tallies:", plan.cluster);
    let line = terminal.paint(Style::Add, &line);
    let verb = if pods == 1 { "is" } else { "are" };
    format!("{line} {} {verb} as the spec says. Nothing to do.\n", count(pods, "pod", "pods"))
}

/// Returns the pods that are up to date and not ready.
#[must_use]
pub fn waiting(plan: &Plan) -> Vec<String> {
    let waits = plan.operations.iter().filter(|op| matches!(op.action, Action::AwaitReady { .. }));
    let pods: BTreeSet<String> = waits
        .filter_map(|op| Some(format!("{}/{}", op.subject.pod()?, op.subject.container()?)))
        .collect();
    pods.into_iter().collect()
}

struct PlanView<'a> {
    graph: &'a Graph,
    terminal: &'a Terminal,
    /// Workloads by address: a plan can have thousands.
    workloads: BTreeMap<String, &'a Workload>,
    /// Whether the whole cluster is removed.
    destroy: bool,
    /// Whether each change is shown with its host.
    several_hosts: bool,
    /// The operations that restart a container.
    restarts: BTreeSet<OpId>,
}

/// Changes that differ only in their pod are shown together.
type ChangeGroup<'a> = (&'a Change, Vec<String>);

impl PlanView<'_> {
    fn changes(&self, changes: &[&Change], out: &mut String) {
        let mut by_workload: Vec<(Cow<'_, str>, Vec<&Change>)> = Vec::new();
        let mut index: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
        for change in changes {
            let workload = change.subject.address();
            let at = *index.entry(workload.clone()).or_insert_with(|| {
                by_workload.push((workload, Vec::new()));
                by_workload.len() - 1
            });
            if let Some((_, of)) = by_workload.get_mut(at) {
                of.push(change);
            }
        }
        for (workload, changes) in by_workload {
            self.workload(&workload, &changes, out);
        }
    }

    fn workload(&self, address: &str, changes: &[&Change], out: &mut String) {
        let kinds: BTreeSet<ChangeKind> = changes.iter().map(|change| change.kind).collect();
        let known = self.workloads.get(address).copied();
        let kind = match (kinds.len(), kinds.first()) {
            // Some pods of a controller are removed; the controller itself stays.
            (1, Some(ChangeKind::Remove)) if known.is_some() && !self.destroy => ChangeKind::Update,
            (1, Some(kind)) => *kind,
            _ => ChangeKind::Update,
        };
        let place = known.map(|workload| self.graph.sources.line_place(workload.span));
        let glyph = self.glyph(kind);
        if let [only] = changes
            && only.subject.pod().is_none()
        {
            // One line is enough for a network or a named volume.
            let what = only.note.as_deref().unwrap_or(address);
            let what = if self.several_hosts {
                format!("{what} on {}", only.host)
            } else {
                what.to_owned()
            };
            let what = what.as_str();
            let place = only.origin.map(|span| self.graph.sources.line_place(span));
            let line = format!("{glyph} {}", self.terminal.paint(Style::Bold, what));
            self.with_place(out, &line, 4 + what.chars().count(), place.as_deref());
            return;
        }
        let mut line = format!("{glyph} {}", self.terminal.paint(Style::Bold, address));
        let mut length = 4 + address.len();
        if let Some(words) = known.and_then(|workload| self.disruption(workload, changes)) {
            line.push_str(&format!("  {words}"));
            length += 2 + words.chars().count();
        }
        self.with_place(out, &line, length, place.as_deref());
        for (change, pods) in grouped(changes, self.several_hosts) {
            self.change(change, &pods, out);
        }
    }

    fn change(&self, change: &Change, pods: &[String], out: &mut String) {
        let glyph = self.glyph(change.kind);
        let container = change.subject.container();
        let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
        let pods = pod_list(&pods);
        // A network or a named volume belongs to no pod.
        let of_no_pod = container.is_none() && change.subject.pod().is_none();
        let note = change.note.as_deref().map(clean);
        let what = match container {
            None if of_no_pod && self.several_hosts => {
                format!("{} on {pods}", note.as_deref().unwrap_or_default())
            }
            None => pods,
            Some(container) if self.several_hosts => format!("{container} of {pods}"),
            Some(container) => format!("{pods}/{container}"),
        };
        let mut line = format!("    {glyph} {what}");
        let class = change.fields.iter().map(|field| field.class).max();
        let mut words: Vec<String> = Vec::new();
        match (change.kind, class) {
            (ChangeKind::Update | ChangeKind::Replace, Some(class)) => {
                words.push(class.phrase().to_owned());
            }
            (ChangeKind::Replace, None) => words.push("is recreated".to_owned()),
            _ => {}
        }
        if !(of_no_pod && self.several_hosts) {
            words.extend(note);
        }
        if !words.is_empty() {
            line.push_str(&format!("  {}", self.terminal.paint(Style::Dim, &words.join("; "))));
        }
        out.push_str(&line);
        out.push('\n');
        let width = change.fields.iter().map(|f| f.path.to_string().chars().count()).max();
        for field in &change.fields {
            self.field(field, width.unwrap_or(0).min(40), out);
        }
    }

    fn field(&self, field: &FieldChange, width: usize, out: &mut String) {
        let name = format!("{:width$}", field.path.to_string());
        let show = |of: &Option<serde_json::Value>| {
            of.as_ref().map(|of| shorten(&clean(&value(&field.path, of))))
        };
        let arrow = self.terminal.arrow();
        let change = match (show(&field.old), show(&field.new)) {
            (Some(old), Some(new)) => format!("{old} {arrow} {new}"),
            (None, Some(new)) => format!("{arrow} {new}"),
            (Some(old), None) => format!("{old} {arrow} (none)"),
            (None, None) => String::new(),
        };
        let line = format!("          {name}  {change}");
        let place = field.origin.map(|span| self.graph.sources.line_place(span));
        let length = line.chars().count();
        self.with_place(out, &line, length, place.as_deref());
    }

    /// Adds a line with its place in the spec at the right, if there is room.
    fn with_place(&self, out: &mut String, line: &str, length: usize, place: Option<&str>) {
        out.push_str(line);
        if let Some(place) = place {
            let wide = self.terminal.width.min(100);
            let pad = wide.saturating_sub(length + place.chars().count()).max(2);
            let dim = self.terminal.paint(Style::Dim, place);
            if length + 2 + place.chars().count() <= self.terminal.width {
                out.push_str(&format!("{}{dim}", " ".repeat(pad)));
            } else {
                out.push_str(&format!("\n            {dim}"));
            }
        }
        out.push('\n');
    }

    fn glyph(&self, kind: ChangeKind) -> String {
        let (style, glyph) = match kind {
            ChangeKind::Create => (Style::Add, "  +"),
            ChangeKind::Update => (Style::Change, "  ~"),
            ChangeKind::Replace => (Style::Change, "-/+"),
            ChangeKind::Remove => (Style::Remove, "  -"),
        };
        self.terminal.paint(style, glyph)
    }

    fn fallbacks(&self, all: &[Fallback], out: &mut String) {
        if all.is_empty() {
            return;
        }
        let title = self.terminal.paint(Style::Bold, "If its rollout fails");
        out.push_str(&format!("\n{title}\n"));
        for Fallback { workload, can_roll_back, entry, what } in all {
            let becomes = if *can_roll_back {
                format!("is rolled back to {}, {}", goal(*entry), clean(what))
            } else {
                format!("is not rolled back: {}", clean(what))
            };
            out.push_str(&format!("      {workload} {becomes}\n"));
        }
    }

    /// Returns how a change disrupts the workload.
    fn disruption(&self, workload: &Workload, changes: &[&Change]) -> Option<String> {
        let Replicas::Count(replicas) = workload.replicas else { return None };
        let heavy = |change: &&&Change| {
            let class = change.fields.iter().map(|field| field.class).max();
            // Drift of containers that serve nothing is repaired at once.
            let restarts = || change.operations.iter().any(|id| self.restarts.contains(id));
            let asked = change.cause == Cause::Needed && restarts();
            change.kind == ChangeKind::Replace || class >= Some(UpdateClass::Restart) || asked
        };
        let pods: BTreeSet<&str> =
            changes.iter().filter(heavy).filter_map(|change| change.subject.pod()).collect();
        if pods.is_empty() {
            return None;
        }
        if workload.update.strategy == Strategy::Recreate {
            return Some("all at once, interrupts it".to_owned());
        }
        let missing = workload.update.missing(replicas).min(replicas);
        let surge = workload.update.surge(replicas);
        let stands_in = changes.iter().any(|change| change.kind == ChangeKind::Create);
        if surge > 0 && stands_in {
            return Some(format!(
                "{} of {replicas} at a time beside {}, never below {} ready",
                (missing + surge).min(replicas),
                count(surge as usize, "stand-in", "stand-ins"),
                replicas - missing
            ));
        }
        Some(match replicas - missing {
            0 => format!("{} of {replicas} at a time, interrupts it", missing.min(replicas)),
            least => format!("{missing} of {replicas} at a time, never below {least} ready"),
        })
    }

    fn reachable(&self, all: &[Reachable], out: &mut String) {
        let new: Vec<&Reachable> = all.iter().filter(|reachable| !reachable.already).collect();
        if new.is_empty() {
            return;
        }
        let title = self.terminal.paint(Style::Bold, "Becomes reachable");
        out.push_str(&format!("\n{title}\n"));
        for reachable in new {
            let from = match reachable.publish.ip {
                Some(ip) if ip.is_loopback() => "from the host itself".to_owned(),
                Some(ip) if !ip.is_unspecified() => {
                    format!("from everywhere that reaches {ip}, past the host's firewall")
                }
                _ => "from everywhere that reaches the host, past its firewall".to_owned(),
            };
            out.push_str(&format!(
                "      {}  {}, {from}\n",
                address(reachable, self.graph),
                reachable.pod
            ));
        }
    }
}

/// Returns `http://127.0.0.1:8080`, ready to click, if the name of the port says HTTP; otherwise `127.0.0.1:6379`.
#[must_use]
pub fn address(reachable: &Reachable, graph: &Graph) -> String {
    let machine = graph.hosts().find(|host| host.name == reachable.host).and_then(machine);
    let machine = machine.unwrap_or("localhost");
    let ip = reachable.publish.ip.filter(|ip| !ip.is_unspecified());
    let host = match ip {
        Some(ip) => std::net::SocketAddr::new(ip, reachable.publish.port).to_string(),
        None => format!("{machine}:{}", reachable.publish.port),
    };
    match (reachable.protocol, reachable.port.as_str()) {
        (Protocol::Udp, _) => format!("{host}/udp"),
        (_, "https" | "tls" | "wss") => format!("https://{host}"),
        (_, "http" | "web" | "www" | "api" | "ui" | "metrics") => format!("http://{host}"),
        _ => host,
    }
}

/// Returns the name or address of a host on another machine.
fn machine(host: &tally_graph::Host) -> Option<&str> {
    let (HostAddress::Ssh(url) | HostAddress::Tcp(url)) = &host.address else { return None };
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or(rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, machine)| machine);
    match rest.rsplit_once(':') {
        // An IPv6 address needs brackets.
        Some((machine, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(machine),
        _ => Some(rest),
    }
}

/// Groups changes that differ only in their pod, in the order of first appearance.
fn grouped<'a>(changes: &[&'a Change], several_hosts: bool) -> Vec<ChangeGroup<'a>> {
    let mut groups: Vec<ChangeGroup<'a>> = Vec::new();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    for change in changes {
        let alike = format!(
            "{}\u{0}{:?}\u{0}{:?}\u{0}{:?}\u{0}{}",
            change.subject.container().unwrap_or_default(),
            change.kind,
            change.cause,
            change.note,
            change
                .fields
                .iter()
                .map(|f| format!("{f:?}"))
                .collect::<String>()
                .replace(&format!(".{}.", change.subject.pod().unwrap_or_default()), ".."),
        );
        let at = *index.entry(alike).or_insert_with(|| {
            groups.push((change, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, pods)) = groups.get_mut(at) {
            match (change.subject.pod(), several_hosts) {
                (None, false) => {}
                (None, true) => pods.push(change.host.clone()),
                (Some(pod), true) => pods.push(format!("{pod} on {}", change.host)),
                (Some(pod), false) => pods.push(pod.to_owned()),
            }
        }
    }
    groups
}

/// Returns `web-0, web-1, web-2`, or a number if there are many.
fn pod_list(pods: &[&str]) -> String {
    match pods {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, .., last] if pods.len() > 4 => format!("{first} … {last} ({})", pods.len()),
        few => few.join(", "),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() > LONGEST_VALUE {
        let head: String = text.chars().take(LONGEST_VALUE - 1).collect();
        format!("{head}…")
    } else {
        text.to_owned()
    }
}
