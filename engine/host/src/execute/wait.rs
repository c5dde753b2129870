//! Waiting for a container, by looking again and again: events may be lost, a look is the truth.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tally_reconcile::desired::realise::CRASH_LOOP_RESTARTS;
use tally_reconcile::input::observed::{
    ContainerDetails, ContainerState, Health, ObservedContainer,
};
use tally_reconcile::plan::{OpId, ReadyRule};
use tokio::time::Instant;

use super::operation::{Context, Step, Waiting};
use super::{Event, FailureKind};
use crate::{Host, HostError};

/// So many waits look at the full rate; more of them share that rate.
const FULL_RATE_WAITS: usize = 32;

/// A wait for time alone that is no longer than this is slept through.
const ONE_LOOK: Duration = Duration::from_secs(1);

/// What a look says.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// What was waited for is so.
    Good,
    /// Not yet, and why; it may be so by itself after that time, when that is known.
    NotYet(String, Option<Duration>),
    /// It cannot become so.
    Bad(FailureKind),
}

/// What earlier looks of a wait showed.
#[derive(Debug, Default)]
struct Memory {
    first_restarts: Option<u32>,
    /// Its exit code as it was last seen: one that runs again for a moment shows none.
    exit_code: Option<i64>,
    /// The start that is being timed, and since when by our clock: the daemon's may differ.
    run: Option<(Option<i64>, u32, Instant)>,
    /// When it was started for the first time ever, by a call that was answered right before.
    first_start: Option<Instant>,
}

/// Waits until a container is ready. One that `is_new` was made by this plan and has been started a moment ago.
pub(super) async fn ready(
    context: &Context<'_>,
    host: &dyn Host,
    op: OpId,
    id: &str,
    rule: &ReadyRule,
    is_new: bool,
) -> Result<Step, FailureKind> {
    let mut memory = Memory::default();
    let mut first_look = Duration::ZERO;
    let runs = Duration::from_millis(rule.running_ms);
    if is_new && !rule.healthy && runs <= ONE_LOOK {
        // It cannot be ready before, so there is one look instead of two.
        first_look = runs;
        memory.first_start = Some(Instant::now());
        // What Docker has started again until then counts.
        memory.first_restarts = Some(0);
    }
    let judge = |container: &ObservedContainer, details: &ContainerDetails| {
        judge_ready(rule, container.state, details, &mut memory, Instant::now())
    };
    let times = Times { first_look, deadline: Duration::from_millis(rule.deadline_ms) };
    look_until(context, host, op, id, times, judge).await
}

/// Waits until a container has ended with exit code 0.
pub(super) async fn exit(
    context: &Context<'_>,
    host: &dyn Host,
    op: OpId,
    id: &str,
    deadline_ms: u64,
) -> Result<Step, FailureKind> {
    let mut memory = Memory::default();
    let judge = |container: &ObservedContainer, details: &ContainerDetails| {
        judge_exit(container.state, details, &mut memory)
    };
    let deadline = Duration::from_millis(deadline_ms);
    look_until(context, host, op, id, Times { first_look: Duration::ZERO, deadline }, judge).await
}

/// Times of a wait, from when it begins.
struct Times {
    first_look: Duration,
    deadline: Duration,
}

async fn look_until(
    context: &Context<'_>,
    host: &dyn Host,
    op: OpId,
    id: &str,
    times: Times,
    mut judge: impl FnMut(&ObservedContainer, &ContainerDetails) -> Verdict + Send,
) -> Result<Step, FailureKind> {
    let _waiting = Waiting::begin(&context.waiting);
    let mut cancel = context.cancel.clone();
    let began = Instant::now();
    let deadline = began + times.deadline;
    let mut pause = context.options.first_look;
    let mut told = String::new();
    if !slept(times.first_look.min(times.deadline), &mut cancel).await {
        return Ok(Step::BrokenOff);
    }
    loop {
        if let Err(why) = context.options.permit.ask() {
            return Ok(Step::Withheld(why));
        }
        let (reason, soon, error) = match host.container(id, false).await {
            Ok(None) => {
                let gone = "it was removed while it was waited for".to_owned();
                return Err(FailureKind::PreconditionFailed(gone));
            }
            Ok(Some((container, details))) => match judge(&container, &details) {
                Verdict::Good => return Ok(Step::Done(None)),
                Verdict::Bad(kind) => return Err(kind),
                Verdict::NotYet(reason, soon) => (reason, soon, None),
            },
            // A daemon that restarts is back within seconds; the deadline bounds this too.
            Err(error) => (error.to_string(), None, Some(error)),
        };
        if reason != told {
            context.progress.event(Event::Waiting(op, &reason));
            told.clone_from(&reason);
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(too_late(now - began, reason, error));
        }
        let waits = context.waiting.load(Ordering::Relaxed);
        let share = u32::try_from(waits / FULL_RATE_WAITS).unwrap_or(u32::MAX).max(1);
        let wait = match soon {
            // Nothing but time is missing: one more look at its end is enough. Looking in between
            // would cost the daemon more than the news of an early end is worth.
            Some(soon) if soon <= ONE_LOOK => soon,
            _ => soon.map_or(pause, |soon| soon.min(pause)).saturating_mul(share),
        };
        if !slept(wait.min(deadline - now), &mut cancel).await {
            return Ok(Step::BrokenOff);
        }
        pause = (pause * 5 / 4).min(context.options.slowest_look.max(context.options.first_look));
    }
}

/// Sleeps; `false` when the plan was cancelled meanwhile.
async fn slept(time: Duration, cancel: &mut tokio::sync::watch::Receiver<bool>) -> bool {
    if time.is_zero() {
        return true;
    }
    tokio::select! {
        biased;
        () = tokio::time::sleep(time) => true,
        true = is_cancelled(cancel) => false,
    }
}

/// Resolves when the plan is cancelled; never when nobody can cancel it any more.
async fn is_cancelled(cancel: &mut tokio::sync::watch::Receiver<bool>) -> bool {
    let cancelled = cancel.wait_for(|cancelled| *cancelled).await.is_ok();
    if !cancelled {
        std::future::pending::<()>().await;
    }
    cancelled
}

fn too_late(waited: Duration, reason: String, error: Option<HostError>) -> FailureKind {
    match error {
        Some(error) => error.into(),
        None => {
            let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            FailureKind::NotReady { waited_ms, reason }
        }
    }
}

/// Whether a container is ready. The first rule that fits decides:
///
/// | state | verdict |
/// |---|---|
/// | restarted three times within the wait | it crashes in a loop: bad |
/// | ended, exit code 0, and it may end | good |
/// | ended, or half removed | bad |
/// | not started, between two starts, paused | not yet |
/// | running, but its health check must be healthy and is not | not yet |
/// | running for less than it must have run | not yet |
/// | running | good |
fn judge_ready(
    rule: &ReadyRule,
    state: ContainerState,
    details: &ContainerDetails,
    memory: &mut Memory,
    now: Instant,
) -> Verdict {
    let first = *memory.first_restarts.get_or_insert(details.restart_count);
    let restarts = details.restart_count.saturating_sub(first);
    memory.exit_code = details.exit_code.or(memory.exit_code);
    let exit_code = memory.exit_code;
    if restarts >= CRASH_LOOP_RESTARTS {
        return ended(exit_code, details, restarts);
    }
    match state {
        ContainerState::Exited if rule.may_end && details.exit_code == Some(0) => {
            return Verdict::Good;
        }
        ContainerState::Exited | ContainerState::Dead | ContainerState::Removing => {
            return ended(exit_code, details, restarts);
        }
        ContainerState::Created => return not_yet("it is not started yet"),
        ContainerState::Paused => return not_yet("it is paused"),
        ContainerState::Restarting => {
            let code = details.exit_code.unwrap_or_default();
            return not_yet(&format!("it ended with exit code {code} and is started again"));
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
        return match details.health {
            Health::Unhealthy => not_yet("its health check fails"),
            _ => not_yet("its health check has not succeeded yet"),
        };
    }
    let left = Duration::from_millis(rule.running_ms).saturating_sub(now - since);
    if left.is_zero() {
        return Verdict::Good;
    }
    Verdict::NotYet("it has not run long enough yet".to_owned(), Some(left))
}

fn judge_exit(state: ContainerState, details: &ContainerDetails, memory: &mut Memory) -> Verdict {
    let first = *memory.first_restarts.get_or_insert(details.restart_count);
    let restarts = details.restart_count.saturating_sub(first);
    match state {
        ContainerState::Exited if details.exit_code == Some(0) => Verdict::Good,
        ContainerState::Exited | ContainerState::Dead | ContainerState::Removing => {
            ended(details.exit_code, details, restarts)
        }
        _ if restarts >= CRASH_LOOP_RESTARTS => ended(details.exit_code, details, restarts),
        ContainerState::Created => not_yet("it is not started yet"),
        ContainerState::Paused => not_yet("it is paused"),
        ContainerState::Restarting => not_yet("it is started again"),
        ContainerState::Running => not_yet("it has not ended yet"),
    }
}

fn not_yet(reason: &str) -> Verdict {
    Verdict::NotYet(reason.to_owned(), None)
}

fn ended(exit_code: Option<i64>, details: &ContainerDetails, restarts: u32) -> Verdict {
    Verdict::Bad(FailureKind::Ended { exit_code, error: details.error.clone(), restarts })
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

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Good => "good",
            Verdict::NotYet(..) => "not yet",
            Verdict::Bad(_) => "bad",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_counts_from_the_last_start_only() {
        let mut memory = Memory::default();
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
            let mut memory = Memory { first_start, ..Memory::default() };
            tokio::time::advance(Duration::from_millis(1_000)).await;
            let seen = ContainerDetails { restart_count: restarts, ..details() };
            let running = ContainerState::Running;
            let verdict = judge_ready(&RULE, running, &seen, &mut memory, Instant::now());
            assert_eq!(word(&verdict), expected, "{restarts}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_loop_is_known_at_the_third_restart() {
        let mut memory = Memory::default();
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
            let verdict = judge_ready(rule, state, &seen, &mut Memory::default(), Instant::now());
            assert_eq!(word(&verdict), expected, "{rule:?} {state:?} {health:?} {exit_code:?}");
        }
        for (state, exit_code, expected) in [
            (S::Running, None, "not yet"),
            (S::Exited, Some(0), "good"),
            (S::Exited, Some(7), "bad"),
            (S::Created, None, "not yet"),
        ] {
            let seen = ContainerDetails { exit_code, ..details() };
            let verdict = judge_exit(state, &seen, &mut Memory::default());
            assert_eq!(word(&verdict), expected, "{state:?} {exit_code:?}");
        }
    }
}
