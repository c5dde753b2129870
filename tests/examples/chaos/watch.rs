//! Observes the engines continuously and checks the invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tally_reconcile::labels;
use tally_tests::lab::{LabHost, Seen};

use crate::stage::{CLUSTER, STATEFUL, SURGE, VOLUME};

/// The pause between two observations of a host.
const PAUSE: Duration = Duration::from_millis(150);

/// An object that Tally does not manage, and its expected state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmanaged {
    pub host: String,
    pub id: String,
    pub name: String,
    /// Number of starts of its engine when it was created: a restart ends its containers.
    pub starts: usize,
}

/// The cluster as observed from outside.
#[derive(Default)]
pub struct World {
    /// The last observation of each host.
    pub views: BTreeMap<String, Vec<Seen>>,
    /// The observed hosts, and the number of observations.
    pub looks: usize,
    /// Containers that Tally does not manage.
    pub unmanaged: Vec<Unmanaged>,
    /// Number of restarts of each engine.
    pub starts: BTreeMap<String, usize>,
    /// Maximum number of pods of `web` in any version since the last quiet time.
    pub most_web: usize,
    /// The violations, each once.
    pub violations: BTreeSet<String>,
    /// The first line of the data, as soon as there is one.
    data: Option<String>,
    /// The times in which containers were certainly running, by full ID.
    spans: BTreeMap<String, Span>,
}

/// A time in which a container was certainly running: from the end of the first observation that showed it to the
/// start of the last one. Two hosts are never observed at the same instant, so only such times can prove that two
/// containers ran at once.
#[derive(Debug, Clone)]
struct Span {
    host: String,
    name: String,
    pod: String,
    from: Instant,
    to: Instant,
}

impl Span {
    fn holds(&self, at: Instant) -> bool {
        self.from <= at && at <= self.to
    }
}

/// Shared with the observing threads.
#[derive(Clone, Default)]
pub struct Shared {
    world: Arc<Mutex<World>>,
    over: Arc<AtomicBool>,
}

impl Shared {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Starts one thread per host: a frozen host delays no other.
    pub fn watch(&self, hosts: &[LabHost]) -> Vec<std::thread::JoinHandle<()>> {
        let begin = |host: &LabHost| {
            let (shared, host) = (self.clone(), host.clone());
            std::thread::spawn(move || {
                while !shared.over.load(Ordering::SeqCst) {
                    shared.look(&host);
                    std::thread::sleep(PAUSE);
                }
            })
        };
        hosts.iter().map(begin).collect()
    }

    /// Observes a host once; an engine that does not answer shows nothing.
    pub fn look(&self, host: &LabHost) {
        // Objects created or removed during the observation are not checked by it.
        let before = self.world().unmanaged.clone();
        let began = Instant::now();
        let Ok(seen) = host.seen() else { return };
        let data = (host.name() == "beta").then(|| first_line(host)).flatten();
        let mut world = self.world();
        world.looks += 1;
        if let Some(data) = data {
            world.check_data(data);
        }
        world.check_unmanaged(host.name(), &before, &seen);
        world.check_names(host.name(), &seen);
        world.span(host.name(), &seen, began);
        world.views.insert(host.name().to_owned(), seen);
        world.check_running();
    }
}

/// Returns the first line of the data on a host: `Some(None)` if there is none, `None` if it is unknown.
fn first_line(host: &LabHost) -> Option<Option<String>> {
    let volume = host.get(&format!("/volumes/{VOLUME}")).ok()?;
    let Some(path) = volume["Mountpoint"].as_str() else { return Some(None) };
    let text = std::fs::read_to_string(format!("{path}/starts")).unwrap_or_default();
    Some(text.lines().next().map(str::to_owned))
}

/// Checks whether a container has the labels of this cluster.
fn is_ours(seen: &Seen) -> bool {
    seen.label("tally.cluster") == CLUSTER
}

/// Returns the name of a container, or the one that it had before another container took its place.
fn own_name(seen: &Seen) -> &str {
    labels::name_before_replacement(&seen.name).unwrap_or(&seen.name)
}

impl World {
    pub fn violated(&mut self, what: String) {
        if self.violations.insert(what.clone()) {
            println!("VIOLATION {what}");
        }
    }

    fn is_foreign(&self, id: &str) -> bool {
        self.unmanaged.iter().any(|unmanaged| unmanaged.id == id)
    }

    /// Checks S5: data is never removed, so the first line stays.
    fn check_data(&mut self, now: Option<String>) {
        match &self.data {
            None => self.data = now,
            Some(before) if now.as_ref() != Some(before) => {
                let what = format!("S5: the data of {before} is now {now:?}");
                self.violated(what);
            }
            Some(_) => {}
        }
    }

    /// Checks S1: objects that Tally does not manage are not touched.
    fn check_unmanaged(&mut self, host: &str, before: &[Unmanaged], seen: &[Seen]) {
        let starts = self.starts.get(host).copied().unwrap_or(0);
        let still: Vec<Unmanaged> = before
            .iter()
            .filter(|one| one.host == host && self.unmanaged.contains(one))
            .cloned()
            .collect();
        for one in still {
            let is_as_it_was = seen.iter().any(|seen| {
                let runs = seen.state == "running" || one.starts != starts;
                seen.id == one.id && seen.name == one.name && runs
            });
            if !is_as_it_was {
                let now = seen.iter().find(|seen| seen.id == one.id);
                self.violated(format!(
                    "S1: {} (not managed by Tally) on {host} is now {now:?}",
                    one.name
                ));
            }
        }
    }

    /// Checks S2: created objects have the name that their labels say.
    fn check_names(&mut self, host: &str, seen: &[Seen]) {
        for one in seen.iter().filter(|one| is_ours(one)) {
            // Containers with copied labels were created by this program on purpose, and announced before.
            if self.is_foreign(&one.id) || one.name.starts_with("visitor") {
                continue;
            }
            let pod = one.label("tally.pod");
            let name = match one.label("tally.role") {
                "infra" => format!("{CLUSTER}.{pod}"),
                _ => format!("{CLUSTER}.{pod}.{}", one.label("tally.name")),
            };
            if own_name(one) != name {
                self.violated(format!("S2: {} on {host} has the labels of {name}", one.name));
            }
        }
    }

    /// Records the managed containers that an observation has shown running.
    fn span(&mut self, host: &str, seen: &[Seen], began: Instant) {
        let now = Instant::now();
        let ours = |one: &&Seen| {
            is_ours(one) && !self.is_foreign(&one.id) && !one.name.starts_with("visitor")
        };
        let alive: Vec<&Seen> = seen.iter().filter(ours).filter(|one| one.lives()).collect();
        let ids: BTreeSet<&str> = alive.iter().map(|one| one.id.as_str()).collect();
        self.spans.retain(|id, span| span.host != host || ids.contains(id.as_str()));
        for one in alive {
            let fresh = || Span {
                host: host.to_owned(),
                name: own_name(one).to_owned(),
                pod: one.label("tally.pod").to_owned(),
                from: now,
                to: began,
            };
            self.spans.entry(one.id.clone()).or_insert_with(fresh).to = began;
        }
    }

    /// Checks S3 and S8: no container runs twice; no host is declared lost here, so the pods of an unreachable host
    /// run nowhere else. S4: no more pods than the maximum.
    fn check_running(&mut self) {
        let spans: Vec<Span> = self.spans.values().cloned().collect();
        let mut most = BTreeSet::new();
        for one in &spans {
            let at_once: Vec<&Span> = spans.iter().filter(|other| other.holds(one.from)).collect();
            if !one.holds(one.from) {
                continue;
            }
            for other in at_once.iter().filter(|other| other.name == one.name) {
                if other.host > one.host {
                    let kind = if one.pod == STATEFUL { "S3 (with data)" } else { "S3, S8" };
                    let what = format!("{} runs on {} and {}", one.name, one.host, other.host);
                    self.violated(format!("{kind}: {what}"));
                }
            }
            let web = at_once.iter().filter(|span| span.pod.starts_with("web-"));
            let web: BTreeSet<String> = web.map(|span| span.pod.clone()).collect();
            if web.len() > most.len() {
                most = web;
            }
        }
        let limit = self.most_web + SURGE;
        if self.most_web > 0 && most.len() > limit {
            self.violated(format!("S4: {} pods of web run, at most {limit} may", most.len()));
        }
    }

    /// Returns the running pods of `web`, according to the last observations.
    pub fn web(&self) -> BTreeSet<String> {
        let pods = self.spans.values().map(|span| span.pod.clone());
        pods.filter(|pod| pod.starts_with("web-")).collect()
    }

    /// Returns the managed containers by host and name, with their IDs and states.
    pub fn ours(&self) -> BTreeMap<(String, String), (String, String)> {
        let mut ours = BTreeMap::new();
        for (host, seen) in &self.views {
            for one in seen.iter().filter(|one| is_ours(one) && !self.is_foreign(&one.id)) {
                let key = (host.clone(), one.name.clone());
                ours.insert(key, (one.id.clone(), one.state.clone()));
            }
        }
        ours
    }
}
