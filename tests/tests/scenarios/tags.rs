//! Tags that move (failure mode 21): all pods of one version run one image, whenever and wherever they are
//! created.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use tally_control::SpecChange;
use tally_graph::{Graph, ImageRef};
use tally_host::ResolvedTags;
use tally_reconcile::memory::Declared;
use tally_reconcile::plan::{Action, Plan};
use tally_reconcile::{Options, digest_of};
use tally_simulator::Image;
use tally_tests::project::Dice;
use tally_tests::registry::Registry;

use crate::control_loop::keep;
use crate::many::{Many, run};
use crate::world::{HELLO, World, only_real};

const APP: &str = "registry.example/app:2";

/// A controller with one pod on each of three hosts.
fn web(rest: &str) -> String {
    format!(
        "controller web replicas=3 {{ place {{ spread by=host }}\n\
         container c image=\"{APP}\" {{ {rest} }} }}"
    )
}

/// Makes the tag resolve to another image from now on, on `hosts`.
fn move_tag(many: &Many, hosts: &[&str]) {
    for host in hosts {
        many.hosts[*host].inject(|model, _| model.move_tag(APP)).unwrap();
    }
}

/// Returns the IDs of the running images, by pod.
async fn images(many: &Many) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for host in many.hosts.keys() {
        for container in many.state(host).await.containers {
            let pod = container.labels.get("tally.pod").cloned().unwrap_or_default();
            all.insert(pod, container.details.map(|it| it.image_id).unwrap_or_default());
        }
    }
    all
}

async fn assert_one_image(many: &Many, pods: usize, when: &str) -> String {
    let all = images(many).await;
    let ids: BTreeSet<&String> = all.values().collect();
    assert!(all.len() == pods && ids.len() == 1, "{when}: {all:?}");
    ids.into_iter().next().cloned().unwrap_or_default()
}

/// Returns the images that a plan pulls, by host.
fn fetched(plan: &Plan) -> Vec<(&str, &str)> {
    let pulls = plan.operations.iter().filter_map(|operation| match &operation.action {
        Action::PullImage { image } => Some((operation.host.as_str(), image.as_str())),
        _ => None,
    });
    pulls.collect()
}

#[test]
fn hosts_that_pull_a_tag_at_the_same_time_get_one_image() {
    for policy in ["", "pull always"] {
        run(&["a", "b", "c"], |mut many: Many| async move {
            // Between the pull of the first host and those of the others.
            move_tag(&many, &["b", "c"]);
            move_tag(&many, &["c"]);
            let graph = many.plain(&web(policy));
            let plan = many.apply(&graph).await;
            assert_eq!(fetched(&plan).len(), 3);
            assert_one_image(&many, 3, policy).await;
        });
    }
}

#[test]
fn concurrent_plans_share_the_resolved_image_of_a_tag() {
    for shared in [true, false] {
        run(&["a", "b"], |mut many: Many| async move {
            let pod = |name: &str| {
                format!(
                    "pod {name} {{ place {{ require host={name} }}; container c image=\"{APP}\" }}\n"
                )
            };
            let graph = many.plain(&(pod("a") + &pod("b")));
            move_tag(&many, &["b"]);
            let fetched = ResolvedTags::default();
            for name in ["a", "b"] {
                let target = crate::world::target(&format!("pod/{name}"));
                let plan = many.plan_with(&graph, Options { target, ..Options::default() }).await;
                let fetched = if shared { fetched.clone() } else { ResolvedTags::default() };
                assert!(many.execute_with(&graph, &plan, fetched).await.is_done());
            }
            let all = images(&many).await;
            assert_eq!(all["a"] == all["b"], shared, "{all:?}");
        });
    }
}

#[test]
fn hosts_that_have_a_tag_from_before_and_after_it_moved_get_one_image() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let pull = |many: &Many, host: &str| {
            many.hosts[host].inject(|model, _| model.pull(APP).unwrap()).unwrap();
        };
        pull(&many, "a");
        move_tag(&many, &["a", "b", "c"]);
        pull(&many, "b");
        let plan = many.apply(&many.plain(&web(""))).await;
        let pulls = fetched(&plan);
        assert!(pulls.iter().all(|(_, image)| image.contains("@sha256:")), "{pulls:?}");
        assert_eq!(pulls.iter().map(|(host, _)| *host).collect::<Vec<_>>(), ["b", "c"]);
        assert_one_image(&many, 3, "").await;
    });
}

#[test]
fn a_rollout_of_the_loop_ends_with_the_image_it_started_with() {
    for policy in ["", "pull always"] {
        keep(&["a", "b", "c"], &web("env A=1"), |kept| async move {
            kept.until("all run", async |many| many.running().await.len() == 3).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            for host in kept.many.hosts.values() {
                host.inject(|model, _| model.remove_image(APP)).unwrap();
            }
            let before = images(&kept.many).await;
            let text = web(&format!("env A=2; {policy}"));
            kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&text)))).unwrap();
            let changed = async |many: &Many| {
                let now = many.running().await.len();
                now == 3 && images(many).await != before
            };
            move_tag(&kept.many, &["a", "b", "c"]);
            kept.until("the first is changed", changed).await;
            move_tag(&kept.many, &["a", "b", "c"]);
            tokio::time::sleep(Duration::from_secs(120)).await;
            let new = assert_one_image(&kept.many, 3, policy).await;
            assert!(!before.values().any(|id| *id == new), "it is the one that the tag stood for");
            kept.end().await;
        });
    }
}

/// A new version is rolled out while the tag moves at any time, for some hosts or all, and hosts lose the image.
#[test]
fn whenever_a_tag_moves_a_version_ends_with_one_image() {
    let mut dice = Dice::new(21);
    for turn in 0..60 {
        let hosts = ["a", "b", "c", "d"].into_iter().take(2 + dice.below(3)).collect::<Vec<_>>();
        let replicas = 2 + dice.below(5);
        let updates = [
            "",
            "update max-unavailable=2",
            "update max-surge=1 max-unavailable=0",
            "update strategy=recreate",
        ];
        let update = updates[dice.below(updates.len())];
        let policy = ["", "pull always"][dice.below(2)];
        let text = |env: u32| {
            web(&format!("{policy}\nenv A={env}"))
                .replace("replicas=3 {", &format!("replicas={replicas} {{ {update}\n"))
        };
        let mut fate = dice.clone();
        dice.below(7);
        keep(&hosts.clone(), &text(1), |kept| async move {
            kept.until("all run", async |many| many.running().await.len() == replicas).await;
            tokio::time::sleep(Duration::from_secs(40)).await;
            for host in kept.many.hosts.values() {
                host.inject(|model, _| model.remove_image(APP)).unwrap();
            }
            kept.news.send(SpecChange::Spec(Box::new(kept.many.plain(&text(2))))).unwrap();
            for _ in 0..fate.below(6) {
                tokio::time::sleep(Duration::from_millis(fate.below(1_500) as u64)).await;
                match fate.below(3) {
                    0 => move_tag(&kept.many, &hosts[..1 + fate.below(hosts.len())]),
                    _ => move_tag(&kept.many, &hosts),
                }
            }
            tokio::time::sleep(Duration::from_secs(200)).await;
            assert_one_image(&kept.many, replicas, &format!("turn {turn}: {update} {policy}"))
                .await;
            kept.end().await;
        });
    }
}

#[test]
fn a_pod_recreated_much_later_gets_the_image_of_its_version() {
    run(&["a", "b", "c", "d"], |mut many: Many| async move {
        let graph = many.plain(&web("pull always"));
        many.apply(&graph).await;
        let before = assert_one_image(&many, 3, "at first").await;
        move_tag(&many, &["a", "b", "c", "d"]);
        assert!(many.plan(&graph).await.is_empty(), "a tag that moves is no change");
        let on = many.hosts_of("web-1.c").await.remove(0);
        many.cut(&on);
        many.declare(&on, Declared::Lost);
        let plan = many.plan(&graph).await;
        let pulls = fetched(&plan);
        assert!(pulls.len() == 1 && pulls[0].1.contains("@sha256:"), "{pulls:?}");
        many.execute(&graph, &plan).await;
        let all = images(&many).await;
        assert!(all.values().all(|id| *id == before), "{all:?}");
        // A newer version uses the image to which its tag resolves when it is rolled out.
        let graph = many.plain(&web("pull always; env A=2"));
        many.apply(&graph).await;
        many.heal(&on);
        many.apply(&graph).await;
        assert_ne!(assert_one_image(&many, 3, "of the newer version").await, before);
    });
}

/// Docker 29's store keeps no name of an image whose tag has moved: its ID identifies it.
#[test]
fn an_image_that_lost_its_tag_is_still_the_image_of_its_version() {
    run(&["a", "b", "c", "d"], |mut many: Many| async move {
        for host in many.hosts.values() {
            host.inject(|model, _| model.use_containerd_store()).unwrap();
        }
        let graph = many.plain(&web("pull always"));
        many.apply(&graph).await;
        let before = assert_one_image(&many, 3, "at first").await;
        // A person pulls the tag, which resolves to the new image.
        move_tag(&many, &["a", "b", "c", "d"]);
        for host in many.hosts.values() {
            host.inject(|model, _| model.pull(APP).unwrap()).unwrap();
        }
        assert!(many.plan(&graph).await.is_empty(), "a tag that moves is no change");
        // One pod is recreated while another host has the image, one when none has.
        let [own, on] =
            [many.hosts_of("web-2.c").await.remove(0), many.hosts_of("web-1.c").await.remove(0)];
        let taken = many.hosts[&own].inject(|model, now| {
            let id = model.list().into_iter().find(|it| it.name == "many.web-2.c").unwrap().id;
            model.stop(&id, now).and_then(|_| model.remove(&id, now))
        });
        taken.unwrap().unwrap();
        many.cut(&on);
        many.declare(&on, Declared::Lost);
        let plan = many.plan(&graph).await;
        let pulls = fetched(&plan);
        assert!(pulls.iter().all(|(_, image)| image.ends_with(&before)), "{pulls:?}");
        assert_eq!(pulls.len(), 2, "{pulls:?}");
        many.execute(&graph, &plan).await;
        many.heal(&on);
        many.apply(&graph).await;
        assert_one_image(&many, 3, "recreated").await;
    });
}

#[test]
fn different_local_images_of_one_tag_are_reported_and_used() {
    run(&["a", "b"], |mut many: Many| async move {
        let local = "tally.local/mine:1";
        for host in many.hosts.values() {
            let image = Image { command: vec!["/serve".to_owned()], ..Image::default() };
            host.inject(|model, _| model.add_image(local, image.clone())).unwrap();
        }
        let graph: Graph = many.plain(&web("pull never").replace(APP, local).replace("=3", "=2"));
        let plan = many.plan(&graph).await;
        let told: Vec<_> = plan.diagnostics.iter().filter(|found| found.code.0 == 1306).collect();
        assert_eq!(told.len(), 1, "{:?}", plan.diagnostics);
        for host in ["`b`", " a"] {
            assert!(told[0].headline.contains(host), "{}", told[0].headline);
        }
        many.apply(&graph).await;
        assert_eq!(images(&many).await.len(), 2);
    });
}

#[test]
fn an_image_that_may_not_be_pulled_is_used_and_reported() {
    run(&["a", "b"], |mut many: Many| async move {
        for host in ["a", "b"] {
            many.hosts[host].inject(|model, _| model.pull(APP).unwrap()).unwrap();
            move_tag(&many, &["a", "b"]);
        }
        let graph = many.plain(&web("pull never").replace("=3", "=2"));
        let plan = many.plan(&graph).await;
        assert!(plan.diagnostics.iter().any(|found| found.code.0 == 1306), "{plan:?}");
        assert_eq!(fetched(&plan), []);
        many.apply(&graph).await;
    });
}

fn docker(args: &[&str]) {
    let out = Command::new("docker").args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn failure_21_a_tag_that_moves_mid_rollout_gives_all_pods_one_digest() {
    let why = "the simulator's registry is tried above";
    only_real("moves", why, |world: World| async move {
        let folder = tempfile::tempdir().unwrap();
        let Some(registry) = Registry::start(folder.path(), false) else { return };
        let image = format!("{}/app:1", registry.address());
        let publish = |from: &str| {
            docker(&["tag", from, &image]);
            docker(&["push", "-q", &image]);
            docker(&["image", "rm", &image]);
        };
        publish(HELLO);
        let graph = |env: u32| {
            world.graph(&format!(
                "controller web replicas=3 {{ container c image=\"{image}\" {{ pull always; env A={env}\n\
                 stop signal=SIGKILL }} }}"
            ))
        };
        world.apply(&graph(1)).await;
        // As the loop does: operations that would wait are left for the next plan.
        let now = graph(2);
        let without_waits = || Options { without_waits: true, ..Options::default() };
        let mut plan = world.plan_with(&now, without_waits()).await;
        assert!(!plan.is_empty());
        assert!(world.execute(&now, &plan).await.is_done());
        publish("tally.local/hello:2");
        docker(&["pull", "-q", &image]);
        while !plan.is_empty() || !plan.blocked.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            plan = world.plan_with(&now, without_waits()).await;
            assert!(world.execute(&now, &plan).await.is_done());
        }
        let run = async || -> BTreeSet<String> {
            let state = world.state().await;
            let ours =
                state.containers.into_iter().filter(|it| it.name.starts_with(&world.cluster));
            ours.filter_map(|it| Some(it.details?.image_id)).collect()
        };
        let began = run().await;
        assert_eq!(began.len(), 1, "{began:?}");
        world.assert_empty(&now).await;
        // The next version uses the image to which the tag resolves now.
        world.apply(&graph(3)).await;
        let after = run().await;
        assert!(after.len() == 1 && after != began, "{after:?}");
        world.destroy(&graph(3), true).await;
        // Its digest still finds it although no tag resolves to it.
        let names = world.host.images().await.unwrap();
        let by_tag = ImageRef::parse(&image).unwrap();
        let digest = digest_of(&names, began.first().unwrap(), &by_tag).expect("it is known");
        if names.contains_key(&digest) {
            docker(&["image", "rm", &digest]);
        }
        world.host.pull(&digest, &|_| {}).await.unwrap();
        assert_eq!(world.host.images().await.unwrap().get(&digest), began.first());
        docker(&["image", "rm", &digest]);
        docker(&["image", "rm", &image]);
    });
}
