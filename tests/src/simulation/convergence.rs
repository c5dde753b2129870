//! Checks at the end of a run: L1 to L6, and that the plan is a pure function (S11).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tally_graph::Workload;
use tally_reconcile::input::observed::{ContainerState, HostState, HostView, Observed};
use tally_reconcile::labels;
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::Plan;
use tally_reconcile::plan::request::EnvValue;
use tally_reconcile::plan::subject::Subject;
use tally_reconcile::reconcile;
use tally_simulator::{Clock as _, Model};

use super::faults::Kind;
use super::invariants::{self, ManagedContainer};
use super::rng::Rng;
use super::spec::{CLUSTER, ExpectedWorkload, Pods, Version};
use super::world::{Reachability, World};

/// Returns the true state of all hosts; an unreachable one is unknown.
#[must_use]
pub fn actual_state(world: &World) -> Observed {
    let view = |sim_host: &Arc<super::world::SimulatedHost>| {
        let reachability = sim_host.network().reachability;
        if reachability != Reachability::Open {
            return HostView::Unknown { reason: "it is away".to_owned(), answers: false };
        }
        let our_ms = world.clock.now_ms();
        let look = |model: &Model, its_ms: i64| HostState {
            ahead_ms: its_ms - our_ms,
            ..state(model, its_ms)
        };
        match sim_host.daemon.inspect(look) {
            Ok(state) => HostView::Ready(Box::new(state)),
            Err(error) => HostView::Unknown { reason: error.to_string(), answers: false },
        }
    };
    let all = world.sim_hosts.iter();
    Observed { hosts: all.map(|(name, sim_host)| (name.clone(), view(sim_host))).collect() }
}

/// Returns the state that an observation of one host shows.
#[must_use]
pub fn state(model: &Model, now_ms: i64) -> HostState {
    let containers = model.list().into_iter().map(|listed| {
        let ours = listed.labels.get(labels::CLUSTER).is_some_and(|of| of == CLUSTER);
        match model.inspect(&listed.id, true, now_ms).filter(|_| ours) {
            Some((seen, details)) => tally_reconcile::input::observed::ObservedContainer {
                details: Some(details),
                ..seen
            },
            None => listed,
        }
    });
    HostState {
        ahead_ms: 0,
        engine: model.engine(),
        containers: containers.collect(),
        volumes: model.list_volumes(),
        networks: model.list_networks(),
        images: model.list_images(),
    }
}

/// A managed container at the end of a run.
#[derive(Debug, Clone)]
struct Seen {
    host: String,
    id: String,
    name: String,
    role: String,
    state: ContainerState,
    exit_code: i64,
    value: String,
    secret: Option<String>,
    joined: Option<String>,
    started_ms: i64,
}

/// Returns the containers of all pods, by pod.
fn pods(world: &World) -> BTreeMap<String, Vec<Seen>> {
    let mut all: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    invariants::each_managed(world, |sim_host, _, found: &ManagedContainer<'_>| {
        let env = &found.shown.request.env;
        let text = |key: &str| env.get(key).and_then(EnvValue::text).map(str::to_owned);
        let seen = Seen {
            host: sim_host.name.clone(),
            id: found.shown.id.to_owned(),
            name: found.name.to_owned(),
            role: found.role.to_owned(),
            state: found.shown.state,
            exit_code: found.shown.exit_code,
            value: text("V").unwrap_or_default(),
            secret: text("S"),
            joined: found.shown.joined.map(str::to_owned),
            started_ms: found.shown.started_at_ms.unwrap_or(0),
        };
        all.entry(found.pod.to_owned()).or_default().push(seen);
    });
    all
}

/// Returns the differences from the spec, by pod: computed from the spec and the hosts, without the planner. Objects
/// on unreachable hosts are not inspected.
#[must_use]
pub fn differences(world: &World) -> BTreeMap<String, String> {
    let version = world.version();
    let mut pods = pods(world);
    let away: BTreeSet<String> = world
        .sim_hosts
        .values()
        .filter(|sim_host| sim_host.network().reachability != Reachability::Open)
        .map(|sim_host| sim_host.name.clone())
        .collect();
    let mut all = BTreeMap::new();
    let expected = world.expected();
    let cannot_converge = cannot_converge(world, &expected);
    for work in &expected {
        if cannot_converge.contains(&work.address) {
            pods.retain(|pod, _| !work.has(pod) && !work.is_surge(pod));
            continue;
        }
        for (pod, host) in names(work) {
            let found = pods.remove(pod).unwrap_or_default();
            if host.is_some_and(|host| away.contains(host)) {
                continue;
            }
            if let Some(why) = pod_differs(world, work, &found, host, &away, version) {
                all.insert(pod.to_owned(), why);
            }
        }
    }
    for (pod, left) in pods {
        if left.iter().any(|seen| !away.contains(&seen.host)) {
            all.insert(pod, "the spec does not have it".to_owned());
        }
    }
    all
}

/// Returns the workloads that cannot become ready, and those that wait for them: one that was rolled back to more pods
/// than there are host ports, and one whose program ends at once and was taken for ready nevertheless, since its
/// host's clock jumped meanwhile.
fn cannot_converge(world: &World, expected: &[ExpectedWorkload]) -> BTreeSet<String> {
    let version = world.version();
    let state = world.state();
    let open = world.sim_hosts.len() - version.drained.len();
    let jumped = state.fired.contains_key(&Kind::HostClockJumps);
    let is_hopeless = |work: &&ExpectedWorkload| {
        let rolled_back = state.declared.rolled_back.contains_key(&work.address);
        let check_pod_count = rolled_back && work.bound && work.count() > open;
        let newest = state.history.iter().rev().find_map(|entry| entry.settled.get(&work.address));
        let now = version.graph.workload_at(&work.address);
        let counts_as_ready = newest.is_some() && now.map(Workload::fingerprint).as_ref() == newest;
        check_pod_count || (jumped && version.bad.contains(&work.address) && counts_as_ready)
    };
    let mut all: BTreeSet<String> =
        expected.iter().filter(is_hopeless).map(|work| work.address.clone()).collect();
    // A waiting workload comes after the ones that it waits for.
    for workload in version.graph.workloads() {
        let waits = workload.depends_on.iter().any(|on| all.contains(&on.on.to_string()));
        if waits {
            all.insert(workload.address().to_string());
        }
    }
    all
}

/// Describes the containers of a pod.
#[must_use]
pub fn shown(world: &World, pod: &str) -> Vec<String> {
    let of = pods(world).remove(pod).unwrap_or_default();
    let words = |seen: Seen| {
        let Seen { host, name, role, state, exit_code, started_ms, joined, .. } = seen;
        let joined = joined.map(|id| id.get(..8).unwrap_or_default().to_owned());
        let id = seen.id.get(..8).unwrap_or_default().to_owned();
        format!(
            "{host}: {role} {name} {id} {state:?} ({exit_code}) since {started_ms}, in {joined:?}"
        )
    };
    of.into_iter().map(words).collect()
}

/// Returns the pods of a workload, with the host for a pod on each host.
fn names(work: &ExpectedWorkload) -> Vec<(&str, Option<&str>)> {
    match &work.pods {
        Pods::Named(names) => names.iter().map(|name| (name.as_str(), None)).collect(),
        Pods::PerHost(names) => {
            names.iter().map(|(host, name)| (name.as_str(), Some(host.as_str()))).collect()
        }
    }
}

/// Checks whether a named volume is on several hosts.
fn is_torn(world: &World) -> bool {
    let observed = actual_state(world);
    let states = observed.hosts.values().filter_map(HostView::ready);
    let mut seen = BTreeSet::new();
    let named = states
        .flat_map(|state| &state.volumes)
        .filter(|volume| volume.labels.get(labels::ROLE).is_some_and(|role| role == "volume"));
    named.into_iter().any(|volume| !seen.insert(volume.name.clone()))
}

fn pod_differs(
    world: &World,
    work: &ExpectedWorkload,
    found: &[Seen],
    host: Option<&str>,
    away: &BTreeSet<String>,
    version: &Version,
) -> Option<String> {
    let on: BTreeSet<&str> = found.iter().map(|seen| seen.host.as_str()).collect();
    let near: Vec<&str> = on.iter().copied().filter(|host| !away.contains(*host)).collect();
    if near.is_empty() && on.is_empty() && work.stateful && !version.drained.is_empty() {
        return None;
    }
    // A volume that existed once on each host, and exists once for all by a newer spec: only a person can decide which
    // one is valid, and the plan reports this.
    if near.is_empty() && on.is_empty() && work.stateful && is_torn(world) {
        return None;
    }
    let [home] = near.as_slice() else {
        // If it may be on an unreachable host, there is no difference to report.
        return match (near.len(), on.len()) {
            (0, 1..) => Some("it is on a host that is away".to_owned()),
            (0, 0) => Some("it is not there".to_owned()),
            _ => Some(format!("it is on {near:?}")),
        };
    };
    if host.is_some_and(|host| host != *home) {
        return Some(format!("it is on {home}"));
    }
    let others = world.sim_hosts.keys().any(|name| {
        !away.contains(name) && !version.drained.contains(name) && name.as_str() != *home
    });
    if version.drained.iter().any(|host| host == home)
        && !work.stateful
        && others
        && away.is_empty()
    {
        return Some(format!("it is on {home}, which is drained"));
    }
    if version.drained.iter().any(|host| host == home) && work.stateful {
        // Its data cannot move: it stays unchanged, with a reason.
        return None;
    }
    let here: Vec<&Seen> = found.iter().filter(|seen| seen.host == *home).collect();
    let infra = here.iter().find(|seen| seen.role == "infra");
    if work.joined != infra.is_some() {
        return Some("its infra container is wrong".to_owned());
    }
    for (name, value) in &work.mains {
        let main = here.iter().find(|seen| seen.role == "container" && seen.name == *name);
        let Some(main) = main else { return Some(format!("{name} is not there")) };
        let over = work.may_end && main.state == ContainerState::Exited;
        if main.state != ContainerState::Running && !over {
            return Some(format!("{name} is {:?}, exit code {}", main.state, main.exit_code));
        }
        if main.value != *value {
            return Some(format!("{name} is of an older version"));
        }
        let secret = work.secret_env.contains(name).then_some(&version.secret_env);
        if main.secret.as_ref() != secret {
            return Some(format!("{name} has an older secret, or none"));
        }
        let fresh = infra.is_none_or(|infra| {
            over || infra.state == ContainerState::Running
                && main.joined.as_deref() == Some(infra.id.as_str())
                && main.started_ms >= infra.started_ms
        });
        if !fresh {
            return Some(format!("{name} has no network"));
        }
    }
    let wanted = |seen: &&&Seen| {
        seen.role != "container" || work.mains.iter().any(|(name, _)| *name == seen.name)
    };
    let extra = here.iter().filter(|seen| !wanted(seen)).count();
    (extra > 0).then(|| "it has containers that the spec does not have".to_owned())
}

/// Checks S11: that the plan does not depend on the order of lists.
pub fn check_determinism(world: &World, now_ms: i64, rng: &mut Rng) {
    let observed = actual_state(world);
    let graph = &world.version().graph;
    let secrets = world.version().secrets.hashes().clone();
    let options = tally_reconcile::Options { now_ms, secrets, ..Default::default() };
    let plan = |observed: &Observed| {
        format!("{:?}", reconcile(graph, observed, &Memory::default(), &options))
    };
    let first = plan(&observed);
    world.check_no_secret("a plan", &first);
    let mut permuted = observed.clone();
    for view in permuted.hosts.values_mut() {
        let HostView::Ready(state) = view else { continue };
        shuffle(&mut state.containers, rng);
        shuffle(&mut state.volumes, rng);
        shuffle(&mut state.networks, rng);
    }
    let other = plan(&permuted);
    if other != first {
        let what = apart_at(&first, &other);
        world.violate("S11", format!("the plan depends on the order of lists: {what}"));
    }
}

/// Returns the first difference of two texts, with a little of the following text of each.
fn apart_at(one: &str, other: &str) -> String {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let from =
        |text: &str| -> String { text.chars().skip(same.saturating_sub(60)).take(160).collect() };
    format!("{} / {}", from(one), from(other))
}

fn shuffle<T>(all: &mut [T], rng: &mut Rng) {
    for last in (1..all.len()).rev() {
        let other = usize::try_from(rng.below(last as u64 + 1)).unwrap_or(0);
        all.swap(last, other);
    }
}

/// Returns the differences (L6) for which the plan has no reason.
#[must_use]
pub fn unexplained(
    differences: &BTreeMap<String, String>,
    plan: &Plan,
    expected: &[ExpectedWorkload],
) -> Vec<String> {
    let said = |pod: &str| {
        let of = expected.iter().find(|work| work.has(pod));
        // The pod of a host is missing because that host may have none.
        let home = of.into_iter().flat_map(names).find(|(name, _)| *name == pod);
        let home = home.and_then(|(_, host)| host).map(|host| format!("host `{host}` is fenced"));
        let work = of.map(|work| work.address.as_str());
        // A surge pod stays while the change that it belongs to is blocked.
        let stood_for = expected.iter().find(|work| work.is_surge(pod));
        let stood_for = stood_for.map(|work| work.address.as_str());
        let about = |subject: &Subject| {
            subject.is_of_pod(pod)
                || (subject.pod().is_none() && work == Some(&*subject.address()))
                || stood_for == Some(&*subject.address())
                || matches!(subject, Subject::Cluster(_))
        };
        plan.blocked.iter().any(|it| about(&it.subject))
            || plan.diagnostics.iter().any(|found| found.severity == tally_source::Severity::Error)
            || plan.diagnostics.iter().any(|found| {
                let by_host = home.as_ref().is_some_and(|home| found.headline.contains(home));
                by_host || found.headline.contains(&format!("`{pod}`"))
            })
            || plan.operations.iter().any(|op| op.subject.is_of_pod(pod))
    };
    differences
        .iter()
        .filter(|(pod, _)| !said(pod))
        .map(|(pod, why)| format!("{pod}: {why}"))
        .collect()
}
