//! Clocks that differ or jump. The loop's own time goes on evenly from its beginning, whatever the
//! wall clock does; a host's time is set right as far as it shows that it is ahead. Pure.

use tally_reconcile::memory::Memory;
use tally_reconcile::observed::HostState;

use crate::backoff::LONGEST_MS;

/// What was remembered by a wall clock that may have jumped since: no pause lasts longer than the
/// longest there is, and a silence counts as far as this loop has seen it. That costs time, never
/// safety.
pub(crate) fn begin(memory: &mut Memory, now_ms: i64) {
    for backoff in memory.backoff.values_mut().flat_map(|pods| pods.values_mut()) {
        backoff.until_ms = backoff.until_ms.min(now_ms.saturating_add(LONGEST_MS));
    }
    for host in memory.hosts.values_mut() {
        host.silent_since_ms = host.silent_since_ms.map(|_| now_ms);
    }
}

/// Sets a host's times right. What it says has happened and lies in our future shows by how much
/// its clock is ahead of ours, at least; `ahead_ms` is the most that was seen. Without this, a
/// container would not count as ready until our clock had caught up.
pub(crate) fn set_right(state: &mut HostState, ahead_ms: &mut i64, now_ms: i64) {
    let details = state.containers.iter().filter_map(|container| container.details.as_ref());
    let last = details.flat_map(|it| [it.started_at_ms, it.finished_at_ms]).flatten().max();
    *ahead_ms = last.map_or(*ahead_ms, |last| (*ahead_ms).max(last.saturating_sub(now_ms)));
    if *ahead_ms == 0 {
        return;
    }
    for container in &mut state.containers {
        if let Some(details) = &mut container.details {
            for time in [&mut details.started_at_ms, &mut details.finished_at_ms] {
                *time = time.map(|at| at.saturating_sub(*ahead_ms));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_reconcile::memory::{Backoff, HostMemory};

    #[test]
    fn a_pause_of_a_clock_that_was_ahead_is_no_longer_than_the_longest() {
        let mut memory = Memory::default();
        let backoff = Backoff { until_ms: 9_000_000, ..Backoff::default() };
        memory.backoff.entry("a".to_owned()).or_default().insert("web-0".to_owned(), backoff);
        let silent = HostMemory { silent_since_ms: Some(5), ..HostMemory::default() };
        memory.hosts.insert("b".to_owned(), silent);
        begin(&mut memory, 1_000);
        assert_eq!(memory.backoff["a"]["web-0"].until_ms, 1_000 + LONGEST_MS);
        assert_eq!(memory.hosts["b"].silent_since_ms, Some(1_000));
    }
}
