//! Waiting for a container by polling: events may be lost, an inspection is the truth.

mod verdict;

use std::sync::atomic::Ordering;
use std::time::Duration;

use tally_reconcile::input::observed::{ContainerDetails, ObservedContainer};
use tally_reconcile::plan::{OpId, ReadyRule};
use tokio::time::Instant;

use super::context::{ExecuteContext, Waiting};
use super::failure::{FailureKind, NotReadyReason, StaleReason};
use super::progress::Event;
use super::step::OperationStep;
use crate::error::HostError;
use crate::host::Host;
use verdict::{Progression, WaitVerdict, judge_exit, judge_ready};

/// Number of waits that poll at the full rate; more waits share that rate.
const FULL_RATE_WAITS: usize = 32;

/// A wait for time alone that is no longer than this sleeps until its end.
const ONE_POLL: Duration = Duration::from_secs(1);

/// Waits until a container is ready. A container that `is_new` was created by this plan and started a moment ago.
pub(super) async fn ready(
    context: &ExecuteContext<'_>,
    host: &dyn Host,
    op: OpId,
    id: &str,
    rule: &ReadyRule,
    is_new: bool,
) -> Result<OperationStep, FailureKind> {
    let mut memory = Progression::default();
    let mut first_poll = Duration::ZERO;
    let runs = Duration::from_millis(rule.running_ms);
    if is_new && !rule.healthy && runs <= ONE_POLL {
        // It cannot be ready earlier, so one poll is enough.
        first_poll = runs;
        memory.first_start = Some(Instant::now());
        // Restarts by Docker until then count.
        memory.first_restarts = Some(0);
    }
    let judge = |container: &ObservedContainer, details: &ContainerDetails| {
        judge_ready(rule, container.state, details, &mut memory, Instant::now())
    };
    let times = Times { first_poll, deadline: Duration::from_millis(rule.deadline_ms) };
    poll_until(context, host, op, id, times, judge).await
}

/// Waits until a container has ended with exit code 0.
pub(super) async fn exit(
    context: &ExecuteContext<'_>,
    host: &dyn Host,
    op: OpId,
    id: &str,
    deadline_ms: u64,
) -> Result<OperationStep, FailureKind> {
    let mut memory = Progression::default();
    let judge = |container: &ObservedContainer, details: &ContainerDetails| {
        judge_exit(container.state, details, &mut memory)
    };
    let deadline = Duration::from_millis(deadline_ms);
    poll_until(context, host, op, id, Times { first_poll: Duration::ZERO, deadline }, judge).await
}

/// Times of a wait, from its start.
struct Times {
    first_poll: Duration,
    deadline: Duration,
}

async fn poll_until(
    context: &ExecuteContext<'_>,
    host: &dyn Host,
    op: OpId,
    id: &str,
    times: Times,
    mut judge: impl FnMut(&ObservedContainer, &ContainerDetails) -> WaitVerdict + Send,
) -> Result<OperationStep, FailureKind> {
    let _waiting = Waiting::start(&context.waiting);
    let mut cancel = context.cancel.clone();
    let started = Instant::now();
    let deadline = started + times.deadline;
    let mut pause = context.options.first_poll;
    let mut reported = String::new();
    if !slept(times.first_poll.min(times.deadline), &mut cancel).await {
        return Ok(OperationStep::Cancelled);
    }
    loop {
        if let Err(why) = context.options.permit.ask() {
            return Ok(OperationStep::Withheld(why));
        }
        let (reason, soon, lack) = match host.container(id, false).await {
            Ok(None) => {
                return Err(FailureKind::PreconditionFailed(StaleReason::RemovedDuringWait));
            }
            Ok(Some((container, details))) => match judge(&container, &details) {
                WaitVerdict::Good => return Ok(OperationStep::Done(None)),
                WaitVerdict::Bad(kind) => return Err(kind),
                WaitVerdict::NotYet(reason, soon) => {
                    (reason.to_string(), soon, UnmetCondition::NotReady(reason))
                }
            },
            // A daemon that restarts is back within seconds; the deadline limits this too.
            Err(error) => (error.to_string(), None, UnmetCondition::Unknown(error)),
        };
        if reason != reported {
            context.progress.event(Event::Waiting(op, &reason));
            reported.clone_from(&reason);
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(too_late(now - started, lack));
        }
        let waits = context.waiting.load(Ordering::Relaxed);
        let share = u32::try_from(waits / FULL_RATE_WAITS).unwrap_or(u32::MAX).max(1);
        let wait = match soon {
            // Only time is missing: one more poll at its end is enough. Polls in between would cost the daemon more
            // than an earlier report of an early end is worth.
            Some(soon) if soon <= ONE_POLL => soon,
            _ => soon.map_or(pause, |soon| soon.min(pause)).saturating_mul(share),
        };
        if !slept(wait.min(deadline - now), &mut cancel).await {
            return Ok(OperationStep::Cancelled);
        }
        pause = (pause * 5 / 4).min(context.options.slowest_poll.max(context.options.first_poll));
    }
}

/// Sleeps; returns `false` when the plan was cancelled meanwhile.
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

/// The reason why a wait continues.
enum UnmetCondition {
    /// The container is not ready.
    NotReady(NotReadyReason),
    /// Its state is unknown.
    Unknown(HostError),
}

fn too_late(waited: Duration, lack: UnmetCondition) -> FailureKind {
    match lack {
        UnmetCondition::Unknown(error) => error.into(),
        UnmetCondition::NotReady(reason) => {
            let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            FailureKind::NotReady { waited_ms, reason }
        }
    }
}
