//! The plans and events of simulated scenarios are kept as text, in `recorded/`: if a change of Tally alters an
//! order, a reason, a remedy or an entry anywhere, its author sees this here, even if no scenario checks it.
//!
//! ```sh
//! INSTA_UPDATE=always cargo test -p tally-tests --test scenarios   # then read `git diff`
//! ```

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;

use tally_control::{HostMetrics, JournalEntry, Metrics};
use tally_graph::Graph;
use tally_reconcile::plan::reason::{Awaits, Blocked};
use tally_reconcile::plan::subject::Subject;
use tally_reconcile::plan::{Action, Change, OpId, Operation, Plan, Precondition, Target};
use tally_source::Span;

thread_local! {
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
    static BEGUN_MS: Cell<Option<i64>> = const { Cell::new(None) };
    static LAST_PLAN: RefCell<String> = const { RefCell::new(String::new()) };
    static RUNS: Cell<u32> = const { Cell::new(0) };
    static RECORDS: Cell<bool> = const { Cell::new(false) };
}

/// The maximum number of bytes; the text after them is left out.
const LONGEST: usize = 10_000;
/// The maximum number of characters of an entry; the text after them is left out.
const LONGEST_LINE: usize = 400;
/// The number of runs that are kept of a test with many runs.
const MOST_RUNS: u32 = 2;

/// Starts the record of a simulated run.
pub fn begin() {
    TEXT.with_borrow_mut(String::clear);
    LAST_PLAN.with_borrow_mut(String::clear);
    BEGUN_MS.set(None);
    RECORDS.set(true);
}

/// Ends the record.
pub fn end() {
    RECORDS.set(false);
}

/// Compares the record of a successful run with the snapshot, unless the record is empty.
pub fn compare() {
    end();
    let text = TEXT.take();
    let number = RUNS.replace(RUNS.get() + 1);
    let thread = std::thread::current();
    // Tests run on threads with their names; other threads are no scenarios.
    let Some(test) = thread.name().filter(|_| number < MOST_RUNS && !text.is_empty()) else {
        return;
    };
    let test = test.replace("::", "-");
    let name = if number == 0 { test } else { format!("{test}-{}", number + 1) };
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("recorded");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn add(now_ms: i64, what: &str) {
    if !RECORDS.get() {
        return;
    }
    let begun_ms = BEGUN_MS.get().unwrap_or(now_ms);
    BEGUN_MS.set(Some(begun_ms));
    let seconds = now_ms.saturating_sub(begun_ms) as f64 / 1_000.0;
    TEXT.with_borrow_mut(|text| {
        if text.len() < LONGEST {
            let _ = writeln!(text, "{seconds:.1} s: {what}");
        }
    });
}

/// Records a plan, unless it equals the previous one.
pub fn plan(graph: &Graph, plan: &Plan, now_ms: i64) {
    let text = Words { graph, plan }.all();
    let is_new = LAST_PLAN.with_borrow_mut(|last| {
        let is_new = *last != text;
        last.clone_from(&text);
        is_new
    });
    if is_new {
        add(now_ms, &text);
    }
}

/// Records an event of the loop.
pub fn entry(entry: &JournalEntry) {
    let JournalEntry { kind, host, workload, pod, what, cause, place, .. } = entry;
    let mut text = kind.word().to_owned();
    for word in [host, workload, pod].into_iter().filter(|word| !word.is_empty()) {
        let _ = write!(text, " {word}");
    }
    let what: String = what.chars().take(LONGEST_LINE).collect();
    let _ = write!(text, ": {what}");
    if let Some(cause) = cause {
        let _ = write!(text, " ({cause:?})");
    }
    if let Some(place) = place {
        let _ = write!(text, " at {place}");
    }
    add(entry.at_ms, &text);
}

struct Words<'a> {
    graph: &'a Graph,
    plan: &'a Plan,
}

impl Words<'_> {
    fn all(&self) -> String {
        let mut lines: Vec<String> = vec!["plan".to_owned()];
        lines.extend(self.plan.changes.iter().flat_map(|change| self.change(change)));
        lines.extend(self.operations());
        lines.extend(self.plan.blocked.iter().map(|it| self.blocked(it)));
        for found in &self.plan.diagnostics {
            lines.push(format!("{:?} {} {}", found.severity, found.code, found.headline));
            lines.extend(found.help.iter().map(|help| format!("  help: {help}")));
        }
        for it in &self.plan.fallbacks {
            let back = if it.can_roll_back { "rolls back" } else { "stays" };
            lines.push(format!("{} {back}, entry {:?}: {}", it.workload, it.entry, it.what));
        }
        for it in &self.plan.reachable {
            let (publish, protocol) = (&it.publish, it.protocol);
            let already = if it.already { ", already" } else { "" };
            let by = format!("{publish}/{protocol} on {}: {} {}", it.host, it.pod, it.port);
            lines.push(format!("reachable {by}{already}"));
        }
        lines.extend(self.plan.host_access.iter().map(|power| format!("power: {power}")));
        if let Some(balance) = &self.plan.balance {
            lines.extend(balance.hosts.iter().map(|host| format!("balance {host:?}")));
            lines.extend(balance.moves.iter().map(|it| format!("balance {it:?}")));
            lines.extend(balance.fixed.iter().map(|it| format!("balance {it:?}")));
        }
        let pods = self.plan.pods.iter().map(|(workload, pods)| {
            format!("{workload} {}/{}/{}", pods.ready, pods.placed, pods.desired)
        });
        lines.push(format!("ready/placed/desired: {}", pods.collect::<Vec<_>>().join(", ")));
        lines.join("\n  ")
    }

    fn at(&self, span: Option<Span>) -> String {
        span.map(|span| format!(" at {}", self.graph.sources.line_place(span))).unwrap_or_default()
    }

    fn change(&self, change: &Change) -> Vec<String> {
        let Change { subject, host, kind, cause, note, origin, .. } = change;
        let name = name(subject);
        let note = note.as_ref().map(|note| format!(", {note}")).unwrap_or_default();
        let at = self.at(*origin);
        let mut lines = vec![format!("{kind:?} {name} on {host} ({cause:?}{note}){at}")];
        for field in &change.fields {
            let value = |value: &Option<serde_json::Value>| {
                value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
            };
            let (old, new) = (value(&field.old), value(&field.new));
            let (path, class, at) = (&field.path, field.class, self.at(field.origin));
            lines.push(format!("  {path} {class:?}: {old} → {new}{at}"));
        }
        lines
    }

    fn blocked(&self, it: &Blocked) -> String {
        let name = name(&it.subject);
        let (by, at) = (it.reason.by().word(), self.at(it.origin));
        let awaits = match it.reason.awaits() {
            Awaits::Change => "",
            Awaits::Work => ", until work ends",
            Awaits::Readiness => ", until it is ready",
        };
        let host = it.host.as_deref().unwrap_or_default();
        format!("held {name} on {host:?} ({by}{awaits}): {}{at}", it.reason)
    }

    /// Returns the operations, with one line for those of one pod.
    fn operations(&self) -> Vec<String> {
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for operation in &self.plan.operations {
            let subject = &operation.subject;
            let key = format!("{} {}", operation.host, name(&subject.whole_pod()));
            let text = self.operation(operation);
            match lines.last_mut().filter(|(last, _)| *last == key) {
                Some((_, all)) => all.push(text),
                None => lines.push((key, vec![text])),
            }
        }
        lines.into_iter().map(|(key, all)| format!("{key}: {}", all.join("; "))).collect()
    }

    fn operation(&self, operation: &Operation) -> String {
        let Operation { id, action, subject, precondition, after, undo, .. } = operation;
        let mut text = format!("{} {}", id.0, action.word());
        for word in [subject.container().unwrap_or_default(), &detail(action)] {
            if !word.is_empty() {
                let _ = write!(text, " {word}");
            }
        }
        if let Some(Target::Created(of)) = action.target() {
            let _ = write!(text, " of {}", of.0);
        }
        if *precondition != Precondition::None {
            text.push_str(" if ours");
        }
        if !after.is_empty() {
            let after: Vec<String> = after.iter().map(|OpId(id)| id.to_string()).collect();
            let _ = write!(text, " after {}", after.join(" "));
        }
        if let Some(undo) = undo {
            let of = undo.of.map_or_else(|| "an earlier plan".to_owned(), |of| of.0.to_string());
            let unless: Vec<String> = undo.unless.iter().map(|id| id.0.to_string()).collect();
            let _ = write!(text, " undoes {of} unless {}", unless.join(" "));
        }
        let _ = write!(text, " [{:?}{}]", operation.cause, self.at(operation.origin));
        text
    }
}

/// Returns the short payload of an action, apart from its container.
fn detail(action: &Action) -> String {
    match action {
        Action::PullImage { image: name } | Action::RemoveVolume { name } => name.clone(),
        Action::CreateVolume(request) => request.name.clone(),
        Action::CreateNetwork(request) => request.name.clone(),
        Action::Stop { grace_s, .. } | Action::Restart { grace_s, .. } => {
            format!("grace {grace_s:?}")
        }
        Action::Signal { signal, .. } => signal.clone(),
        Action::Update { live, .. } => serde_json::to_string(live).unwrap(),
        Action::AwaitReady { rule, .. } => {
            let healthy = if rule.healthy { "healthy " } else { "" };
            let may_end = if rule.may_end { " or ended" } else { "" };
            format!("{healthy}{} ms{may_end}, within {} ms", rule.running_ms, rule.deadline_ms)
        }
        Action::AwaitExit { deadline_ms, .. } => format!("within {deadline_ms} ms"),
        Action::WriteFiles { files, .. } | Action::WriteSecrets { files, .. } => {
            let paths: Vec<&str> = files.files.keys().map(String::as_str).collect();
            paths.join(" ")
        }
        _ => String::new(),
    }
}

fn name(subject: &Subject) -> String {
    let address = subject.address();
    let names = [Some(&*address), subject.pod(), subject.container()];
    let names = names.into_iter().flatten().filter(|name| !name.is_empty());
    names.collect::<Vec<_>>().join(" ")
}

/// Records the metrics of a loop when it ends.
pub fn metrics(metrics: &Metrics, now_ms: i64) {
    let mut text = "counted".to_owned();
    let begun_ms = BEGUN_MS.get().unwrap_or(now_ms);
    for (name, host) in &metrics.hosts {
        let HostMetrics { state, looked_at_ms, reconnects } = host;
        let ago_ms = looked_at_ms.map(|at_ms| at_ms - begun_ms);
        let _ = write!(
            text,
            "\n  {name}: {state:?}, observed at {ago_ms:?} ms, {reconnects} reconnects"
        );
    }
    for ((action, outcome), count) in &metrics.operations {
        let _ = write!(text, "\n  {action} {outcome} {count}");
    }
    let (hosts, operations) = (BTreeMap::new(), BTreeMap::new());
    let rest = Metrics { hosts, operations, began_at_ms: 0, ..metrics.clone() };
    add(now_ms, &format!("{text}\n  {rest:?}"));
}
