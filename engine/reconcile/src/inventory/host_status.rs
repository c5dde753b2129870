//! The status of the hosts: which are ready, which are unreachable, and which of these count as lost.
//! Unreachable never means absent: only a declaration, or the grace period of the spec, makes an
//! unreachable host a lost one.

use std::collections::BTreeMap;

use tally_graph::{Graph, Host};
use tally_source::{Diagnostic, Span, engine_codes};

use crate::input::observed::{HostState, HostView, Observed};
use crate::input::options::{LOCAL_HOST, Options};
use crate::inventory::collect::inventory_with_patterns;
use crate::inventory::containers::Inventory;
use crate::inventory::fast_path::FastPathInput;
use crate::inventory::patterns::Patterns;
use crate::memory::Memory;
use crate::memory::declared::Declared;
use crate::memory::learned::HostMemory;
use crate::plan::reason::Closed;

/// A host that answered.
pub(crate) struct ReadyHost<'a> {
    pub name: &'a str,
    pub span: Option<Span>,
    /// Its own labels, and `host`, `os` and `arch`.
    pub labels: BTreeMap<String, String>,
    /// CPU in thousandths of a core.
    pub cpu: u64,
    /// Memory in bytes.
    pub memory: u64,
    /// The reason why it takes no pods and releases its own; `None` if it takes pods.
    pub closed: Option<Closed>,
    /// Whether it was declared fenced: pods that run there again are duplicates.
    pub fenced: bool,
    pub state: &'a HostState,
    pub inventory: Inventory<'a>,
}

/// A host that did not answer.
pub(crate) struct UnreachableHostStatus<'a> {
    pub name: &'a str,
    pub span: Option<Span>,
    pub reason: String,
    /// The time since which it does not answer, in milliseconds since 1970; `None` if unknown.
    pub since_ms: Option<i64>,
    /// Whether its pods without data count as gone.
    pub lost: bool,
    /// Whether its pods with data count as gone too.
    pub fenced: bool,
    pub memory: Option<&'a HostMemory>,
}

/// All hosts of a cluster.
pub(crate) struct Hosts<'a> {
    pub ready: Vec<ReadyHost<'a>>,
    pub unreachable: Vec<UnreachableHostStatus<'a>>,
}

/// Sorts the hosts of a spec by their status.
pub(crate) fn hosts<'a>(
    graph: &'a Graph,
    observed: &'a Observed,
    memory: &'a Memory,
    options: &Options,
    patterns: &Patterns,
) -> Hosts<'a> {
    let mut all = Hosts { ready: Vec::new(), unreachable: Vec::new() };
    let Some(cluster) = graph.cluster() else { return all };
    let named: Vec<(&str, Option<&Host>)> = match graph.hosts().next() {
        Some(_) => graph.hosts().map(|host| (host.name.as_str(), Some(host))).collect(),
        None => vec![(LOCAL_HOST, None)],
    };
    for (name, host) in named {
        let span = host.map(|host| host.span);
        let remembered = memory.learned.hosts.get(name);
        let declared = memory.declared.hosts.get(name).copied();
        let fenced = declared == Some(Declared::Fenced);
        let supposed = options.without.contains(name);
        match observed.hosts.get(name) {
            Some(HostView::Ready(state)) if !supposed => {
                let input = FastPathInput {
                    failing: &memory.in_flight.failing,
                    restarts: &memory.declared.restarts,
                    now_ms: state.its_now_ms(options.now_ms),
                };
                let inventory =
                    inventory_with_patterns(&cluster.name, state, patterns, Some(&input));
                all.ready.push(ready(name, host, state, fenced, inventory));
            }
            view => {
                let since_ms = remembered.and_then(|memory| memory.unreachable_since_ms);
                let reason = match view {
                    Some(HostView::Unknown { reason, .. }) => reason.clone(),
                    Some(HostView::Ready(_)) => "supposed to be lost".to_owned(),
                    None => "it was not observed".to_owned(),
                };
                let lost = supposed || memory.is_lost(name, cluster.lost_after, options.now_ms);
                let memory = remembered;
                all.unreachable.push(UnreachableHostStatus {
                    name,
                    span,
                    reason,
                    since_ms,
                    lost,
                    fenced,
                    memory,
                });
            }
        }
    }
    all
}

fn ready<'a>(
    name: &'a str,
    host: Option<&Host>,
    state: &'a HostState,
    fenced: bool,
    inventory: Inventory<'a>,
) -> ReadyHost<'a> {
    let mut labels = host.map(|host| host.labels.clone()).unwrap_or_default();
    labels.insert("host".to_owned(), name.to_owned());
    labels.insert("os".to_owned(), state.engine.os.clone());
    labels.insert("arch".to_owned(), state.engine.arch.clone());
    let capacity = host.map(|host| host.capacity).unwrap_or_default();
    let drained = host.is_some_and(|host| host.drain);
    ReadyHost {
        name,
        span: host.map(|host| host.span),
        labels,
        cpu: capacity.cpu.map_or(u64::from(state.engine.cpus) * 1000, |cpu| u64::from(cpu.0)),
        memory: capacity.memory.unwrap_or(state.engine.memory).0,
        closed: match (fenced, drained) {
            (true, _) => Some(Closed::Fenced),
            (false, true) => Some(Closed::Drained),
            (false, false) => None,
        },
        fenced,
        state,
        inventory,
    }
}

impl<'a> Hosts<'a> {
    /// Checks whether a pod was observed on a host that does not answer and is not lost.
    pub fn was_seen_unreachable(&self, pod: &str) -> bool {
        let known =
            |host: &UnreachableHostStatus<'_>| host.memory.is_some_and(|memory| memory.had(pod));
        self.unreachable.iter().any(|host| !host.lost && known(host))
    }

    /// Returns the unreachable host that may have a pod: the pod was observed there last, or the pods of
    /// the host are unknown. A lost host is never returned.
    pub fn may_have(&self, pod: &str) -> Option<&UnreachableHostStatus<'a>> {
        self.unreachable
            .iter()
            .filter(|host| !host.lost)
            .find(|host| host.memory.is_none_or(|memory| memory.may_have(pod)))
    }
}

impl Hosts<'_> {
    /// Returns the reports on unreachable hosts: one for each, or an error when most hosts are unreachable.
    /// Then the fault is probably on this side, and nothing is changed. Also reports hosts that answer
    /// although they were declared fenced: they take no pods, which would be hard to notice.
    pub fn reports(&self, now_ms: i64) -> Vec<Diagnostic> {
        let unreachable: Vec<&UnreachableHostStatus<'_>> =
            self.unreachable.iter().filter(|host| !host.lost).collect();
        let all = self.ready.len() + unreachable.len();
        if self.ready.is_empty() || unreachable.len() * 2 > all {
            return self.frozen(&unreachable, all, now_ms);
        }
        let unreachable = self.unreachable.iter().map(|host| said(host, now_ms));
        unreachable.chain(self.ready.iter().filter(|host| host.fenced).map(back)).collect()
    }

    fn frozen(
        &self,
        unreachable: &[&UnreachableHostStatus<'_>],
        all: usize,
        now_ms: i64,
    ) -> Vec<Diagnostic> {
        if all <= 1 {
            let label = "nothing is planned for a host that cannot be observed";
            return self
                .unreachable
                .iter()
                .map(|host| {
                    let headline = format!("host `{}` does not answer: {}", host.name, host.reason);
                    at(
                        Diagnostic::error(engine_codes::HOST_UNREACHABLE, headline),
                        host.span,
                        label,
                    )
                })
                .collect();
        }
        let mut found = Diagnostic::error(
            engine_codes::MOST_HOSTS_UNREACHABLE,
            format!("{} of {all} hosts do not answer, so nothing is changed", unreachable.len()),
        );
        for host in unreachable {
            if let Some(span) = host.span {
                found = found.label(span, format!("{}{}", host.reason, since(host, now_ms)));
            }
        }
        vec![found.help(
            "When most hosts are unreachable the fault is probably on this side: is the network up, \
             and is this machine allowed to reach them? If they are really gone, declare each of \
             them: `tally host lost NAME`.",
        )]
    }
}

/// Describes an unreachable host.
fn said(host: &UnreachableHostStatus<'_>, now_ms: i64) -> Diagnostic {
    let since = since(host, now_ms);
    let (headline, help) = match (host.lost, host.fenced) {
        (_, true) => (
            format!("host `{}` is fenced", host.name),
            "Its pods are replaced on other hosts, those with data too, without the data."
                .to_owned(),
        ),
        (true, false) => (
            format!("host `{}` is lost{since}: {}", host.name, host.reason),
            format!(
                "Its pods without data are replaced on other hosts. Pods with a named volume are \
                 not, unless you declare that the host is certainly off: `tally host fence {}`.",
                host.name
            ),
        ),
        (false, false) => (
            format!("host `{}` does not answer{since}: {}", host.name, host.reason),
            format!(
                "Its containers are not changed, and nothing is concluded from their absence. If \
                 it will not come back: `tally host lost {}`.",
                host.name
            ),
        ),
    };
    at(Diagnostic::warning(engine_codes::HOST_UNREACHABLE, headline).help(help), host.span, "")
}

/// Adds the position of the host in the spec to a report, if there is one.
fn at(found: Diagnostic, span: Option<Span>, label: &str) -> Diagnostic {
    match span {
        Some(span) => found.label(span, label),
        None => found,
    }
}

/// Describes a fenced host that answers.
fn back(host: &ReadyHost<'_>) -> Diagnostic {
    let headline = format!("host `{}` is fenced, and answers", host.name);
    let help = format!(
        "It was declared off, so its containers are stopped, its volumes stay, and it takes no pods. \
         If it may be used again: `tally host restore {}`.",
        host.name
    );
    at(Diagnostic::warning(engine_codes::FENCED_HOST_ANSWERS, headline).help(help), host.span, "")
}

/// Returns the time since which it is unreachable, as ` for 3m`; empty if that is unknown.
fn since(host: &UnreachableHostStatus<'_>, now_ms: i64) -> String {
    let Some(since) = host.since_ms else { return String::new() };
    let seconds = u64::try_from(now_ms.saturating_sub(since) / 1000).unwrap_or(0);
    match seconds {
        0..1 => String::new(),
        1..120 => format!(" for {seconds}s"),
        120..7200 => format!(" for {}m", seconds / 60),
        _ => format!(" for {}h", seconds / 3600),
    }
}
