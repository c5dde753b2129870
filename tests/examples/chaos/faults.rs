//! Injects random faults, and ends them later.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use tally_tests::lab::{Lab, LabHost, Seen};
use tally_tests::project::{Dice, Project, RunProcess};

use crate::stage::{CLUSTER, LEAST_WEB, MOST_WEB, Version};
use crate::watch::{Shared, Unmanaged};

/// The kinds of fault; a kind's frequency is its number of entries.
const KINDS: [&str; 20] = [
    "container killed",
    "container killed",
    "container removed",
    "container removed",
    "container stopped",
    "container paused",
    "container restarted",
    "process killed",
    "process killed",
    "engine killed",
    "host cut",
    "host cut",
    "engine frozen",
    "engine frozen",
    "name taken",
    "labels copied",
    "spec changed",
    "spec changed",
    "tally killed",
    "tally killed",
];

/// The maximum number of unreachable hosts at a time: sometimes one more than half of five.
const MOST_AWAY: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    Cut,
    Frozen,
    Dead,
}

pub struct Chaos<'a> {
    pub lab: &'a Lab,
    pub shared: Shared,
    pub project: Project,
    pub keeper: RunProcess,
    pub version: Version,
    pub dice: Dice,
    pub counts: BTreeMap<&'static str, usize>,
    began: Instant,
    /// Whether the spec's file is incomplete: a loop that starts then has no spec to apply.
    broken: bool,
    away: BTreeMap<usize, (Away, Instant)>,
    /// Containers that Tally does not manage and that will be removed again.
    unmanaged: Vec<(Unmanaged, Instant)>,
}

impl<'a> Chaos<'a> {
    pub fn new(
        lab: &'a Lab,
        shared: Shared,
        project: Project,
        keeper: RunProcess,
        seed: u64,
    ) -> Self {
        Self {
            lab,
            shared,
            project,
            keeper,
            version: Version::FIRST,
            dice: Dice::new(seed),
            counts: BTreeMap::new(),
            began: Instant::now(),
            broken: false,
            away: BTreeMap::new(),
            unmanaged: Vec::new(),
        }
    }

    pub fn say(&self, what: &str) {
        println!("{:8.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    fn host(&self, number: usize) -> &'a LabHost {
        &self.lab.hosts()[number]
    }

    fn millis(&mut self, least: usize, most: usize) -> Duration {
        let millis = least + self.dice.below(most - least);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Injects a fault; none if the chosen kind cannot be injected now.
    pub fn fault(&mut self) {
        let kind = KINDS[self.dice.below(KINDS.len())];
        let done = match kind {
            "engine killed" => self.take_away(Away::Dead),
            "host cut" => self.take_away(Away::Cut),
            "engine frozen" => self.take_away(Away::Frozen),
            "name taken" => self.take_a_name(),
            "labels copied" => self.copy_labels(),
            "spec changed" => self.change_the_spec(),
            "tally killed" => self.kill_tally(),
            _ => self.harm(kind),
        };
        if let Some(what) = done {
            *self.counts.entry(kind).or_default() += 1;
            self.say(&format!("{kind}: {what}"));
        }
    }

    /// Returns the hosts whose engine answers; one with a disconnected cable answers on its socket.
    fn answering(&self) -> Vec<usize> {
        let deaf =
            |number: &usize| matches!(self.away.get(number), Some((Away::Frozen | Away::Dead, _)));
        (0..self.lab.hosts().len()).filter(|number| !deaf(number)).collect()
    }

    /// Returns a managed container on a host that answers.
    fn victim(&mut self) -> Option<(usize, Seen)> {
        let number = *self.dice.one_of(&self.answering())?;
        let seen = self.host(number).seen().ok()?;
        let unmanaged = self.shared.world().unmanaged.clone();
        let ours: Vec<Seen> = seen
            .into_iter()
            .filter(|one| one.label("tally.cluster") == CLUSTER)
            .filter(|one| !unmanaged.iter().any(|unmanaged| unmanaged.id == one.id))
            .collect();
        Some((number, self.dice.one_of(&ours)?.clone()))
    }

    fn harm(&mut self, kind: &str) -> Option<String> {
        let (number, victim) = self.victim()?;
        let (host, id) = (self.host(number), &victim.id);
        let act = |method: &str, path: String| host.act(method, &path, None).ok();
        match kind {
            "container killed" => act("POST", format!("/containers/{id}/kill")),
            "container removed" => act("DELETE", format!("/containers/{id}?force=1")),
            "container stopped" => act("POST", format!("/containers/{id}/stop?t=1")),
            "container paused" => act("POST", format!("/containers/{id}/pause")),
            "container restarted" => act("POST", format!("/containers/{id}/restart?t=1")),
            _ => {
                let found = host.get(&format!("/containers/{id}/json")).ok()?;
                let pid = found["State"]["Pid"].as_u64().filter(|pid| *pid > 1)?;
                let args = ["-KILL".to_owned(), pid.to_string()];
                std::process::Command::new("kill").args(args).status().ok().map(|_| 0)
            }
        }?;
        Some(format!("{} on {}", victim.name, host.name()))
    }

    fn take_away(&mut self, how: Away) -> Option<String> {
        if self.away.len() >= MOST_AWAY {
            return None;
        }
        // The first host is reached by its socket, which no cable affects.
        let first = usize::from(how == Away::Cut);
        let number = first + self.dice.below(self.lab.hosts().len() - first);
        if self.away.contains_key(&number) {
            return None;
        }
        let host = self.host(number);
        match how {
            Away::Cut => host.cut().ok()?,
            Away::Frozen => host.freeze().ok()?,
            Away::Dead => {
                *self.shared.world().starts.entry(host.name().to_owned()).or_default() += 1;
                host.kill().ok()?;
            }
        }
        let pause = self.millis(1_000, 20_000);
        self.away.insert(number, (how, Instant::now() + pause));
        Some(format!("{} for {:.1} s", host.name(), pause.as_secs_f64()))
    }

    fn bring_back(&mut self, number: usize) {
        let Some((how, _)) = self.away.remove(&number) else { return };
        let host = self.host(number);
        let done = match how {
            Away::Cut => host.heal(),
            Away::Frozen => host.thaw(),
            Away::Dead => host.start(),
        };
        match done {
            Ok(()) => self.say(&format!("{} is back", host.name())),
            Err(error) => self.say(&format!("LAB: {error}")),
        }
    }

    /// Creates a container that Tally does not manage under the name of a managed one.
    fn take_a_name(&mut self) -> Option<String> {
        let (number, victim) = self.victim()?;
        let host = self.host(number);
        host.act("DELETE", &format!("/containers/{}?force=1", victim.id), None).ok()?;
        // The loop may be faster: then the name is in use, and no such container is created.
        self.invite(number, &victim.name, &json!({}))
    }

    /// Creates a container that Tally does not manage with the labels of a managed one, under a name that does not fit
    /// them.
    fn copy_labels(&mut self) -> Option<String> {
        let (number, victim) = self.victim()?;
        let name = format!("visitor{}", self.dice.below(1 << 30));
        self.invite(number, &name, &json!(victim.labels))
    }

    fn invite(&mut self, number: usize, name: &str, labels: &serde_json::Value) -> Option<String> {
        let unmanaged = create_unmanaged(self.host(number), name, labels, &self.shared)?;
        let pause = self.millis(3_000, 15_000);
        self.unmanaged.push((unmanaged, Instant::now() + pause));
        Some(format!("{name} on {}", self.host(number).name()))
    }

    fn remove_unmanaged(&mut self, unmanaged: &Unmanaged) -> bool {
        let Some(host) = self.lab.hosts().iter().find(|host| host.name() == unmanaged.host) else {
            return true;
        };
        self.shared.world().unmanaged.retain(|one| one.id != unmanaged.id);
        let path = format!("/containers/{}?force=1", unmanaged.id);
        if host.act("DELETE", &path, None).is_ok_and(|status| status < 300) {
            return true;
        }
        self.shared.world().unmanaged.push(unmanaged.clone());
        false
    }

    fn change_the_spec(&mut self) -> Option<String> {
        match self.dice.below(4) {
            0 => {
                let web = LEAST_WEB + self.dice.below(MOST_WEB - LEAST_WEB + 1);
                self.version.web = web;
            }
            1 => self.version.image = 3 - self.version.image,
            2 => self.version.number += 1,
            _ => {
                // An incomplete file, as an editor may leave it: the last valid spec stays in force.
                let text = self.version.text(self.lab);
                let half = &text[..text.len() / 2];
                self.project.write(half).ok()?;
                self.broken = true;
                return Some("broken".to_owned());
            }
        }
        self.write();
        Some(format!("{:?}", self.version))
    }

    pub fn write(&mut self) {
        self.broken = false;
        let version = self.version;
        let mut world = self.shared.world();
        world.most_web = world.most_web.max(version.web);
        drop(world);
        if let Err(error) = self.project.write(&version.text(self.lab)) {
            self.say(&format!("LAB: {error}"));
        }
    }

    fn kill_tally(&mut self) -> Option<String> {
        self.keeper.kill();
        let pause = self.millis(0, 3_000);
        std::thread::sleep(pause);
        self.keeper = self.project.keep().ok()?;
        Some(format!("and started again after {:.1} s", pause.as_secs_f64()))
    }

    /// Ends the faults that are due, or all.
    pub fn undo(&mut self, all: bool) {
        let now = Instant::now();
        let due: Vec<usize> = self
            .away
            .iter()
            .filter(|(_, (_, at))| all || *at <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            self.bring_back(number);
        }
        let frozen = self.answering();
        for (unmanaged, at) in std::mem::take(&mut self.unmanaged) {
            let answers = frozen.iter().any(|number| self.host(*number).name() == unmanaged.host);
            if !(all || (at <= now && answers)) || !self.remove_unmanaged(&unmanaged) {
                self.unmanaged.push((unmanaged, at));
            }
        }
        if !self.keeper.lives() {
            if self.broken {
                self.write()
            } else {
                self.shared.world().violated("`tally run` ended by itself".to_owned());
            }
            if let Ok(keeper) = self.project.keep() {
                self.keeper = keeper;
            }
        }
    }
}

/// Creates and starts a container that Tally does not manage; returns `None` if the name is in use.
pub fn create_unmanaged(
    host: &LabHost,
    name: &str,
    labels: &serde_json::Value,
    shared: &Shared,
) -> Option<Unmanaged> {
    let body =
        json!({ "Image": "tally.local/hello:1", "Cmd": ["sleep", "100000"], "Labels": labels });
    let path = format!("/containers/create?name={name}");
    if host.act("POST", &path, Some(&body)).ok()? != 201 {
        return None;
    }
    let found = host.get(&format!("/containers/{name}/json")).ok()?;
    let id = found["Id"].as_str()?.to_owned();
    host.act("POST", &format!("/containers/{id}/start"), None).ok()?;
    let mut world = shared.world();
    let starts = world.starts.get(host.name()).copied().unwrap_or(0);
    let unmanaged = Unmanaged { host: host.name().to_owned(), id, name: name.to_owned(), starts };
    world.unmanaged.push(unmanaged.clone());
    Some(unmanaged)
}
