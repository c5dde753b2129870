//! The control loop over simulated hosts, in simulated time: it repairs each difference once.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tally_control::{
    Board, Connector, ControlLoop, Ended, EntryKind, Journal, JournalEntry, LoopOptions,
    SpecChange, Storage, Stored,
};
use tally_graph::Graph;
use tally_host::{Host, HostError};
use tally_reconcile::memory::revisions::RolledBack;
use tally_reconcile::memory::{Declarations, Declared, Memory};
use tally_reconcile::rollback::{PreviousRevision, previous_revisions};
use tally_simulator::{Fault, FaultKind, FaultPlan, Model, SimHost, When};
use tokio::sync::{mpsc, watch};

use tally_tests::pause::{PauseSwitch, pausable};
use tally_tests::spec_source::ChannelSpecSource;

use crate::many::{Many, run};
use crate::recorded;

const WEB: &str = "controller web replicas=3 { container c image=\"tally.local/hello:1\" }";

/// The hosts, and the state that is stored beside the spec.
pub struct Connections {
    hosts: BTreeMap<String, Arc<SimHost>>,
    pub kept: Arc<SavedState>,
}

/// The state that outlives a loop: the history, newest last, and the rollbacks.
#[derive(Default)]
pub struct SavedState {
    pub history: Mutex<Vec<tally_reconcile::rollback::HistoryEntry>>,
    pub rolled_back: Mutex<BTreeMap<String, RolledBack>>,
    /// The memory that was saved last.
    pub memory: Mutex<Option<Memory>>,
}

#[async_trait]
impl Connector for Connections {
    async fn connect(&self, _: &Graph, host: &str) -> Result<Arc<dyn Host>, HostError> {
        Ok(Arc::clone(&self.hosts[host]) as Arc<dyn Host>)
    }
    fn hosts(&self, graph: &Graph) -> Vec<String> {
        graph.hosts().map(|host| host.name.clone()).collect()
    }
}

#[async_trait]
impl Storage for Connections {
    fn remember(&self, memory: &Memory, _: i64) -> Stored {
        *self.kept.memory.lock().unwrap() = Some(memory.clone());
        Ok(())
    }
    fn settled(&self, graph: &Graph, workloads: &BTreeSet<String>, _: i64) -> Stored {
        let all = graph.workloads().map(|it| (it.address().to_string(), it.fingerprint()));
        let settled = all.filter(|(address, _)| workloads.contains(address)).collect();
        let mut history = self.kept.history.lock().unwrap();
        let number = history.len() as u64 + 1;
        history.push(tally_reconcile::rollback::HistoryEntry {
            number,
            settled,
            graph: graph.clone(),
        });
        Ok(())
    }
    fn previous_revisions(&self, spec: &Graph) -> BTreeMap<String, PreviousRevision> {
        previous_revisions(spec, self.kept.history.lock().unwrap().iter().rev().cloned())
    }
    fn rolled_back(&self, address: &str, rolled_back: Option<&RolledBack>) -> Stored {
        let mut all = self.kept.rolled_back.lock().unwrap();
        match rolled_back {
            Some(rolled_back) => all.insert(address.to_owned(), rolled_back.clone()),
            None => all.remove(address),
        };
        Ok(())
    }
}

#[derive(Default)]
pub struct Events(Mutex<Vec<JournalEntry>>);

impl Journal for Events {
    fn entry(&self, entry: &JournalEntry) {
        recorded::entry(entry);
        self.0.lock().unwrap().push(entry.clone());
    }
}

/// A loop that runs beside the test.
pub struct RunningLoop {
    pub many: Many,
    told: Arc<Events>,
    pub news: mpsc::UnboundedSender<SpecChange>,
    pub stored: Arc<SavedState>,
    pub gate: Arc<PauseSwitch>,
    board: Board,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<Ended>,
}

impl RunningLoop {
    pub fn begin(many: Many, graph: Graph) -> Self {
        Self::begin_with(many, graph, Arc::default())
    }

    /// Starts a loop with the state that an earlier loop has left.
    pub fn begin_with(mut many: Many, graph: Graph, stored: Arc<SavedState>) -> Self {
        many.memory.declared.rolled_back.clone_from(&stored.rolled_back.lock().unwrap());
        let told = Arc::new(Events::default());
        let (news, letters) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let connections =
            Arc::new(Connections { hosts: many.hosts.clone(), kept: Arc::clone(&stored) });
        let options = LoopOptions {
            resync: Duration::from_secs(30),
            observation_deadline: Duration::from_secs(10),
            calls_per_host: 8,
            once: false,
            now_ms: simulated_now,
        };
        let journal = Arc::clone(&told) as Arc<dyn Journal>;
        START.with(|start| *start.borrow_mut() = Some(many.clock()));
        JUMPED.with(|by| by.set(0));
        let mut controller = ControlLoop::new(
            graph,
            many.memory.clone(),
            Arc::clone(&connections) as Arc<dyn Connector>,
            connections,
            journal,
            options,
        );
        let board = controller.board();
        let gate = Arc::new(PauseSwitch::default());
        let shut = Arc::clone(&gate);
        let ended = tokio::task::spawn_local(async move {
            pausable(shut, controller.run(&mut ChannelSpecSource(letters), stopped)).await
        });
        Self { many, told, news, stored, gate, board, stop, ended }
    }

    /// Kills the loop, as SIGKILL does.
    pub fn kill(self) -> (Many, Arc<SavedState>) {
        self.ended.abort();
        (self.many, self.stored)
    }

    pub fn kinds(&self, kind: EntryKind) -> Vec<String> {
        let told = self.told.0.lock().unwrap();
        told.iter().filter(|e| e.kind == kind).map(|e| format!("{} {}", e.pod, e.what)).collect()
    }

    /// Waits until `so`, at most five simulated minutes.
    pub async fn until(&self, what: &str, so: impl AsyncFn(&Many) -> bool) {
        for _ in 0..3_000 {
            if so(&self.many).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never: {what}; told: {:#?}", self.told.0.lock().unwrap());
    }

    pub async fn end(self) -> Ended {
        self.stop.send(true).unwrap();
        let ended = self.ended.await.unwrap();
        recorded::metrics(&self.board.read(), self.many.now_ms());
        ended
    }
}

thread_local! {
    static START: std::cell::RefCell<Option<Arc<dyn tally_simulator::Clock>>> =
        const { std::cell::RefCell::new(None) };
    static JUMPED: std::cell::Cell<i64> = const { std::cell::Cell::new(0) };
}

fn simulated_now() -> i64 {
    let now_ms = START.with(|start| start.borrow().as_ref().map_or(0, |clock| clock.now_ms()));
    now_ms + JUMPED.with(std::cell::Cell::get)
}

/// Moves the wall clock of loops forward, or backward.
pub fn jump(by_ms: i64) {
    JUMPED.with(|jumped| jumped.set(jumped.get() + by_ms));
}

pub fn keep<F: Future<Output = ()>>(
    hosts: &[&str],
    body: &str,
    test: impl FnOnce(RunningLoop) -> F,
) {
    keep_with(hosts, "", body, test);
}

/// The same with further lines in the cluster block.
pub fn keep_with<F: Future<Output = ()>>(
    hosts: &[&str],
    cluster: &str,
    body: &str,
    test: impl FnOnce(RunningLoop) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    recorded::begin();
    local.block_on(&runtime, async {
        let many = Many::new(hosts);
        let graph = many.graph(&format!("{cluster}\n{}", many.host_lines()), body);
        test(RunningLoop::begin(many, graph)).await;
    });
    recorded::compare();
}

fn on_container(kept: &RunningLoop, name: &str, act: impl Fn(&mut Model, &str, i64)) {
    for host in kept.many.hosts.values() {
        let act = |model: &mut Model, now: i64| {
            let found = model.list().into_iter().find(|c| c.name.ends_with(name));
            if let Some(found) = found {
                act(model, &found.id, now);
            }
        };
        host.inject(act).unwrap();
    }
}

#[test]
fn changes_by_hand_are_repaired_once() {
    keep(&["a", "b", "c"], WEB, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        let before = kept.many.running().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        for (n, act) in [
            (
                0,
                (|model: &mut Model, id: &str, now: i64| model.stop(id, now).unwrap())
                    as fn(&mut Model, &str, i64),
            ),
            (1, |model, id, now| {
                model.stop(id, now).unwrap();
                model.remove(id, now).unwrap();
            }),
            (2, |model, id, now| model.pause(id, now).unwrap()),
        ] {
            on_container(&kept, &format!("web-{n}.c"), act);
            assert_eq!(kept.many.running().await.len(), 2);
            kept.until("all run again", async |many| many.running().await.len() == 3).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        assert_eq!(
            kept.kinds(EntryKind::Done).len(),
            3 + 3 + 3,
            "three networks, three pods, three repairs"
        );
        let after = kept.many.running().await;
        let same = before.iter().filter(|(name, id)| after.get(*name) == Some(*id)).count();
        assert_eq!(same, 2, "only what was removed is a new container");
        assert_eq!(kept.end().await, Ended::Stopped);
    });
}

/// A paused container keeps its network, and its joiners still answer.
#[test]
fn joiners_of_an_infra_container_paused_by_hand_are_not_restarted() {
    let body = "pod pair { container a image=\"tally.local/hello:1\"; container b image=\"tally.local/hello:1\" }";
    keep(&["a"], body, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        let restarts = || kept.many.hosts["a"].calls().get("restart").copied().unwrap_or(0);
        let before = (kept.many.running().await, restarts());
        let done = kept.kinds(EntryKind::Done).len();
        on_container(&kept, "many.pair", |model, id, now| model.pause(id, now).unwrap());
        assert_eq!(kept.many.running().await.len(), 2);
        kept.until("all run again", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!((kept.many.running().await, restarts()), before);
        assert_eq!(kept.kinds(EntryKind::Done).len(), done + 1);
        kept.end().await;
    });
}

#[test]
fn a_cluster_in_its_steady_state_is_not_changed() {
    keep(&["a", "b"], WEB, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let changing = |kept: &RunningLoop| -> u64 {
            let calls = kept.many.hosts.values().flat_map(|host| host.calls());
            calls
                .filter(|(call, _)| {
                    ["create_container", "start", "stop", "restart", "remove_container"]
                        .contains(call)
                })
                .map(|(_, count)| count)
                .sum()
        };
        let before = changing(&kept);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(changing(&kept), before);
        assert_eq!(kept.kinds(EntryKind::Tallies).len(), 1);
        kept.end().await;
    });
}

#[test]
fn a_crash_looping_container_is_started_with_growing_pauses() {
    let body =
        "controller web replicas=1 { restart always; container c image=\"tally.local/hello:1\" }";
    keep(&["a"], body, |kept| async move {
        kept.until("it runs", async |many| many.running().await.len() == 1).await;
        // This does not test Docker's own restarts: the container is stopped each time.
        let mut starts = Vec::new();
        for _ in 0..6 {
            on_container(&kept, "web-0.c", |model, id, now| model.stop(id, now).unwrap());
            let stopped = kept.many.now_ms();
            kept.until("it runs again", async |many| many.running().await.len() == 1).await;
            starts.push((kept.many.now_ms() - stopped) / 1_000);
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        }
        assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]), "{starts:?}");
        assert!(*starts.last().unwrap() >= 12, "{starts:?}");
        assert_eq!(starts[0], 0, "the first time at once");
        kept.end().await;
    });
}

#[test]
fn an_unavailable_image_is_pulled_with_growing_pauses() {
    let body = "pod web { container c image=\"registry.example/none:1\" }\npod other { container c image=\"tally.local/hello:1\" }";
    keep(&["a"], body, |kept| async move {
        let missing = |model: &mut Model, _: i64| model.set_missing("registry.example/none:1");
        kept.many.hosts["a"].inject(missing).unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(kept.many.running().await.len(), 1, "the other one runs");
        let pulls = kept.many.hosts["a"].calls().get("pull").copied().unwrap_or(0);
        assert!((3..20).contains(&pulls), "{pulls} pulls in ten minutes");
        kept.end().await;
    });
}

#[test]
fn an_unreachable_host_delays_nothing_on_the_others() {
    keep(&["a", "b", "c"], WEB, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        // Frozen: it accepts every call and answers none.
        let hang =
            Fault { call: None, when: When::Always, kind: FaultKind::Hang { applied: false } };
        kept.many.hosts["b"].set_faults(FaultPlan { seed: 1, rules: vec![hang] });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(kept.kinds(EntryKind::HostUnreachable).len(), 1);
        let mine = kept.many.hosts_of("web-0.c").await;
        assert_ne!(mine, ["b"]);
        on_container(&kept, "web-0.c", |model, id, now| model.stop(id, now).unwrap());
        let stopped = kept.many.now_ms();
        kept.until("it runs again", async |many| many.running().await.len() == 3).await;
        let took = kept.many.now_ms() - stopped;
        assert!(took < 2_000, "{took} ms");
        kept.many.heal("b");
        kept.until("it answers", async |_| kept.kinds(EntryKind::HostReady).len() == 4).await;
        assert_eq!(kept.many.running().await.len(), 3, "nothing was doubled");
        kept.end().await;
    });
}

/// Operations that belong to no pod were started again with each plan, until all executions waited for that host
/// and each failure counted against pods on the others (seeds 937964, 950281 of the simulation).
#[test]
fn a_hanging_call_is_started_only_once() {
    keep(&["a", "b", "c"], WEB, |kept| async move {
        let call = Some("create_network".to_owned());
        let hang = Fault { call, when: When::Always, kind: FaultKind::Hang { applied: false } };
        kept.many.hosts["c"].set_faults(FaultPlan { seed: 1, rules: vec![hang] });
        kept.until("all others run", async |many| many.running().await.len() == 2).await;
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            on_container(&kept, "web-0.c", |model, id, now| model.stop(id, now).unwrap());
            kept.until("it runs again", async |many| many.running().await.len() == 2).await;
        }
        assert_eq!(kept.many.hosts["c"].calls().get("create_network"), Some(&1));
        kept.many.heal("c");
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        kept.end().await;
    });
}

#[test]
fn pods_of_a_declared_lost_host_are_replaced_and_duplicates_removed_when_it_returns() {
    keep(&["a", "b", "c"], WEB, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let lost = kept.many.hosts_of("web-1.c").await.remove(0);
        kept.many.cut(&lost);
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(kept.many.running().await.len(), 3, "unreachable is never absent");
        let declared = Declarations {
            hosts: [(lost.clone(), Declared::Lost)].into(),
            ..Declarations::default()
        };
        kept.news.send(SpecChange::Declared(declared)).unwrap();
        kept.until("it is replaced", async |many| many.hosts_of("web-1.c").await.len() == 2).await;
        kept.many.heal(&lost);
        kept.until("one is left", async |many| many.hosts_of("web-1.c").await.len() == 1).await;
        kept.end().await;
    });
}

#[test]
fn a_changed_spec_is_rolled_out_and_a_broken_one_changes_nothing() {
    keep(&["a", "b", "c"], WEB, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        let before = kept.many.running().await;
        kept.news.send(SpecChange::Broken("a report".to_owned())).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(kept.many.running().await, before);
        assert_eq!(kept.kinds(EntryKind::BrokenSpec).len(), 1);
        let changed = WEB.replace("hello:1\"", "hello:1\" { env A=2 }");
        kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&changed)))).unwrap();
        kept.until("all are new", async |many| {
            let now = many.running().await;
            now.len() == 3 && now.iter().all(|(name, id)| before.get(name) != Some(id))
        })
        .await;
        kept.end().await;
    });
}

#[test]
fn a_spec_of_another_cluster_is_refused_and_the_last_one_stays_in_force() {
    keep(&["a", "b", "c"], WEB, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        let before = kept.many.running().await;
        let renamed = Many::beside(&kept.many, "renamed");
        kept.news.send(SpecChange::Spec(Box::new(renamed.plain(WEB)))).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(kept.many.running().await, before);
        for host in kept.many.hosts.keys() {
            let state = kept.many.state(host).await;
            let renamed = state.containers.iter().filter(|it| it.name.starts_with("renamed"));
            assert_eq!(renamed.count(), 0);
        }
        let reports = kept.kinds(EntryKind::BrokenSpec);
        assert!(reports.len() == 1 && reports[0].contains("`renamed`"), "{reports:?}");
        kept.end().await;
    });
}

#[test]
fn no_operation_of_the_old_spec_starts_after_a_new_one_arrived() {
    let body = WEB.replace("=3", "=100");
    keep(&["a"], &body, |kept| async move {
        kept.until("it has started", async |many| !many.running().await.is_empty()).await;
        let other = "pod other { container c image=\"tally.local/hello:1\" }";
        kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(other)))).unwrap();
        kept.until("the new one is followed", async |many| {
            many.hosts_of("other.c").await.len() == 1
        })
        .await;
        let made = kept.many.hosts["a"].calls().get("create_container").copied().unwrap_or(0);
        assert!(made < 50, "{made} were made");
        kept.end().await;
    });
}

#[test]
fn observations_are_remembered_even_if_the_plan_is_empty() {
    run(&["a"], |mut many: Many| async move {
        let graph = many.plain(WEB);
        many.apply(&graph).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        many.memory = Memory::default();
        let local = tokio::task::LocalSet::new();
        let seen = local.run_until(async {
            let kept = RunningLoop::begin(many, graph);
            kept.until("it tallies", async |_| !kept.kinds(EntryKind::Tallies).is_empty()).await;
            let memory = kept.stored.memory.lock().unwrap().clone();
            memory.and_then(|memory| memory.learned.hosts["a"].pods.clone()).unwrap_or_default()
        });
        let expected = ["web-0", "web-1", "web-2"].map(str::to_owned);
        assert_eq!(seen.await, expected.into());
    });
}

#[test]
fn a_rollout_of_a_crashing_version_leaves_the_other_pods_running() {
    keep(&["a", "b", "c"], WEB, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let bad = WEB.replace("hello:1\"", "hello:1\" { command sh \"-c\" \"exit 3\" }");
        kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&bad)))).unwrap();
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let serving = kept.many.running().await;
            assert!(serving.len() >= 2, "{serving:?}");
        }
        kept.end().await;
    });
}

#[test]
fn without_an_event_stream_changes_are_found_by_polling() {
    keep(&["a"], WEB, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        // Event streams are refused from now on, observations are not.
        let deaf = Fault {
            call: Some("events".to_owned()),
            when: When::Always,
            kind: FaultKind::Refuse { status: 500, message: "no events".to_owned() },
        };
        kept.many.hosts["a"].set_faults(FaultPlan { seed: 1, rules: vec![deaf] });
        tokio::time::sleep(Duration::from_secs(30)).await;
        on_container(&kept, "web-0.c", |model, id, now| model.stop(id, now).unwrap());
        kept.until("it runs again", async |many| many.running().await.len() == 3).await;
        kept.end().await;
    });
}

#[test]
fn only_a_container_whose_liveness_probe_fails_is_restarted() {
    let body = "pod well { container c image=\"tally.local/hello:1\" { liveness every=\"1s\" failures=2 { command \"true\" } } }\n\
                pod ill { container c image=\"tally.local/hello:1\" { liveness every=\"1s\" failures=2 { command \"false\" } } }";
    keep(&["a"], body, |kept| async move {
        tokio::time::sleep(Duration::from_secs(120)).await;
        let unwell = kept.kinds(EntryKind::Unwell);
        assert!(unwell.iter().all(|told| told.starts_with("ill ")), "{unwell:?}");
        let restarts = kept.many.hosts["a"].calls().get("restart").copied().unwrap_or(0);
        assert!((3..12).contains(&restarts), "{restarts} restarts in two minutes: {unwell:?}");
        kept.end().await;
    });
}

#[test]
fn recovery_is_reported_even_if_no_action_was_needed() {
    let body =
        "pod web { container c image=\"tally.local/hello:1\" { port http 8080 publish=8080 } }";
    keep(&["a"], body, |kept| async move {
        kept.until("it runs", async |_| kept.kinds(EntryKind::Tallies).len() == 1).await;
        // The pod's container is renamed by hand, and later renamed back.
        let rename = |model: &mut Model, id: &str, _: i64| model.rename(id, "elsewhere").unwrap();
        on_container(&kept, "many.web.c", rename);
        kept.until("it is reported", async |_| !kept.kinds(EntryKind::Failed).is_empty()).await;
        let back = |model: &mut Model, id: &str, _: i64| model.rename(id, "many.web.c").unwrap();
        on_container(&kept, "elsewhere", back);
        kept.until("it is over", async |_| kept.kinds(EntryKind::Tallies).len() == 2).await;
        kept.end().await;
    });
}
