//! Tags that move in a registry, over three real engines (failure mode 21): all hosts of a version run
//! one image, a tag that moves is no change by itself, and nothing else moves. With `TALLY_TEST_LAB=1`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use tally_reconcile::labels;
use tally_tests::lab::{Lab, LabOptions, Way};
use tally_tests::project::Project;
use tally_tests::registry::Registry;

/// A container: its full ID and its image's.
type Run = (String, String);

struct World {
    lab: Lab,
    project: Project,
    image: String,
}

impl World {
    /// Makes the tag resolve to this image from now on; no host keeps the name.
    fn publish(&self, from: &str) {
        let first = &self.lab.hosts()[0];
        for args in [&["tag", from, &self.image][..], &["push", "-q", &self.image]] {
            first.docker(args).unwrap();
        }
        self.forget();
    }

    /// Removes the tag from the hosts, so that they pull it from the registry.
    fn forget(&self) {
        for host in self.lab.hosts() {
            // A host may have none; running containers keep their image by its ID.
            let _ = host.docker(&["image", "rm", &self.image]);
        }
    }

    fn write(&self, replicas: usize, env: u32) {
        let still = "pod still { container c image=\"tally.local/hello:1\" { command \"sleep\" \"100000\"\n\
             stop signal=SIGKILL }; }\n";
        let web = format!(
            "controller web replicas={replicas} {{\n place {{ spread by=host }}\n\
             container c image=\"{}\" {{ pull always; env A={env}; command \"sleep\" \"100000\"\n\
             stop signal=SIGKILL }}\n}}\n",
            self.image
        );
        let cluster = self.lab.cluster("tags", &[Way::Unix, Way::Tls, Way::Ssh]);
        self.project.write(&(cluster + still + &web)).unwrap();
    }

    /// Returns the running containers, by host and name.
    fn running(&self) -> BTreeMap<String, Run> {
        let mut all = BTreeMap::new();
        for host in self.lab.hosts() {
            // A container that is being replaced is none of the version's pods any more.
            let is_current = |name: &str| labels::name_before_replacement(name).is_none();
            let all_seen = host.seen().unwrap().into_iter();
            for one in all_seen.filter(|one| one.lives() && is_current(&one.name)) {
                let seen = host.get(&format!("/containers/{}/json", one.id)).unwrap();
                let image = seen["Image"].as_str().unwrap_or_default().to_owned();
                all.insert(format!("{} on {}", one.name, host.name()), (one.id, image));
            }
        }
        all
    }

    /// Returns the one image of this number of pods of the controller, on all three hosts.
    fn one_image(&self, pods: usize, when: &str) -> String {
        let all = self.running();
        let web: Vec<_> = all.iter().filter(|(name, _)| name.contains(".web-")).collect();
        let images: BTreeSet<&String> = web.iter().map(|(_, (_, image))| image).collect();
        let hosts: BTreeSet<_> =
            web.iter().filter_map(|(name, _)| name.split(" on ").last()).collect();
        assert_eq!((web.len(), images.len(), hosts.len()), (pods, 1, 3), "{when}: {all:?}");
        images.into_iter().next().unwrap().clone()
    }

    fn apply(&self, when: &str) {
        let output = self.project.tally(&["apply", "--yes"]).unwrap();
        assert!(output.status.success(), "{when}: {output:?}");
    }

    fn assert_empty(&self, when: &str) {
        let output = self.project.tally(&["plan", "--detailed-exitcode"]).unwrap();
        assert_eq!(output.status.code(), Some(0), "{when}: {output:?}");
    }

    fn until(&self, what: &str, is_so: impl Fn(&BTreeMap<String, Run>) -> bool) {
        let end = Instant::now() + Duration::from_secs(90);
        while !is_so(&self.running()) {
            assert!(Instant::now() < end, "never: {what}\n{:?}", self.project.told());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn still(all: &BTreeMap<String, Run>) -> Option<&Run> {
    all.iter().find(|(name, _)| name.contains(".still.")).map(|(_, run)| run)
}

/// Returns those of `before` that still run unchanged.
fn kept(before: &BTreeMap<String, Run>, now: &BTreeMap<String, Run>) -> usize {
    before.iter().filter(|(name, run)| now.get(*name) == Some(run)).count()
}

#[test]
fn hosts_of_one_version_run_one_digest_if_the_tag_moves_between_applies_or_during_the_loop() {
    if std::env::var_os("TALLY_TEST_LAB").is_none_or(|value| value != "1") {
        eprintln!("SKIPPED: set TALLY_TEST_LAB=1 to run this over real engines");
        return;
    }
    let lab = Lab::up(&LabOptions::named("tags", 204, 3)).unwrap();
    let Some(registry) = Registry::start_at(&lab.outside(), lab.folder(), false) else { return };
    lab.load(&["tally.local/hello:1", "tally.local/hello:2"]).expect("make images");
    let project = Project::new(&lab, "project", Path::new(env!("CARGO_BIN_EXE_tally"))).unwrap();
    let image = format!("{}/app:1", registry.address());
    let world = World { lab, project, image };

    world.publish("tally.local/hello:1");
    world.write(6, 1);
    world.apply("the first version");
    let first = world.one_image(6, "the first version");
    let at_first = world.running();

    world.publish("tally.local/hello:2");
    world.assert_empty("a tag that moved is no change");
    world.apply("nothing to do");
    assert_eq!(world.running(), at_first);
    world.write(9, 1);
    world.apply("more pods of the first version");
    assert_eq!(world.one_image(9, "more pods"), first);
    assert_eq!(kept(&at_first, &world.running()), at_first.len(), "nothing else moves");

    world.write(9, 2);
    world.apply("a version of its own");
    let second = world.one_image(9, "the second version");
    assert_ne!(second, first, "it is the image to which the tag resolves now");
    world.assert_empty("the second version");

    // The same while the loop rolls a version out.
    let before = world.running();
    let mut keeper = world.project.keep().unwrap();
    world.publish("tally.local/hello:1");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(world.running(), before, "the loop takes a tag that moved for no change");
    world.write(9, 3);
    // After the first pod of the version exists: until then nothing fixes its image.
    let is_new =
        |(name, run): (&String, &Run)| name.contains(".web-") && before.get(name) != Some(run);
    world.until("one is changed", |now| now.iter().any(is_new));
    world.publish("tally.local/hello:2");
    let all_new =
        |now: &BTreeMap<String, Run>| now.len() == before.len() && kept(&before, now) == 1;
    world.until("all are changed", all_new);
    assert_eq!(world.one_image(9, "the third version"), first, "it ends as it began");
    assert_eq!(still(&world.running()), still(&at_first), "who has another image never moved");
    assert_eq!(keeper.end(Duration::from_secs(60)), Some(0));
    world.assert_empty("the third version");
}
