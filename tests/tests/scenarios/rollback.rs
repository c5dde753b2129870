//! Rollouts that fail and are rolled back automatically, in one apply: `update on-failure=rollback`.

use std::collections::BTreeMap;
use std::time::Duration;

use tally_graph::Graph;
use tally_host::{Report, failed_versions};
use tally_reconcile::Options;
use tally_reconcile::memory::revisions::{FailureAttribution, RolledBack};
use tally_reconcile::memory::{History, Memory};
use tally_reconcile::plan::reason::BlockedBy;
use tally_reconcile::plan::request::ContainerRequest;
use tally_reconcile::plan::{Action, Plan};
use tally_reconcile::rollback::apply::{apply_rollbacks, ended_rollbacks};
use tally_reconcile::rollback::{
    Decision, HistoryEntry, RolloutFailure, decide, previous_revisions,
};
use tally_simulator::Model;

use crate::many::{Many, run};
use crate::world::{World, both, only_simulated, plan_errors};

const WEB: &str = "controller/web";

/// A version of `web`: further options of its `update`, and its container.
fn web(update: &str, rest: &str) -> String {
    format!(
        "controller web replicas=4 {{ update on-failure=rollback {update}\n\
         container c image=\"tally.local/hello:1\" {{ stop signal=SIGKILL; {rest} }} }}"
    )
}

/// Creates an entry of the history in which all workloads had completed.
fn entry(number: u64, graph: &Graph) -> HistoryEntry {
    let settled = graph.workloads().map(|it| (it.address().to_string(), it.fingerprint()));
    HistoryEntry { number, settled: settled.collect(), graph: graph.clone() }
}

/// Creates the memory of a rollout of `now` after `before`, oldest first.
fn remembered(now: &Graph, before: &[&Graph]) -> Memory {
    let entries: Vec<HistoryEntry> =
        (1..).zip(before).map(|(number, graph)| entry(number, graph)).collect();
    let former = previous_revisions(now, entries.into_iter().rev());
    Memory { history: History { previous: former }, ..Memory::default() }
}

/// Returns the first failure of `web` when a plan was executed.
fn failed(plan: &Plan, report: &Report) -> Option<RolloutFailure> {
    failed_versions(plan, report, "test", 7).remove(WEB)
}

/// Returns the decision about `web` after a failure.
async fn decided(world: &World, graph: &Graph, memory: &Memory) -> Option<Decision> {
    let (pod, why) = ("web-3".to_owned(), "it failed".to_owned());
    let failed = RolloutFailure { pod, why, ..RolloutFailure::default() };
    decide(graph, &world.observe().await, memory, WEB, failed)
}

fn is_back(decision: Option<Decision>) -> bool {
    matches!(decision, Some(Decision::RollBack(_)))
}

/// Returns the entry of the history to which `web` is rolled back.
fn entry_of(decision: Option<Decision>) -> u64 {
    match decision {
        Some(Decision::RollBack(back)) => back.failed.unwrap().entry,
        other => panic!("it is not rolled back: {other:?}"),
    }
}

/// Returns why `web` is not rolled back.
fn stays(decision: Option<Decision>) -> String {
    match decision {
        Some(Decision::Stay(why)) => why,
        other => panic!("it does not stay: {other:?}"),
    }
}

#[test]
fn a_failed_version_is_rolled_back_and_healthy_pods_are_not_changed() {
    both("back", |world: World| async move {
        for (update, bad, why, kept) in [
            // While the container runs again for a moment, a real engine shows no exit code.
            ("", "command sh \"-c\" \"echo last; exit 3\"", "it ended", 3),
            // It cannot start, so the old container runs on.
            ("", "command \"/none-such\"", "/none-such", 4),
            (
                "progress-deadline=\"2s\"",
                "readiness every=\"1s\" { command \"false\" }",
                "health check",
                3,
            ),
        ] {
            let good = world.graph(&web("", "env A=1"));
            let now = world.graph(&web(update, bad));
            world.apply(&good).await;
            let before = world.ids().await;
            let mut memory = remembered(&now, &[&good]);
            let plan = world.plan_remembering(&now, &memory, Options::default()).await;
            let fallback = plan.fallbacks.first().expect("the plan says it beforehand");
            assert_eq!((fallback.workload.as_str(), fallback.entry), (WEB, Some(1)));
            let report = world.execute(&now, &plan).await;
            let failed = failed(&plan, &report).expect("it fails");
            assert!(failed.why.contains(why), "{failed:?}");
            let pod = failed.pod.clone();
            let decision = decide(&now, &world.observe().await, &memory, WEB, failed);
            let Some(Decision::RollBack(back)) = decision else { panic!("{bad}: {decision:?}") };
            memory.declared.rolled_back.insert(WEB.to_owned(), *back);
            let mut followed = now.clone();
            assert_eq!(apply_rollbacks(&mut followed, &memory.declared.rolled_back), [WEB]);
            let plan = world.plan_remembering(&followed, &memory, Options::default()).await;
            assert!(plan.changes.iter().all(|it| it.subject.is_of_pod(&pod)), "{:?}", plan.changes);
            let report = world.execute(&followed, &plan).await;
            let failures: Vec<_> = report.failures().collect();
            assert!(report.is_done(), "{bad}: {failures:?}");

            // It keeps that revision, and every plan says why.
            let plan = world.plan_remembering(&followed, &memory, Options::default()).await;
            assert!(plan.is_empty(), "{:?}", plan.changes);
            let blocked: Vec<_> =
                plan.blocked.iter().map(|it| (it.reason.by(), it.reason.to_string())).collect();
            assert_eq!(blocked.len(), 1, "{blocked:?}");
            assert!(
                blocked[0].0 == BlockedBy::RolledBack && blocked[0].1.contains(why),
                "{blocked:?}"
            );
            assert!(plan.diagnostics.iter().any(|found| found.code.0 == 1303));
            let after = world.ids().await;
            let same = before.iter().filter(|(name, id)| after.get(*name) == Some(id)).count();
            assert_eq!(same, kept, "of four, {bad}");
            assert!(stays(decided(&world, &followed, &memory).await).contains("fails too"));

            // Until there is a newer spec.
            let newer = world.graph(&web("", "env A=2"));
            assert_eq!(ended_rollbacks(&newer, &memory.declared.rolled_back), [WEB]);
            assert!(apply_rollbacks(&mut newer.clone(), &memory.declared.rolled_back).is_empty());
            world.apply(&newer).await;
        }
    });
}

#[test]
fn a_half_replaced_pod_does_not_hide_its_previous_revision() {
    both("halfback", |world: World| async move {
        let spec = |c: u32, side: u32| {
            let command = "command sh \"-c\" \"sleep 1000 & wait\"; stop signal=SIGKILL";
            world.graph(&format!(
                "controller web replicas=1 {{ update on-failure=rollback\n\
                 container c image=\"tally.local/hello:1\" {{ {command}; env A={c} }}\n\
                 container side image=\"tally.local/hello:1\" {{ {command}; env A={side} }} }}"
            ))
        };
        let (before, now) = (spec(1, 1), spec(2, 2));
        world.apply(&before).await;
        let memory = remembered(&now, &[&before]);
        // One of its two containers has been replaced.
        world.apply(&spec(2, 1)).await;
        assert_eq!(entry_of(decided(&world, &now, &memory).await), 1);
        // A mixture of other versions is in no entry of the history: its labels show it.
        world.apply(&spec(3, 1)).await;
        assert_eq!(entry_of(decided(&world, &now, &memory).await), 0);
    });
}

#[test]
fn a_version_without_pods_has_not_completed() {
    run(&["a", "b"], |mut many: Many| async move {
        let with = |replicas: &str| {
            many.plain(&format!(
                "controller web replicas={replicas} {{ container c image=\"tally.local/hello:1\" }}"
            ))
        };
        let (none, per_host) = (with("0"), with("per-host"));
        assert!(many.apply(&none).await.settled().is_empty());
        for host in ["a", "b"] {
            many.declare(host, tally_reconcile::memory::Declared::Fenced);
        }
        assert!(many.plan(&per_host).await.settled().is_empty());
        many.memory.declared.hosts.clear();
        many.apply(&per_host).await;
        assert_eq!(many.plan(&per_host).await.settled(), [WEB.to_owned()].into());
    });
}

#[test]
fn a_missing_image_stops_no_pod_and_is_rolled_back() {
    only_simulated(
        "noimage",
        "the registries of the real engine are elsewhere",
        |world| async move {
            let good = world.graph(&web("", ""));
            world.apply(&good).await;
            let before = world.ids().await;
            let text = web("", "").replace("tally.local/hello:1", "registry.example/missing:2");
            let now = world.graph(&text);
            let memory = remembered(&now, &[&good]);
            let (plan, report) = world.try_apply(&now).await;
            let failed = failed(&plan, &report).expect("it fails");
            assert!(
                failed.failure_attribution == FailureAttribution::Image && failed.container == "c",
                "{failed:?}"
            );
            assert_eq!(world.ids().await, before);
            let decision = decide(&now, &world.observe().await, &memory, WEB, failed);
            assert!(is_back(decision));
            // An unreachable registry does not count against the version.
            let text = web("", "").replace("tally.local/hello:1", "registry.example:9/app:2");
            let (plan, report) = world.try_apply(&world.graph(&text)).await;
            assert!(report.failures().count() > 0);
            assert_eq!(failed_versions(&plan, &report, "test", 7), BTreeMap::new());
        },
    );
}

#[test]
fn only_rollouts_with_on_failure_rollback_return_to_a_previous_revision() {
    only_simulated("whether", "a decision depends on the observation alone", |world| async move {
        let good = world.graph(&web("", "env A=1"));
        let now = world.graph(&web("", "env A=2"));
        world.apply(&good).await;
        // Each case: the requested version, and the versions that had completed before, oldest first.
        assert!(is_back(decided(&world, &now, &remembered(&now, &[&good])).await));
        // Its older pods exist, and the history is empty: their labels show the previous revision.
        let first = remembered(&now, &[]);
        assert_eq!(entry_of(decided(&world, &now, &first).await), 0);
        // A version that completed once fails for another reason.
        let old = remembered(&now, &[&good, &now]);
        assert_eq!(decided(&world, &now, &old).await, None);
        // A changed number of replicas is no new version.
        let more = world.graph(&web("", "env A=1").replace("replicas=4", "replicas=5"));
        assert_eq!(decided(&world, &more, &remembered(&more, &[&good])).await, None);
        // The history is from elsewhere: its pods would replace the running ones.
        let other = world.graph(&web("", "env A=7"));
        let elsewhere = remembered(&now, &[&other]);
        assert_eq!(entry_of(decided(&world, &now, &elsewhere).await), 0);
        world.destroy(&good, false).await;
        assert!(stays(decided(&world, &now, &first).await).contains("no previous revision"));
        assert_eq!(entry_of(decided(&world, &now, &elsewhere).await), 1);
        // The spec does not ask for rollbacks.
        let pause = |text: String| world.graph(&text.replace("on-failure=rollback", ""));
        let asked = pause(web("", "env A=2"));
        assert_eq!(decided(&world, &asked, &remembered(&asked, &[&good])).await, None);
        // A person has paused or frozen it.
        let mut blocked = remembered(&now, &[&good]);
        blocked.declared.paused.insert(WEB.to_owned(), "wait".to_owned());
        assert_eq!(decided(&world, &now, &blocked).await, None);
        let mut frozen = remembered(&now, &[&good]);
        frozen.declared.frozen = Some("wait".to_owned());
        assert_eq!(decided(&world, &now, &frozen).await, None);
    });
}

#[test]
fn without_history_the_previous_revision_comes_from_the_labels_of_older_pods() {
    let spec = |world: &World, more: &str, rest: &str| {
        // One pod, so that a host port fits.
        let text = web("", rest)
            .replace("controller web replicas=4", "volume data\ncontroller web replicas=1");
        world.graph(&text.replace("container c", &format!("{more}\n container c")))
    };
    only_simulated("told", "a decision depends on the observation alone", |world| async move {
        // The parts of the older version, in its pod and its container; and whether its labels contain them all.
        for (more, rest, told) in [
            ("", "env A=1; env B=2", true),
            (
                "",
                "command \"/serve\" \"x\"; entrypoint \"/bin/env\"; workdir \"/tmp\"; user \"1\"",
                true,
            ),
            ("", "readiness every=\"1s\" failures=2 { command \"true\" }", true),
            ("", "resources memory=\"32MiB\" cpu=0.5; ulimit nofile soft=1024 hard=2048", true),
            ("label tier=web; restart on-failure", "", true),
            ("container side image=\"tally.local/hello:1\" { env S=1 }", "env A=1", false),
            ("init i image=\"tally.local/hello:1\" { command \"true\" }", "env A=1", false),
            ("", "mount data \"/data\"", false),
            ("", "file \"/etc/f\" text=\"older\"", false),
            ("", "port http 80 publish=8080", false),
        ] {
            let older = spec(&world, more, rest);
            let now = spec(&world, "", "env Z=9");
            world.destroy(&older, true).await;
            let (plan, _) = world.try_apply(&older).await;
            assert!(!plan.is_empty(), "{rest}");
            tokio::time::sleep(Duration::from_secs(2)).await;
            let memory = remembered(&now, &[]);
            let decision = decided(&world, &now, &memory).await;
            let Some(Decision::RollBack(back)) = decision else {
                assert!(!told, "{more} {rest}: {decision:?}");
                assert!(stays(decision).contains("describe only a part of it"), "{more} {rest}");
                continue;
            };
            assert!(told, "{more} {rest}");
            let mut followed = now.clone();
            assert_eq!(apply_rollbacks(&mut followed, &[(WEB.to_owned(), *back)].into()), [WEB]);
            let plan = world.plan(&followed).await;
            assert!(plan.is_empty(), "{more} {rest}: {:?}", plan.changes);
        }
    });
}

#[test]
fn a_failed_rollback_by_hand_is_not_reverted() {
    only_simulated("byhand", "a decision depends on the observation alone", |world| async move {
        let good = world.graph(&web("", "env A=1"));
        let now = world.graph(&web("", "env A=2"));
        world.apply(&now).await;
        let mut memory = remembered(&now, &[&good]);
        let rolled_back = memory.history.previous[WEB].before.clone().unwrap();
        memory.declared.rolled_back.insert(WEB.to_owned(), rolled_back);
        let mut followed = now.clone();
        apply_rollbacks(&mut followed, &memory.declared.rolled_back);
        assert_eq!(decided(&world, &followed, &memory).await, None);
    });
}

#[test]
fn a_pod_observed_during_its_creation_is_no_older_version() {
    run(&["a", "b"], |mut many: Many| async move {
        // Files are written after a container was created, and no label describes them.
        let spec =
            |rest: &str| many_graph(&web("", &format!("{rest}; file \"/etc/f\" text=\"x\"")));
        let (good, bad) = (spec("env A=1"), spec("command sh \"-c\" \"exit 3\""));
        many.apply(&good).await;
        many.memory.history.previous = previous_revisions(&bad, [entry(1, &good)]);
        let plan = many.plan(&bad).await;
        let making = plan.operations.iter().find_map(|op| match &op.action {
            Action::CreateContainer(request) => Some((op.host.clone(), request.clone())),
            _ => None,
        });
        let (host, request) = making.unwrap();
        // All other pods are removed, and one is created but not complete.
        for name in ["a", "b"] {
            let empty = |model: &mut Model, now: i64| {
                let all: Vec<String> = model.list().into_iter().map(|it| it.id).collect();
                for id in all {
                    model.stop(&id, now).unwrap();
                    model.remove(&id, now).unwrap();
                }
            };
            many.hosts[name].inject(empty).unwrap();
        }
        many.hosts[&host].inject(|model, now| model.create(&request, now)).unwrap().unwrap();
        let failed = RolloutFailure { why: "it ended".to_owned(), ..RolloutFailure::default() };
        let decision = decide(&bad, &many.observe().await, &many.memory, WEB, failed);
        assert!(matches!(decision, Some(Decision::RollBack(_))), "{decision:?}");
    });
}

async fn serving(many: &Many) -> usize {
    many.running().await.len()
}

#[test]
fn a_rollback_stays_within_max_unavailable() {
    for (replicas, update, least) in
        [(5, "max-unavailable=2", 3), (4, "", 3), (3, "max-surge=1 max-unavailable=0", 3)]
    {
        run(&["a", "b"], |mut many: Many| async move {
            let spec = |command: &str| {
                let text = web(update, command);
                many_graph(&text.replace("replicas=4", &format!("replicas={replicas}")))
            };
            let (good, bad) = (spec("env A=1"), spec("command sh \"-c\" \"exit 3\""));
            many.apply(&good).await;
            many.memory.history.previous = previous_revisions(&bad, [entry(1, &good)]);
            let plan = many.plan(&bad).await;
            let report = many.execute(&bad, &plan).await;
            let failed = failed(&plan, &report).expect("it fails");
            assert!(serving(&many).await >= least);
            let decision = decide(&bad, &many.observe().await, &many.memory, WEB, failed);
            let Some(Decision::RollBack(back)) = decision else { panic!("{decision:?}") };
            many.memory.declared.rolled_back.insert(WEB.to_owned(), *back);
            let mut followed = bad.clone();
            apply_rollbacks(&mut followed, &many.memory.declared.rolled_back);
            let plan = many.plan(&followed).await;
            let (fewest, _) = many.watched(&followed, &plan, "web").await;
            assert!(fewest >= least, "{fewest} of {replicas} with {update}");
            many.apply(&followed).await;
            assert_eq!(serving(&many).await, replicas);
        });
    }
}

fn many_graph(body: &str) -> Graph {
    Many::new(&["a", "b"]).plain(body)
}

const HELLO: &str = "container c image=\"tally.local/hello:1\"";

#[test]
fn rollbacks_are_equal_if_they_replace_the_same_revision_with_the_same_workload() {
    let [first, second, third] = [1, 2, 3].map(|env| many_graph(&web("", &format!("env A={env}"))));
    let rolled_back = |now: &Graph, before: &Graph| RolledBack::between(now, before, WEB).unwrap();
    assert_eq!(rolled_back(&second, &first), rolled_back(&second, &first));
    assert_ne!(rolled_back(&second, &first), rolled_back(&second, &third), "followed instead");
    assert_ne!(rolled_back(&second, &first), rolled_back(&third, &first), "what it is instead of");
    assert_eq!(RolledBack::between(&first, &first, WEB), None);
}

#[test]
fn a_rollback_restores_missing_secrets_and_keeps_the_present_ones() {
    let body = |secrets: &str, env: &str| {
        let web = "controller web replicas=1 { container c image=\"tally.local/hello:1\" {";
        many_graph(&format!("{secrets}\n{web} {env} }} }}"))
    };
    let old = "secret db env=DB\nsecret token env=OLD";
    let before = body(old, "env A=\"${secret.db}\" B=\"${secret.token}\"");
    let now = body("secret token env=NEW", "env B=\"${secret.token}\"");
    let rolled_back = [(WEB.to_owned(), RolledBack::between(&now, &before, WEB).unwrap())].into();
    let mut followed = now;
    assert_eq!(apply_rollbacks(&mut followed, &rolled_back), [WEB]);
    let sources: Vec<String> =
        followed.secrets().map(|secret| format!("{} {:?}", secret.name, secret.source)).collect();
    assert_eq!(sources.len(), 2, "{sources:?}");
    assert!(sources.iter().any(|it| it.starts_with("db") && it.contains("DB")), "{sources:?}");
    assert!(sources.iter().any(|it| it.starts_with("token") && it.contains("NEW")), "{sources:?}");
}

#[test]
fn only_ready_workloads_without_changes_have_completed_and_none_in_a_plan_with_an_error() {
    run(&["a", "b"], |mut many: Many| async move {
        let two = |env: u32| {
            many_graph(&format!("{}\npod db {{ {HELLO} }}", web("", &format!("env A={env}"))))
        };
        let settled = async |many: &mut Many, graph: &Graph| many.plan(graph).await.settled();
        assert!(settled(&mut many, &two(1)).await.is_empty());
        many.apply(&two(1)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(settled(&mut many, &two(1)).await.len(), 2);
        let left: Vec<String> = settled(&mut many, &two(2)).await.into_iter().collect();
        assert_eq!(left, ["pod/db"]);
        // Blocked or not, it does not match the spec.
        many.memory.declared.paused.insert(WEB.to_owned(), "wait".to_owned());
        assert!(!settled(&mut many, &two(2)).await.contains(WEB));
        // An unmanaged object has a name that the spec needs: nothing is planned at all.
        many.memory.declared.paused.clear();
        let text = format!("{}\npod db {{ {HELLO} }}\npod more {{ {HELLO} }}", web("", "env A=2"));
        let request = ContainerRequest {
            name: "many.more.c".to_owned(),
            image: "tally.local/hello:1".to_owned(),
            ..ContainerRequest::default()
        };
        for host in many.hosts.values() {
            host.inject(|model, now| model.create(&request, now).unwrap()).unwrap();
        }
        let plan = many.plan(&many_graph(&text)).await;
        assert!(!plan_errors(&plan).is_empty());
        assert!(plan.settled().is_empty(), "{:?}", plan.pods);
    });
}
