//! Two loops over one store and simulated hosts, in simulated time: failure modes 5, 6 and 7, and the state that
//! one leader hands over to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tally_control::lease::{
    Common, Document, MOST_SHARED_BYTES, Renewed, SpecRecord, Store, StoreError, StoreView, Taken,
    Term,
};
use tally_control::{
    Connector, ControlLoop, EntryKind, Journal, JournalEntry, LoopOptions, Sharing, SpecChange,
    Storage, Stored,
};
use tally_graph::Graph;
use tally_host::{Host, HostError};
use tally_reconcile::memory::{Declarations, Memory};
use tally_reconcile::reconcile;
use tally_simulator::{Fault, FaultKind, FaultPlan, SimHost, When};
use tally_tests::pause::{PauseSwitch, pausable};
use tally_tests::spec_source::ChannelSpecSource;
use tally_tests::store::ModelStore;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::many::{Many, blocked};

const WEB: &str = "controller web replicas=2 { container c image=\"tally.local/hello:1\" }";
const LASTS: Duration = Duration::from_secs(15);

/// The store, which can be stopped, and lose its answers.
struct Shared {
    model: Mutex<ModelStore>,
    down: AtomicBool,
    silent: AtomicBool,
    begun: Instant,
}

impl Shared {
    async fn call<T>(&self, act: impl FnOnce(&mut ModelStore, i64) -> T) -> Result<T, StoreError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unreachable("connection refused".to_owned()));
        }
        let answer = act(&mut self.model.lock().unwrap(), self.now_ms());
        if self.silent.load(Ordering::SeqCst) {
            Err(StoreError::Unreachable("the answer broke off".to_owned()))
        } else {
            Ok(answer)
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_millis()).unwrap()
    }

    fn leader(&self) -> Option<String> {
        self.model.lock().unwrap().leader(self.now_ms())
    }

    fn declared_revision(&self) -> i64 {
        self.model.lock().unwrap().look(self.now_ms()).declared_revision
    }
}

#[async_trait]
impl Store for Shared {
    async fn look(&self) -> Result<StoreView, StoreError> {
        self.call(|model, now| model.look(now)).await
    }
    async fn take(&self, name: &str, lasts: Duration) -> Result<Taken, StoreError> {
        self.call(|model, now| model.take(name, lasts, now)).await
    }
    async fn renew(&self, term: Term) -> Result<Renewed, StoreError> {
        self.call(|model, now| model.renew(term, now)).await
    }
    async fn give_back(&self, term: Term) -> Result<(), StoreError> {
        self.call(|model, _| model.give_back(term)).await
    }
    async fn publish(
        &self,
        term: Term,
        after: i64,
        record: &SpecRecord,
    ) -> Result<Option<i64>, StoreError> {
        self.call(|model, now| model.publish(term, after, record, now)).await
    }
    async fn write(&self, document: &Document) -> Result<Option<i64>, StoreError> {
        self.call(|model, now| model.write(document, now)).await
    }
}

struct Connections {
    hosts: BTreeMap<String, Arc<SimHost>>,
    common: Arc<Mutex<Common>>,
    memory: Arc<Mutex<Memory>>,
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
        *self.memory.lock().unwrap() = memory.clone();
        Ok(())
    }
    fn shared(&self, common: &Common, _: &Declarations) -> Stored {
        *self.common.lock().unwrap() = common.clone();
        Ok(())
    }
}

#[derive(Default)]
struct Events(Mutex<Vec<JournalEntry>>);

impl Journal for Events {
    fn entry(&self, entry: &JournalEntry) {
        crate::recorded::entry(entry);
        self.0.lock().unwrap().push(entry.clone());
    }
}

/// One loop, which can be suspended.
struct Engine {
    told: Arc<Events>,
    /// The common state that it wrote to disk.
    common: Arc<Mutex<Common>>,
    /// The observations that it wrote to disk.
    memory: Arc<Mutex<Memory>>,
    news: mpsc::UnboundedSender<SpecChange>,
    gate: Arc<PauseSwitch>,
    task: tokio::task::JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Engine {
    fn begin(many: &Many, store: &Arc<Shared>, name: &str, graph: Graph, supersede: bool) -> Self {
        Self::begin_knowing(many, store, name, graph, supersede, Common::default())
    }

    /// Starts an engine that has the common state of an earlier one on disk.
    fn begin_knowing(
        many: &Many,
        store: &Arc<Shared>,
        name: &str,
        graph: Graph,
        supersede: bool,
        common: Common,
    ) -> Self {
        let options = LoopOptions {
            resync: Duration::from_secs(30),
            observation_deadline: Duration::from_secs(10),
            calls_per_host: 8,
            once: false,
            now_ms: || 1_800_000_000_000,
        };
        let told = Arc::new(Events::default());
        let (news, letters) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let kept = Arc::new(Mutex::new(common.clone()));
        let memory = Arc::new(Mutex::new(Memory::default()));
        let connections = Arc::new(Connections {
            hosts: many.hosts.clone(),
            common: Arc::clone(&kept),
            memory: Arc::clone(&memory),
        });
        let journal = Arc::clone(&told) as Arc<dyn Journal>;
        let sharing = Sharing {
            store: Arc::clone(store) as Arc<dyn Store>,
            name: name.to_owned(),
            lasts: LASTS,
            supersede,
            common,
            slept_ms: || 0,
        };
        let controller = ControlLoop::new(
            graph,
            Memory::default(),
            Arc::clone(&connections) as Arc<dyn Connector>,
            connections,
            journal,
            options,
        );
        let mut controller = controller.with_store(sharing);
        let gate = Arc::new(PauseSwitch::default());
        let shut = Arc::clone(&gate);
        let task = tokio::spawn(async move {
            let mut letters = ChannelSpecSource(letters);
            let run = controller.run(&mut letters, stopped);
            pausable(shut, run).await;
        });
        Self { told, common: kept, memory, news, gate, task, stop }
    }

    /// Suspends it, as SIGSTOP does.
    fn stall(&self) {
        self.gate.stall(true);
    }

    /// Resumes it.
    fn go_on(&self) {
        self.gate.stall(false);
    }

    fn times(&self, kind: EntryKind) -> usize {
        self.told.0.lock().unwrap().iter().filter(|entry| entry.kind == kind).count()
    }
}

struct World {
    many: Many,
    store: Arc<Shared>,
}

impl World {
    fn engine(&self, name: &str, body: &str) -> Engine {
        Engine::begin(&self.many, &self.store, name, self.many.plain(body), false)
    }

    async fn running(&self) -> usize {
        self.many.running().await.len()
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        for _ in 0..6_000 {
            if is_so(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never: {what}");
    }

    async fn until_leads(&self, name: &str) {
        self.until(name, async |world| world.store.leader().as_deref() == Some(name)).await;
    }

    /// Returns the reason of the freeze that the store has, `Some(None)` if the cluster is not frozen, and `None`
    /// if nothing is declared.
    fn frozen(&self) -> Option<Option<String>> {
        let seen = self.store.model.lock().unwrap().look(self.store.now_ms());
        seen.declared.map(|declared| declared.frozen)
    }

    /// Counts the calls that changed something, on all hosts.
    fn changes(&self) -> u64 {
        let reads = [
            "engine",
            "containers",
            "container",
            "volumes",
            "networks",
            "images",
            "events",
            "logs",
        ];
        let calls = self.many.hosts.values().flat_map(|host| host.calls());
        calls.filter(|(call, _)| !reads.contains(call)).map(|(_, count)| count).sum()
    }

    /// Stops a container by hand.
    fn harm(&self) {
        for host in self.many.hosts.values() {
            let stop = |model: &mut tally_simulator::Model, now_ms| {
                let found = model.list().into_iter().find(|it| it.name.ends_with("web-0.c"));
                found.map(|found| model.stop(&found.id, now_ms))
            };
            host.inject(stop).unwrap();
        }
    }
}

fn run<F: Future<Output = ()>>(hosts: &[&str], scenario: impl FnOnce(World) -> F) {
    crate::many::run(hosts, |many| {
        let model = Mutex::new(ModelStore::default());
        let (down, silent) = (AtomicBool::new(false), AtomicBool::new(false));
        let store = Arc::new(Shared { model, down, silent, begun: Instant::now() });
        scenario(World { many, store })
    });
}

#[test]
fn failure_5_an_engine_with_a_superseded_spec_stops() {
    run(&["a"], |world| async move {
        let changed = WEB.replace("hello:1\"", "hello:1\" { env A=2 }");
        let one = world.engine("one", WEB);
        world.until("all run", async |world| world.running().await == 2).await;
        let two = world.engine("two", &changed);
        world.until("it follows", async |_| two.times(EntryKind::Follows) == 1).await;
        // The leader's spec counts. After the leader has ended, the other engine's spec is published.
        one.task.abort();
        world.until_leads("two").await;
        world.until("all are new", async |_| two.times(EntryKind::Tallies) == 1).await;
        assert_eq!(world.store.model.lock().unwrap().record().unwrap().epoch, 2);
        // The old engine is started again, and is the only one.
        let old = world.engine("old", WEB);
        world.until("it stands aside", async |_| old.times(EntryKind::StandsAside) == 1).await;
        two.task.abort();
        world.harm();
        let before = world.changes();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!((world.changes(), world.store.leader()), (before, None));
        // Until a person confirms the old spec.
        old.task.abort();
        let spec = world.many.plain(WEB);
        let meant = Engine::begin(&world.many, &world.store, "meant", spec, true);
        world.until("all run", async |_| meant.times(EntryKind::Tallies) == 1).await;
        assert_eq!(world.store.model.lock().unwrap().record().unwrap().epoch, 3);
    });
}

#[test]
fn failure_5_reverted_files_are_published_as_a_new_epoch() {
    run(&["a"], |world| async move {
        let changed = WEB.replace("hello:1\"", "hello:1\" { env A=2 }");
        let one = world.engine("one", WEB);
        for (epoch, body) in [(2, changed.as_str()), (3, WEB)] {
            world.until("it tallies", async |_| one.times(EntryKind::Tallies) == epoch - 1).await;
            one.news.send(SpecChange::Spec(Box::new(world.many.plain(body)))).unwrap();
            world.until("it tallies", async |_| one.times(EntryKind::Tallies) == epoch).await;
            let record = world.store.model.lock().unwrap().record().cloned().unwrap();
            assert_eq!(record.epoch, epoch as u64);
        }
        assert_eq!(one.times(EntryKind::StandsAside), 0);
    });
}

#[test]
fn failure_6_a_leader_suspended_past_its_lease_ends_its_plan() {
    run(&["a"], |world| async move {
        let many = WEB.replace("replicas=2", "replicas=40");
        let one = world.engine("one", &many);
        world.until("it has started", async |world| world.running().await > 2).await;
        one.stall();
        let before = world.running().await;
        assert!(before < 30, "it is in the midst of it: {before}");
        let two = world.engine("two", &many);
        world.until_leads("two").await;
        // Only the first engine could continue now, and the lease is not its own.
        two.stall();
        // Calls in transit arrive.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = world.changes();
        one.go_on();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.changes(), before);
        assert_eq!(one.times(EntryKind::StepsDown), 1);
        // It finishes once it holds the lease again.
        world.until_leads("one").await;
        world.until("all run", async |world| world.running().await == 40).await;
        two.task.abort();
    });
}

#[test]
fn failure_7_without_the_store_hosts_are_observed_and_not_changed() {
    run(&["a"], |world| async move {
        let one = world.engine("one", WEB);
        world.until("all run", async |_| one.times(EntryKind::Tallies) == 1).await;
        world.store.down.store(true, Ordering::SeqCst);
        world.until("it steps down", async |_| one.times(EntryKind::StepsDown) == 1).await;
        world.harm();
        let before = world.changes();
        let looks = world.many.hosts["a"].calls()["containers"];
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!((world.changes(), one.times(EntryKind::StoreUnreachable)), (before, 1));
        assert!(world.many.hosts["a"].calls()["containers"] > looks + 10);
        world.store.down.store(false, Ordering::SeqCst);
        world.until("it runs again", async |world| world.running().await == 2).await;
    });
}

#[test]
fn a_leader_that_is_asked_to_end_releases_the_lease() {
    run(&["a"], |world| async move {
        let one = world.engine("one", WEB);
        world.until("all run", async |_| one.times(EntryKind::Tallies) == 1).await;
        let two = world.engine("two", WEB);
        world.until("it follows", async |_| two.times(EntryKind::Follows) == 1).await;
        let begun = Instant::now();
        one.stop.send(true).unwrap();
        world.until_leads("two").await;
        assert!(begun.elapsed() < LASTS / 2, "{:?}: it did not run out", begun.elapsed());
        assert_eq!(one.times(EntryKind::Failed), 0);
        two.task.abort();
    });
}

#[test]
fn a_follower_runs_no_liveness_probes() {
    let body = "pod web { container c image=\"tally.local/hello:1\" { \
                liveness every=\"1s\" failures=2 { command \"true\" } } }";
    run(&["a"], |world| async move {
        let one = world.engine("one", body);
        world.until("it tallies", async |_| one.times(EntryKind::Tallies) == 1).await;
        let two = world.engine("two", body);
        world.until("it follows", async |_| two.times(EntryKind::Follows) == 1).await;
        let asked = || world.many.hosts["a"].calls().get("exec").copied().unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let before = asked();
        assert!(before >= 30, "the leader does: {before}");
        one.stall();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(asked(), before, "the lease is the other's still");
        world.until_leads("two").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(asked() >= before + 30, "who leads then does");
    });
}

#[test]
fn a_new_leader_observes_before_it_acts() {
    run(&["a"], |world| async move {
        let one = world.engine("one", WEB);
        world.until("it tallies", async |_| one.times(EntryKind::Tallies) == 1).await;
        let two = world.engine("two", WEB);
        world.until("it follows", async |_| two.times(EntryKind::Follows) == 1).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let changed = WEB.replace("hello:1\"", "hello:1\" { env A=2 }");
        two.news.send(SpecChange::Spec(Box::new(world.many.plain(&changed)))).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        // It observes nothing of the leader's changes.
        two.stall();
        one.news.send(SpecChange::Spec(Box::new(world.many.plain(&changed)))).unwrap();
        world.until("all are new", async |_| one.times(EntryKind::Tallies) == 2).await;
        one.stop.send(true).unwrap();
        world.until("it is over", async |world| world.store.leader().is_none()).await;
        two.go_on();
        world.until("it tallies", async |_| two.times(EntryKind::Tallies) == 1).await;
        let did = [EntryKind::Done, EntryKind::Failed].map(|kind| two.times(kind));
        assert_eq!(did, [0, 0], "what it saw last was from before the change");
    });
}

#[test]
fn a_new_leader_knows_the_pods_that_the_previous_one_was_creating() {
    run(&["a", "b", "c"], |world| async move {
        let one = world.engine("one", WEB);
        world.until("all run", async |_| one.times(EntryKind::Tallies) == 1).await;
        let two = world.engine("two", WEB);
        world.until("it follows", async |_| two.times(EntryKind::Follows) == 1).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        // A third pod is created on `c` without any engine learning of it: the other engine does not observe, the
        // host becomes unreachable, the leader is killed.
        two.stall();
        let more = WEB.replace("replicas=2", "replicas=3");
        let hang = Fault {
            call: Some("create_container".to_owned()),
            when: When::Always,
            kind: FaultKind::Hang { applied: true },
        };
        for engine in [&two, &one] {
            engine.news.send(SpecChange::Spec(Box::new(world.many.plain(&more)))).unwrap();
        }
        world.many.hosts["c"].set_faults(FaultPlan { seed: 1, rules: vec![hang] });
        let made = async |world: &World| world.many.hosts_of("web-2.c").await == ["c"];
        world.until("it is made on c", made).await;
        one.task.abort();
        world.many.cut("c");
        two.go_on();
        world.until_leads("two").await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(
            world.many.hosts_of("web-2.c").await,
            ["c"],
            "it may be there, so it is not made"
        );
        world.many.heal("c");
        world.until("all run", async |world| world.running().await == 3).await;
        assert_eq!(world.many.hosts_of("web-2.c").await, ["c"]);
    });
}

#[test]
fn an_apply_by_hand_beside_engines_takes_no_pod_on_an_unreachable_host_for_absent() {
    run(&["a", "b", "c"], |world| async move {
        let one = world.engine("one", WEB);
        world.until("all run", async |_| one.times(EntryKind::Tallies) == 1).await;
        let two = world.engine("two", WEB);
        world.until("it follows", async |_| two.times(EntryKind::Follows) == 1).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.many.cut("c");
        let graph = world.many.plain(&WEB.replace("replicas=2", "replicas=3"));
        let observed = world.many.observe().await;
        for engine in [one, two] {
            let mut memory = engine.memory.lock().unwrap().clone();
            assert!(memory.learned.hosts["c"].pods.as_ref().is_some_and(BTreeSet::is_empty));
            memory.learned.take_up(None);
            memory.learn("many", &observed, 0);
            let plan = reconcile(&graph, &observed, &memory, &tally_reconcile::Options::default());
            let reason = "it may be on `c`, which does not answer";
            assert_eq!(blocked(&plan), [format!("web-2: {reason}")]);
        }
    });
}

#[test]
fn a_freeze_can_be_ended_after_its_writer_died_before_the_answer() {
    run(&["a"], |world| async move {
        let one = world.engine("one", WEB);
        world.until("all run", async |_| one.times(EntryKind::Tallies) == 1).await;
        let frozen = Some("release".to_owned());
        let freeze = Declarations { frozen: frozen.clone(), ..Declarations::default() };
        world.store.silent.store(true, Ordering::SeqCst);
        one.news.send(SpecChange::Declared(freeze)).unwrap();
        world.until("it is written", async |world| world.frozen() == Some(frozen.clone())).await;
        one.task.abort();
        world.store.silent.store(false, Ordering::SeqCst);
        // A person ends it while no engine runs: the declaration no longer exists when the engine starts again.
        let common = one.common.lock().unwrap().clone();
        let graph = world.many.plain(WEB);
        let again = Engine::begin_knowing(&world.many, &world.store, "again", graph, false, common);
        world.until_leads("again").await;
        world.harm();
        world.until("it is put right", async |world| world.running().await == 2).await;
        world.until("it is ended for all", async |world| world.frozen() == Some(None)).await;
        again.stop.send(true).unwrap();
    });
}

#[test]
fn a_freeze_that_ended_during_a_store_outage_does_not_return() {
    run(&["a"], |world| async move {
        let one = world.engine("one", WEB);
        world.until("all run", async |_| one.times(EntryKind::Tallies) == 1).await;
        let paused = [("controller/other".to_owned(), "wait".to_owned())].into();
        let pause = Declarations { paused, ..Declarations::default() };
        one.news.send(SpecChange::Declared(pause.clone())).unwrap();
        world.until("it is written", async |world| world.frozen() == Some(None)).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let frozen = Some("release".to_owned());
        one.news
            .send(SpecChange::Declared(Declarations { frozen: frozen.clone(), ..pause.clone() }))
            .unwrap();
        world.until("it is written", async |world| world.frozen() == Some(frozen.clone())).await;
        // The last answer is from before the freeze, and the next request gets no answer.
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.store.down.store(true, Ordering::SeqCst);
        let told = async |_: &World| one.times(EntryKind::StoreUnreachable) == 1;
        world.until("the store is away", told).await;
        // A person ends it meanwhile.
        one.news.send(SpecChange::Declared(pause)).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.store.down.store(false, Ordering::SeqCst);
        world.until("it is ended", async |world| world.frozen() == Some(None)).await;
        world.harm();
        world.until("it is put right", async |world| world.running().await == 2).await;
    });
}

#[test]
fn unreadable_declarations_in_the_store_are_reported_once_and_not_overwritten() {
    run(&["a"], |world| async move {
        let one = world.engine("one", WEB);
        world.until("all run", async |_| one.times(EntryKind::Tallies) == 1).await;
        let garbage = Document::Declared { text: "{ not ours".to_owned(), after: 0 };
        let now_ms = world.store.now_ms();
        let written = world.store.model.lock().unwrap().write(&garbage, now_ms);
        assert!(written.is_some());
        world.until("it is reported", async |_| one.times(EntryKind::Failed) == 1).await;
        // Declarations of this engine apply to it, and do not overwrite the unreadable ones.
        let frozen = Some("release".to_owned());
        let freeze = Declarations { frozen, ..Declarations::default() };
        one.news.send(SpecChange::Declared(freeze)).unwrap();
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(one.times(EntryKind::Failed), 1, "once");
        assert_eq!(world.store.declared_revision(), written.unwrap());
        world.harm();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.running().await, 1, "it is frozen");
    });
}

#[test]
fn declarations_too_large_to_share_apply_locally_and_are_reported() {
    run(&["a"], |world| async move {
        let one = world.engine("one", WEB);
        world.until("all run", async |_| one.times(EntryKind::Tallies) == 1).await;
        let frozen = Some("x".repeat(MOST_SHARED_BYTES));
        let freeze = Declarations { frozen, ..Declarations::default() };
        one.news.send(SpecChange::Declared(freeze)).unwrap();
        world.until("it is reported", async |_| one.times(EntryKind::Failed) == 1).await;
        world.harm();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.running().await, 1, "it is frozen");
        assert_eq!(world.store.declared_revision(), 0);
    });
}
