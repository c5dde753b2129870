//! Realises pods as containers. A pod with one container becomes that container; a pod with several
//! containers, or with inits, gets an infra container that owns its network, IPC and ports, and the others
//! join it. Modules after this one do not know the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tally_graph::{
    Container, FileSpec, FileText, Graph, Mount, MountSource, PodVolume, PodVolumeSource, Port,
    Probe, ProbeAction, Pull, Resources, Restart, Template, Volume, Workload,
};
use tally_source::Span;

use crate::input::observed::{Live, PublishedPort};
use crate::labels::applied::{Applied, AppliedMount, AppliedProbe, AppliedSecret, AppliedStop};
use crate::labels::{self, Role};
use crate::plan::ReadyRule;
use crate::plan::request::{
    ContainerRequest, EnvValue, HealthRequest, MountFrom, MountRequest, NetworkRef,
};

/// The time in milliseconds after which a running container without a readiness counts as ready: long
/// enough to detect a command that ends at once, short enough not to delay a rollout.
pub const RUNNING_MS: u64 = 500;
/// The minimum time that a container has to become ready, in milliseconds.
const READY_DEADLINE_MS: u64 = 120_000;
/// The time that an init has to end, in milliseconds.
pub const INIT_DEADLINE_MS: u64 = 600_000;
/// The number of restarts by Docker's policy, before the container was ready, from which on it counts as a
/// crash loop: a longer wait would only hide its exit code. Two restarts can be caused by a slow
/// dependency; Docker waits 0.1, 0.2 and 0.4 s before the first three, so a crash loop is detected after a
/// second.
pub const CRASH_LOOP_RESTARTS: u32 = 3;
/// The grace time of infra containers, in seconds: they obey SIGTERM at once.
const INFRA_GRACE_S: u64 = 2;

/// The desired state of one pod.
#[derive(Debug, Clone)]
pub struct DesiredPod<'a> {
    /// Its workload.
    pub workload: &'a Workload,
    /// Its name.
    pub name: String,
    /// Its containers in the order of their starts: infra container, inits, the others.
    pub containers: Vec<DesiredContainer<'a>>,
    /// Docker names of its own volumes, by their name in the pod.
    pub volumes: BTreeMap<String, String>,
}

/// The desired state of one container.
#[derive(Debug, Clone)]
pub struct DesiredContainer<'a> {
    /// Its role in the pod.
    pub role: Role,
    /// Its name in the pod; empty for the infra container.
    pub name: String,
    /// The container in the spec; `None` for the infra container.
    pub source: Option<&'a Container>,
    /// The position of its node in the spec.
    pub span: Span,
    /// The settings for Docker, in the terms of the language.
    pub applied: Applied,
    /// The pull policy of its image.
    pub pull: Pull,
    /// Time until it is killed on stop, in seconds.
    pub grace_s: Option<u64>,
    /// The condition under which it is ready.
    pub ready: ReadyRule,
    /// Its files with keyed hashes, if some of them contain secrets.
    pub keyed_files: Option<BTreeMap<String, FileSpec>>,
}

impl DesiredPod<'_> {
    /// Returns Docker's name of one of its containers.
    #[must_use]
    pub fn docker_name(&self, cluster: &str, desired: &DesiredContainer<'_>) -> String {
        match desired.role {
            Role::Infra => labels::infra_name(cluster, &self.name),
            _ => labels::container_name(cluster, &self.name, &desired.name),
        }
    }

    /// Returns the request that creates one of its containers, without the generation. It is built on
    /// demand, because most realised pods are only compared.
    #[must_use]
    pub fn request(&self, cluster: &str, desired: &DesiredContainer<'_>) -> ContainerRequest {
        let applied = &desired.applied;
        let joins = self.containers.first().is_some_and(|first| first.role == Role::Infra);
        let network = if joins && desired.role != Role::Infra {
            NetworkRef::Joins(labels::infra_name(cluster, &self.name))
        } else {
            let aliases = vec![self.name.clone()];
            NetworkRef::Named { name: cluster.to_owned(), aliases }
        };
        let probe = |probe: &AppliedProbe| HealthRequest {
            command: probe.command.clone(),
            every_ms: probe.every.0,
            timeout_ms: probe.timeout.0,
            delay_ms: probe.delay.0,
            failures: probe.failures,
        };
        let limits = applied.ulimit.iter();
        ContainerRequest {
            name: self.docker_name(cluster, desired),
            image: applied.image.clone(),
            labels: self.labels(cluster, desired),
            hostname: applied.hostname.clone(),
            entrypoint: applied.entrypoint.clone(),
            command: applied.command.clone(),
            settings: applied.settings.clone(),
            env: environment(desired),
            mounts: applied.mount.iter().map(|(p, m)| (p.clone(), mount_request(m))).collect(),
            volumes: Vec::new(),
            ulimits: limits
                .map(|(name, limit)| (name.clone(), (limit_i64(limit.soft), limit_i64(limit.hard))))
                .collect(),
            health: applied.readiness.as_ref().map(probe),
            stop_signal: applied.stop.signal.clone(),
            stop_timeout_s: desired.source.and_then(grace_s),
            live: desired.live(),
            network,
            shareable_ipc: desired.role == Role::Infra,
            publish: published(applied),
        }
    }

    fn labels(&self, cluster: &str, desired: &DesiredContainer<'_>) -> BTreeMap<String, String> {
        let mut all = desired.applied.label.clone();
        all.extend(labels::owner_labels(cluster, desired.role));
        all.insert(labels::WORKLOAD.to_owned(), self.workload.address().to_string());
        all.insert(labels::POD.to_owned(), self.name.clone());
        all.insert(labels::NAME.to_owned(), desired.name.clone());
        all.insert(labels::SPEC.to_owned(), desired.applied.to_label());
        if desired.source.is_some_and(|source| !source.file.is_empty()) {
            all.insert(labels::FILES.to_owned(), "1".to_owned());
        }
        if desired.keyed_files.is_some() {
            all.insert(labels::SECRETS.to_owned(), "1".to_owned());
        }
        all
    }
}

/// Returns the environment that Docker is asked for.
fn environment(desired: &DesiredContainer<'_>) -> BTreeMap<String, EnvValue> {
    let source = desired.source.into_iter().flat_map(|source| &source.env);
    source.map(|(key, template)| (key.clone(), EnvValue::Template(template.clone()))).collect()
}

impl DesiredContainer<'_> {
    /// Returns its resources and restart policy in Docker's units. An infra container always restarts.
    #[must_use]
    pub fn live(&self) -> Live {
        match self.role {
            Role::Infra => live(&self.applied.resources, Restart::Always),
            _ => live(&self.applied.resources, self.applied.restart),
        }
    }

    /// Returns the files that it must contain.
    #[must_use]
    pub fn files(&self) -> Option<&BTreeMap<String, FileSpec>> {
        if self.keyed_files.is_some() {
            return self.keyed_files.as_ref();
        }
        self.source.map(|source| &source.file).filter(|files| !files.is_empty())
    }
}

/// Returns the host ports of all containers of a pod.
pub fn workload_ports(workload: &Workload) -> impl Iterator<Item = PublishedPort> {
    workload.containers.iter().flat_map(|container| container.port.values()).filter_map(|port| {
        let (container, protocol) = (port.number, port.protocol);
        port.publish.clone().map(|host| PublishedPort { host, container, protocol })
    })
}

/// Returns the volumes of the spec that a workload's containers mount, in the order of the spec.
#[must_use]
pub fn mounted_volumes<'g>(graph: &'g Graph, workload: &Workload) -> Vec<&'g Volume> {
    let containers = workload.inits.iter().chain(&workload.containers);
    let mounted: BTreeSet<&str> = containers
        .flat_map(|container| container.mount.values())
        .filter(|mount| mount.source == MountSource::Spec)
        .map(|mount| mount.volume.as_str())
        .collect();
    // Most workloads mount none, and a spec may have thousands of volumes.
    if mounted.is_empty() {
        return Vec::new();
    }
    graph.volumes().filter(|volume| mounted.contains(volume.name.as_str())).collect()
}

/// The input for realising a pod besides the workload.
pub struct RealiseContext<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// Named volumes of the spec.
    pub volumes: BTreeMap<&'a str, &'a Volume>,
    /// Keyed hashes of the values of secrets, by name.
    pub secrets: &'a BTreeMap<String, String>,
}

impl<'a> RealiseContext<'a> {
    /// Returns the context of a cluster in a spec.
    #[must_use]
    pub fn new(graph: &'a Graph, cluster: &'a str, secrets: &'a BTreeMap<String, String>) -> Self {
        let volumes = graph.volumes().map(|volume| (volume.name.as_str(), volume)).collect();
        Self { cluster, volumes, secrets }
    }
}

/// Realises the pod of that name.
#[must_use]
pub fn realise<'a>(
    workload: &'a Workload,
    name: String,
    around: &RealiseContext<'_>,
) -> DesiredPod<'a> {
    let pod = Pod { workload, name: &name, around };
    // Secrets in memory are lost when no running container uses them: a program that starts again would not
    // find its own.
    let joined = workload.containers.len() > 1
        || !workload.inits.is_empty()
        || workload.containers.iter().any(Container::has_secret_files);
    let mut containers = Vec::new();
    if joined {
        containers.push(pod.infra());
    }
    let inits = workload.inits.iter().map(|init| pod.container(init, Role::Init, joined));
    containers.extend(inits);
    let mains = workload.containers.iter().map(|c| pod.container(c, Role::Container, joined));
    containers.extend(mains);
    let own = own_volumes(workload).map(|volume| {
        let docker_name = labels::pod_volume_name(around.cluster, &name, &volume);
        (volume, docker_name)
    });
    let volumes = own.collect();
    DesiredPod { workload, name, containers, volumes }
}

/// Returns the names of the volumes of each pod of a workload: its own volumes, and the memory for the
/// secrets of its containers.
pub(crate) fn own_volumes(workload: &Workload) -> impl Iterator<Item = String> {
    let own = workload.volumes.iter().filter(|volume| volume.source == PodVolumeSource::Empty);
    let held = workload.inits.iter().chain(&workload.containers);
    let held = held.filter(|container| container.has_secret_files());
    let held = held.map(|container| labels::secrets_volume(&container.name));
    own.map(|volume| volume.name.clone()).chain(held)
}

struct Pod<'a, 'b> {
    workload: &'a Workload,
    name: &'b str,
    around: &'b RealiseContext<'b>,
}

impl<'a> Pod<'a, '_> {
    fn infra(&self) -> DesiredContainer<'a> {
        let mut applied = Applied { image: labels::INFRA_IMAGE.to_owned(), ..Applied::default() };
        let all = self.workload.containers.iter().flat_map(|container| &container.port);
        self.hold(&mut applied, all);
        applied.init = self.workload.inits.iter().map(|init| init.name.clone()).collect();
        let held = self.workload.inits.iter().chain(&self.workload.containers);
        for container in held.filter(|container| container.has_secret_files()) {
            let path = format!("{}/{}", labels::SECRETS_FOLDER, container.name);
            applied.mount.insert(path, self.secrets_mount(container, false));
        }
        DesiredContainer {
            role: Role::Infra,
            name: String::new(),
            source: None,
            span: self.workload.span,
            applied,
            pull: Pull::Never,
            grace_s: Some(INFRA_GRACE_S),
            ready: ReadyRule {
                healthy: false,
                running_ms: 0,
                may_end: false,
                deadline_ms: READY_DEADLINE_MS,
            },
            keyed_files: None,
        }
    }

    fn container(&self, source: &'a Container, role: Role, joined: bool) -> DesiredContainer<'a> {
        let mut applied = self.applied(source, role);
        if joined {
            let infra = labels::infra_name(self.around.cluster, self.name);
            applied.network = Some(format!("container:{infra}"));
        } else {
            self.hold(&mut applied, source.port.iter());
        }
        let keyed_files = source.has_secret_files().then(|| self.keyed_files(source));
        let span = self.workload.container_spans.get(&source.name);
        DesiredContainer {
            role,
            name: source.name.clone(),
            source: Some(source),
            span: span.copied().unwrap_or(self.workload.span),
            applied,
            pull: source.pull,
            grace_s: grace_s(source),
            ready: rule_of(self.workload, source),
            keyed_files,
        }
    }

    /// Returns the mount of the memory for a container's secrets. The infra container mounts it too, so
    /// that it keeps its content while the container restarts; it is writable only there.
    fn secrets_mount(&self, container: &Container, read_only: bool) -> AppliedMount {
        let volume = labels::secrets_volume(&container.name);
        let volume = labels::pod_volume_name(self.around.cluster, self.name, &volume);
        AppliedMount { volume: Some(volume), host_path: None, read_only }
    }

    /// Returns the files of a container, with keyed hashes for files that contain secrets.
    fn keyed_files(&self, source: &Container) -> BTreeMap<String, FileSpec> {
        let keyed = |file: &FileSpec| {
            let template = file.content.template()?.clone();
            let keyed = Some(template.keyed(self.around.secrets).unwrap_or_default());
            Some(FileSpec { content: FileText::Template { template, keyed }, ..file.clone() })
        };
        let files = source.file.iter();
        files.map(|(path, file)| (path.clone(), keyed(file).unwrap_or(file.clone()))).collect()
    }

    /// Adds the settings of the container that owns the pod's network.
    fn hold<'p>(&self, applied: &mut Applied, ports: impl Iterator<Item = (&'p String, &'p Port)>) {
        applied.hostname = Some(self.name.to_owned());
        applied.network = Some(self.around.cluster.to_owned());
        applied.label.clone_from(&self.workload.labels);
        applied.port = ports
            .filter(|(_, port)| port.publish.is_some())
            .map(|(name, port)| (name.clone(), port.clone()))
            .collect();
    }

    fn applied(&self, source: &Container, role: Role) -> Applied {
        let init = role == Role::Init;
        let mut mounts: BTreeMap<String, AppliedMount> =
            source.mount.iter().map(|(path, m)| (path.clone(), self.mount(m))).collect();
        if source.has_secret_files() {
            mounts.insert(labels::SECRETS_FOLDER.to_owned(), self.secrets_mount(source, true));
        }
        let plain = |(key, template): (&String, &Template)| {
            Some((key.clone(), template.plain()?.to_owned()))
        };
        let secret = |(key, template): (&String, &Template)| {
            let keyed = template.keyed(self.around.secrets).unwrap_or_default();
            (key.clone(), AppliedSecret { text: template.to_string(), keyed })
        };
        let with_secrets = source.env.iter().filter(|(_, template)| template.plain().is_none());
        Applied {
            image: source.image.to_string(),
            entrypoint: source.entrypoint.clone(),
            command: source.command.clone(),
            settings: source.settings.clone(),
            env: source.env.iter().filter_map(plain).collect(),
            secret_env: with_secrets.map(secret).collect(),
            port: BTreeMap::new(),
            mount: mounts,
            ulimit: source.ulimit.clone(),
            readiness: source.readiness.as_ref().and_then(applied_probe),
            stop: AppliedStop { signal: source.stop.signal.clone() },
            label: self.workload.labels.clone(),
            init: Vec::new(),
            hostname: None,
            network: None,
            resources: source.resources,
            restart: if init { Restart::Never } else { self.workload.restart },
        }
    }

    fn mount(&self, mount: &Mount) -> AppliedMount {
        let cluster = self.around.cluster;
        let (volume, host_path) = match mount.source {
            MountSource::Pod => {
                let find = |volume: &&PodVolume| volume.name == mount.volume;
                match self.workload.volumes.iter().find(find).map(|volume| &volume.source) {
                    Some(PodVolumeSource::HostPath(path)) => (None, Some(path.clone())),
                    _ => (Some(labels::pod_volume_name(cluster, self.name, &mount.volume)), None),
                }
            }
            MountSource::Spec => {
                let volume = self.around.volumes.get(mount.volume.as_str());
                match volume.and_then(|volume| volume.host_path.clone()) {
                    Some(path) => (None, Some(path)),
                    None => (Some(labels::volume_name(cluster, &mount.volume)), None),
                }
            }
        };
        AppliedMount { volume, host_path, read_only: mount.read_only }
    }
}

/// Returns the time until a container is killed on stop, in seconds.
fn grace_s(source: &Container) -> Option<u64> {
    source.stop.grace.map(|grace| grace.0.div_ceil(1000))
}

fn mount_request(mount: &AppliedMount) -> MountRequest {
    let source = match (&mount.volume, &mount.host_path) {
        (Some(volume), _) => MountFrom::Volume(volume.clone()),
        (None, path) => MountFrom::HostPath(path.clone().unwrap_or_default()),
    };
    MountRequest { source, read_only: mount.read_only }
}

fn limit_i64(limit: Option<u64>) -> i64 {
    limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

/// Returns the host ports of an applied spec.
#[must_use]
pub fn published(applied: &Applied) -> Vec<PublishedPort> {
    named_published(applied).map(|(_, port)| port).collect()
}

/// Returns the host ports of an applied spec, with the names of the ports.
pub fn named_published(applied: &Applied) -> impl Iterator<Item = (&str, PublishedPort)> {
    applied.port.iter().filter_map(|(name, port)| {
        let host = port.publish.clone()?;
        let (container, protocol) = (port.number, port.protocol);
        Some((name.as_str(), PublishedPort { host, container, protocol }))
    })
}

/// Returns resources and restart policy in Docker's units.
#[must_use]
pub fn live(resources: &Resources, restart: Restart) -> Live {
    Live {
        // Docker's weight: 1024 is one core, 2 the minimum.
        cpu_shares: resources.cpu.map_or(0, |cpu| (u64::from(cpu.0) * 1024 / 1000).max(2)),
        nano_cpus: resources.max_cpu.map_or(0, |cpu| u64::from(cpu.0) * 1_000_000),
        memory: resources.memory_limit().map_or(0, |bytes| bytes.0),
        memory_reservation: resources.memory.map_or(0, |bytes| bytes.0),
        restart: match restart {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::Never => "no",
        }
        .to_owned(),
    }
}

fn applied_probe(probe: &Probe) -> Option<AppliedProbe> {
    match &probe.action {
        ProbeAction::Command(command) => Some(AppliedProbe {
            command: command.clone(),
            every: probe.every,
            timeout: probe.timeout,
            delay: probe.delay,
            failures: probe.failures,
        }),
        _ => None,
    }
}

/// Returns the maximum time that a pod of the spec may take to become ready.
#[must_use]
pub fn patience(graph: &Graph) -> Duration {
    let rules = graph.workloads().flat_map(|workload| {
        workload.containers.iter().map(|container| rule_of(workload, container).deadline_ms)
    });
    Duration::from_millis(rules.max().unwrap_or(READY_DEADLINE_MS))
}

/// Returns the readiness rule of a container, limited by the deadline for changes of its controller.
fn rule_of(workload: &Workload, source: &Container) -> ReadyRule {
    let rule = ready_rule(source.readiness.as_ref(), workload.restart);
    match workload.update.progress_deadline {
        Some(deadline) => ReadyRule { deadline_ms: deadline.0, ..rule },
        None => rule,
    }
}

fn ready_rule(probe: Option<&Probe>, restart: Restart) -> ReadyRule {
    let may_end = restart != Restart::Always;
    let base = ReadyRule {
        healthy: false,
        running_ms: RUNNING_MS,
        may_end,
        deadline_ms: READY_DEADLINE_MS,
    };
    let Some(probe) = probe else { return base };
    match &probe.action {
        ProbeAction::Command(_) => {
            let round = probe.every.0 + probe.timeout.0;
            let needed = probe.delay.0 + round * u64::from(probe.failures + probe.successes) * 2;
            // Docker counts a container as healthy after one success; more successes need at least this
            // number of intervals.
            let rounds = if probe.successes > 1 { u64::from(probe.successes) } else { 0 };
            ReadyRule {
                healthy: true,
                running_ms: probe.every.0 * rounds,
                deadline_ms: needed.max(READY_DEADLINE_MS),
                ..base
            }
        }
        _ => ReadyRule {
            running_ms: probe.delay.0,
            deadline_ms: READY_DEADLINE_MS + probe.delay.0,
            ..base
        },
    }
}

#[cfg(test)]
mod tests {
    use tally_graph::{Bytes, Cpu, Millis};

    use super::*;

    #[test]
    fn the_deadline_of_a_probe_is_twice_the_time_that_it_needs() {
        let probe = |delay: u64, failures, successes| Probe {
            action: ProbeAction::Command(vec!["true".to_owned()]),
            every: Millis(10_000),
            timeout: Millis(5_000),
            delay: Millis(delay),
            failures,
            successes,
        };
        let rule = |probe: &Probe| {
            let rule = ready_rule(Some(probe), Restart::Always);
            (rule.healthy, rule.running_ms, rule.deadline_ms)
        };
        assert_eq!(rule(&probe(60_000, 5, 1)), (true, 0, 60_000 + 2 * 6 * 15_000));
        // Docker reports health after one success, so three successes need at least three intervals.
        assert_eq!(rule(&probe(0, 5, 3)), (true, 30_000, 2 * 8 * 15_000));
        assert_eq!(rule(&probe(0, 1, 1)), (true, 0, READY_DEADLINE_MS), "never less than without");
        let runs = Probe { action: ProbeAction::Running, ..probe(7_000, 1, 1) };
        assert_eq!(rule(&runs), (false, 7_000, READY_DEADLINE_MS + 7_000));
    }

    #[test]
    fn only_containers_that_are_not_always_restarted_may_end_and_count_as_ready() {
        for (restart, may_end) in
            [(Restart::Always, false), (Restart::OnFailure, true), (Restart::Never, true)]
        {
            let rule = ready_rule(None, restart);
            assert_eq!((rule.may_end, rule.running_ms), (may_end, RUNNING_MS), "{restart:?}");
        }
    }

    #[test]
    fn resources_are_converted_to_dockers_units() {
        let of = |cpu: u32, max_cpu: u32, memory: u64, max_memory: Option<u64>| {
            let resources = Resources {
                cpu: Some(Cpu(cpu)),
                max_cpu: Some(Cpu(max_cpu)),
                memory: Some(Bytes(memory)),
                max_memory: max_memory.map(Bytes),
            };
            let live = live(&resources, Restart::OnFailure);
            (live.cpu_shares, live.nano_cpus, live.memory_reservation, live.memory)
        };
        // In thousandths of a core: one core is 1,024 shares and 10⁹ nano CPUs.
        assert_eq!(of(1_000, 2_000, 64, None), (1_024, 2_000_000_000, 64, 64));
        assert_eq!(of(500, 1, 64, Some(128)), (512, 1_000_000, 64, 128));
        assert_eq!(of(1, 1_500, 0, None).0, 2, "Docker takes no less");
        let none = live(&Resources::default(), Restart::Never);
        assert_eq!((none.cpu_shares, none.nano_cpus, none.memory), (0, 0, 0), "unlimited");
    }
}
