//! Elapsed time, clocks that are set, and a loop that was suspended.

use std::time::Duration;

use tally_control::{EntryKind, SpecChange};
use tally_simulator::{Fault, FaultKind, FaultPlan, When};

use crate::control_loop::{RunningLoop, jump, keep_with};
use crate::many::Many;

const WEB: &str = "controller web replicas=3 { container c image=\"tally.local/hello:1\" }";
const GRACE: &str = "lost-after \"5m\"";

/// Cuts off the host of `web-1` in the steady state, waits until it counts as unreachable, and returns its name.
async fn make_unreachable(kept: &RunningLoop) -> String {
    kept.until("all run", async |many| many.running().await.len() == 3).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let silent = kept.many.hosts_of("web-1.c").await.remove(0);
    kept.many.cut(&silent);
    kept.until("it is noticed", async |_| !kept.kinds(EntryKind::HostUnreachable).is_empty()).await;
    silent
}

#[test]
fn setting_the_clock_does_not_lengthen_the_time_a_host_is_unreachable() {
    keep_with(&["a", "b", "c"], GRACE, WEB, |kept| async move {
        make_unreachable(&kept).await;
        jump(3_600_000);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(kept.many.hosts_of("web-1.c").await.len(), 1, "two minutes are not five");
        kept.until("it is lost", async |many| many.hosts_of("web-1.c").await.len() == 2).await;
        kept.end().await;
    });
}

#[test]
fn time_in_which_the_loop_was_suspended_does_not_count_as_unreachable() {
    keep_with(&["a", "b", "c"], GRACE, WEB, |kept| async move {
        let silent = make_unreachable(&kept).await;
        kept.gate.stall(true);
        tokio::time::sleep(Duration::from_secs(600)).await;
        kept.many.heal(&silent);
        kept.gate.stall(false);
        let ready = kept.kinds(EntryKind::HostReady).len();
        kept.until("it answers", async |_| kept.kinds(EntryKind::HostReady).len() > ready).await;
        assert_eq!(kept.many.hosts_of("web-1.c").await.len(), 1, "it was there all the time");
        kept.end().await;
    });
}

#[test]
fn a_host_unreachable_before_and_after_a_suspension_was_not_unreachable_throughout() {
    keep_with(&["a", "b", "c"], GRACE, WEB, |kept| async move {
        let silent = make_unreachable(&kept).await;
        kept.gate.stall(true);
        tokio::time::sleep(Duration::from_secs(300)).await;
        // It was reachable meanwhile, and is unreachable again.
        kept.many.heal(&silent);
        tokio::time::sleep(Duration::from_secs(300)).await;
        kept.many.cut(&silent);
        kept.gate.stall(false);
        tokio::time::sleep(Duration::from_secs(240)).await;
        assert_eq!(kept.many.hosts_of("web-1.c").await.len(), 1, "four minutes are not five");
        kept.until("it is lost", async |many| many.hosts_of("web-1.c").await.len() == 2).await;
        kept.end().await;
    });
}

#[test]
fn a_host_that_becomes_unreachable_during_a_rollout_is_lost_after_the_usual_time() {
    let web = |probe: &str| {
        format!(
            "controller web replicas=3 {{ update on-failure=rollback progress-deadline=\"30m\" max-unavailable=2\n\
             container c image=\"tally.local/hello:1\" {{ readiness every=\"1s\" {{ command \"{probe}\" }} }} }}"
        )
    };
    keep_with(&["a", "b", "c"], "lost-after \"60s\"", &web("true"), |kept| async move {
        kept.until("they run", async |many| many.running().await.len() == 3).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        // Each observation of it ends at its deadline, and because pods of a rollout are waited for, all hosts are
        // due for another observation before that.
        let hangs =
            Fault { call: None, when: When::Always, kind: FaultKind::Hang { applied: false } };
        kept.many.hosts["b"].set_faults(FaultPlan { seed: 1, rules: vec![hangs] });
        let lines = format!("lost-after \"60s\"\n{}", kept.many.host_lines());
        kept.news.send(SpecChange::Spec(Box::new(kept.many.graph(&lines, &web("false"))))).unwrap();
        let begun_ms = kept.many.now_ms();
        let elsewhere = async |many: &Many| {
            many.running().await.keys().filter(|key| !key.starts_with("b/")).count() == 3
        };
        kept.until("its pod is replaced", elsewhere).await;
        let took_ms = kept.many.now_ms() - begun_ms;
        assert!((60_000..110_000).contains(&took_ms), "{took_ms} ms");
        kept.end().await;
    });
}
