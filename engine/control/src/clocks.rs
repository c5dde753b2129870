//! Clocks that differ or jump. The loop's own time does not follow the wall clock; times of a host are compared by the
//! host's own clock. Its offset is measured when the host is connected to, and adjusted by the times of its events and
//! containers since then. Pure.

use tally_reconcile::input::observed::HostState;
use tally_reconcile::memory::Memory;

use crate::backoff::LONGEST_MS;

/// Corrects the times of a memory whose wall clock may have been set since: no pause lasts longer than the longest
/// there is, and a host is unreachable for as long as this loop has observed it. That costs time, never safety.
pub(crate) fn begin(memory: &mut Memory, now_ms: i64) {
    for backoff in memory.learned.backoff.values_mut().flat_map(|pods| pods.values_mut()) {
        backoff.until_ms = backoff.until_ms.min(now_ms.saturating_add(LONGEST_MS));
    }
    for host in memory.learned.hosts.values_mut() {
        host.unreachable_since_ms = host.unreachable_since_ms.map(|_| now_ms);
    }
}

/// The time that an event may take to arrive, in milliseconds: an event that is older by less says nothing of a
/// clock.
const ON_ITS_WAY_MS: i64 = 100;

/// Takes in when an event happened by the host's clock, which arrived at `now_ms` by ours. The host's clock shows at
/// least that time now. That it shows much less than expected means that it was set back, or that the event is late;
/// then its containers count as younger than they are until the next event, and those that have just become ready do
/// not count as ready.
pub(crate) fn heard(ahead_ms: &mut i64, at_ms: i64, now_ms: i64) {
    let shown = at_ms.saturating_sub(now_ms);
    if shown > *ahead_ms || shown < ahead_ms.saturating_sub(ON_ITS_WAY_MS) {
        *ahead_ms = shown;
    }
}

/// Sets in a host's view by how much its clock is ahead of ours: as it was measured, and as new times in the view
/// show. They are after the start of the observation `before`, which is given with its view, and before now. Without
/// this, a container would not count as ready until our clock had caught up, or count as ready at once where the host's
/// clock is behind. The times themselves are not changed: they are compared with each other, too.
pub(crate) fn compare(
    state: &mut HostState,
    before: Option<(&HostState, i64)>,
    ahead_ms: &mut i64,
    now_ms: i64,
) {
    let mut known: Vec<(&str, [Option<i64>; 2])> =
        before.into_iter().flat_map(|(state, _)| times(state)).collect();
    known.sort_unstable();
    let is_known = |id: &str, time: i64| {
        let found = known.binary_search_by(|(known, _)| (*known).cmp(id));
        found.ok().and_then(|at| known.get(at)).is_some_and(|(_, all)| all.contains(&Some(time)))
    };
    let new = times(state)
        .flat_map(|(id, both)| both.into_iter().flatten().map(move |time| (id, time)))
        .filter(|(id, time)| !is_known(id, *time))
        .map(|(_, time)| time);
    let (first, last) =
        new.fold((i64::MAX, i64::MIN), |(first, last), time| (first.min(time), last.max(time)));
    if first <= last {
        if let Some((_, begun_ms)) = before {
            *ahead_ms = (*ahead_ms).min(first.saturating_sub(begun_ms));
        }
        // Where the clock jumped in between, this bound wins: a time after now could keep a pod from getting ready.
        *ahead_ms = (*ahead_ms).max(last.saturating_sub(now_ms));
    }
    state.ahead_ms = *ahead_ms;
}

/// When each container that was inspected began and ended last, by its full ID.
fn times(state: &HostState) -> impl Iterator<Item = (&str, [Option<i64>; 2])> {
    state.containers.iter().filter_map(|container| {
        let details = container.details.as_ref()?;
        Some((container.id.as_str(), [details.started_at_ms, details.finished_at_ms]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_reconcile::input::observed::{ContainerState, ObservedContainer};
    use tally_reconcile::memory::{Backoff, HostMemory};

    #[test]
    fn a_pause_of_a_clock_that_was_ahead_is_no_longer_than_the_longest() {
        let mut memory = Memory::default();
        let backoff = Backoff { until_ms: 9_000_000, ..Backoff::default() };
        memory
            .learned
            .backoff
            .entry("a".to_owned())
            .or_default()
            .insert("web-0".to_owned(), backoff);
        let silent = HostMemory { unreachable_since_ms: Some(5), ..HostMemory::default() };
        memory.learned.hosts.insert("b".to_owned(), silent);
        begin(&mut memory, 1_000);
        assert_eq!(memory.learned.backoff["a"]["web-0"].until_ms, 1_000 + LONGEST_MS);
        assert_eq!(memory.learned.hosts["b"].unreachable_since_ms, Some(1_000));
    }

    #[test]
    fn a_clock_is_followed_by_its_events_both_ways() {
        let mut ahead_ms = 0;
        heard(&mut ahead_ms, 10_000, 10_040);
        assert_eq!(ahead_ms, 0, "it was on its way for a moment");
        heard(&mut ahead_ms, 15_000, 10_100);
        assert_eq!(ahead_ms, 4_900);
        heard(&mut ahead_ms, 9_600, 10_200);
        assert_eq!(ahead_ms, -600);
    }

    fn container(id: &str, started_at_ms: i64) -> ObservedContainer {
        crate::test_containers::container(
            id,
            "web-0",
            ContainerState::Running,
            (started_at_ms, None),
        )
    }

    fn state(containers: Vec<ObservedContainer>) -> HostState {
        HostState { containers, ..HostState::default() }
    }

    #[test]
    fn a_host_that_is_ahead_is_asked_by_its_own_clock_and_its_times_stay() {
        let mut state = state(vec![container("1", 61_000)]);
        let mut ahead_ms = 0;
        compare(&mut state, None, &mut ahead_ms, 1_000);
        assert_eq!((ahead_ms, state.its_now_ms(1_500)), (60_000, 61_500));
        let before = state.clone();
        compare(&mut state, Some((&before, 1_000)), &mut ahead_ms, 90_000);
        assert_eq!(ahead_ms, 60_000, "nothing is new");
        let mut behind_ms = -600;
        compare(&mut state, Some((&before, 1_000)), &mut behind_ms, 90_000);
        assert_eq!((state.ahead_ms, state.its_now_ms(90_000)), (-600, 89_400));
        let started = state.containers[0].details.as_ref().and_then(|it| it.started_at_ms);
        assert_eq!(started, Some(61_000));
    }

    #[test]
    fn what_was_not_there_at_the_look_before_is_no_older_than_that_look() {
        // Its clock is set back by an hour between two observations, without an event.
        let hour = 3_600_000;
        let before = state(vec![container("1", hour)]);
        let mut now = state(vec![container("1", hour), container("2", 10_050)]);
        let mut ahead_ms = 0;
        compare(&mut now, Some((&before, hour + 10_000)), &mut ahead_ms, hour + 10_100);
        let ran = |state: &HostState, now_ms: i64| state.its_now_ms(now_ms) - 10_050;
        assert_eq!(ran(&now, hour + 10_100), 100);
        let later = now.clone();
        compare(&mut now, Some((&later, hour + 10_100)), &mut ahead_ms, hour + 10_200);
        assert_eq!(ran(&now, hour + 10_200), 200, "what was there before tells nothing new");
    }
}
