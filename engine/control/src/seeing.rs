//! Looks at hosts and their streams of events: begun when they are due, taken in as they end.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{AbortHandle, Abortable, BoxStream, abortable};
use tally_host::{HostError, HostEvent, unknown};
use tally_reconcile::input::observed::HostView;

use crate::controller::{Controller, Events};
use crate::journal::EntryKind;
use crate::look::{Found, Look, Looked};
use crate::lookout::Due;

/// The pause before an event stream that broke off is opened again, in milliseconds.
const REOPEN_MS: u64 = 1_000;

/// A stream of events that is heard until this is dropped: one of a connection that is given up might
/// never end.
pub(crate) struct Stream {
    number: u64,
    ending: AbortHandle,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.ending.abort();
    }
}

impl Controller {
    /// Begins the looks that are due.
    pub(crate) fn start_looks(&mut self) {
        let begun_ms = self.now_ms();
        for Due { host: name, number, is_late } in self.lookout.due(self.clock_ms()) {
            // Nobody looked while this loop stood still: a silence counts from now on.
            let remembered = self.memory.learned.hosts.get_mut(&name).filter(|_| is_late);
            if let Some(since_ms) = remembered.and_then(|host| host.unreachable_since_ms.as_mut()) {
                *since_ms = begun_ms;
            }
            let kept = self.hosts.entry(name.clone()).or_default();
            let look = Look {
                host: name,
                number,
                begun_ms,
                door: kept.door.clone(),
                wants_events: kept.stream.is_none(),
                graph: Arc::clone(&self.graph),
                cluster: self.cluster.clone(),
                connector: Arc::clone(&self.connector),
                deadline: self.options.look_deadline,
            };
            self.looking.push(Box::pin(look.run()));
        }
    }

    /// A view has arrived.
    pub(crate) fn saw(&mut self, looked: Looked) {
        let (now_ms, our_ms) = (self.clock_ms(), self.now_ms());
        let Looked { host, number, begun_ms, found } = looked;
        self.lookout.seen(&host, found.is_ok(), now_ms);
        let Some(kept) = self.hosts.get_mut(&host) else { return };
        let before = self.observed.hosts.get(&host);
        let answered = matches!(before, Some(HostView::Ready(_)));
        let first = before.is_none();
        let mut is_new = true;
        match found {
            Ok(Found { door, mut state, events }) => {
                if kept.door.is_none() {
                    // It was found by the wall clock, and the loop's time goes on by its own.
                    let apart_ms = (self.options.now_ms)().saturating_sub(our_ms);
                    kept.ahead_ms = state.ahead_ms.saturating_add(apart_ms);
                }
                let shown = before.and_then(HostView::ready).map(|state| (state, kept.shown_ms));
                crate::clocks::compare(&mut state, shown, &mut kept.ahead_ms, our_ms);
                kept.shown_ms = begun_ms;
                kept.door = Some(door);
                if let Some(events) = events {
                    self.streams += 1;
                    if std::mem::replace(&mut kept.heard, true) {
                        self.board.change(|metrics| metrics.reconnected(&host));
                    }
                    let (events, ending) = abortable(events);
                    kept.stream = Some(Stream { number: self.streams, ending });
                    self.events.push(numbered(host.clone(), self.streams, events));
                }
                self.liveness.seen(&self.graph, &self.cluster, &host, &state, now_ms);
                crate::backoff::learn(&mut self.memory, &self.cluster, &host, &state, our_ms);
                let version = state.engine.version.clone();
                is_new = !self.is_nothing_new(&host, &state);
                self.observed.hosts.insert(host.clone(), HostView::Ready(Box::new(state)));
                self.busy.seen(&host, number);
                if !answered {
                    self.tell(EntryKind::HostReady, &host, format!("answers (Docker {version})"));
                }
            }
            Err(silence) => {
                // The next look reaches it anew: its connection may be what is dead.
                kept.door = None;
                kept.stream = None;
                kept.ahead_ms = 0;
                let remembered = self.memory.learned.hosts.entry(host.clone()).or_default();
                remembered.unreachable_until_ms = Some(begun_ms);
                let view = unknown(&silence.reason, silence.answers);
                self.observed.hosts.insert(host.clone(), view);
                self.busy.silent(&host);
                if answered || first {
                    let what = format!("does not answer: {}", silence.reason);
                    self.tell(EntryKind::HostSilent, &host, what);
                }
            }
        }
        if let Some(view) = self.observed.hosts.get(&host) {
            let lost = self.memory.is_lost(&host, self.lost_after(), our_ms);
            self.board.change(|metrics| metrics.looked(&host, view, lost, our_ms));
        }
        match is_new {
            true => self.dirty = true,
            false => self.assert_rest(),
        }
    }

    /// Something happened on a host, or its stream has ended.
    pub(crate) fn heard(&mut self, host: &str, stream: u64, event: Option<&HostEvent>) {
        let (now_ms, our_ms) = (self.clock_ms(), self.now_ms());
        let Some(kept) = self
            .hosts
            .get_mut(host)
            .filter(|kept| kept.stream.as_ref().is_some_and(|current| current.number == stream))
        else {
            return;
        };
        match event {
            Some(event) => {
                if let Some(at_ms) = event.at_ms {
                    crate::clocks::heard(&mut kept.ahead_ms, at_ms, our_ms);
                }
                self.lookout.event(host, now_ms);
            }
            None => {
                kept.stream = None;
                self.lookout.within(host, now_ms + REOPEN_MS);
            }
        }
    }
}

/// The events of a host with the number of their stream, and `None` at its end.
fn numbered(
    host: String,
    number: u64,
    events: Abortable<BoxStream<'static, Result<HostEvent, HostError>>>,
) -> Events {
    let of = host.clone();
    let told = events
        .take_while(|event| std::future::ready(event.is_ok()))
        .filter_map(|event| std::future::ready(event.ok()))
        .map(move |event| (of.clone(), number, Some(event)));
    let end = futures_util::stream::once(std::future::ready((host, number, None)));
    told.chain(end).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_stream_of_events_that_is_given_up_ends() {
        let (events, ending) = abortable(futures_util::stream::pending::<()>());
        drop(Stream { number: 1, ending });
        assert_eq!(events.count().now_or_never(), Some(0));
    }
}
