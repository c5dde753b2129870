//! Plans and compiled graphs as text, to compare two builds of Tally: a refactoring must leave every line as it was.
//!
//! A line holds everything that a plan decides (operations, order, causes, spans, labels, preconditions) and no
//! sentence, so wording may change between the builds. `docs/devel/testing.md` has the commands.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tally_graph::Graph;
use tally_reconcile::input::observed::{Engine, HostState, HostView, Observed};
use tally_reconcile::plan::reason::Blocked;
use tally_reconcile::plan::subject::Subject;
use tally_reconcile::plan::{Change, Operation, Plan};
use tally_source::{Diagnostic, Span};

/// Keys of the graph's JSON whose values are sentences or depend on the folder of the checkout.
const MASKED_KEYS: [&str; 2] = ["headline", "help"];

thread_local! {
    static NAME: RefCell<Option<String>> = const { RefCell::new(None) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Returns the folder that `TALLY_GOLDEN` names; plans are recorded only when it is set.
fn folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(|| std::env::var_os("TALLY_GOLDEN").map(PathBuf::from)).as_deref()
}

/// Sets the name of the records of this thread; the default is the name of the thread, that is of the test.
pub fn name(name: &str) {
    NAME.set(Some(name.to_owned()));
    LAST.take();
}

/// Records a plan, unless it equals the one recorded before it.
pub fn record(graph: &Graph, plan: &Plan) {
    if folder().is_none() {
        return;
    }
    let text = plan_text(graph, plan);
    if LAST.with_borrow(|last| *last == text) {
        return;
    }
    write(&text);
    LAST.set(text);
}

/// Appends a text to the file of this thread's name.
fn write(text: &str) {
    let Some(folder) = folder() else { return };
    let thread = std::thread::current();
    let name = NAME.with_borrow(Clone::clone);
    let name = name.or_else(|| thread.name().map(str::to_owned)).unwrap_or_default();
    let path = folder.join(format!("{}.txt", name.replace("::", "-").replace('/', "-")));
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
}

/// Records a compiled graph and the plan that applies it to empty hosts.
pub fn record_graph(graph: Option<&Graph>, diagnostics: &[Diagnostic]) {
    let mut text = String::new();
    for found in diagnostics {
        let _ = writeln!(text, "{}", diagnostic(found));
    }
    if let Some(graph) = graph {
        let mut json = serde_json::to_value(graph).unwrap_or_default();
        mask(&mut json);
        let _ = writeln!(text, "graph {json}");
    }
    write(&text);
    if let Some(graph) = graph {
        let plan = tally_reconcile::reconcile(
            graph,
            &empty_hosts(graph),
            &<_>::default(),
            &<_>::default(),
        );
        record(graph, &plan);
    }
}

/// Returns hosts of a graph as they are before anything was applied.
fn empty_hosts(graph: &Graph) -> Observed {
    let engine = Engine {
        id: "engine".to_owned(),
        version: "20.10.24".to_owned(),
        api_version: "1.41".to_owned(),
        os: "linux".to_owned(),
        arch: "amd64".to_owned(),
        cpus: 16,
        memory: tally_graph::Bytes(64 << 30),
        simulated: true,
    };
    let mut names: Vec<String> = graph.hosts().map(|host| host.name.clone()).collect();
    if names.is_empty() {
        names.push(tally_reconcile::LOCAL_HOST.to_owned());
    }
    let state = HostState { engine, ..HostState::default() };
    let host = |name| (name, HostView::Ready(Box::new(state.clone())));
    Observed { hosts: names.into_iter().map(host).collect() }
}

/// Replaces sentences by a star.
fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if MASKED_KEYS.contains(&key.as_str()) {
                    *value = "*".into();
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(mask),
        _ => {}
    }
}

/// Returns everything that a plan decides, a line for each decision.
#[must_use]
pub fn plan_text(graph: &Graph, plan: &Plan) -> String {
    let lines = Lines { graph };
    let mut text = format!("plan of {}\n", plan.cluster);
    let mut add = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    plan.operations.iter().for_each(|operation| add(lines.operation(operation)));
    plan.changes.iter().for_each(|change| add(lines.change(change)));
    let mut held: Vec<String> = plan.blocked.iter().map(|it| lines.blocked(it)).collect();
    held.sort();
    held.into_iter().for_each(&mut add);
    for reachable in &plan.reachable {
        add(format!("reachable {}", json(reachable)));
    }
    add(format!("powers {}", plan.host_access.len()));
    for fallback in &plan.fallbacks {
        add(format!(
            "fallback {} {} {:?}",
            fallback.workload, fallback.can_roll_back, fallback.entry
        ));
    }
    let pods: BTreeMap<&str, String> =
        plan.pods.iter().map(|(name, pods)| (name.as_str(), json(pods))).collect();
    add(format!("pods {pods:?}"));
    if let Some(balance) = &plan.balance {
        balance.hosts.iter().for_each(|host| add(format!("load {}", json(host))));
        for one in &balance.moves {
            let (subject, from, to) = (subject(&one.subject), &one.from, &one.to);
            add(format!("move {subject} {from} {to} {} {}", one.cpu, one.memory));
        }
        balance.fixed.iter().for_each(|fixed| add(format!("fixed {}", fixed.workload)));
    }
    plan.diagnostics.iter().for_each(|found| add(diagnostic(found)));
    text
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn subject(subject: &Subject) -> String {
    let (pod, container) = (subject.pod().unwrap_or_default(), subject.container());
    format!("{}/{pod}/{}", subject.address(), container.unwrap_or_default())
}

fn diagnostic(found: &Diagnostic) -> String {
    let spans: Vec<Span> = found.labels.iter().map(|label| label.span).collect();
    format!("{} {:?} {spans:?}", found.code, found.severity)
}

struct Lines<'a> {
    graph: &'a Graph,
}

impl Lines<'_> {
    fn place(&self, span: Option<Span>) -> String {
        span.map_or("-".to_owned(), |span| self.graph.sources.place(span))
    }

    fn operation(&self, one: &Operation) -> String {
        let after: Vec<u32> = one.after.iter().map(|id| id.0).collect();
        format!(
            "{} {} {} {} {:?} {} {} after {after:?}",
            one.id.0,
            one.host,
            json(&one.action),
            subject(&one.subject),
            one.cause,
            self.place(one.origin),
            json(&one.precondition),
        )
    }

    fn change(&self, one: &Change) -> String {
        let fields: Vec<String> = one
            .fields
            .iter()
            .map(|field| {
                let (old, new) = (json(&field.old), json(&field.new));
                let (path, place) = (&field.path, self.place(field.origin));
                format!("{path} {old} -> {new} {:?} {place}", field.class)
            })
            .collect();
        let operations: Vec<u32> = one.operations.iter().map(|id| id.0).collect();
        format!(
            "change {} {} {:?} {:?} {} {fields:?} {operations:?}",
            subject(&one.subject),
            one.host,
            one.kind,
            one.cause,
            self.place(one.origin),
        )
    }

    fn blocked(&self, one: &Blocked) -> String {
        format!(
            "held {} {} {} {:?} {}",
            subject(&one.subject),
            one.host.as_deref().unwrap_or_default(),
            one.reason.by().word(),
            one.reason.awaits(),
            self.place(one.origin),
        )
    }
}
