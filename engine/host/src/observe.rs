//! Observing hosts: lists once, then inspects the cluster's containers, with a bound on concurrent calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use tally_reconcile::input::observed::{HostState, HostView, Observed, ObservedContainer};
use tally_reconcile::labels;

use tracing::debug;

use crate::error::HostError;
use crate::host::HostRead;

/// Maximum number of concurrent inspections per host.
const CONCURRENT_INSPECTIONS: usize = 16;

/// Observes all hosts at the same time. A host that does not answer is `Unknown` and does not delay the others.
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

/// Returns the view of a host that could not be observed completely, and whether it answered any call.
#[must_use]
pub fn unknown(reason: &str, answers: bool) -> HostView {
    let reason = if answers {
        format!("only some calls were answered: {reason}")
    } else {
        reason.to_owned()
    };
    HostView::Unknown { reason, answers }
}

/// Observes one host. A partial view is not used: a list that fails fails the whole observation. `answers` turns true as
/// soon as the host has answered any call, also when the observation is cancelled or fails later.
///
/// # Errors
/// The error of the first call that failed.
pub async fn observe_host(
    host: &dyn HostRead,
    cluster: &str,
    answers: &AtomicBool,
) -> Result<HostState, HostError> {
    debug!(target: "tally_host::observe", host = host.name(), "observation started");
    let containers = async {
        let listed = answered(host.containers(), answers).await?;
        inspect_ours(host, cluster, listed).await
    };
    // All run to their end: a failed call does not say whether the host answers others.
    let (engine, containers, volumes, networks, images) = futures_util::join!(
        answered(host.engine(), answers),
        containers,
        answered(host.volumes(), answers),
        answered(host.networks(), answers),
        answered(host.images(), answers),
    );
    let (engine, containers) = (engine?, containers?);
    let (volumes, networks, images) = (volumes?, networks?, images?);
    let ahead_ms = host.ahead_ms().await?.unwrap_or(0);
    let count = containers.len();
    debug!(target: "tally_host::observe", host = host.name(), containers = count, "observation ended");
    Ok(HostState { engine, ahead_ms, containers, volumes, networks, images })
}

/// Makes a call, and records whether it was answered.
async fn answered<T>(
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
    let calls = listed.into_iter().map(|container| inspect(host, cluster, container));
    let found: Vec<Option<ObservedContainer>> =
        stream::iter(calls).buffered(CONCURRENT_INSPECTIONS).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Inspects a container of the cluster; a container that is not managed by Tally stays as listed. Returns `None` for a
/// container that was removed since.
async fn inspect(
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
        // The list shows the image by ID after its tag has moved; inspecting keeps the name. The state is newer.
        ..inspected
    }))
}
