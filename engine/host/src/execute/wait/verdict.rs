//! The verdict on a container that a wait polls.

use std::time::Duration;

use tally_reconcile::desired::realise::CRASH_LOOP_RESTARTS;
use tally_reconcile::input::observed::{ContainerDetails, ContainerState, Health};
use tally_reconcile::plan::ReadyRule;
use tokio::time::Instant;

use crate::execute::failure::{FailureKind, NotReadyReason};

/// The result of one poll.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WaitVerdict {
    /// The condition holds.
    Good,
    /// The condition does not hold yet; the duration after which it holds if nothing changes, when that is known.
    NotYet(NotReadyReason, Option<Duration>),
    /// The condition cannot hold any more.
    Bad(FailureKind),
}

/// The state that a wait keeps between polls.
#[derive(Debug, Default)]
pub(super) struct Progression {
    pub(super) first_restarts: Option<u32>,
    /// The last observed exit code: a container that runs again for a moment shows none.
    exit_code: Option<i64>,
    /// The start that is timed, and since when by our clock: the clock of the daemon may differ.
    run: Option<(Option<i64>, u32, Instant)>,
    /// When it was started for the first time, by a call that was answered right before.
    pub(super) first_start: Option<Instant>,
}

/// Checks whether a container is ready. The first matching rule decides:
///
/// | state | verdict |
/// |---|---|
/// | restarted three times within the wait | crash loop: bad |
/// | ended with exit code 0, and may end | good |
/// | ended, or partly removed | bad |
/// | not started, restarting, paused | not yet |
/// | running, but its health check must be healthy and is not | not yet |
/// | running for less than the minimum time | not yet |
/// | running | good |
pub(super) fn judge_ready(
    rule: &ReadyRule,
    state: ContainerState,
    details: &ContainerDetails,
    memory: &mut Progression,
    now: Instant,
) -> WaitVerdict {
    let first = *memory.first_restarts.get_or_insert(details.restart_count);
    let restarts = details.restart_count.saturating_sub(first);
    memory.exit_code = details.exit_code.or(memory.exit_code);
    let exit_code = memory.exit_code;
    if restarts >= CRASH_LOOP_RESTARTS {
        return ended(exit_code, details, restarts);
    }
    match state {
        ContainerState::Exited if rule.may_end && details.exit_code == Some(0) => {
            return WaitVerdict::Good;
        }
        ContainerState::Exited | ContainerState::Dead | ContainerState::Removing => {
            return ended(exit_code, details, restarts);
        }
        ContainerState::Created => return not_yet(NotReadyReason::NotStarted),
        ContainerState::Paused => return not_yet(NotReadyReason::Paused),
        ContainerState::Restarting => {
            let exit_code = Some(details.exit_code.unwrap_or_default());
            return not_yet(NotReadyReason::Restarting { exit_code });
        }
        ContainerState::Running => {}
    }
    let since = match memory.run {
        Some((started, count, since))
            if started == details.started_at_ms && count == details.restart_count =>
        {
            since
        }
        _ => {
            let first = memory.first_start.take().filter(|_| details.restart_count == 0);
            let since = first.unwrap_or(now);
            memory.run = Some((details.started_at_ms, details.restart_count, since));
            since
        }
    };
    if rule.healthy && details.health != Health::Healthy {
        return not_yet(match details.health {
            Health::Unhealthy => NotReadyReason::HealthCheckFails,
            _ => NotReadyReason::HealthCheckPending,
        });
    }
    let left = Duration::from_millis(rule.running_ms).saturating_sub(now - since);
    if left.is_zero() {
        return WaitVerdict::Good;
    }
    WaitVerdict::NotYet(NotReadyReason::RunsTooShort, Some(left))
}

/// Checks whether a container has ended with exit code 0.
pub(super) fn judge_exit(
    state: ContainerState,
    details: &ContainerDetails,
    memory: &mut Progression,
) -> WaitVerdict {
    let first = *memory.first_restarts.get_or_insert(details.restart_count);
    let restarts = details.restart_count.saturating_sub(first);
    match state {
        ContainerState::Exited if details.exit_code == Some(0) => WaitVerdict::Good,
        ContainerState::Exited | ContainerState::Dead | ContainerState::Removing => {
            ended(details.exit_code, details, restarts)
        }
        _ if restarts >= CRASH_LOOP_RESTARTS => ended(details.exit_code, details, restarts),
        ContainerState::Created => not_yet(NotReadyReason::NotStarted),
        ContainerState::Paused => not_yet(NotReadyReason::Paused),
        ContainerState::Restarting => not_yet(NotReadyReason::Restarting { exit_code: None }),
        ContainerState::Running => not_yet(NotReadyReason::StillRuns),
    }
}

fn not_yet(reason: NotReadyReason) -> WaitVerdict {
    WaitVerdict::NotYet(reason, None)
}

fn ended(exit_code: Option<i64>, details: &ContainerDetails, restarts: u32) -> WaitVerdict {
    WaitVerdict::Bad(FailureKind::Ended { exit_code, error: details.error.clone(), restarts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use tally_reconcile::input::observed::Live;

    fn details() -> ContainerDetails {
        ContainerDetails {
            image_id: String::new(),
            health: Health::None,
            exit_code: None,
            error: None,
            started_at_ms: Some(1),
            finished_at_ms: None,
            restart_count: 0,
            live: Live::default(),
            joined: None,
            files: None,
            secrets: None,
            addresses: BTreeMap::new(),
        }
    }

    const RULE: ReadyRule =
        ReadyRule { healthy: false, running_ms: 1_000, may_end: false, deadline_ms: 9_000 };

    fn word(verdict: &WaitVerdict) -> &'static str {
        match verdict {
            WaitVerdict::Good => "good",
            WaitVerdict::NotYet(..) => "not yet",
            WaitVerdict::Bad(_) => "bad",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_counts_from_the_last_start_only() {
        let mut memory = Progression::default();
        let mut seen = details();
        let running = ContainerState::Running;
        let mut judge = |details: &ContainerDetails| {
            word(&judge_ready(&RULE, running, details, &mut memory, Instant::now()))
        };
        assert_eq!(judge(&seen), "not yet");
        tokio::time::advance(Duration::from_millis(900)).await;
        seen.restart_count = 1;
        seen.started_at_ms = Some(2);
        assert_eq!(judge(&seen), "not yet");
        tokio::time::advance(Duration::from_millis(900)).await;
        assert_eq!(judge(&seen), "not yet");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(judge(&seen), "good");
    }

    #[tokio::test(start_paused = true)]
    async fn time_counts_from_the_call_that_started_it_where_it_was_not_started_again() {
        for (restarts, expected) in [(0, "good"), (1, "not yet")] {
            let first_start = Some(Instant::now());
            let mut memory = Progression { first_start, ..Progression::default() };
            tokio::time::advance(Duration::from_millis(1_000)).await;
            let seen = ContainerDetails { restart_count: restarts, ..details() };
            let running = ContainerState::Running;
            let verdict = judge_ready(&RULE, running, &seen, &mut memory, Instant::now());
            assert_eq!(word(&verdict), expected, "{restarts}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_loop_is_known_at_the_third_restart() {
        let mut memory = Progression::default();
        let mut seen = details();
        let now = Instant::now();
        for (count, expected) in [(7, "not yet"), (9, "not yet"), (10, "bad")] {
            seen.restart_count = count;
            seen.exit_code = Some(3);
            let state = ContainerState::Restarting;
            let verdict = judge_ready(&RULE, state, &seen, &mut memory, now);
            assert_eq!(word(&verdict), expected, "{count}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_state_has_its_verdict() {
        use ContainerState as S;
        let healthy = ReadyRule { healthy: true, running_ms: 0, ..RULE };
        let may_end = ReadyRule { may_end: true, ..RULE };
        let at_once = ReadyRule { running_ms: 0, ..RULE };
        for (rule, state, health, exit_code, expected) in [
            (&at_once, S::Running, Health::None, None, "good"),
            (&at_once, S::Running, Health::Unhealthy, None, "good"),
            (&healthy, S::Running, Health::Starting, None, "not yet"),
            (&healthy, S::Running, Health::Unhealthy, None, "not yet"),
            (&healthy, S::Running, Health::None, None, "not yet"),
            (&healthy, S::Running, Health::Healthy, None, "good"),
            (&at_once, S::Exited, Health::None, Some(0), "bad"),
            (&may_end, S::Exited, Health::None, Some(0), "good"),
            (&may_end, S::Exited, Health::None, Some(1), "bad"),
            (&at_once, S::Created, Health::None, None, "not yet"),
            (&at_once, S::Paused, Health::None, None, "not yet"),
            (&at_once, S::Dead, Health::None, Some(1), "bad"),
        ] {
            let seen = ContainerDetails { health, exit_code, ..details() };
            let verdict =
                judge_ready(rule, state, &seen, &mut Progression::default(), Instant::now());
            assert_eq!(word(&verdict), expected, "{rule:?} {state:?} {health:?} {exit_code:?}");
        }
        for (state, exit_code, expected) in [
            (S::Running, None, "not yet"),
            (S::Exited, Some(0), "good"),
            (S::Exited, Some(7), "bad"),
            (S::Created, None, "not yet"),
        ] {
            let seen = ContainerDetails { exit_code, ..details() };
            let verdict = judge_exit(state, &seen, &mut Progression::default());
            assert_eq!(word(&verdict), expected, "{state:?} {exit_code:?}");
        }
    }
}
