//! Restart backoff: pods that end again and again, or cannot be created, are left alone for a while. Pure.

use std::collections::BTreeMap;

use tally_reconcile::input::observed::{ContainerState, HostState};
use tally_reconcile::labels;
use tally_reconcile::memory::{Backoff, Memory};

/// The time after which a container has started well, as with Docker's own restart policy, in milliseconds.
pub const RAN_WELL_MS: i64 = 10_000;
/// The time after which a container whose liveness has failed has recovered, as with Kubernetes, in milliseconds.
pub const RECOVERED_MS: i64 = 600_000;
/// Ends of one pod's containers within this time are one end, in milliseconds.
const TOGETHER_MS: i64 = 1_000;
/// The longest pause, in milliseconds; Kubernetes has the same.
pub const LONGEST_MS: i64 = 300_000;

/// Returns the pause after a number of ends in a row, in milliseconds: none after the first, since repairing one
/// end is the normal case, then 1 s, doubled each time.
#[must_use]
pub fn pause_ms(crashes: u32) -> i64 {
    match crashes {
        0 | 1 => 0,
        more => 1_000_i64.saturating_mul(1 << (more - 2).min(20)).min(LONGEST_MS),
    }
}

/// Takes in the containers of a host at `now_ms`: counts new ends, and forgets the pods that run well.
pub fn learn(memory: &mut Memory, cluster: &str, host: &str, state: &HostState, now_ms: i64) {
    let known = memory.learned.backoff.entry(host.to_owned()).or_default();
    // For how long all containers of a pod have run, in milliseconds; 0 where one does not.
    let mut seen: BTreeMap<&str, i64> = BTreeMap::new();
    for container in &state.containers {
        let label = |key: &str| container.labels.get(key).map(String::as_str);
        if label(labels::CLUSTER) != Some(cluster) || label(labels::ROLE) == Some("init") {
            continue;
        }
        let (Some(pod), Some(details)) = (label(labels::POD), &container.details) else { continue };
        let started = details.started_at_ms.unwrap_or(0);
        match container.state {
            ContainerState::Exited => {
                seen.insert(pod, 0);
                let Some(ended) = details.finished_at_ms else { continue };
                let entry = known.entry(pod.to_owned()).or_default();
                // The containers of a pod end together: that is one end.
                let known = entry.last_end_ms > 0;
                if known && ended <= entry.last_end_ms.saturating_add(TOGETHER_MS) {
                    continue;
                }
                entry.last_end_ms = ended;
                let ran_well = ended.saturating_sub(started) >= RAN_WELL_MS;
                entry.crashes = if ran_well { 1 } else { entry.crashes.saturating_add(1) };
                entry.until_ms = now_ms.saturating_add(pause_ms(entry.crashes));
            }
            ContainerState::Running => {
                let ran = state.its_now_ms(now_ms).saturating_sub(started);
                let least = seen.entry(pod).or_insert(ran);
                *least = ran.min(*least);
            }
            _ => {
                seen.insert(pod, 0);
            }
        }
    }
    // A pod that runs well is forgotten; so is one that no longer exists, once its pause is over.
    known.retain(|pod, backoff| match seen.get(pod.as_str()) {
        Some(ran) => *ran < if backoff.unwell { RECOVERED_MS } else { RAN_WELL_MS },
        None => backoff.until_ms.saturating_add(LONGEST_MS) > now_ms,
    });
}

/// Notes that a container of a pod is to be restarted at `now_ms`, since its liveness has failed: at once the
/// first time, then after a pause. Returns the number of times in a row.
pub fn unwell(memory: &mut Memory, host: &str, pod: &str, now_ms: i64) -> u32 {
    let known = memory.learned.backoff.entry(host.to_owned()).or_default();
    let entry = known.entry(pod.to_owned()).or_default();
    entry.crashes = entry.crashes.saturating_add(1);
    entry.unwell = true;
    entry.until_ms = now_ms.saturating_add(pause_ms(entry.crashes));
    entry.crashes
}

/// Notes that an operation on a pod failed at `now_ms`: it is tried again after a pause, 1 s after the first.
pub fn failed(memory: &mut Memory, host: &str, pod: &str, now_ms: i64) {
    let known = memory.learned.backoff.entry(host.to_owned()).or_default();
    let entry = known.entry(pod.to_owned()).or_default();
    entry.crashes = entry.crashes.saturating_add(1).max(2);
    entry.until_ms = now_ms.saturating_add(pause_ms(entry.crashes));
}

/// Returns when the next pause is over, in milliseconds since 1970.
#[must_use]
pub fn next_ms(memory: &Memory, now_ms: i64) -> Option<i64> {
    let all = memory.learned.backoff.values().flat_map(BTreeMap::values);
    all.map(|Backoff { until_ms, .. }| *until_ms).filter(|until| *until > now_ms).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_containers::container;

    /// A host with one container of each of these: its pod, its state, when it began, when it last ended.
    fn host(all: &[(&str, ContainerState, i64, Option<i64>)]) -> HostState {
        let one = |(pod, state, begun, ended): &(&str, ContainerState, i64, Option<i64>)| {
            container("1", pod, *state, (*begun, *ended))
        };
        HostState { containers: all.iter().map(one).collect(), ..HostState::default() }
    }

    #[test]
    fn what_runs_well_for_long_enough_is_forgotten_and_what_is_paused_is_not() {
        use ContainerState as S;
        let ended = host(&[("web-0", S::Exited, 900, Some(1_000))]);
        let mut memory = Memory::default();
        learn(&mut memory, "shop", "a", &ended, 1_000);
        learn(&mut memory, "shop", "a", &ended, 2_000);
        assert_eq!(memory.learned.backoff["a"]["web-0"].crashes, 1, "an end is counted once");
        // Of two containers of a pod the one that began last counts.
        for (state, began, now, known) in [
            (S::Running, 3_000, 3_000 + RAN_WELL_MS - 1, true),
            (S::Paused, 3_000, 3_000 + RAN_WELL_MS, true),
            (S::Running, 3_000, 3_000 + RAN_WELL_MS, false),
        ] {
            let mut memory = memory.clone();
            let both = [("web-0", S::Running, 2_000, None), ("web-0", state, began, None)];
            learn(&mut memory, "shop", "a", &host(&both), now);
            assert_eq!(
                memory.learned.backoff["a"].contains_key("web-0"),
                known,
                "{state:?} at {now}"
            );
        }
        learn(&mut memory, "shop", "a", &host(&[]), 1_000 + LONGEST_MS - 1);
        assert!(memory.learned.backoff["a"].contains_key("web-0"), "it is gone, and may come back");
        learn(&mut memory, "shop", "a", &host(&[]), 1_000 + LONGEST_MS + 1);
        assert!(!memory.learned.backoff["a"].contains_key("web-0"));
    }

    #[test]
    fn ends_of_one_pod_at_one_time_are_one_end() {
        use ContainerState as S;
        let mut memory = Memory::default();
        let first = host(&[
            ("web-0", S::Exited, 900, Some(1_000)),
            ("web-0", S::Exited, 900, Some(1_000 + TOGETHER_MS)),
        ]);
        learn(&mut memory, "shop", "a", &first, 2_000);
        assert_eq!(memory.learned.backoff["a"]["web-0"].crashes, 1);
        let next = host(&[("web-0", S::Exited, 2_000, Some(2_001 + TOGETHER_MS))]);
        learn(&mut memory, "shop", "a", &next, 4_000);
        assert_eq!(memory.learned.backoff["a"]["web-0"].crashes, 2);
        let later = host(&[("web-0", S::Exited, 10_000, Some(10_000 + RAN_WELL_MS))]);
        learn(&mut memory, "shop", "a", &later, 30_000);
        assert_eq!(memory.learned.backoff["a"]["web-0"].crashes, 1, "it had run well");
    }

    #[test]
    fn pauses_double_and_end_at_five_minutes() {
        let pauses: Vec<i64> = (0..6).map(pause_ms).collect();
        assert_eq!(pauses, [0, 0, 1_000, 2_000, 4_000, 8_000]);
        assert_eq!(pause_ms(u32::MAX), LONGEST_MS);
    }

    #[test]
    fn a_first_failure_waits_a_second() {
        let mut memory = Memory::default();
        failed(&mut memory, "a", "web-0", 5_000);
        assert_eq!(memory.learned.backoff["a"]["web-0"].until_ms, 6_000);
        failed(&mut memory, "a", "web-0", 6_000);
        assert_eq!(memory.learned.backoff["a"]["web-0"].until_ms, 8_000);
        assert_eq!(next_ms(&memory, 6_500), Some(8_000));
        assert_eq!(next_ms(&memory, 8_000), None);
    }
}
