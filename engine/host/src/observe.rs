//! Seeing what is on the hosts: lists once, then inspects our own, many at once under a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use tally_reconcile::input::observed::{HostState, HostView, Observed, ObservedContainer};
use tally_reconcile::labels;

use tracing::debug;

use crate::error::HostError;
use crate::host::HostRead;

/// So many inspections of one host at once.
const AT_ONCE: usize = 16;

/// Sees what is on all hosts at once. A host that does not answer is `Unknown` and delays nothing
/// on the others.
pub async fn observe(hosts: &[Arc<dyn HostRead>], cluster: &str) -> Observed {
    let views = hosts.iter().map(|host| async {
        let answers = AtomicBool::new(false);
        let view = match observe_host(host.as_ref(), cluster, &answers).await {
            Ok(state) => HostView::Ready(Box::new(state)),
            Err(error) => unknown(&error.to_string(), answers.into_inner()),
        };
        (host.name().to_owned(), view)
    });
    Observed { hosts: future::join_all(views).await.into_iter().collect() }
}

/// A host that could not be seen as a whole, and whether it answered something.
#[must_use]
pub fn unknown(reason: &str, answers: bool) -> HostView {
    let reason = if answers {
        format!("only some calls were answered: {reason}")
    } else {
        reason.to_owned()
    };
    HostView::Unknown { reason, answers }
}

/// Sees what is on one host. Half a view is none: a list that fails fails the whole. `answers` turns
/// true once the host has answered at all, also when this is dropped or fails later on.
///
/// # Errors
/// What the first call that failed said.
pub async fn observe_host(
    host: &dyn HostRead,
    cluster: &str,
    answers: &AtomicBool,
) -> Result<HostState, HostError> {
    debug!(target: "tally_host::observe", host = host.name(), "observation started");
    let containers = async {
        let listed = heard(host.containers(), answers).await?;
        inspect_ours(host, cluster, listed).await
    };
    // All to their ends: one that fails says nothing of whether the host answers others.
    let (engine, containers, volumes, networks, images) = futures_util::join!(
        heard(host.engine(), answers),
        containers,
        heard(host.volumes(), answers),
        heard(host.networks(), answers),
        heard(host.images(), answers),
    );
    let (engine, containers) = (engine?, containers?);
    let (volumes, networks, images) = (volumes?, networks?, images?);
    let ahead_ms = host.ahead_ms().await?.unwrap_or(0);
    let count = containers.len();
    debug!(target: "tally_host::observe", host = host.name(), containers = count, "observation ended");
    Ok(HostState { engine, ahead_ms, containers, volumes, networks, images })
}

/// Makes a call, and notes that it was answered.
async fn heard<T>(
    call: impl Future<Output = Result<T, HostError>>,
    answers: &AtomicBool,
) -> Result<T, HostError> {
    let answer = call.await;
    answers.fetch_or(answer.is_ok(), Ordering::Relaxed);
    answer
}

async fn inspect_ours(
    host: &dyn HostRead,
    cluster: &str,
    listed: Vec<ObservedContainer>,
) -> Result<Vec<ObservedContainer>, HostError> {
    let looks = listed.into_iter().map(|container| look(host, cluster, container));
    let found: Vec<Option<ObservedContainer>> =
        stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// A foreign container as the list showed it, one of ours with its details; `None` for one that
/// has gone since.
async fn look(
    host: &dyn HostRead,
    cluster: &str,
    listed: ObservedContainer,
) -> Result<Option<ObservedContainer>, HostError> {
    let label = |name: &str| listed.labels.get(name).map(String::as_str);
    if label(labels::CLUSTER) != Some(cluster) {
        return Ok(Some(listed));
    }
    let with_files = label(labels::FILES) == Some("1");
    let seen = host.container(&listed.id, with_files).await?;
    Ok(seen.map(|(inspected, details)| ObservedContainer {
        details: Some(details),
        // The list's image is an ID once a tag has moved on; inspecting keeps the name. The
        // state is the newer one.
        ..inspected
    }))
}
