//! The baseline of Tally's benchmarks: a minimal client that makes the same calls of Docker's API and nothing else.
//!
//! `raw_client read LABEL [SOCKET…]` makes the reads of a plan: version, info, lists, and an inspection
//! of each container with the label, 16 at once; of all hosts at once where sockets are given.
//! `raw_client create N PARALLEL IMAGE NETWORK LABEL`
//! creates and starts N containers. `raw_client remove LABEL` removes them by force.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measuring tool: it panics on errors"
)]

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptions,
    ListNetworksOptions, ListVolumesOptions, RemoveContainerOptionsBuilder,
};
use futures_util::{StreamExt as _, stream};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    if let ["read", label, sockets @ ..] = words.as_slice()
        && !sockets.is_empty()
    {
        let each = sockets.iter().map(|socket| async move {
            let docker = Docker::connect_with_unix(socket, 120, bollard::API_DEFAULT_VERSION);
            let docker = docker.expect("a Docker socket");
            read(&docker.negotiate_version().await.expect("a Docker engine"), label).await;
        });
        futures_util::future::join_all(each).await;
        return;
    }
    let docker = Docker::connect_with_defaults().expect("a Docker socket");
    let docker = docker.negotiate_version().await.expect("a Docker engine");
    match words.as_slice() {
        ["read", label] => read(&docker, label).await,
        ["create", number, parallel, image, network, label] => {
            let number = number.parse().expect("a number");
            let parallel = parallel.parse().expect("a number");
            create(&docker, number, parallel, image, network, label).await;
        }
        ["remove", label] => remove(&docker, label).await,
        _ => println!("usage: raw_client read|create|remove …"),
    }
}

async fn labelled(docker: &Docker, label: &str) -> Vec<String> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let list = docker.list_containers(Some(options)).await.expect("containers");
    list.into_iter().filter_map(|container| container.id).collect()
}

async fn read(docker: &Docker, label: &str) {
    let containers = async {
        let all = ListContainersOptionsBuilder::default().all(true).build();
        let list = docker.list_containers(Some(all)).await.expect("containers");
        let (key, value) = label.split_once('=').expect("key=value");
        let ids = list.into_iter().filter(|container| {
            let labels = container.labels.as_ref();
            labels.and_then(|labels| labels.get(key)).is_some_and(|found| found == value)
        });
        let ids: Vec<String> = ids.filter_map(|container| container.id).collect();
        stream::iter(ids)
            .map(
                |id| async move { docker.inspect_container(&id, None).await.expect("a container") },
            )
            .buffer_unordered(16)
            .count()
            .await
    };
    let (info, containers, volumes, networks, images) = futures_util::join!(
        docker.info(),
        containers,
        docker.list_volumes(None::<ListVolumesOptions>),
        docker.list_networks(None::<ListNetworksOptions>),
        docker.list_images(None::<ListImagesOptions>),
    );
    let (volumes, networks) = (volumes.expect("volumes"), networks.expect("networks"));
    println!(
        "{} containers inspected, {} volumes, {} networks, {} images, engine {}",
        containers,
        volumes.volumes.unwrap_or_default().len(),
        networks.len(),
        images.expect("images").len(),
        info.expect("info").id.unwrap_or_default()
    );
}

async fn create(
    docker: &Docker,
    number: usize,
    parallel: usize,
    image: &str,
    network: &str,
    label: &str,
) {
    let (key, value) = label.split_once('=').expect("key=value");
    let one = |i: usize| async move {
        let name = format!("raw-{i}");
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            labels: Some(HashMap::from([(key.to_owned(), value.to_owned())])),
            host_config: Some(HostConfig {
                network_mode: Some(network.to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let made = docker.create_container(Some(options), body).await.expect("created");
        docker.start_container(&made.id, None).await.expect("started");
    };
    let made = stream::iter(0..number).map(one).buffer_unordered(parallel).count().await;
    println!("{made} containers created and started");
}

async fn remove(docker: &Docker, label: &str) {
    let ids = labelled(docker, label).await;
    let one = |id: String| async move {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        // A container that is already removed is no error.
        let _ = docker.remove_container(&id, Some(options)).await;
    };
    let gone = stream::iter(ids).map(one).buffer_unordered(8).count().await;
    println!("{gone} containers removed");
}
