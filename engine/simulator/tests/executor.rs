//! The executor over simulated hosts: its guarantees when replies are lost, names are taken, objects change during
//! a plan, and when it is cancelled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tally_graph::Graph;
use tally_host::{
    Event, ExecuteOptions, FailureKind, Host, HostError, HostRead as _, NotReadyReason, Outcome,
    Permit, Progress, Report, StaleReason, Steady, execute,
};
use tally_reconcile::input::observed::{ContainerState, Live};
use tally_reconcile::labels::{self, Role};
use tally_reconcile::plan::request::{ContainerRequest, NetworkRequest, VolumeRequest};
use tally_reconcile::plan::subject::Subject;
use tally_reconcile::plan::{
    Action, Cause, OpId, Operation, Plan, Precondition, ReadyRule, Target,
};
use tally_simulator::{Fault, FaultKind, FaultPlan, SimHost, SimOptions, When, tokio_clock};
use tokio::sync::watch;

const CLUSTER: &str = "shop";
const IMAGE: &str = "web:1";

fn host() -> Arc<SimHost> {
    let mut options = SimOptions::new(7, tokio_clock());
    options.latency = Duration::from_millis(1);
    let host = SimHost::new("alpha", options);
    host.inject(|model, _| model.pull(IMAGE)).unwrap().unwrap();
    Arc::new(host)
}

fn request(name: &str) -> ContainerRequest {
    let mut labels = labels::owner_labels(CLUSTER, Role::Container);
    labels.insert(labels::SPEC.to_owned(), format!("{{\"name\":\"{name}\"}}"));
    let live = Live { restart: "no".to_owned(), ..Live::default() };
    let (name, image) = (format!("{CLUSTER}.{name}"), IMAGE.to_owned());
    ContainerRequest { name, image, labels, live, ..ContainerRequest::default() }
}

fn running(name: &str, command: &[&str], restart: &str) -> ContainerRequest {
    let command = Some(command.iter().map(|word| (*word).to_owned()).collect());
    let live = Live { restart: restart.to_owned(), ..Live::default() };
    ContainerRequest { command, live, ..request(name) }
}

fn create(request: &ContainerRequest) -> Action {
    Action::CreateContainer(Box::new(request.clone()))
}

fn start(created: u32) -> Action {
    Action::Start { target: Target::Created(OpId(created)) }
}

fn ready(created: u32, running_ms: u64) -> Action {
    let rule = ReadyRule { healthy: false, running_ms, may_end: false, deadline_ms: 20_000 };
    Action::AwaitReady { target: Target::Created(OpId(created)), rule }
}

/// Operations, each with its predecessors.
fn plan(steps: Vec<(Action, Precondition, &[u32])>) -> Plan {
    let operation = |(id, (action, precondition, after)): (u32, (Action, Precondition, &[u32]))| {
        let subject = Subject::Container {
            workload: "controller/web".to_owned(),
            pod: "web-0".to_owned(),
            container: "web".to_owned(),
        };
        Operation {
            id: OpId(id),
            host: "alpha".to_owned(),
            action,
            subject,
            cause: Cause::New,
            origin: None,
            precondition,
            after: after.iter().copied().map(OpId).collect(),
            undo: None,
        }
    };
    let operations = (0..).zip(steps).map(operation).collect();
    Plan { cluster: CLUSTER.to_owned(), operations, ..Plan::default() }
}

fn free(action: Action, after: &[u32]) -> (Action, Precondition, &[u32]) {
    (action, Precondition::None, after)
}

async fn run(host: &Arc<SimHost>, plan: &Plan) -> Report {
    let (_sender, cancel) = watch::channel(false);
    run_with(host, plan, &(), cancel).await
}

async fn run_with(
    host: &Arc<SimHost>,
    plan: &Plan,
    progress: &dyn Progress,
    cancel: watch::Receiver<bool>,
) -> Report {
    let hosts = BTreeMap::from([("alpha".to_owned(), Arc::clone(host) as Arc<dyn Host>)]);
    let graph = Graph::default();
    execute(plan, &graph, &hosts, progress, cancel, &ExecuteOptions::default()).await
}

fn one_fault(call: &str, kind: FaultKind) -> FaultPlan {
    let rule = Fault { call: Some(call.to_owned()), when: When::Nth(1), kind };
    FaultPlan { seed: 1, rules: vec![rule] }
}

fn failure(report: &Report, id: u32) -> &FailureKind {
    match report.outcome(OpId(id)) {
        Some(Outcome::Failed(failure)) => &failure.kind,
        other => panic!("operation {id}: {other:?}"),
    }
}

async fn names(host: &SimHost) -> Vec<String> {
    host.containers().await.unwrap().into_iter().map(|container| container.name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_executed_in_its_order() {
    let host = host();
    let plan = plan(vec![
        free(create(&request("a")), &[]),
        free(start(0), &[0]),
        free(ready(0, 1_000), &[1]),
    ]);
    let report = run(&host, &plan).await;
    assert!(report.is_done(), "{report:?}");
    let listed = host.containers().await.unwrap();
    let Some(Outcome::Done { made }) = report.outcome(OpId(0)) else { panic!("{report:?}") };
    assert_eq!(made.as_ref(), Some(&listed[0].id));
    assert_eq!(listed[0].state, ContainerState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_name_conflict_with_the_requested_object_is_a_success() {
    let host = host();
    let id = host.create_container(&request("a")).await.unwrap();
    let report = run(&host, &plan(vec![free(create(&request("a")), &[])])).await;
    assert_eq!(report.outcomes, [Outcome::Done { made: Some(id) }]);
}

#[tokio::test(start_paused = true)]
async fn a_name_conflict_with_another_object_is_an_error_and_changes_nothing() {
    for owner in [BTreeMap::new(), BTreeMap::from([("tally.cluster".into(), CLUSTER.into())])] {
        let host = host();
        let foreign = ContainerRequest { labels: owner, ..request("a") };
        let id = host.create_container(&foreign).await.unwrap();
        let report = run(&host, &plan(vec![free(create(&request("a")), &[])])).await;
        assert!(matches!(failure(&report, 0), FailureKind::Host(HostError::Conflict(_))));
        let listed = host.containers().await.unwrap();
        assert_eq!(listed.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_a_create_is_resolved_by_an_inspection() {
    for kind in [FaultKind::LoseReply, FaultKind::Hang { applied: true }] {
        let host = host();
        for call in ["create_container", "create_network", "create_volume"] {
            let labels = labels::owner_labels(CLUSTER, Role::Volume);
            let action = match call {
                "create_container" => create(&request("a")),
                "create_network" => {
                    Action::CreateNetwork(NetworkRequest { name: CLUSTER.into(), labels })
                }
                _ => Action::CreateVolume(VolumeRequest {
                    name: "shop.v".into(),
                    labels,
                    in_memory: false,
                }),
            };
            host.set_faults(one_fault(call, kind.clone()));
            let report = run(&host, &plan(vec![free(action, &[])])).await;
            assert!(report.is_done(), "{call} {kind:?}: {report:?}");
            assert_eq!(host.fired().values().sum::<u64>(), 1, "{call} {kind:?}");
            assert_eq!(host.calls().get(call), Some(&1), "it was made once only");
        }
        assert_eq!(names(&host).await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_fails_and_the_next_plan_can_retry_it() {
    let host = host();
    host.set_faults(one_fault("create_container", FaultKind::LoseRequest));
    let plan = plan(vec![free(create(&request("a")), &[])]);
    let report = run(&host, &plan).await;
    assert!(matches!(failure(&report, 0), FailureKind::Host(HostError::Broken(_))));
    assert!(run(&host, &plan).await.is_done());
    assert_eq!(names(&host).await, ["shop.a"]);
}

#[tokio::test(start_paused = true)]
async fn lost_replies_to_other_calls_are_resolved_too() {
    let lost = |call: &str| one_fault(call, FaultKind::LoseReply);
    let host = host();
    let id = host.create_container(&request("a")).await.unwrap();
    let target = || Target::Id(id.clone());
    let live = Live { memory: 64 << 20, restart: "no".into(), ..Live::default() };
    for (call, action) in [
        ("start", Action::Start { target: target() }),
        ("update", Action::Update { target: target(), live }),
        ("stop", Action::Stop { target: target(), grace_s: None }),
        ("remove_container", Action::RemoveContainer { target: target() }),
    ] {
        host.set_faults(lost(call));
        let report = run(&host, &plan(vec![free(action, &[])])).await;
        assert!(report.is_done(), "{call}: {report:?}");
        assert_eq!(host.fired().values().sum::<u64>(), 1, "{call}");
    }
    assert!(names(&host).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn objects_that_changed_since_the_plan_are_not_changed() {
    let host = host();
    let id = host.create_container(&request("a")).await.unwrap();
    let owned = |name: &str, cluster: &str| Precondition::Owned {
        id: id.clone(),
        name: name.to_owned(),
        cluster: cluster.to_owned(),
    };
    for (precondition, reason) in [
        (
            owned("shop.b", CLUSTER),
            StaleReason::Renamed { from: "shop.b".to_owned(), to: "shop.a".to_owned() },
        ),
        (owned("shop.a", "other"), StaleReason::LabelLost { cluster: "other".to_owned() }),
    ] {
        let action = Action::RemoveContainer { target: Target::Id(id.clone()) };
        let report = run(&host, &plan(vec![(action, precondition, &[])])).await;
        let expected = FailureKind::PreconditionFailed(reason);
        assert_eq!(failure(&report, 0), &expected);
        assert_eq!(names(&host).await, ["shop.a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn removing_an_absent_container_succeeds_and_starting_it_fails() {
    let host = host();
    let id = "f".repeat(64);
    let owned =
        || Precondition::Owned { id: id.clone(), name: "shop.a".into(), cluster: CLUSTER.into() };
    let volume = || Precondition::OwnedObject { key: "shop.v".into(), cluster: CLUSTER.into() };
    let target = || Target::Id(id.clone());
    let report = run(
        &host,
        &plan(vec![
            (Action::Stop { target: target(), grace_s: None }, owned(), &[]),
            (Action::RemoveContainer { target: target() }, owned(), &[0]),
            (Action::RemoveVolume { name: "shop.v".into() }, volume(), &[1]),
            (Action::Start { target: target() }, owned(), &[]),
        ]),
    )
    .await;
    assert!(report.outcomes[..3].iter().all(|it| matches!(it, Outcome::Done { .. })));
    assert!(matches!(failure(&report, 3), FailureKind::PreconditionFailed(_)));
}

#[tokio::test(start_paused = true)]
async fn an_unmanaged_volume_or_network_is_never_removed() {
    let host = host();
    let name = "shop.v".to_owned();
    let foreign = VolumeRequest { name: name.clone(), labels: BTreeMap::new(), in_memory: false };
    host.create_volume(&foreign).await.unwrap();
    let foreign = NetworkRequest { name: CLUSTER.to_owned(), labels: BTreeMap::new() };
    let network = host.create_network(&foreign).await.unwrap();
    let owned = |key: &str| Precondition::OwnedObject { key: key.into(), cluster: CLUSTER.into() };
    let report = run(
        &host,
        &plan(vec![
            (Action::RemoveVolume { name: name.clone() }, owned(&name), &[]),
            (Action::RemoveNetwork { id: network.clone() }, owned(&network), &[]),
        ]),
    )
    .await;
    for id in [0, 1] {
        assert!(matches!(failure(&report, id), FailureKind::PreconditionFailed(_)));
    }
    assert_eq!(host.volumes().await.unwrap().len(), 1);
    assert_eq!(host.networks().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_skips_dependent_operations_and_no_others() {
    let host = host();
    let missing = ContainerRequest { image: "none-such:1".into(), ..request("a") };
    let report = run(
        &host,
        &plan(vec![
            free(create(&missing), &[]),
            free(start(0), &[0]),
            free(ready(0, 0), &[1]),
            free(create(&request("b")), &[]),
            free(start(3), &[3]),
        ]),
    )
    .await;
    assert!(matches!(
        failure(&report, 0),
        FailureKind::Host(HostError::Image { missing: true, .. })
    ));
    assert_eq!(report.outcomes[1], Outcome::Skipped { because: OpId(0) });
    assert_eq!(report.outcomes[2], Outcome::Skipped { because: OpId(0) });
    assert!(matches!(report.outcomes[4], Outcome::Done { .. }));
    assert_eq!(report.failures().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_connection_fails_its_operations_only() {
    let host = host();
    let mut plan = plan(vec![free(create(&request("a")), &[]), free(create(&request("b")), &[])]);
    plan.operations[0].host = "beta".to_owned();
    let report = run(&host, &plan).await;
    assert!(matches!(failure(&report, 0), FailureKind::Host(HostError::Unreachable { .. })));
    assert!(matches!(report.outcomes[1], Outcome::Done { .. }));
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_stay_within_the_limit() {
    let host = host();
    let requests: Vec<_> = (0..100).map(|nth| request(&format!("c{nth}"))).collect();
    let steps = requests.iter().map(|request| free(create(request), &[])).collect();
    let report = run(&host, &plan(steps)).await;
    assert!(report.is_done());
    assert_eq!(host.most_at_once(), ExecuteOptions::default().calls_per_host);
}

#[tokio::test(start_paused = true)]
async fn stops_have_their_own_limit() {
    let host = host();
    let mut steps = Vec::new();
    for nth in 0..100 {
        let id = host.create_container(&request(&format!("c{nth}"))).await.unwrap();
        steps.push(free(Action::Stop { target: Target::Id(id), grace_s: None }, &[]));
    }
    assert!(run(&host, &plan(steps)).await.is_done());
    assert_eq!(host.most_at_once(), ExecuteOptions::default().stops_per_host);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_reported_with_its_exit_code() {
    let host = host();
    let looping = running("a", &["sh", "-c", "echo no config; exit 3"], "always");
    let report = run(
        &host,
        &plan(vec![free(create(&looping), &[]), free(start(0), &[0]), free(ready(0, 5_000), &[1])]),
    )
    .await;
    let Some(Outcome::Failed(failure)) = report.outcome(OpId(2)) else { panic!("{report:?}") };
    assert!(
        matches!(failure.kind, FailureKind::Ended { exit_code: Some(3), restarts: 3.., .. }),
        "{failure:?}",
    );
    assert_eq!(failure.last_lines.last().map(String::as_str), Some("no config"));
}

#[tokio::test(start_paused = true)]
async fn an_exit_without_restart_is_reported_immediately() {
    let host = host();
    let ending = running("a", &["sh", "-c", "sleep 0.1; exit 4"], "no");
    let began = tokio::time::Instant::now();
    let report = run(
        &host,
        &plan(vec![free(create(&ending), &[]), free(start(0), &[0]), free(ready(0, 9_000), &[1])]),
    )
    .await;
    assert!(matches!(failure(&report, 2), FailureKind::Ended { exit_code: Some(4), .. }));
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_successful_init_is_waited_for() {
    for (code, good) in [("0", true), ("9", false)] {
        let host = host();
        let init = running("a", &["sh", "-c", &format!("sleep 2; exit {code}")], "no");
        let wait = Action::AwaitExit { target: Target::Created(OpId(0)), deadline_ms: 60_000 };
        let report = run(
            &host,
            &plan(vec![free(create(&init), &[]), free(start(0), &[0]), free(wait, &[1])]),
        )
        .await;
        assert_eq!(report.is_done(), good, "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline_and_reports_the_missing_condition() {
    let host = host();
    let rule = ReadyRule { healthy: true, running_ms: 0, may_end: false, deadline_ms: 3_000 };
    let wait = Action::AwaitReady { target: Target::Created(OpId(0)), rule };
    let report = run(
        &host,
        &plan(vec![free(create(&request("a")), &[]), free(start(0), &[0]), free(wait, &[1])]),
    )
    .await;
    match failure(&report, 2) {
        FailureKind::NotReady { waited_ms: 3_000..=3_400, reason } => {
            assert_eq!(*reason, NotReadyReason::HealthCheckPending);
        }
        other => panic!("{other:?}"),
    }
}

/// Cancels at an event.
struct CancelAt(OpId, watch::Sender<bool>, Mutex<Vec<String>>);

impl Progress for CancelAt {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Started(id) if id == self.0) {
            let _ = self.1.send(true);
        }
        self.2.lock().unwrap().push(format!("{event:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_finishes_the_calls_in_flight_and_starts_no_other() {
    let host = host();
    let requests: Vec<_> = (0..20).map(|nth| request(&format!("c{nth:02}"))).collect();
    let steps = requests.iter().map(|request| free(create(request), &[])).collect();
    let (sender, cancel) = watch::channel(false);
    let canceller = CancelAt(OpId(10), sender, Mutex::new(Vec::new()));
    let report = run_with(&host, &plan(steps), &canceller, cancel).await;
    let done = report.outcomes.iter().filter(|it| matches!(it, Outcome::Done { .. })).count();
    let not_started = report.outcomes.iter().filter(|it| **it == Outcome::NotStarted).count();
    assert_eq!(done + not_started, 20, "{report:?}");
    assert!((11..20).contains(&done), "{done}");
    assert_eq!(names(&host).await.len(), done, "what began was finished, and only that");
}

#[tokio::test(start_paused = true)]
async fn cancelling_interrupts_a_wait() {
    let host = host();
    let (sender, cancel) = watch::channel(false);
    let canceller = CancelAt(OpId(2), sender, Mutex::new(Vec::new()));
    let plan = plan(vec![
        free(create(&request("a")), &[]),
        free(start(0), &[0]),
        free(ready(0, 15_000), &[1]),
    ]);
    let began = tokio::time::Instant::now();
    let report = run_with(&host, &plan, &canceller, cancel).await;
    assert_eq!(report.outcomes[2], Outcome::NotStarted);
    assert!(began.elapsed() < Duration::from_secs(1));
}

/// Executes a plan under a permit of this duration, on a host whose calls take `latency`.
async fn permitted(plan: &Plan, latency_ms: u64, holds_ms: u64) -> (Report, usize) {
    let mut options = SimOptions::new(7, tokio_clock());
    options.latency = Duration::from_millis(latency_ms);
    let host = Arc::new(SimHost::new("alpha", options));
    host.inject(|model, _| model.pull(IMAGE)).unwrap().unwrap();
    let hosts = BTreeMap::from([("alpha".to_owned(), Arc::clone(&host) as Arc<dyn Host>)]);
    let permit = Permit::until(Steady::new(|| 0), holds_ms);
    let options = ExecuteOptions { permit, ..ExecuteOptions::default() };
    let (_sender, cancel) = watch::channel(false);
    let report = execute(plan, &Graph::default(), &hosts, &(), cancel, &options).await;
    let made = names(&host).await.len();
    (report, made)
}

#[tokio::test(start_paused = true)]
async fn no_call_is_started_after_the_permit_has_ended() {
    let requests: Vec<_> = (0..40).map(|nth| request(&format!("c{nth:02}"))).collect();
    let steps = || requests.iter().map(|request| free(create(request), &[])).collect();
    // Eight calls at once, 100 ms each: sixteen have started by the deadline.
    let (report, made) = permitted(&plan(steps()), 100, 150).await;
    let done = report.outcomes.iter().filter(|it| matches!(it, Outcome::Done { .. })).count();
    let not_started = report.outcomes.iter().filter(|it| **it == Outcome::NotStarted).count();
    assert_eq!((done, not_started, made), (16, 24, 16), "started calls were completed");
    assert!(report.withheld.is_some(), "it says why");
    let (report, made) = permitted(&plan(steps()), 100, 0).await;
    assert_eq!((made, report.withheld.is_some()), (0, true));
    let (report, made) = permitted(&plan(steps()), 100, 60_000).await;
    assert_eq!((made, report.withheld, report.is_done()), (40, None, true));
}

#[tokio::test(start_paused = true)]
async fn the_permit_is_checked_after_the_inspection_that_precedes_a_call() {
    let host = host();
    let made = run(&host, &plan(vec![free(create(&request("a")), &[])])).await;
    let Some(Outcome::Done { made: Some(id) }) = made.outcomes.first() else { panic!("{made:?}") };
    let name = request("a").name;
    let precondition = Precondition::Owned { id: id.clone(), name, cluster: CLUSTER.to_owned() };
    let stop = Action::RemoveContainer { target: Target::Id(id.clone()) };
    // The inspection takes 1 ms, in which the permit ends.
    let hosts = BTreeMap::from([("alpha".to_owned(), Arc::clone(&host) as Arc<dyn Host>)]);
    let options =
        ExecuteOptions { permit: Permit::until(Steady::new(|| 0), 1), ..ExecuteOptions::default() };
    let (_sender, cancel) = watch::channel(false);
    let plan = plan(vec![(stop, precondition, &[])]);
    let report = execute(&plan, &Graph::default(), &hosts, &(), cancel, &options).await;
    assert_eq!(report.outcomes, [Outcome::NotStarted]);
    assert_eq!(names(&host).await.len(), 1, "it is still there");
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_interrupted_when_the_permit_ends() {
    let steps =
        vec![free(create(&request("a")), &[]), free(start(0), &[0]), free(ready(0, 15_000), &[1])];
    let began = tokio::time::Instant::now();
    let (report, _) = permitted(&plan(steps), 1, 2_000).await;
    assert_eq!(report.outcomes[2], Outcome::NotStarted);
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn an_inconsistent_plan_ends_too() {
    let host = host();
    let cycle = plan(vec![
        free(create(&request("a")), &[1]),
        free(create(&request("b")), &[0]),
        free(create(&request("c")), &[99]),
        free(start(77), &[]),
    ]);
    let report = run(&host, &cycle).await;
    assert_eq!(report.outcomes[..3], [const { Outcome::NotStarted }; 3]);
    assert!(matches!(failure(&report, 3), FailureKind::PreconditionFailed(_)));
}

#[tokio::test(start_paused = true)]
async fn each_step_emits_an_event() {
    let host = host();
    let (sender, cancel) = watch::channel(false);
    let listener = CancelAt(OpId(u32::MAX), sender, Mutex::new(Vec::new()));
    let plan = plan(vec![
        free(Action::PullImage { image: "cache:2".into() }, &[]),
        free(create(&running("a", &["none-such"], "no")), &[0]),
        free(start(1), &[1]),
        free(ready(1, 0), &[2]),
    ]);
    run_with(&host, &plan, &listener, cancel).await;
    let heard = listener.2.lock().unwrap();
    let words: Vec<&str> = heard.iter().filter_map(|it| it.split(['(', ' ']).next()).collect();
    assert_eq!(
        words,
        ["Started", "Pulling", "Done", "Started", "Done", "Started", "Failed", "Skipped"],
    );
}
