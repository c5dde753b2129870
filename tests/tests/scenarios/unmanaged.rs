//! Objects that Tally does not manage survive every command, whatever their names and labels are.

use std::collections::BTreeMap;

use tally_reconcile::Options;
use tally_reconcile::plan::request::{ContainerRequest, NetworkRequest, VolumeRequest};

use crate::many::{Many, run};
use crate::world::{HELLO, World, both, plan_errors};

fn marked(world: &World, extra: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("test.cluster".to_owned(), world.cluster.clone())]);
    labels.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    labels
}

async fn unmanaged(world: &World, name: &str, labels: &[(&str, &str)]) -> String {
    let request = ContainerRequest {
        name: name.to_owned(),
        image: HELLO.to_owned(),
        labels: marked(world, labels),
        live: tally_reconcile::input::observed::Live {
            restart: "no".to_owned(),
            ..Default::default()
        },
        ..ContainerRequest::default()
    };
    world.have_image().await;
    let id = world.host.create_container(&request).await.unwrap();
    world.host.start(&id).await.unwrap();
    id
}

#[test]
fn another_cluster_on_the_same_host_is_left_unchanged() {
    run(&["a"], |mut many: Many| async move {
        let ours =
            many.plain("controller web replicas=2 { container c image=\"tally.local/hello:1\" }");
        many.apply(&ours).await;
        let mut theirs = Many::beside(&many, "other");
        let spec = "controller web replicas=1 { container c image=\"tally.local/hello:2\" }";
        let graph = theirs.plain(spec);
        let plan = theirs.apply(&graph).await;
        assert_eq!((plan.changes.len(), plan.diagnostics.len()), (2, 0), "{:?}", plan.changes);
        let plan = many.plan(&ours).await;
        assert!(plan.is_empty() && plan.diagnostics.is_empty(), "{:?}", plan.diagnostics);
        let options = Options { destroy: true, ..Options::default() };
        let plan = theirs.plan_with(&graph, options).await;
        theirs.execute(&graph, &plan).await;
        let left = many.state("a").await.containers;
        let names: Vec<&str> = left.iter().map(|container| container.name.as_str()).collect();
        assert_eq!(names, ["many.web-0.c", "many.web-1.c"]);
        assert!(many.plan(&ours).await.is_empty());
    });
}

#[test]
fn a_container_with_copied_labels_survives_every_command() {
    both("copied", |world: World| async move {
        let graph = world.graph("pod p { container c image=\"tally.local/hello:1\" }");
        world.apply(&graph).await;
        let ours = world
            .state()
            .await
            .containers
            .into_iter()
            .find(|c| c.name == format!("{}.p.c", world.cluster))
            .unwrap();
        let copied: Vec<(&str, &str)> =
            ours.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let copy = unmanaged(&world, &format!("{}-copy", world.cluster), &copied).await;
        let half = format!("{}-half", world.cluster);
        let half = unmanaged(&world, &half, &[("tally.cluster", world.cluster.as_str())]).await;
        let plan = world.plan(&graph).await;
        assert!(plan.is_empty());
        assert_eq!(plan.diagnostics.len(), 2, "each is said: {:?}", plan.diagnostics);
        world.apply(&world.graph("pod q { container c image=\"tally.local/hello:1\" }")).await;
        world.destroy(&graph, true).await;
        let left: Vec<String> = world
            .state()
            .await
            .containers
            .into_iter()
            .filter(|c| {
                c.labels.contains_key("test.cluster") && c.labels["test.cluster"] == world.cluster
            })
            .map(|c| c.id)
            .collect();
        assert!(left.contains(&copy) && left.contains(&half), "{left:?}");
    });
}

#[test]
fn an_unmanaged_container_with_our_name_is_an_error_and_survives() {
    both("clash", |world: World| async move {
        let id = unmanaged(&world, &format!("{}.p.c", world.cluster), &[]).await;
        let graph = world.graph("pod p { container c image=\"tally.local/hello:1\" }");
        let plan = world.plan(&graph).await;
        assert_eq!(plan_errors(&plan).len(), 1);
        assert!(plan_errors(&plan)[0].starts_with("E1101"), "{:?}", plan_errors(&plan));
        assert!(plan.operations.is_empty(), "nothing is done beside an error");
        world.destroy(&graph, true).await;
        assert!(world.state().await.containers.iter().any(|container| container.id == id));
    });
}

#[test]
fn unmanaged_volumes_and_networks_with_our_names_are_errors_and_survive() {
    both("objects", |world: World| async move {
        let volume = VolumeRequest {
            name: format!("{}.data", world.cluster),
            labels: marked(&world, &[]),
            in_memory: false,
        };
        world.host.create_volume(&volume).await.unwrap();
        let network = NetworkRequest { name: world.cluster.clone(), labels: marked(&world, &[]) };
        let network = world.host.create_network(&network).await.unwrap();
        let graph = world.graph(
            "volume data\npod p { container c image=\"tally.local/hello:1\" { mount data \"/d\" } }",
        );
        let errors = plan_errors(&world.plan(&graph).await);
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors.iter().all(|error| error.starts_with("E1101")));
        world.destroy(&graph, true).await;
        let state = world.state().await;
        assert!(state.volumes.iter().any(|found| found.name == volume.name));
        assert!(state.networks.iter().any(|found| found.id == network));
    });
}

#[test]
fn an_empty_spec_removes_nothing() {
    both("empty", |world: World| async move {
        let graph = world.graph("pod p { container c image=\"tally.local/hello:1\" }");
        world.apply(&graph).await;
        let before = world.ids().await;
        let errors = plan_errors(&world.plan(&world.graph("")).await);
        assert!(errors[0].starts_with("E1105"), "{errors:?}");
        assert_eq!(world.ids().await, before);
    });
}
