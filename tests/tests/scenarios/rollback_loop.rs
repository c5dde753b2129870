//! Rollouts that fail and are rolled back by the control loop: `update on-failure=rollback`.

use std::time::Duration;

use tally_control::{EntryKind, SpecChange};

use crate::control_loop::{RunningLoop, keep};
use crate::many::Many;

const WEB: &str = "controller/web";

const GOOD: &str = "controller web replicas=3 { update on-failure=rollback progress-deadline=\"20s\"\n\
    container c image=\"tally.local/hello:1\" { env A=1 } }";

/// The same with another container.
fn with(rest: &str) -> String {
    GOOD.replace("env A=1", rest)
}

#[test]
fn the_loop_rolls_back_once_per_kind_of_failure_and_follows_a_newer_spec() {
    for (bad, why, unchanged) in [
        ("command sh \"-c\" \"echo last; exit 3\"", "exit code 3", 2),
        ("readiness every=\"1s\" { command \"false\" }", "not ready after", 2),
        // It cannot start, so the old container runs on.
        ("command \"/none-such\"", "none-such", 3),
    ] {
        keep(&["a", "b", "c"], GOOD, |kept| async move {
            kept.until("all run", async |many| many.running().await.len() == 3).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
            let before = kept.many.running().await;
            kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&with(bad))))).unwrap();
            let is_told = async |_: &Many| !kept.kinds(EntryKind::RolledBack).is_empty();
            kept.until("it is rolled back", is_told).await;
            kept.until("all run", async |many| many.running().await.len() == 3).await;
            for _ in 0..300 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert_eq!(kept.many.running().await.len(), 3, "{bad}");
            }
            let after = kept.many.running().await;
            let same = before.iter().filter(|(name, id)| after.get(*name) == Some(*id)).count();
            assert_eq!(same, unchanged, "{bad}");
            let told = kept.kinds(EntryKind::RolledBack);
            assert!(told.len() == 1 && told[0].contains(why), "{told:?}");
            kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&with("env A=2"))))).unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            let last = kept.many.running().await;
            assert!(last.len() == 3 && last.values().all(|id| !after.values().any(|it| it == id)));
            assert!(
                kept.stored.rolled_back.lock().unwrap().is_empty(),
                "a newer spec has ended it"
            );
            kept.end().await;
        });
    }
}

#[test]
fn a_version_that_exits_with_restart_never_has_failed_immediately() {
    let never = |text: &str| text.replace("replicas=3 {", "replicas=3 { restart never;");
    keep(&["a", "b", "c"], &never(GOOD), |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let bad = never(&with("command sh \"-c\" \"exit 3\""));
        kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&bad)))).unwrap();
        let begun_ms = kept.many.now_ms();
        let is_told = async |_: &Many| !kept.kinds(EntryKind::RolledBack).is_empty();
        kept.until("it is rolled back", is_told).await;
        let took_ms = kept.many.now_ms() - begun_ms;
        assert!(took_ms < 5_000, "{took_ms} ms, of a deadline of 20 s");
        kept.end().await;
    });
}

#[test]
fn a_slow_init_is_waited_for() {
    keep(&["a", "b"], GOOD, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let init = "init i image=\"tally.local/hello:1\" { command sleep \"60\" }\ncontainer c";
        let slow = with("env A=2").replace("container c", init);
        kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&slow)))).unwrap();
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(kept.kinds(EntryKind::RolledBack), Vec::<String>::new());
        let running = kept.many.running().await;
        assert_eq!(running.keys().filter(|name| name.ends_with(".c")).count(), 3, "{running:?}");
        assert_eq!(running.len(), 6, "with their infra containers");
        kept.end().await;
    });
}

#[test]
fn a_failed_first_deployment_is_not_rolled_back_and_is_reported_once() {
    keep(&["a", "b"], &with("command sh \"-c\" \"exit 3\""), |kept| async move {
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(kept.kinds(EntryKind::RolledBack), Vec::<String>::new());
        let told = kept.kinds(EntryKind::Failed);
        let stays: Vec<_> = told.iter().filter(|it| it.contains("no previous revision")).collect();
        assert_eq!(stays.len(), 1, "{told:?}");
        kept.end().await;
    });
}

#[test]
fn a_previous_revision_that_fails_too_is_kept_without_a_loop() {
    keep(&["a", "b", "c"], GOOD, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        // From now on the programs of the old image exit too.
        for host in kept.many.hosts.values() {
            host.inject(|model, _| model.set_missing("tally.local/hello:1")).unwrap();
            host.inject(|model, _| model.remove_image("tally.local/hello:1")).unwrap();
        }
        let bad = with("command sh \"-c\" \"exit 3\"").replace("hello:1", "hello:2");
        kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&bad)))).unwrap();
        for _ in 0..900 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(kept.many.running().await.len() >= 2);
        }
        assert_eq!(kept.kinds(EntryKind::RolledBack).len(), 1);
        let told = kept.kinds(EntryKind::Failed);
        let stays: Vec<_> = told.iter().filter(|it| it.contains("fails too")).collect();
        assert_eq!(stays.len(), 1, "{told:?}");
        kept.end().await;
    });
}

#[test]
fn a_loop_killed_during_a_rollback_is_continued_by_the_next_one() {
    // From before the failure is observed until long after.
    for millis in [1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 6_000, 20_000] {
        keep(&["a", "b", "c"], GOOD, |kept| async move {
            kept.until("all run", async |many| many.running().await.len() == 3).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
            let before = kept.many.running().await;
            let bad = kept.many.plain(&with("command sh \"-c\" \"exit 3\""));
            kept.news.send(SpecChange::Spec(Box::new(bad.clone()))).unwrap();
            tokio::time::sleep(Duration::from_millis(millis)).await;
            let (many, stored) = kept.kill();
            let kept = RunningLoop::begin_with(many, bad, stored);
            let is_rolled_back =
                |kept: &RunningLoop| kept.stored.rolled_back.lock().unwrap().contains_key(WEB);
            kept.until("it is rolled back", async |many| {
                is_rolled_back(&kept) && many.running().await.len() == 3
            })
            .await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            let after = kept.many.running().await;
            let same = before.iter().filter(|(name, id)| after.get(*name) == Some(*id)).count();
            assert!(after.len() == 3 && same >= 2, "killed after {millis} ms: {same}");
            kept.end().await;
        });
    }
}

#[test]
fn a_version_with_a_failing_init_is_rolled_back() {
    keep(&["a", "b"], GOOD, |kept| async move {
        kept.until("all run", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let init =
            "init i image=\"tally.local/hello:1\" { command sh \"-c\" \"exit 7\" }\ncontainer c";
        let bad = with("env A=2").replace("container c", init);
        kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&bad)))).unwrap();
        let is_told = async |_: &Many| !kept.kinds(EntryKind::RolledBack).is_empty();
        kept.until("it is rolled back", is_told).await;
        let told = kept.kinds(EntryKind::RolledBack);
        assert!(told.len() == 1 && told[0].contains("exit code 7"), "{told:?}");
        kept.end().await;
    });
}
