//! What must never happen, judged at each call that changes something and after each event:
//! S1 to S6, S8 and S9. (S7 holds by type, S11 and what must come about in the end are in `ending`.)

use std::collections::BTreeSet;

use tally_host::HostError;
use tally_reconcile::input::observed::{ContainerState, Health};
use tally_reconcile::labels;
use tally_reconcile::memory::Declared;
use tally_reconcile::plan::request::ContainerRequest;
use tally_simulator::Shown;

use super::spec::{CLUSTER, Pods, Work};
use super::world::{HAND, Station, Way, World};

/// What was seen this long ago may still be what an engine acts on, in milliseconds: the longest
/// time between two looks at a quiet host, with what a look and a call take.
const VIEW_AGE_MS: i64 = 75_000;
/// What stands for so long has been seen by every engine that sees the host, in milliseconds.
const STANDS_MS: i64 = 60_000;
/// A container has run long enough to be ready, in milliseconds; the planner's own rule.
const READY_MS: i64 = 500;
/// One that has been ready for less may have got so while the call was on its way, in milliseconds.
const ON_ITS_WAY_MS: i64 = 1_000;
/// Removals within so long are one round, in milliseconds.
const ROUND_MS: i64 = 5_000;

/// A call that changes something.
#[derive(Debug, Clone)]
pub struct What {
    /// Its name.
    pub call: &'static str,
    /// What it is about: a full ID, or a name.
    pub about: String,
    /// Whether it needs space on the disk.
    pub makes: bool,
    kind: About,
}

#[derive(Debug, Clone)]
enum About {
    Container,
    Object,
    Create { pod: String, name: String, role: String, ours: bool, shown: String },
    Other,
}

impl What {
    /// A call on a container.
    #[must_use]
    pub fn on(call: &'static str, id: &str) -> Self {
        Self { call, about: id.to_owned(), makes: false, kind: About::Container }
    }

    /// A call on a volume or a network.
    #[must_use]
    pub fn object(call: &'static str, name: &str) -> Self {
        Self { call, about: name.to_owned(), makes: false, kind: About::Object }
    }

    /// A call that makes something that is no container.
    #[must_use]
    pub fn makes(call: &'static str, name: &str) -> Self {
        Self { call, about: name.to_owned(), makes: true, kind: About::Other }
    }

    /// A call that makes a container.
    #[must_use]
    pub fn create(request: &ContainerRequest) -> Self {
        let label = |key: &str| request.labels.get(key).cloned().unwrap_or_default();
        let kind = About::Create {
            pod: label(labels::POD),
            name: label(labels::NAME),
            role: label(labels::ROLE),
            ours: label(labels::CLUSTER) == CLUSTER,
            // Its labels above all: anybody on the host can read them.
            shown: format!("{request:?}"),
        };
        Self { call: "create_container", about: request.name.clone(), makes: true, kind }
    }
}

/// One of our containers, by its labels; its name agrees with them.
pub struct Ours<'a> {
    /// The container.
    pub shown: Shown<'a>,
    /// `controller/w0`.
    pub work: &'a str,
    /// `w0-0`.
    pub pod: &'a str,
    /// `c`; empty for an infra container.
    pub name: &'a str,
    /// `container`, `init` or `infra`.
    pub role: &'a str,
}

/// Reads a container as ours, if it is.
#[must_use]
pub fn ours(shown: Shown<'_>) -> Option<Ours<'_>> {
    let all = &shown.request.labels;
    let label = |key: &str| all.get(key).map(String::as_str);
    if label(labels::CLUSTER) != Some(CLUSTER) {
        return None;
    }
    let (pod, name) = (label(labels::POD)?, label(labels::NAME)?);
    let role = label(labels::ROLE)?;
    let called = shown.request.name.strip_prefix(CLUSTER)?.strip_prefix('.')?;
    let agrees = match role {
        "infra" => called == pod,
        _ => called.strip_prefix(pod).and_then(|rest| rest.strip_prefix('.')) == Some(name),
    };
    agrees.then_some(Ours { shown, work: label(labels::WORKLOAD)?, pod, name, role })
}

/// Looks at every container of ours on every host.
pub fn each(world: &World, mut look: impl FnMut(&Station, i64, &Ours<'_>)) {
    for station in world.stations.values() {
        // A host in memory can always be looked at.
        let _ = station.host.inspect(|model, now_ms| {
            for found in model.each().filter_map(ours) {
                look(station, now_ms, &found);
            }
        });
    }
}

/// A call is sent by an engine.
pub fn sent(world: &World, station: &Station, engine: u32, what: &What) {
    let on = format!("{}{} {}", station.name, engine, short(&what.about));
    world.note("send", what.call, &on);
    world.note_call("send", what.call, &on);
    world.state().changes += 1;
    led(world, engine, what);
    match &what.kind {
        About::Container => container_call(world, station, what),
        About::Object => object_call(world, station, what),
        About::Create { pod, name, role, ours, shown } => {
            world.tells_no_secret("a request", shown);
            let expected = match role.as_str() {
                "infra" => labels::infra_name(CLUSTER, pod),
                _ => labels::container_name(CLUSTER, pod, name),
            };
            if what.about != expected {
                world.violate("S2", format!("create of {}, not of {expected}", what.about));
            }
            if !ours {
                world.violate("S1", format!("create of {} without our labels", what.about));
            }
            unseen(world, station, pod);
        }
        About::Other => {}
    }
}

/// S9: who sends has the lease, by the store's own clock, and follows the spec that counts there.
fn led(world: &World, engine: u32, what: &What) {
    if engine == HAND || !world.state().shared {
        return;
    }
    let Some((name, board)) = world.state().seats.get(&engine).cloned() else { return };
    let leader = world.depot.leader(world.time_ms());
    if leader.as_ref() != Some(&name) {
        world.violate("S9", format!("{} of {name}, but {leader:?} leads", what.call));
    }
    let counts = world.depot.record().map(|record| record.hash);
    let followed = board.read().sharing.map(|shown| shown.spec);
    if counts != followed {
        world.violate("S9", format!("{} of {name} for a spec that does not count", what.call));
    }
}

fn container_call(world: &World, station: &Station, what: &What) {
    let is_full = what.about.len() == 64 && what.about.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_full {
        world.violate("S2", format!("{} names {}", what.call, what.about));
    }
    let owned = station.host.inspect(|model, _| {
        let found = model.each().find(|it| it.id == what.about)?;
        Some(found.request.labels.get(labels::CLUSTER).is_some_and(|of| of == CLUSTER))
    });
    if owned == Ok(Some(false)) {
        world.violate("S1", format!("{} on {} of {}", what.call, what.about, station.name));
    }
    if matches!(what.call, "stop" | "remove_container") {
        too_many_go(world, station, what);
    }
    if what.call == "remove_container" {
        let pod = station.host.inspect(|model, _| {
            let found = model.each().find(|it| it.id == what.about).and_then(ours)?;
            Some(found.pod.to_owned())
        });
        if let Ok(Some(pod)) = pod {
            let at = world.time_ms();
            world.state().replaced.insert((station.name.clone(), pod), at);
        }
    }
}

fn object_call(world: &World, station: &Station, what: &What) {
    let role = station.host.inspect(|model, _| {
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

/// S8: a pod that is made while it runs on another host that nobody gave up was taken for absent. One that
/// was there just now is replaced, and of two copies that can both be seen one may be made whole.
fn unseen(world: &World, station: &Station, pod: &str) {
    let replaced = (station.name.clone(), pod.to_owned());
    let replaced = world.state().replaced.get(&replaced).copied();
    if replaced.is_some_and(|at| world.time_ms() - at < STANDS_MS) {
        return;
    }
    let mut there = Vec::new();
    let mut is_here = false;
    each(world, |other, now_ms, found| {
        let stands = found.shown.started_at_ms.is_some_and(|start| now_ms - start >= STANDS_MS);
        let runs = found.shown.runs() && found.role == "container" && stands;
        if found.pod != pod {
            return;
        }
        is_here |= other.name == station.name;
        if other.name != station.name && runs && !given_up(world, other) {
            there.push((other.name.clone(), other.weather().way == Way::Open));
        }
    });
    for (other, _) in there.into_iter().filter(|(_, is_seen)| !(*is_seen && is_here)) {
        let what = format!("{pod} is made on {} and runs on {other}", station.name);
        world.violate("S8", what);
    }
}

/// Whether somebody declared a host lost, or the spec's grace is over, or was a moment ago.
fn given_up(world: &World, station: &Station) -> bool {
    let at = world.time_ms();
    let weather = station.weather();
    let grace = world.family.versions.iter().filter_map(|version| version.lost_after_ms).min();
    let over = weather.cut_ms.zip(grace).is_some_and(|(since, grace)| at - since >= grace);
    over || at <= weather.given_up_ms
}

/// S6: more than a fifth of what runs is not removed at once, unless somebody confirmed it.
fn too_many_go(world: &World, station: &Station, what: &What) {
    let at = world.time_ms();
    let (version, before, edited, confirmed) = {
        let state = world.state();
        (state.version, state.before, state.edited_ms, state.confirmed_ms)
    };
    // What went back still has the pods that it had.
    let (current, former) = (world.works(), &world.family.versions[before].works);
    let gone = |works: &[Work], work: &str, pod: &str| {
        let found = works.iter().find(|it| it.address == work);
        !found.is_some_and(|it| it.has(pod) || it.stands_in(pod))
    };
    let about = station.host.inspect(|model, _| {
        let found = model.each().find(|it| it.id == what.about).and_then(ours)?;
        Some((gone(&current, found.work, found.pod), gone(former, found.work, found.pod)))
    });
    let Ok(Some((is_gone, was_gone))) = about else { return };
    let other_plan = was_gone && version != before && at - edited < ROUND_MS;
    if !is_gone || other_plan || at - confirmed < STANDS_MS {
        return;
    }
    let mut all = BTreeSet::new();
    each(world, |_, _, found| {
        all.insert(found.shown.id.to_owned());
    });
    let going = {
        let mut state = world.state();
        state.removed.retain(|_, when| at - *when < ROUND_MS);
        state.removed.insert(what.about.clone(), at);
        all.extend(state.removed.keys().cloned());
        state.removed.len()
    };
    let all = all.len();
    // What an engine cannot see it does not count.
    let calm = at - world.state().disturbed_ms > VIEW_AGE_MS;
    // Pods that are being replaced are not there for a moment: a fifth of all is then more than
    // a fifth of what is there.
    if calm && going > (all * 2 / 5).max(2) {
        world.violate("S6", format!("{going} of {all} go at once"));
    }
}

/// A call arrives: S4, so many pods stay ready.
pub fn arrives(world: &World, station: &Station, what: &What) {
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
    let about = station.host.inspect(|model, _| {
        let found = model.each().find(|it| it.id == what.about).and_then(ours)?;
        let serves = found.role == "container" && found.shown.state == ContainerState::Running;
        serves.then(|| (found.work.to_owned(), found.pod.to_owned()))
    });
    let Ok(Some((address, pod))) = about else { return };
    let short_of = |number: usize| {
        let work = world.family.versions[number].works.iter().find(|it| it.address == address)?;
        short_by(world, work, &pod)
    };
    let now = short_of(version);
    let mut still = at - edited > ROUND_MS || short_of(before).is_some();
    if now.is_some() && still && !world.state().declared.undone.is_empty() {
        // What went back may have had fewer pods.
        let works = world.works();
        let followed = works.iter().find(|it| it.address == address);
        still = followed.is_some_and(|work| short_by(world, work, &pod).is_some());
    }
    if let (Some((ready, least)), true) = (now, still) {
        let what = format!("{} of {pod} leaves {ready} of {address} ready, not {least}", what.call);
        world.violate("S4", what);
    }
}

/// How many pods of a workload would be ready without `pod`, and how many must be, if that is more.
fn short_by(world: &World, work: &Work, pod: &str) -> Option<(usize, usize)> {
    if work.recreate || !(work.has(pod) || work.stands_in(pod)) {
        return None;
    }
    let mut running: Vec<(String, usize)> = Vec::new();
    let mut is_young = false;
    let mut networks: Vec<(String, bool, i64)> = Vec::new();
    each(world, |_, _, found| {
        if found.work == work.address && found.role == "infra" {
            networks.push((found.shown.id.to_owned(), found.shown.runs(), started(found)));
        }
    });
    each(world, |_, now_ms, found| {
        let ran = found.shown.started_at_ms.map_or(0, |start| now_ms - start);
        is_young |= found.pod == pod && ran < READY_MS + ON_ITS_WAY_MS;
        let long = ran >= READY_MS;
        let well = !matches!(found.shown.health, Some(Health::Unhealthy | Health::Starting));
        // Who joined a network that ended since serves nobody.
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
    // One that is not ready takes nothing away.
    if is_young {
        return None;
    }
    let (_, count) = running.iter().filter(whole).find(|(name, _)| name == pod)?;
    // Of one that runs twice, one stays.
    if *count >= 2 * work.mains.len() {
        return None;
    }
    // On a host that was given up there is none to be.
    let counts = |pod: &str| match &work.pods {
        Pods::Named(_) => true,
        Pods::PerHost(all) => all.iter().all(|(host, name)| {
            name != pod || world.stations.get(host).is_some_and(|host| !given_up(world, host))
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

fn started(found: &Ours<'_>) -> i64 {
    found.shown.started_at_ms.unwrap_or(0)
}

/// A call came to pass.
pub fn done(world: &World, station: &Station, engine: u32, what: &What, error: Option<&HostError>) {
    let how = error.map_or("ok".to_owned(), ToString::to_string);
    let on = format!("{}{engine} {} {how}", station.name, short(&what.about));
    world.note("done", what.call, &on);
    let how = if error.is_some() { "error" } else { "ok" };
    let on = format!("{}{engine} {} {how}", station.name, short(&what.about));
    world.note_call("done", what.call, &on);
    if error.is_none() && what.call == "create_container" {
        let mut state = world.state();
        state.made += u64::from(!state.at_odds);
    }
    happened(world);
}

/// S3 and S4, after anything has happened.
pub fn happened(world: &World) {
    let mut seats: Vec<(u64, usize, u64)> = Vec::new();
    let works = works(world);
    each(world, |station, _, found| {
        if !found.shown.runs() || found.role != "container" {
            return;
        }
        let Some(work) = works.iter().position(|work| *work == found.work) else { return };
        seats.push((number(found.pod), work, number(&station.name) ^ number(found.name)));
    });
    seats.sort_unstable();
    if seats.windows(2).any(|pair| pair[0] == pair[1]) {
        world.violate("S3", "a container runs twice on one host".to_owned());
    }
    for (index, address) in works.iter().enumerate() {
        crowded(world, address, seats.iter().filter(|seat| seat.1 == index).map(|seat| seat.0));
    }
    apart(world, &works);
}

/// The addresses of all workloads of all versions.
fn works(world: &World) -> Vec<&str> {
    let all = world.family.versions.iter().flat_map(|version| &version.works);
    let mut all: Vec<&str> = all.map(|work| work.address.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// S4: never more pods than replicas and those that may stand in.
fn crowded(world: &World, address: &str, pods: impl Iterator<Item = u64>) {
    let mut pods: Vec<u64> = pods.collect();
    pods.dedup();
    let versions = world.family.versions.iter();
    let of = versions.flat_map(|v| v.works.iter().filter(|work| work.address == address));
    let most = of
        .map(|work| match work.pods {
            Pods::Named(_) => work.count() + work.surge,
            Pods::PerHost(_) => world.stations.len(),
        })
        .max();
    if let Some(most) = most
        && pods.len() > most
    {
        world.violate("S4", format!("{} pods of {address} run, not {most}", pods.len()));
    }
}

/// S3: a pod with data runs once. A host that is switched off does not count.
fn apart(world: &World, works: &[&str]) {
    let stateful = |address: &str| {
        let all = world.family.versions.iter().flat_map(|version| &version.works);
        all.filter(|work| work.address == address).any(|work| work.stateful)
    };
    if !works.iter().any(|address| stateful(address)) {
        return;
    }
    let declared = world.state().declared.hosts.clone();
    let mut seen: Vec<(String, String)> = Vec::new();
    each(world, |station, _, found| {
        let fenced = declared.get(&station.name) == Some(&Declared::Fenced);
        if found.shown.runs() && found.role == "container" && !fenced && stateful(found.work) {
            seen.push((found.pod.to_owned(), station.name.clone()));
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
