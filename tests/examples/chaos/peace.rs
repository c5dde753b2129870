//! Quiet times: there are no more faults, and the cluster must converge and stay converged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::faults::Chaos;
use crate::stage::{UNAVAILABLE, Version};

/// Maximum time until the cluster has converged. Pods that failed repeatedly are in backoff between repairs, 64 s the
/// sixth time.
const CONVERGES: Duration = Duration::from_secs(180);
/// The time for which it must stay converged.
const STAYS: Duration = Duration::from_secs(4);

impl Chaos<'_> {
    /// Ends all faults and waits; returns the time it took, or `None` if it took too long.
    pub fn peace(&mut self) -> Option<Duration> {
        self.undo(true);
        // A half-written spec is repaired.
        self.write();
        let began = Instant::now();
        // The time since which the cluster is converged, and its containers at that time: a container in a pod whose
        // infra container was recreated looks up to date by its name, and is recreated all the same.
        let mut since: Option<(Instant, BTreeMap<_, _>)> = None;
        let took = loop {
            self.undo(true);
            std::thread::sleep(Duration::from_millis(200));
            let last = self.differs(&self.version);
            let now = self.shared.world().ours();
            since = match since {
                _ if !last.is_empty() => None,
                Some((at, before)) if before == now => Some((at, before)),
                _ => Some((Instant::now(), now)),
            };
            if let Some((at, _)) = &since
                && at.elapsed() > STAYS
            {
                break at.duration_since(began);
            }
            if began.elapsed() > CONVERGES {
                let what = format!("no convergence within {CONVERGES:?}: {}", last.join("; "));
                self.shared.world().violated(what);
                return None;
            }
        };
        let planned = self.project.tally(&["plan", "--detailed-exitcode"]);
        match planned {
            Ok(output) if output.status.code() == Some(0) => {}
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                self.shared
                    .world()
                    .violated(format!("a plan without faults is not empty:\n{text}"));
            }
            Err(error) => self.say(&format!("LAB: {error}")),
        }
        self.shared.world().most_web = self.version.web;
        self.say(&format!("PEACE: converged after {:.1} s", took.as_secs_f64()));
        self.roll();
        Some(took)
    }

    /// Returns the managed containers on all hosts.
    fn fresh(&self) -> BTreeMap<(String, String), (String, String)> {
        for host in self.lab.hosts() {
            self.shared.look(host);
        }
        self.shared.world().ours()
    }

    /// Returns the differences from the version.
    fn differs(&self, version: &Version) -> Vec<String> {
        let ours = self.fresh();
        let hosts: Vec<String> =
            self.lab.hosts().iter().map(|host| host.name().to_owned()).collect();
        let mut found: BTreeMap<String, Vec<&String>> = BTreeMap::new();
        let mut differs = Vec::new();
        for ((host, name), (_, state)) in &ours {
            match state.as_str() {
                "running" if !self.is_new(host, name, version) => {
                    differs.push(format!("{name} on {host} is of an earlier version"));
                }
                "running" => found.entry(name.clone()).or_default().push(host),
                // An init that has ended is kept as the record that it ran.
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
        differs
            .extend(found.keys().filter(|n| !wanted.contains(*n)).map(|n| format!("orphan {n}")));
        differs
    }

    /// Applies a change without faults: never fewer pods than `update` allows (S4).
    fn roll(&mut self) {
        self.version.number += 1;
        self.write();
        let began = Instant::now();
        let least = self.version.web - UNAVAILABLE;
        let mut lowest = self.version.web;
        let rolled = loop {
            std::thread::sleep(Duration::from_millis(100));
            let running = self.shared.world().web().len();
            if running < least {
                self.check_missing();
            }
            lowest = lowest.min(running);
            if self.differs(&self.version).is_empty() {
                break true;
            }
            if began.elapsed() > CONVERGES {
                break false;
            }
        };
        if rolled {
            self.say(&format!(
                "rolled out in {:.1} s; at least {lowest} of {} pods in observations at different times",
                began.elapsed().as_secs_f64(),
                self.version.web
            ))
        } else {
            self.shared.world().violated("a change without faults does not end".to_owned())
        }
    }

    /// Checks the number of missing pods: pods missing in two consecutive observations were missing at the instant
    /// between them.
    fn check_missing(&self) {
        let names = || (0..self.version.web).map(|nth| format!("web-{nth}"));
        let mut missing: BTreeSet<String> = names().collect();
        for _ in 0..2 {
            self.fresh();
            let running = self.shared.world().web();
            missing.retain(|pod| !running.contains(pod));
        }
        if missing.len() > UNAVAILABLE {
            let what = format!("S4: {missing:?} are missing, and {UNAVAILABLE} may");
            self.shared.world().violated(what);
        }
    }

    /// Checks whether a container is of this version, by its label.
    fn is_new(&self, host: &str, name: &str, version: &Version) -> bool {
        let world = self.shared.world();
        let seen = world.views.get(host).and_then(|seen| seen.iter().find(|one| one.name == name));
        let spec = seen.map_or("", |seen| seen.label("tally.spec"));
        let number = format!("\"NUMBER\":\"{}\"", version.number);
        let image = format!("tally.local/hello:{}", version.image);
        let is_web = name.ends_with(".web");
        (!spec.contains("\"NUMBER\"") || spec.contains(&number))
            && (!is_web || spec.contains(&image))
    }

    /// Checks S6: a spec without most of the existing pods is not applied without a confirmation.
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
            0 => self.say("S6: a spec without most of its pods removed nothing"),
            gone => self.shared.world().violated(format!("S6: {gone} containers were removed")),
        }
        self.write();
    }
}
