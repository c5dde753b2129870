//! The containers of a rollout that are not ready, as far as an observation shows.

use std::collections::BTreeMap;

use tally_graph::{Graph, Workload};

use crate::desired::realise::{
    CRASH_LOOP_RESTARTS, DesiredContainer, INIT_DEADLINE_MS, RealiseContext, realise,
};
use crate::input::observed::{ContainerState, Health, Observed};
use crate::inventory::collect::Prepared;
use crate::inventory::containers::Found;
use crate::labels::Role;
use crate::memory::Memory;
use crate::memory::revisions::FailureAttribution;
use crate::rollback::previous_revision::is_current;
use crate::rollback::rollout_state::{has_no_rollouts, is_frozen_or_paused, rollout_state};

/// A container of a rollout's new pods that is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// Its workload.
    pub workload: String,
    /// The fingerprint of the workload.
    pub of: String,
    /// Its host.
    pub host: String,
    /// Its pod.
    pub pod: String,
    /// Its name in the pod.
    pub container: String,
    /// Its full ID.
    pub id: String,
    /// The unmet condition, in one line.
    pub reason: String,
    /// Whether it cannot become ready any more.
    pub is_final: bool,
    /// Time after which it fails if it has not become ready, in milliseconds.
    pub deadline_ms: u64,
    /// The attribute that most likely has to change.
    pub failure_attribution: FailureAttribution,
}

/// Returns all containers that are not ready of the new pods of rollouts with `on-failure=rollback`, and of
/// workloads that were rolled back. `prepared` must be from the same graph.
#[must_use]
pub fn unready(
    graph: &Graph,
    observed: &Observed,
    memory: &Memory,
    prepared: &Prepared,
    now_ms: i64,
) -> Vec<Unready> {
    let Some(cluster) = graph.cluster() else { return Vec::new() };
    // This is called in every tick, and usually no rollout is in progress.
    if has_no_rollouts(memory) {
        return Vec::new();
    }
    let secrets = BTreeMap::new();
    let around = RealiseContext::new(graph, &cluster.name, &secrets);
    let watched: BTreeMap<String, &Workload> = graph
        .workloads()
        .map(|workload| (workload.address().to_string(), workload))
        .filter(|(address, workload)| {
            !is_frozen_or_paused(memory, address) && rollout_state(workload, memory).is_some()
        })
        .collect();
    let mut all = Vec::new();
    if watched.is_empty() {
        return all;
    }
    for (host, view) in &observed.hosts {
        let Some(state) = view.ready() else { continue };
        let its_now_ms = state.its_now_ms(now_ms);
        for (name, found) in &prepared.inventory(&cluster.name, state).pods {
            let address = found.workload().unwrap_or_default();
            let Some(workload) = watched.get(address) else { continue };
            if !is_current(graph, workload, name, found, &around) {
                continue;
            }
            let pod = realise(workload, (*name).to_owned(), &around);
            let infra = found.get(Role::Infra, "");
            let containers = pod.containers.iter().filter_map(|desired| {
                let found = found.get(desired.role, &desired.name)?;
                // The end of a network is not a failure of a revision: it is repaired first.
                if found.is_cut_off(infra) {
                    return None;
                }
                let lack = lack(workload, desired, found, infra, its_now_ms)?;
                Some(Unready {
                    workload: address.to_owned(),
                    of: workload.fingerprint(),
                    host: host.clone(),
                    pod: (*name).to_owned(),
                    container: desired.name.clone(),
                    id: found.container.id.clone(),
                    reason: lack.reason,
                    is_final: lack.is_final,
                    deadline_ms: lack.deadline_ms,
                    failure_attribution: lack.failure_attribution,
                })
            });
            all.extend(containers);
        }
    }
    all
}

struct UnreadyCause {
    reason: String,
    is_final: bool,
    deadline_ms: u64,
    failure_attribution: FailureAttribution,
}

/// Returns the unmet condition of a container; `None` when it is ready, or need not be. The first rule that
/// matches applies:
///
/// | observed | |
/// |---|---|
/// | an init that ended with another code than 0 | failed |
/// | an init that ended with 0, or a container that was not started yet | nothing |
/// | it is ready | nothing |
/// | Docker's policy has restarted it three times | failed |
/// | it ended, and nothing starts it again | failed |
/// | anything else | it has until its deadline |
fn lack(
    workload: &Workload,
    desired: &DesiredContainer<'_>,
    found: &Found<'_>,
    infra: Option<&Found<'_>>,
    now_ms: i64,
) -> Option<UnreadyCause> {
    use ContainerState as S;
    let details = found.details;
    let state = found.container.state;
    let ended = || ended_words(details.exit_code, details.error.as_deref(), details.restart_count);
    let over = |reason| {
        Some(UnreadyCause {
            reason,
            is_final: true,
            deadline_ms: 0,
            failure_attribution: FailureAttribution::Command,
        })
    };
    let not_yet = |reason: &str, deadline_ms, failure_attribution| {
        Some(UnreadyCause {
            reason: reason.to_owned(),
            is_final: false,
            deadline_ms,
            failure_attribution,
        })
    };
    if desired.role == Role::Init {
        return match state {
            S::Exited if details.exit_code != Some(0) => over(ended()),
            S::Running => {
                not_yet("it has not ended yet", INIT_DEADLINE_MS, FailureAttribution::Command)
            }
            _ => None,
        };
    }
    if desired.role == Role::Infra || found.is_ready(&desired.ready, infra, now_ms) {
        return None;
    }
    let deadline_ms = desired.ready.deadline_ms;
    match state {
        _ if details.restart_count >= CRASH_LOOP_RESTARTS => over(ended()),
        S::Exited if workload.restart != tally_graph::Restart::Always => over(ended()),
        // It waits for an init, or for a host that cannot start it: its time has not started.
        S::Created | S::Removing | S::Dead => None,
        S::Exited | S::Restarting => {
            not_yet("it has ended and is started again", deadline_ms, FailureAttribution::Command)
        }
        S::Paused => not_yet("it is paused", deadline_ms, FailureAttribution::Command),
        S::Running => match (desired.ready.healthy, details.health) {
            (true, Health::Unhealthy) => {
                not_yet("its health check fails", deadline_ms, FailureAttribution::Readiness)
            }
            (true, Health::Starting | Health::None) => {
                let reason = "its health check has not succeeded yet";
                not_yet(reason, deadline_ms, FailureAttribution::Readiness)
            }
            _ => {
                not_yet("it has not run long enough yet", deadline_ms, FailureAttribution::Command)
            }
        },
    }
}

/// Describes how a container ended, in one line.
#[must_use]
pub fn ended_words(exit_code: Option<i64>, error: Option<&str>, restarts: u32) -> String {
    let mut text = match exit_code {
        Some(code) => format!("it ended with exit code {code}"),
        None => "it ended".to_owned(),
    };
    if restarts > 0 {
        text.push_str(&format!(", and again after each of {restarts} restarts"));
    }
    if let Some(error) = error {
        text.push_str(&format!(": {error}"));
    }
    text
}
