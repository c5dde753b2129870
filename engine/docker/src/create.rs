//! Container requests as bodies of Docker's API. Settings that the request does not contain are omitted, so that the
//! daemon's defaults apply and never count as a difference.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, EndpointSettings, HealthConfig, HostConfig, Mount,
    MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig, NetworkingConfig, PortBinding,
    PortMap, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use tally_reconcile::input::observed::{Live, PublishedPort};
use tally_reconcile::plan::request::{
    ContainerRequest, EnvValue, HealthRequest, MountFrom, MountRequest, NetworkRef, VolumeRequest,
};

use crate::docker_host::Size;

/// Returns the body of a create call.
pub(crate) fn body(request: &ContainerRequest) -> ContainerCreateBody {
    let ports: Vec<String> = request.publish.iter().map(port_key).collect();
    ContainerCreateBody {
        hostname: request.hostname.clone(),
        user: request.settings.user.clone(),
        env: Some(environment(request)),
        cmd: request.command.clone(),
        entrypoint: request.entrypoint.clone(),
        image: Some(request.image.clone()),
        working_dir: request.settings.workdir.clone(),
        labels: Some(request.labels.clone().into_iter().collect()),
        stop_signal: request.stop_signal.clone(),
        stop_timeout: request.stop_timeout_s.map(signed),
        healthcheck: Some(health(request.health.as_ref())),
        exposed_ports: (!ports.is_empty()).then_some(ports),
        host_config: Some(host_config(request)),
        networking_config: networking(&request.network),
        ..ContainerCreateBody::default()
    }
}

/// Returns the environment: plain values first, then values with secrets.
fn environment(request: &ContainerRequest) -> Vec<String> {
    let (plain, filled): (Vec<_>, Vec<_>) =
        request.env.iter().partition(|(_, value)| matches!(value, EnvValue::Template(_)));
    let all = plain.into_iter().chain(filled);
    all.filter_map(|(key, value)| Some(format!("{key}={}", value.text()?))).collect()
}

fn host_config(request: &ContainerRequest) -> HostConfig {
    let live = &request.live;
    let joins = match &request.network {
        NetworkRef::Joins(name) => Some(format!("container:{name}")),
        _ => None,
    };
    let network_mode = match &request.network {
        NetworkRef::Default => None,
        NetworkRef::Named { name, .. } => Some(name.clone()),
        NetworkRef::Joins(_) => joins.clone(),
    };
    let ipc_mode = joins.or_else(|| request.shareable_ipc.then(|| "shareable".to_owned()));
    let ulimits = request.ulimits.iter().map(|(name, (soft, hard))| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(*soft),
        hard: Some(*hard),
    });
    HostConfig {
        cpu_shares: set(live.cpu_shares),
        nano_cpus: set(live.nano_cpus),
        memory: set(live.memory),
        // No swap beyond the limit: a container that exceeds it is killed, not slowed down.
        memory_swap: set(live.memory),
        memory_reservation: set(live.memory_reservation),
        restart_policy: Some(restart(&live.restart)),
        network_mode,
        ipc_mode,
        port_bindings: bindings(&request.publish),
        ulimits: (!request.ulimits.is_empty()).then(|| ulimits.collect()),
        mounts: mounts(request),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        ..HostConfig::default()
    }
}

/// Returns the driver of a volume and the driver's options. Returns `None` for Docker's defaults.
pub(crate) fn driver(request: &VolumeRequest) -> Option<(String, HashMap<String, String>)> {
    // Only written files use memory. The size limit is that of all files of a spec.
    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=64m,mode=0755")];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    request.in_memory.then(|| ("local".to_owned(), options))
}

/// Returns the settings with which Docker creates a volume that no longer exists when its container is created.
fn volume_options_of(request: &ContainerRequest, name: &str) -> Option<MountVolumeOptions> {
    let volume = request.volumes.iter().find(|volume| volume.name == name)?;
    let driver = driver(volume).map(|(name, options)| MountVolumeOptionsDriverConfig {
        name: Some(name),
        options: Some(options),
    });
    Some(MountVolumeOptions {
        labels: Some(volume.labels.clone().into_iter().collect()),
        driver_config: driver,
        ..MountVolumeOptions::default()
    })
}

/// Returns typed mounts and not `Binds`: Docker then refuses a bind whose source is missing, where `Binds` would create
/// an empty folder on the host.
fn mounts(request: &ContainerRequest) -> Option<Vec<Mount>> {
    let mount = |(target, mount): (&String, &MountRequest)| {
        let (typ, source) = match &mount.source {
            MountFrom::Volume(name) => (MountType::VOLUME, name),
            MountFrom::HostPath(path) => (MountType::BIND, path),
        };
        Mount {
            target: Some(target.clone()),
            source: Some(source.clone()),
            typ: Some(typ),
            read_only: Some(mount.read_only),
            volume_options: volume_options_of(request, source),
            ..Mount::default()
        }
    };
    (!request.mounts.is_empty()).then(|| request.mounts.iter().map(mount).collect())
}

fn networking(network: &NetworkRef) -> Option<NetworkingConfig> {
    let NetworkRef::Named { name, aliases } = network else {
        return None;
    };
    let endpoint =
        EndpointSettings { aliases: Some(aliases.clone()), ..EndpointSettings::default() };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(name.clone(), endpoint)])) })
}

fn port_key(port: &PublishedPort) -> String {
    format!("{}/{}", port.container, port.protocol)
}

fn bindings(ports: &[PublishedPort]) -> Option<PortMap> {
    let mut map = PortMap::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: port.host.ip.map(|ip| ip.to_string()),
            host_port: Some(port.host.port.to_string()),
        };
        map.entry(port_key(port)).or_default().get_or_insert_default().push(binding);
    }
    (!map.is_empty()).then_some(map)
}

/// Returns the health check. A container without one in the spec must not inherit that of its image: its meaning would
/// depend on the image.
fn health(request: Option<&HealthRequest>) -> HealthConfig {
    let Some(request) = request else {
        return HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() };
    };
    let mut test = vec!["CMD".to_owned()];
    test.extend(request.command.iter().cloned());
    HealthConfig {
        test: Some(test),
        interval: Some(nanos(request.every_ms)),
        timeout: Some(nanos(request.timeout_ms)),
        start_period: Some(nanos(request.delay_ms)),
        retries: Some(i64::from(request.failures)),
        start_interval: None,
    }
}

fn restart(word: &str) -> RestartPolicy {
    let name = match word {
        "always" => RestartPolicyNameEnum::ALWAYS,
        "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
        "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
        _ => RestartPolicyNameEnum::NO,
    };
    RestartPolicy { name: Some(name), maximum_retry_count: None }
}

/// Values that stand for "no limit". Docker cannot remove a limit from a container: 0 means "do not change". So a limit
/// that is no longer wanted is set to a value that limits nothing and that no spec can request. An observation reads
/// that value as "not set".
pub(crate) mod unset {
    use crate::docker_host::Size;

    /// The default weight is 1024. The weights of a spec are thousandths of a core times 1.024, rounded down, and so
    /// never 1023.
    pub(crate) const CPU_SHARES: u64 = 1_023;

    /// Returns all cores minus a billionth of one. The limits of a spec are thousandths of a core.
    pub(crate) fn nano_cpus(size: Size) -> u64 {
        (u64::from(size.cpus) * 1_000_000_000).saturating_sub(1)
    }

    /// Returns all memory minus one or two bytes: an odd number, which no unit of a spec gives.
    pub(crate) fn memory(size: Size) -> u64 {
        size.memory.saturating_sub(2) | 1
    }
}

/// Returns the body of an update call that changes `now` into `live`.
pub(crate) fn update(now: &Live, live: &Live, size: Size) -> ContainerUpdateBody {
    let change = |now: u64, then: u64, unset: i64| match (now, then) {
        (0, 0) => None,
        (_, 0) => Some(unset),
        _ => Some(signed(then)),
    };
    ContainerUpdateBody {
        cpu_shares: change(now.cpu_shares, live.cpu_shares, signed(unset::CPU_SHARES)),
        nano_cpus: change(now.nano_cpus, live.nano_cpus, signed(unset::nano_cpus(size))),
        memory: change(now.memory, live.memory, signed(unset::memory(size))),
        // The kernel refuses to raise one without the other.
        memory_swap: change(now.memory, live.memory, signed(unset::memory(size))),
        memory_reservation: change(now.memory_reservation, live.memory_reservation, -1),
        restart_policy: Some(restart(&live.restart)),
        ..ContainerUpdateBody::default()
    }
}

fn set(value: u64) -> Option<i64> {
    (value != 0).then(|| signed(value))
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn nanos(millis: u64) -> i64 {
    signed(millis.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_not_requested_are_omitted() {
        let request =
            ContainerRequest { name: "a".into(), image: "b:1".into(), ..Default::default() };
        let value = serde_json::to_value(body(&request)).unwrap_or_default();
        assert_eq!(
            value,
            serde_json::json!({
                "Env": [], "Image": "b:1", "Labels": {},
                "Healthcheck": {"Test": ["NONE"]},
                "HostConfig": {
                    "RestartPolicy": {"Name": "no"},
                    "SecurityOpt": ["no-new-privileges"],
                },
            }),
        );
    }

    #[test]
    fn a_limit_is_removed_only_from_a_container_that_has_one() {
        let size = Size { cpus: 2, memory: 1 << 30 };
        let limited = Live { nano_cpus: 5, memory: 7, restart: "no".into(), ..Live::default() };
        let free = Live { restart: "no".into(), ..Live::default() };
        let body = serde_json::to_value(update(&free, &free, size)).unwrap_or_default();
        assert_eq!(body, serde_json::json!({"RestartPolicy": {"Name": "no"}}));
        let body = update(&limited, &free, size);
        assert_eq!(body.nano_cpus, Some(1_999_999_999));
        assert_eq!(body.memory, Some((1 << 30) - 1));
        assert_eq!((body.memory_swap, body.cpu_shares), (Some((1 << 30) - 1), None));
    }

    #[test]
    fn a_joiner_has_network_and_ipc_of_its_infra() {
        let network = NetworkRef::Joins("c.p".to_owned());
        let request = ContainerRequest { network, shareable_ipc: true, ..Default::default() };
        let host = host_config(&request);
        assert_eq!(host.network_mode.as_deref(), Some("container:c.p"));
        assert_eq!(host.ipc_mode.as_deref(), Some("container:c.p"));
    }
}
