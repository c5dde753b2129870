//! Looking at the engines all the time, and holding what they show against what must never be so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tally_tests::lab::{LabHost, Seen};

use crate::stage::{CLUSTER, STATEFUL, SURGE, VOLUME};

/// The pause between two looks at a host.
const PAUSE: Duration = Duration::from_millis(150);

/// An object of somebody else's, and how it must stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    pub host: String,
    pub id: String,
    pub name: String,
    /// How often its engine had been started when it was made: its containers end with that.
    pub starts: usize,
}

/// What is known of the cluster from the outside.
#[derive(Default)]
pub struct World {
    /// The last view of each host.
    pub views: BTreeMap<String, Vec<Seen>>,
    /// Hosts that were looked at, and how often in all.
    pub looks: usize,
    /// Containers of others.
    pub foreign: Vec<Foreign>,
    /// How often each engine was started anew.
    pub starts: BTreeMap<String, usize>,
    /// The most pods of `web` that any version since the last quiet time asks for.
    pub most_web: usize,
    /// What must never be so and was, each once.
    pub violations: BTreeSet<String>,
    /// The first line of the data, once there is one.
    data: Option<String>,
    /// When containers were surely alive, by full ID.
    spans: BTreeMap<String, Span>,
}

/// A time in which a container was surely alive: from the end of the first look that showed it so to
/// the start of the last one. Looks at two hosts are never at one instant, so only such times tell
/// whether two containers lived at once.
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

/// Shared with the threads that look.
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

    /// One thread a host: a frozen one keeps nobody waiting.
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

    /// One look at a host; an engine that does not answer shows nothing.
    pub fn look(&self, host: &LabHost) {
        // What was made or taken away while the engine answered is not judged by this look.
        let before = self.world().foreign.clone();
        let began = Instant::now();
        let Ok(seen) = host.seen() else { return };
        let data = (host.name() == "beta").then(|| first_line(host)).flatten();
        let mut world = self.world();
        world.looks += 1;
        if let Some(data) = data {
            world.judge_data(data);
        }
        world.judge_foreign(host.name(), &before, &seen);
        world.judge_names(host.name(), &seen);
        world.span(host.name(), &seen, began);
        world.views.insert(host.name().to_owned(), seen);
        world.judge_running();
    }
}

/// The first line of the data on a host: `Some(None)` when there is none, `None` when nobody knows.
fn first_line(host: &LabHost) -> Option<Option<String>> {
    let volume = host.get(&format!("/volumes/{VOLUME}")).ok()?;
    let Some(path) = volume["Mountpoint"].as_str() else { return Some(None) };
    let text = std::fs::read_to_string(format!("{path}/starts")).unwrap_or_default();
    Some(text.lines().next().map(str::to_owned))
}

/// Whether a container claims to be of this cluster.
fn is_ours(seen: &Seen) -> bool {
    seen.label("tally.cluster") == CLUSTER
}

impl World {
    pub fn violated(&mut self, what: String) {
        if self.violations.insert(what.clone()) {
            println!("VIOLATION {what}");
        }
    }

    fn is_foreign(&self, id: &str) -> bool {
        self.foreign.iter().any(|foreign| foreign.id == id)
    }

    /// S5: data is never removed: what was written first stays.
    fn judge_data(&mut self, now: Option<String>) {
        match &self.data {
            None => self.data = now,
            Some(before) if now.as_ref() != Some(before) => {
                let what = format!("S5: the data of {before} is now {now:?}");
                self.violated(what);
            }
            Some(_) => {}
        }
    }

    /// S1: what is not ours is not touched.
    fn judge_foreign(&mut self, host: &str, before: &[Foreign], seen: &[Seen]) {
        let starts = self.starts.get(host).copied().unwrap_or(0);
        let still: Vec<Foreign> = before
            .iter()
            .filter(|one| one.host == host && self.foreign.contains(one))
            .cloned()
            .collect();
        for one in still {
            let is_as_it_was = seen.iter().any(|seen| {
                let runs = seen.state == "running" || one.starts != starts;
                seen.id == one.id && seen.name == one.name && runs
            });
            if !is_as_it_was {
                let now = seen.iter().find(|seen| seen.id == one.id);
                self.violated(format!("S1: foreign {} on {host} is now {now:?}", one.name));
            }
        }
    }

    /// S2: what is made has the name that its labels say.
    fn judge_names(&mut self, host: &str, seen: &[Seen]) {
        for one in seen.iter().filter(|one| is_ours(one)) {
            // What carries copied labels was made by us on purpose, and told before it was made.
            if self.is_foreign(&one.id) || one.name.starts_with("visitor") {
                continue;
            }
            let pod = one.label("tally.pod");
            let name = match one.label("tally.role") {
                "infra" => format!("{CLUSTER}.{pod}"),
                _ => format!("{CLUSTER}.{pod}.{}", one.label("tally.name")),
            };
            if one.name != name {
                self.violated(format!("S2: {} on {host} has the labels of {name}", one.name));
            }
        }
    }

    /// Takes in which of our containers a look has shown alive.
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
                name: one.name.clone(),
                pod: one.label("tally.pod").to_owned(),
                from: now,
                to: began,
            };
            self.spans.entry(one.id.clone()).or_insert_with(fresh).to = began;
        }
    }

    /// S3, S8: no container runs twice, wherever; no host is declared lost here, so a silent host's
    /// pods run nowhere else. S4: no more pods than there may be.
    fn judge_running(&mut self) {
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

    /// The pods of `web` that run, as far as the last looks tell.
    pub fn web(&self) -> BTreeSet<String> {
        let pods = self.spans.values().map(|span| span.pod.clone());
        pods.filter(|pod| pod.starts_with("web-")).collect()
    }

    /// Our containers by host and name, with their IDs and states.
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
