//! Invariants, checked at each call that changes something and after each event:
//! S1 to S6, S8 and S9. (S7 holds by type; S11 and the checks at the end of a run are in `convergence`.)

use std::collections::BTreeSet;

use tally_host::HostError;
use tally_reconcile::input::observed::{ContainerState, Health};
use tally_reconcile::labels;
use tally_reconcile::memory::Declared;
use tally_reconcile::plan::request::ContainerRequest;
use tally_simulator::ContainerView;

use super::spec::{CLUSTER, ExpectedWorkload, Pods};
use super::world::{HAND, Reachability, SimulatedHost, World};

/// An engine may act on an observation of this age, in milliseconds: the longest time between two observations of a
/// host without events, with the durations of an observation and of a call.
const VIEW_AGE_MS: i64 = 75_000;
/// Every engine that reaches a host has observed a container that is older than this, in milliseconds.
const STANDS_MS: i64 = 60_000;
/// A container has run long enough to be ready, in milliseconds; the planner's own rule.
const READY_MS: i64 = 500;
/// A container that has been ready for less may have become ready while the call was in flight, in milliseconds.
const ON_ITS_WAY_MS: i64 = 1_000;
/// Removals within this duration belong to one plan, in milliseconds.
const PLAN_MS: i64 = 5_000;

/// A call that changes something.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name.
    pub call: &'static str,
    /// Its target: a full ID, or a name.
    pub about: String,
    /// Whether it needs space on the disk.
    pub makes: bool,
    kind: CallTarget,
}

#[derive(Debug, Clone)]
enum CallTarget {
    Container,
    Object,
    Create { pod: String, name: String, role: String, managed: bool, shown: String },
    Other,
}

impl Call {
    /// Returns a call on a container.
    #[must_use]
    pub fn on(call: &'static str, id: &str) -> Self {
        Self { call, about: id.to_owned(), makes: false, kind: CallTarget::Container }
    }

    /// Returns a call on a volume or a network.
    #[must_use]
    pub fn object(call: &'static str, name: &str) -> Self {
        Self { call, about: name.to_owned(), makes: false, kind: CallTarget::Object }
    }

    /// Returns a call that creates an object other than a container.
    #[must_use]
    pub fn makes(call: &'static str, name: &str) -> Self {
        Self { call, about: name.to_owned(), makes: true, kind: CallTarget::Other }
    }

    /// Returns a call that creates a container.
    #[must_use]
    pub fn create(request: &ContainerRequest) -> Self {
        let label = |key: &str| request.labels.get(key).cloned().unwrap_or_default();
        let kind = CallTarget::Create {
            pod: label(labels::POD),
            name: label(labels::NAME),
            role: label(labels::ROLE),
            managed: label(labels::CLUSTER) == CLUSTER,
            // In particular its labels: anybody on the host can read them.
            shown: format!("{request:?}"),
        };
        Self { call: "create_container", about: request.name.clone(), makes: true, kind }
    }
}

/// A managed container, by its labels; its name agrees with them.
pub struct ManagedContainer<'a> {
    /// The container.
    pub shown: ContainerView<'a>,
    /// `controller/w0`.
    pub work: &'a str,
    /// `w0-0`.
    pub pod: &'a str,
    /// `c`; empty for an infra container.
    pub name: &'a str,
    /// `container`, `init` or `infra`.
    pub role: &'a str,
}

/// Returns a container as a managed one, if it is.
#[must_use]
pub fn managed(shown: ContainerView<'_>) -> Option<ManagedContainer<'_>> {
    let all = &shown.request.labels;
    let label = |key: &str| all.get(key).map(String::as_str);
    if label(labels::CLUSTER) != Some(CLUSTER) {
        return None;
    }
    let (pod, name) = (label(labels::POD)?, label(labels::NAME)?);
    let role = label(labels::ROLE)?;
    let called = &shown.request.name;
    let called = labels::name_before_replacement(called).unwrap_or(called);
    let called = called.strip_prefix(CLUSTER)?.strip_prefix('.')?;
    let agrees = match role {
        "infra" => called == pod,
        _ => called.strip_prefix(pod).and_then(|rest| rest.strip_prefix('.')) == Some(name),
    };
    agrees.then_some(ManagedContainer { shown, work: label(labels::WORKLOAD)?, pod, name, role })
}

/// Calls `visit` for each managed container of each host.
pub fn each_managed(
    world: &World,
    mut visit: impl FnMut(&SimulatedHost, i64, &ManagedContainer<'_>),
) {
    for sim_host in world.sim_hosts.values() {
        // A host in memory can always be inspected.
        let _ = sim_host.daemon.inspect(|model, now_ms| {
            for found in model.each().filter_map(managed) {
                visit(sim_host, now_ms, &found);
            }
        });
    }
}

/// Checks a call that an engine sends.
pub fn check_request(world: &World, sim_host: &SimulatedHost, engine: u32, what: &Call) {
    let on = format!("{}{} {}", sim_host.name, engine, short(&what.about));
    world.note("send", what.call, &on);
    world.note_call("send", what.call, &on);
    world.state().changes += 1;
    check_leadership(world, engine, what);
    match &what.kind {
        CallTarget::Container => container_call(world, sim_host, what),
        CallTarget::Object => object_call(world, sim_host, what),
        CallTarget::Create { pod, name, role, managed, shown } => {
            world.check_no_secret("a request", shown);
            let expected = match role.as_str() {
                "infra" => labels::infra_name(CLUSTER, pod),
                _ => labels::container_name(CLUSTER, pod, name),
            };
            if what.about != expected {
                world.violate("S2", format!("create of {} instead of {expected}", what.about));
            }
            if !managed {
                world.violate("S1", format!("create of {} without Tally's labels", what.about));
            }
            check_not_running_elsewhere(world, sim_host, pod);
        }
        CallTarget::Other => {}
    }
}

/// Checks S9: the sender has the lease, by the store's own clock, and follows the current spec of the store.
fn check_leadership(world: &World, engine: u32, what: &Call) {
    if engine == HAND || !world.state().shared {
        return;
    }
    let Some((name, board)) = world.state().candidates.get(&engine).cloned() else { return };
    let leader = world.store.leader(world.time_ms());
    if leader.as_ref() != Some(&name) {
        world.violate("S9", format!("{} of {name}, but {leader:?} leads", what.call));
    }
    let counts = world.store.record().map(|record| record.hash);
    let followed = board.read().sharing.map(|shown| shown.spec);
    if counts != followed {
        world.violate(
            "S9",
            format!("{} of {name} for a spec that is not the current one", what.call),
        );
    }
}

fn container_call(world: &World, sim_host: &SimulatedHost, what: &Call) {
    let is_full = what.about.len() == 64 && what.about.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_full {
        world.violate("S2", format!("{} names {}", what.call, what.about));
    }
    let owned = sim_host.daemon.inspect(|model, _| {
        let found = model.each().find(|it| it.id == what.about)?;
        Some(found.request.labels.get(labels::CLUSTER).is_some_and(|of| of == CLUSTER))
    });
    if owned == Ok(Some(false)) {
        world.violate("S1", format!("{} on {} of {}", what.call, what.about, sim_host.name));
    }
    if matches!(what.call, "start" | "restart") {
        let name = sim_host.daemon.inspect(|model, _| {
            model.each().find(|it| it.id == what.about).map(|found| found.request.name.clone())
        });
        if let Ok(Some(name)) = name
            && labels::name_before_replacement(&name).is_some()
        {
            world.violate("S3", format!("{} of {name}, which another one replaces", what.call));
        }
    }
    if matches!(what.call, "stop" | "remove_container") {
        check_removal_limit(world, sim_host, what);
    }
    if what.call == "remove_container" {
        let pod = sim_host.daemon.inspect(|model, _| {
            let found = model.each().find(|it| it.id == what.about).and_then(managed)?;
            Some(found.pod.to_owned())
        });
        if let Ok(Some(pod)) = pod {
            let at = world.time_ms();
            world.state().replaced.insert((sim_host.name.clone(), pod), at);
        }
    }
}

fn object_call(world: &World, sim_host: &SimulatedHost, what: &Call) {
    let role = sim_host.daemon.inspect(|model, _| {
        let all = model.volumes().get(&what.about)?;
        let of = all.get(labels::CLUSTER).cloned();
        Some((of.is_some_and(|of| of == CLUSTER), all.get(labels::ROLE).cloned()))
    });
    let Ok(Some((owned, role))) = role else { return };
    if !owned {
        world.violate("S1", format!("{} of {}", what.call, what.about));
    }
    if what.call == "remove_volume" && role.as_deref() == Some("volume") {
        world.violate("S5", format!("the volume {} is removed", what.about));
    }
}

/// Checks S8: a pod is not created while it runs on another host that nobody gave up. A pod that existed just now is
/// replaced, and of two visible copies one may be repaired.
fn check_not_running_elsewhere(world: &World, sim_host: &SimulatedHost, pod: &str) {
    let replaced = (sim_host.name.clone(), pod.to_owned());
    let replaced = world.state().replaced.get(&replaced).copied();
    if replaced.is_some_and(|at| world.time_ms() - at < STANDS_MS) {
        return;
    }
    let mut there = Vec::new();
    let mut is_here = false;
    each_managed(world, |other, now_ms, found| {
        let stands = found.shown.started_at_ms.is_some_and(|start| now_ms - start >= STANDS_MS);
        let runs = found.shown.runs() && found.role == "container" && stands;
        if found.pod != pod {
            return;
        }
        is_here |= other.name == sim_host.name;
        if other.name != sim_host.name && runs && !presumed_lost(world, other) {
            there.push((other.name.clone(), other.network().reachability == Reachability::Open));
        }
    });
    for (other, _) in there.into_iter().filter(|(_, is_seen)| !(*is_seen && is_here)) {
        let what = format!("{pod} is created on {} while it runs on {other}", sim_host.name);
        world.violate("S8", what);
    }
}

/// Checks whether a host was declared lost, or exceeded the spec's grace, now or a moment ago.
fn presumed_lost(world: &World, sim_host: &SimulatedHost) -> bool {
    let at = world.time_ms();
    let network = sim_host.network();
    let grace = world.family.versions.iter().filter_map(|version| version.lost_after_ms).min();
    let over =
        network.unreachable_since_ms.zip(grace).is_some_and(|(since, grace)| at - since >= grace);
    over || at <= network.presumed_lost_until_ms
}

/// Checks S6: more than a fifth of the running pods are not removed at once, unless a person confirmed it.
fn check_removal_limit(world: &World, sim_host: &SimulatedHost, what: &Call) {
    let at = world.time_ms();
    let (version, before, edited, confirmed) = {
        let state = world.state();
        (state.version, state.before, state.edited_ms, state.confirmed_ms)
    };
    // A workload that was rolled back still has its earlier pods.
    let (current, former) = (world.expected(), &world.family.versions[before].expected);
    let gone = |expected: &[ExpectedWorkload], work: &str, pod: &str| {
        let found = expected.iter().find(|it| it.address == work);
        !found.is_some_and(|it| it.has(pod) || it.is_surge(pod))
    };
    let about = sim_host.daemon.inspect(|model, _| {
        let found = model.each().find(|it| it.id == what.about).and_then(managed)?;
        Some((gone(&current, found.work, found.pod), gone(former, found.work, found.pod)))
    });
    let Ok(Some((is_gone, was_gone))) = about else { return };
    let other_plan = was_gone && version != before && at - edited < PLAN_MS;
    if !is_gone || other_plan || at - confirmed < STANDS_MS {
        return;
    }
    let mut all = BTreeSet::new();
    each_managed(world, |_, _, found| {
        all.insert(found.shown.id.to_owned());
    });
    let going = {
        let mut state = world.state();
        state.removed.retain(|_, when| at - *when < PLAN_MS);
        state.removed.insert(what.about.clone(), at);
        all.extend(state.removed.keys().cloned());
        state.removed.len()
    };
    let all = all.len();
    // An engine does not count pods that it cannot observe.
    let calm = at - world.state().disturbed_ms > VIEW_AGE_MS;
    // Pods that are being replaced are missing for a moment: a fifth of all pods is then more than a fifth of the
    // existing ones.
    if calm && going > (all * 2 / 5).max(2) {
        world.violate("S6", format!("{going} of {all} pods are removed at once"));
    }
}

/// Checks S4: that enough pods stay ready when a call arrives.
pub fn check_arrival(world: &World, sim_host: &SimulatedHost, what: &Call) {
    if !matches!(what.call, "stop" | "restart" | "remove_container") {
        return;
    }
    let at = world.time_ms();
    let (version, before, edited) = {
        let state = world.state();
        if at - state.disturbed_ms <= VIEW_AGE_MS || state.engines > 1 {
            return;
        }
        (state.version, state.before, state.edited_ms)
    };
    let about = sim_host.daemon.inspect(|model, _| {
        let found = model.each().find(|it| it.id == what.about).and_then(managed)?;
        let serves = found.role == "container" && found.shown.state == ContainerState::Running;
        serves.then(|| (found.work.to_owned(), found.pod.to_owned()))
    });
    let Ok(Some((address, pod))) = about else { return };
    let short_of = |number: usize| {
        let work =
            world.family.versions[number].expected.iter().find(|it| it.address == address)?;
        short_by(world, work, &pod)
    };
    let now = short_of(version);
    let mut still = at - edited > PLAN_MS || short_of(before).is_some();
    if now.is_some() && still && !world.state().declared.rolled_back.is_empty() {
        // The revision that was rolled back to may have had fewer pods.
        let expected = world.expected();
        let followed = expected.iter().find(|it| it.address == address);
        still = followed.is_some_and(|work| short_by(world, work, &pod).is_some());
    }
    if let (Some((ready, least)), true) = (now, still) {
        let what =
            format!("{} of {pod} leaves {ready} of {address} ready instead of {least}", what.call);
        world.violate("S4", what);
    }
}

/// Returns the number of pods of a workload that would be ready without `pod`, and the required number, if it is
/// larger.
fn short_by(world: &World, work: &ExpectedWorkload, pod: &str) -> Option<(usize, usize)> {
    if work.recreate || !(work.has(pod) || work.is_surge(pod)) {
        return None;
    }
    let mut running: Vec<(String, usize)> = Vec::new();
    let mut is_young = false;
    let mut networks: Vec<(String, bool, i64)> = Vec::new();
    each_managed(world, |_, _, found| {
        if found.work == work.address && found.role == "infra" {
            networks.push((found.shown.id.to_owned(), found.shown.runs(), started(found)));
        }
    });
    each_managed(world, |_, now_ms, found| {
        let ran = found.shown.started_at_ms.map_or(0, |start| now_ms - start);
        is_young |= found.pod == pod && ran < READY_MS + ON_ITS_WAY_MS;
        let long = ran >= READY_MS;
        let well = !matches!(found.shown.health, Some(Health::Unhealthy | Health::Starting));
        // A container that joined a network that ended since is not ready.
        let connected = found.shown.joined.is_none_or(|joined| {
            let mut own = networks.iter().filter(|(id, _, _)| id == joined);
            own.any(|(_, runs, start)| *runs && *start <= started(found))
        });
        let serves = found.shown.state == ContainerState::Running && long && well && connected;
        if found.work != work.address || found.role != "container" || !serves {
            return;
        }
        match running.iter_mut().find(|(name, _)| name == found.pod) {
            Some((_, count)) => *count += 1,
            None => running.push((found.pod.to_owned(), 1)),
        }
    });
    let whole = |(_, count): &&(String, usize)| *count >= work.mains.len();
    // The removal of a pod that is not ready reduces nothing.
    if is_young {
        return None;
    }
    let (_, count) = running.iter().filter(whole).find(|(name, _)| name == pod)?;
    // Of a pod that runs twice, one copy stays.
    if *count >= 2 * work.mains.len() {
        return None;
    }
    // A host that was given up has no ready pods.
    let counts = |pod: &str| match &work.pods {
        Pods::Named(_) => true,
        Pods::PerHost(all) => all.iter().all(|(host, name)| {
            name != pod || world.sim_hosts.get(host).is_some_and(|host| !presumed_lost(world, host))
        }),
    };
    let ready =
        running.iter().filter(whole).filter(|(name, _)| name != pod && counts(name)).count();
    let asked = match &work.pods {
        Pods::Named(all) => all.len(),
        Pods::PerHost(all) => all.values().filter(|name| counts(name)).count(),
    };
    let least = asked.saturating_sub(work.missing);
    (ready < least).then_some((ready, least))
}

fn started(found: &ManagedContainer<'_>) -> i64 {
    found.shown.started_at_ms.unwrap_or(0)
}

/// Records the result of a call.
pub fn record_result(
    world: &World,
    sim_host: &SimulatedHost,
    engine: u32,
    what: &Call,
    error: Option<&HostError>,
) {
    let how = error.map_or("ok".to_owned(), ToString::to_string);
    let on = format!("{}{engine} {} {how}", sim_host.name, short(&what.about));
    world.note("done", what.call, &on);
    let how = if error.is_some() { "error" } else { "ok" };
    let on = format!("{}{engine} {} {how}", sim_host.name, short(&what.about));
    world.note_call("done", what.call, &on);
    if error.is_none() && what.call == "create_container" {
        let mut state = world.state();
        state.made += u64::from(!state.uncoordinated);
    }
    check_state(world);
}

/// Checks S3 and S4: the running containers after an event.
pub fn check_state(world: &World) {
    let mut candidates: Vec<(u64, usize, u64)> = Vec::new();
    let expected = expected(world);
    each_managed(world, |sim_host, _, found| {
        if !found.shown.runs() || found.role != "container" {
            return;
        }
        let Some(work) = expected.iter().position(|work| *work == found.work) else { return };
        candidates.push((number(found.pod), work, number(&sim_host.name) ^ number(found.name)));
    });
    candidates.sort_unstable();
    if candidates.windows(2).any(|pair| pair[0] == pair[1]) {
        world.violate("S3", "a container runs twice on one host".to_owned());
    }
    for (index, address) in expected.iter().enumerate() {
        check_pod_count(
            world,
            address,
            candidates.iter().filter(|seat| seat.1 == index).map(|seat| seat.0),
        );
    }
    check_single_instance(world, &expected);
}

/// Returns the addresses of all workloads of all versions.
fn expected(world: &World) -> Vec<&str> {
    let all = world.family.versions.iter().flat_map(|version| &version.expected);
    let mut all: Vec<&str> = all.map(|work| work.address.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Checks S4: never more pods than the replicas and the surge pods.
fn check_pod_count(world: &World, address: &str, pods: impl Iterator<Item = u64>) {
    let mut pods: Vec<u64> = pods.collect();
    pods.dedup();
    let versions = world.family.versions.iter();
    let of = versions.flat_map(|v| v.expected.iter().filter(|work| work.address == address));
    let most = of
        .map(|work| match work.pods {
            Pods::Named(_) => work.count() + work.surge,
            Pods::PerHost(_) => world.sim_hosts.len(),
        })
        .max();
    if let Some(most) = most
        && pods.len() > most
    {
        world.violate("S4", format!("{} pods of {address} run instead of {most}", pods.len()));
    }
}

/// Checks S3: a pod with data runs once. A host that is switched off does not count.
fn check_single_instance(world: &World, expected: &[&str]) {
    let stateful = |address: &str| {
        let all = world.family.versions.iter().flat_map(|version| &version.expected);
        all.filter(|work| work.address == address).any(|work| work.stateful)
    };
    if !expected.iter().any(|address| stateful(address)) {
        return;
    }
    let declared = world.state().declared.hosts.clone();
    let mut seen: Vec<(String, String)> = Vec::new();
    each_managed(world, |sim_host, _, found| {
        let fenced = declared.get(&sim_host.name) == Some(&Declared::Fenced);
        if found.shown.runs() && found.role == "container" && !fenced && stateful(found.work) {
            seen.push((found.pod.to_owned(), sim_host.name.clone()));
        }
    });
    seen.sort();
    seen.dedup();
    for pair in seen.windows(2) {
        if pair[0].0 == pair[1].0 {
            let (pod, first, second) = (&pair[0].0, &pair[0].1, &pair[1].1);
            world.violate("S3", format!("{pod} has data and runs on {first} and {second}"));
        }
    }
}

fn number(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn short(id: &str) -> &str {
    let hex = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { id.get(..8).unwrap_or(id) } else { id }
}
