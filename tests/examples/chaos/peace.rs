//! Quiet times: nothing goes wrong any more, and everything must become as the spec says, and stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::faults::Chaos;
use crate::stage::{CLUSTER, UNAVAILABLE, Version};

/// By then all is as the spec says. Pods that were harmed again and again are left alone for a while
/// between repairs, 64 s the sixth time.
const CONVERGES: Duration = Duration::from_secs(180);
/// Then it stays so for this long.
const STAYS: Duration = Duration::from_secs(4);

impl Chaos<'_> {
    /// Takes all faults back and waits; how long it took, `None` where it took too long.
    pub fn peace(&mut self) -> Option<Duration> {
        self.undo(true);
        // A half-written spec is put right.
        self.write();
        let began = Instant::now();
        let mut last = Vec::new();
        while began.elapsed() < CONVERGES {
            self.undo(true);
            std::thread::sleep(Duration::from_millis(200));
            last = self.differs(&self.version);
            if last.is_empty() {
                break;
            }
        }
        let took = began.elapsed();
        if !last.is_empty() {
            let what = format!("no convergence within {CONVERGES:?}: {}", last.join("; "));
            self.shared.world().violated(what);
            return None;
        }
        let before = self.fresh();
        std::thread::sleep(STAYS);
        let after = self.fresh();
        if before != after {
            let changed: Vec<_> =
                after.iter().filter(|(key, value)| before.get(*key) != Some(value)).collect();
            self.shared.world().violated(format!("it does not stay as it is: {changed:?}"));
        }
        let planned = self.project.tally(&["plan", "--detailed-exitcode"]);
        match planned {
            Ok(output) if output.status.code() == Some(0) => {}
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                self.shared.world().violated(format!("a plan is not empty in peace:\n{text}"));
            }
            Err(error) => self.say(&format!("LAB: {error}")),
        }
        self.shared.world().most_web = self.version.web;
        self.say(&format!("PEACE: all as the spec says after {:.1} s", took.as_secs_f64()));
        self.roll();
        Some(took)
    }

    /// Our containers as they are now, on all hosts.
    fn fresh(&self) -> BTreeMap<(String, String), (String, String)> {
        for host in self.lab.hosts() {
            self.shared.look(host);
        }
        self.shared.world().ours()
    }

    /// What is not as the version says.
    fn differs(&self, version: &Version) -> Vec<String> {
        let ours = self.fresh();
        let hosts: Vec<String> =
            self.lab.hosts().iter().map(|host| host.name().to_owned()).collect();
        let mut found: BTreeMap<String, Vec<&String>> = BTreeMap::new();
        let mut differs = Vec::new();
        for ((host, name), (_, state)) in &ours {
            match state.as_str() {
                "running" => found.entry(name.clone()).or_default().push(host),
                // An init that has ended is kept as the record that it was run.
                "exited" if name.ends_with(".prepare") => {}
                state => differs.push(format!("{name} on {host} is {state}")),
            }
        }
        let wanted: BTreeSet<String> = version.expected(&hosts).into_values().flatten().collect();
        for name in &wanted {
            match found.get(name).map_or(&[][..], Vec::as_slice) {
                [] => differs.push(format!("{name} is missing")),
                [_] => {}
                several => differs.push(format!("{name} runs on {several:?}")),
            }
        }
        differs.extend(found.keys().filter(|n| !wanted.contains(*n)).map(|n| format!("orphan {n}")));
        differs
    }

    /// A change in peace: never fewer pods than `update` allows (S4).
    fn roll(&mut self) {
        self.version.number += 1;
        self.write();
        let began = Instant::now();
        let least = self.version.web - UNAVAILABLE;
        let mut lowest = self.version.web;
        let want = format!("NUMBER={}", self.version.number);
        let rolled = loop {
            std::thread::sleep(Duration::from_millis(100));
            let running = self.shared.world().web().len();
            lowest = lowest.min(running);
            if running < least {
                let what = format!("S4: {running} pods of web while they change, least {least}");
                self.shared.world().violated(what);
            }
            if self.differs(&self.version).is_empty() && self.all_have(&want) {
                break true;
            }
            if began.elapsed() > CONVERGES {
                break false;
            }
        };
        match rolled {
            true => self.say(&format!(
                "rolled out in {:.1} s, never fewer than {lowest} of {} pods",
                began.elapsed().as_secs_f64(),
                self.version.web
            )),
            false => self.shared.world().violated("a change in peace does not end".to_owned()),
        }
    }

    /// Whether all pods of `web` have this in their environment.
    fn all_have(&self, want: &str) -> bool {
        let prefix = format!("{CLUSTER}.web-");
        let ours = self.shared.world().ours();
        ours.iter().filter(|((_, name), _)| name.starts_with(&prefix)).all(|((host, _), (id, _))| {
            let host = self.lab.hosts().iter().find(|one| one.name() == host);
            let found = host.and_then(|host| host.get(&format!("/containers/{id}/json")).ok());
            let env = found.and_then(|found| found["Config"]["Env"].as_array().cloned());
            env.unwrap_or_default().iter().any(|one| one.as_str() == Some(want))
        })
    }

    /// S6: a spec without most of what is there is not followed without a person.
    pub fn guard(&mut self) {
        let before = self.fresh();
        let gutted = Version { gutted: true, ..self.version };
        if let Err(error) = self.project.write(&gutted.text(self.lab)) {
            self.say(&format!("LAB: {error}"));
        }
        std::thread::sleep(Duration::from_secs(10));
        let after = self.fresh();
        let gone = before.iter().filter(|(key, value)| after.get(*key) != Some(value)).count();
        match gone {
            0 => self.say("S6: a spec without most of its pods took nothing away"),
            gone => self.shared.world().violated(format!("S6: {gone} containers were taken away")),
        }
        self.write();
    }
}
