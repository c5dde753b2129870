//! Converts the types of the client library into those of Tally. Types of the library do not leave this crate.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bollard::models::{
    ContainerInspectResponse, ContainerState as RawState, ContainerStateStatusEnum,
    ContainerSummary, ContainerSummaryStateEnum, HealthStatusEnum, HostConfig, ImageSummary,
    Network, NetworkSettings, PortMap, PortSummary, PortSummaryTypeEnum, Volume,
};
use tally_graph::{ImageRef, Protocol, Publish};
use tally_reconcile::input::observed::{
    ContainerDetails, ContainerState, Health, Live, ObservedContainer, ObservedNetwork,
    ObservedVolume, PublishedPort,
};

use crate::create::unset;
use crate::docker_host::Size;
use crate::time;
use tally_host::clean;

/// Converts a container of a list. Returns `None` when it has no ID; no known engine omits it.
pub(crate) fn container(summary: ContainerSummary) -> Option<ObservedContainer> {
    Some(ObservedContainer {
        id: summary.id?,
        name: own_name(summary.names.unwrap_or_default()),
        labels: labels(summary.labels),
        image: canonical(&summary.image.unwrap_or_default()),
        state: state_of_list(summary.state),
        published: published_of_list(summary.ports.unwrap_or_default()),
        details: None,
    })
}

/// Converts an inspected container, without the record of its files.
pub(crate) fn inspected(
    raw: ContainerInspectResponse,
    size: Size,
) -> Option<(ObservedContainer, ContainerDetails)> {
    let state = raw.state.unwrap_or_default();
    let config = raw.config.unwrap_or_default();
    let host = raw.host_config.unwrap_or_default();
    let network = raw.network_settings.unwrap_or_default();
    let container = ObservedContainer {
        id: raw.id?,
        name: own_name(raw.name.into_iter().collect()),
        labels: labels(config.labels),
        image: canonical(&config.image.unwrap_or_default()),
        state: state_of_inspect(state.status),
        published: published_of_map(network.ports.clone().unwrap_or_default()),
        details: None,
    };
    let details = ContainerDetails {
        image_id: raw.image.unwrap_or_default(),
        health: health(&state),
        exit_code: exit_code(&state, container.state),
        error: error(&state),
        started_at_ms: state.started_at.as_deref().and_then(time::parse_ms),
        finished_at_ms: state.finished_at.as_deref().and_then(time::parse_ms),
        restart_count: unsigned(raw.restart_count).try_into().unwrap_or(u32::MAX),
        live: live(&host, size),
        joined: joined(&host),
        files: None,
        secrets: None,
        addresses: addresses(network),
    };
    Some((container, details))
}

/// Returns the container's own name. Links add further names, which contain a second slash.
fn own_name(names: Vec<String>) -> String {
    names
        .iter()
        .map(|name| name.strip_prefix('/').unwrap_or(name))
        .find(|name| !name.contains('/'))
        .unwrap_or_default()
        .to_owned()
}

fn labels(raw: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    raw.unwrap_or_default().into_iter().collect()
}

/// Returns the form in which images are compared. An ID does not change.
fn canonical(image: &str) -> String {
    if image.starts_with("sha256:") {
        return image.to_owned();
    }
    ImageRef::parse(image).map_or_else(|_| image.to_owned(), |image| image.to_string())
}

fn state_of_list(raw: Option<ContainerSummaryStateEnum>) -> ContainerState {
    use ContainerSummaryStateEnum as Raw;
    match raw {
        Some(Raw::RUNNING) => ContainerState::Running,
        Some(Raw::PAUSED) => ContainerState::Paused,
        Some(Raw::RESTARTING) => ContainerState::Restarting,
        Some(Raw::REMOVING) => ContainerState::Removing,
        Some(Raw::EXITED) => ContainerState::Exited,
        Some(Raw::DEAD) => ContainerState::Dead,
        _ => ContainerState::Created,
    }
}

fn state_of_inspect(raw: Option<ContainerStateStatusEnum>) -> ContainerState {
    use ContainerStateStatusEnum as Raw;
    match raw {
        Some(Raw::RUNNING) => ContainerState::Running,
        Some(Raw::PAUSED) => ContainerState::Paused,
        Some(Raw::RESTARTING) => ContainerState::Restarting,
        Some(Raw::REMOVING) => ContainerState::Removing,
        Some(Raw::EXITED) => ContainerState::Exited,
        Some(Raw::DEAD) => ContainerState::Dead,
        _ => ContainerState::Created,
    }
}

fn published_of_list(ports: Vec<PortSummary>) -> Vec<PublishedPort> {
    let ports = ports.into_iter().filter_map(|port| {
        let protocol = match port.typ {
            Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
            Some(PortSummaryTypeEnum::TCP) => Protocol::Tcp,
            _ => return None,
        };
        let host = Publish { ip: address(port.ip.as_deref()), port: port.public_port? };
        Some(PublishedPort { host, container: port.private_port, protocol })
    });
    sorted(ports.collect())
}

fn published_of_map(ports: PortMap) -> Vec<PublishedPort> {
    let mut out = Vec::new();
    for (key, bindings) in ports {
        let Some((number, protocol)) = key.split_once('/') else {
            continue;
        };
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => continue,
        };
        let Ok(container) = number.parse() else {
            continue;
        };
        for binding in bindings.unwrap_or_default() {
            let port = binding.host_port.as_deref().and_then(|port| port.parse().ok());
            let Some(port) = port else { continue };
            let host = Publish { ip: address(binding.host_ip.as_deref()), port };
            out.push(PublishedPort { host, container, protocol });
        }
    }
    sorted(out)
}

/// Returns the address of a port; `None` for "all addresses", which Docker lists once for IPv4 and once for IPv6.
fn address(text: Option<&str>) -> Option<IpAddr> {
    text.and_then(|text| text.parse::<IpAddr>().ok()).filter(|ip| !ip.is_unspecified())
}

fn sorted(mut ports: Vec<PublishedPort>) -> Vec<PublishedPort> {
    ports.sort();
    ports.dedup();
    ports
}

fn health(state: &RawState) -> Health {
    match state.health.as_ref().and_then(|health| health.status) {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        _ => Health::None,
    }
}

/// Returns the exit code of an ended container. Docker also reports 0 for a container that has not ended.
fn exit_code(raw: &RawState, state: ContainerState) -> Option<i64> {
    match state {
        ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting => raw.exit_code,
        _ => None,
    }
}

fn error(state: &RawState) -> Option<String> {
    if let Some(error) = state.error.as_deref().filter(|error| !error.is_empty()) {
        return Some(clean::line(error));
    }
    (state.oom_killed == Some(true)).then(|| "it was killed for want of memory".to_owned())
}

fn unsigned(value: Option<i64>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}

fn live(host: &HostConfig, size: Size) -> Live {
    let restart = host.restart_policy.as_ref().and_then(|policy| policy.name);
    let restart = restart.map(|name| name.to_string()).filter(|name| !name.is_empty());
    let or_unset = |value: u64, unset: u64| if value == unset { 0 } else { value };
    Live {
        cpu_shares: or_unset(unsigned(host.cpu_shares), unset::CPU_SHARES),
        nano_cpus: or_unset(unsigned(host.nano_cpus), unset::nano_cpus(size)),
        memory: or_unset(unsigned(host.memory), unset::memory(size)),
        // Docker uses -1 for "not set" here, which `unsigned` turns into 0.
        memory_reservation: unsigned(host.memory_reservation),
        restart: restart.unwrap_or_else(|| "no".to_owned()),
    }
}

fn joined(host: &HostConfig) -> Option<String> {
    host.network_mode.as_deref()?.strip_prefix("container:").map(str::to_owned)
}

fn addresses(network: NetworkSettings) -> BTreeMap<String, String> {
    let networks = network.networks.unwrap_or_default().into_iter();
    networks
        .filter_map(|(name, endpoint)| Some((name, endpoint.ip_address?)))
        .filter(|(_, address)| !address.is_empty())
        .collect()
}

/// Converts a volume.
pub(crate) fn volume(raw: Volume) -> ObservedVolume {
    ObservedVolume { name: raw.name, labels: raw.labels.into_iter().collect() }
}

/// Converts a network. Returns `None` when it has no ID.
pub(crate) fn network(raw: Network) -> Option<ObservedNetwork> {
    Some(ObservedNetwork {
        id: raw.id?,
        name: raw.name.unwrap_or_default(),
        driver: raw.driver.unwrap_or_default(),
        labels: labels(raw.labels),
    })
}

/// Returns the names of images with their IDs. An image that lost all its names, because its tag moved, is listed by
/// its ID.
pub(crate) fn images(raw: Vec<ImageSummary>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for image in raw {
        let names = image.repo_tags.iter().chain(&image.repo_digests);
        let names: Vec<_> = names.filter(|name| !name.contains("<none>")).collect();
        if names.is_empty() {
            out.insert(image.id.clone(), image.id);
            continue;
        }
        out.extend(names.into_iter().map(|name| (canonical(name), image.id.clone())));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_containers_own_and_not_a_links() {
        let names = vec!["/other/alias".to_owned(), "/c.p.web".to_owned()];
        assert_eq!(own_name(names), "c.p.web");
    }

    #[test]
    fn all_addresses_are_one_whatever_the_family() {
        let port = |ip: &str| PortSummary {
            ip: Some(ip.to_owned()),
            private_port: 80,
            public_port: Some(8080),
            typ: Some(PortSummaryTypeEnum::TCP),
        };
        let ports = published_of_list(vec![port("0.0.0.0"), port("::"), port("127.0.0.1")]);
        let shown: Vec<String> = ports.iter().map(|port| port.host.to_string()).collect();
        assert_eq!(shown, ["8080", "127.0.0.1:8080"]);
    }
}
