//! Every field of the schema reaches everything that it must reach: the label of the applied spec, the
//! request to Docker, a rollback that only has the labels of older pods, and the page of the graph's JSON. The
//! cases come from the schema table, so a new row fails here until its field is passed on. That a simulated
//! and a real engine take each field is tested in `fields`, that the reference is complete in `tally-graph`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tally_graph::schema::{Example, Step, UpdateClass, examples};
use tally_graph::{Graph, OnFailure, Update, Workload};
use tally_reconcile::labels;
use tally_reconcile::memory::revisions::{PreviousRevision, RolloutFailure};
use tally_reconcile::memory::{History, Memory};
use tally_reconcile::plan::Action;
use tally_reconcile::plan::request::ContainerRequest;
use tally_reconcile::rollback::{Decision, decide};

use crate::fields::{FILES, own};
use crate::world::{World, only_simulated};

/// Where a field can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The label of the applied spec.
    Label,
    /// The request that creates a container.
    Request,
    /// A workload that is read from the labels of its pods.
    Rollback,
    /// `docs/api/graph.md`.
    Page,
}

use Place::{Label, Page, Request, Rollback};

/// The fields that do not reach a place, and why that is right.
const EXCEPTIONS: &[(&str, &[Place])] = &[
    // Files are written after the container is made. The record beside them says what was written.
    ("container.file", RECORDED),
    ("init.file", RECORDED),
    ("file.path", RECORDED),
    // The graph says `content`.
    ("file.from", &[Label, Request, Rollback, Page]),
    ("file.text", RECORDED),
    ("file.secret", RECORDED),
    ("file.mode", RECORDED),
    ("file.owner", RECORDED),
    // A label holds published ports only, and Docker's name of a volume, not whose volume it is.
    ("container.port", &[Rollback]),
    ("port.number", &[Rollback]),
    ("port.protocol", &[Rollback]),
    ("port.publish", &[Rollback]),
    ("container.mount", &[Rollback]),
    ("init.mount", &[Rollback]),
    ("mount.volume", &[Rollback]),
    ("mount.path", &[Rollback]),
    ("mount.read-only", &[Rollback]),
    ("pod.volume", &[Rollback]),
    ("pod volume.host-path", &[Rollback]),
    // Labels are compared apart from the rest of a request.
    ("pod.label", &[Request]),
    // A live change replaces no pod, so there is no older pod to roll back to.
    ("pod.restart", &[Rollback]),
    ("container.resources", &[Rollback]),
    ("init.resources", &[Rollback]),
    ("resources.cpu", &[Rollback]),
    ("resources.max-cpu", &[Rollback]),
    ("resources.memory", &[Rollback]),
    ("resources.max-memory", &[Rollback]),
    // Docker's health check has no such setting.
    ("readiness.successes", &[Label, Request, Rollback]),
];

const RECORDED: &[Place] = &[Label, Request, Rollback];

/// The page of the graph's JSON.
const PAGE: &str = include_str!("../../../docs/api/graph.md");

#[test]
fn each_field_reaches_label_request_rollback_and_page() {
    let kinds = [
        "pod",
        "pod volume",
        "init",
        "container",
        "file",
        "port",
        "mount",
        "resources",
        "ulimit",
        "readiness",
        "stop",
    ];
    let cases: Vec<Example> = examples()
        .filter(|case| case.field.step == Step::Now && kinds.contains(&case.kind.key))
        .filter(|case| case.kind.class_of(case.field) > UpdateClass::Nothing)
        .collect();
    assert!(cases.len() > 30, "the table has shrunk to {}", cases.len());
    // On a thread without a name, so that the plans are not recorded: no scenario is tested here.
    let found = std::thread::scope(|scope| scope.spawn(|| all_missing(&cases)).join().unwrap());
    let expected: BTreeMap<String, BTreeSet<Place>> = EXCEPTIONS
        .iter()
        .map(|(name, places)| ((*name).to_owned(), places.iter().copied().collect()))
        .collect();
    assert_eq!(found, expected, "fields that do not reach a place; see CONTRIBUTING, \"A field\"");
}

/// Returns the fields that do not reach a place.
fn all_missing(cases: &[Example]) -> BTreeMap<String, BTreeSet<Place>> {
    let mut found = BTreeMap::new();
    for case in cases {
        let missing = Mutex::new(BTreeSet::new());
        only_simulated("coverage", "a plan has the labels and requests", |world| async {
            *missing.lock().unwrap() = missing_from(world, case).await;
        });
        let missing = missing.into_inner().unwrap();
        if !missing.is_empty() {
            found.insert(format!("{}.{}", case.kind.key, case.field.word), missing);
        }
    }
    found
}

/// Returns the places that a field does not reach.
async fn missing_from(world: World, case: &Example) -> BTreeSet<Place> {
    let before = rolling_back(&world.compile(&own(&world, &case.before), FILES));
    let after = rolling_back(&world.compile(&own(&world, &case.after), FILES));
    let mut missing = BTreeSet::new();
    let (first, second) = (requests(&world, &before).await, requests(&world, &after).await);
    let label = |request: &ContainerRequest| request.labels.get(labels::SPEC).cloned();
    if first.iter().map(label).eq(second.iter().map(label)) {
        missing.insert(Label);
    }
    let bare = |request: &ContainerRequest| {
        let labels = BTreeMap::new();
        ContainerRequest { labels, ..request.clone() }
    };
    if first.iter().map(bare).eq(second.iter().map(bare)) {
        missing.insert(Request);
    }
    if !is_rolled_back(&world, &before, &after).await {
        missing.insert(Rollback);
    }
    let word = case.field.word.replace('-', "_");
    let names = [case.field.word.to_owned(), format!("{word}s"), word];
    if !names.iter().any(|name| PAGE.contains(&format!("`{name}`"))) {
        missing.insert(Page);
    }
    missing
}

/// Returns the same spec whose workloads are rolled back when a rollout fails.
fn rolling_back(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    let all: Vec<Workload> = graph.workloads().cloned().collect();
    for workload in all {
        let update = Update { on_failure: OnFailure::Rollback, ..workload.update };
        graph.replace_workload(Workload { update, ..workload });
    }
    graph
}

/// Returns the Docker requests that create the example's pod, in the plan's order.
async fn requests(world: &World, graph: &Graph) -> Vec<ContainerRequest> {
    let plan = world.plan(graph).await;
    let own = plan.operations.into_iter().filter(|it| it.subject.address() == EXAMPLE);
    own.filter_map(|operation| match operation.action {
        Action::CreateContainer(request) => Some(*request),
        _ => None,
    })
    .collect()
}

/// The pod whose fields the examples set.
const EXAMPLE: &str = "pod/example";

fn example(graph: &Graph) -> &Workload {
    graph.workloads().find(|it| it.address().to_string() == EXAMPLE).expect("the example's pod")
}

/// Checks whether the labels of the pod before a change are enough to return to it.
async fn is_rolled_back(world: &World, before: &Graph, after: &Graph) -> bool {
    world.apply(before).await;
    let (old, new) = (example(before).fingerprint(), example(after).fingerprint());
    assert_ne!(old, new, "the example changes nothing");
    let former = PreviousRevision { of: new, entry: 0, before: None };
    let history = History { previous: [(EXAMPLE.to_owned(), former)].into() };
    let memory = Memory { history, ..Memory::default() };
    let observed = world.observe().await;
    let decision = decide(after, &observed, &memory, EXAMPLE, RolloutFailure::default());
    matches!(decision, Some(Decision::RollBack(back)) if back.workload.fingerprint() == old)
}
