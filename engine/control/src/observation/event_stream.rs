//! The streams of Docker's events.

use futures_util::StreamExt as _;
use futures_util::stream::{AbortHandle, Abortable, BoxStream, abortable};
use tally_host::{HostError, HostEvent};

/// An event of a host, with the number of its stream; `None` when the stream has ended.
pub(crate) type NumberedEvent = (String, u64, Option<HostEvent>);

/// A stream of events that is heard until this is dropped: one of a connection that is given up might never end.
pub(super) struct EventStream {
    pub number: u64,
    ending: AbortHandle,
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.ending.abort();
    }
}

/// Numbers the events of a host; returns the handle that ends the stream, and the stream.
pub(super) fn numbered(
    host: String,
    number: u64,
    events: BoxStream<'static, Result<HostEvent, HostError>>,
) -> (EventStream, BoxStream<'static, NumberedEvent>) {
    let (events, ending) = abortable(events);
    (EventStream { number, ending }, with_end(host, number, events))
}

/// Returns the events with the number of their stream, and `None` at its end.
fn with_end(
    host: String,
    number: u64,
    events: Abortable<BoxStream<'static, Result<HostEvent, HostError>>>,
) -> BoxStream<'static, NumberedEvent> {
    let of = host.clone();
    let all = events
        .take_while(|event| std::future::ready(event.is_ok()))
        .filter_map(|event| std::future::ready(event.ok()))
        .map(move |event| (of.clone(), number, Some(event)));
    let end = futures_util::stream::once(std::future::ready((host, number, None)));
    all.chain(end).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_stream_of_events_that_is_given_up_ends() {
        let (events, ending) = abortable(futures_util::stream::pending::<()>());
        drop(EventStream { number: 1, ending });
        assert_eq!(events.count().now_or_never(), Some(0));
    }
}
