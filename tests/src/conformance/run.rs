//! Runs a case on a host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tally_graph::Publish;
use tally_host::{ExecRequest, FileToWrite, Host, HostError, LogRequest};
use tally_reconcile::input::observed::{
    ContainerDetails, Live, ObservedContainer, ObservedVolume, PublishedPort,
};
use tally_reconcile::labels;
use tally_reconcile::plan::request::{
    ContainerRequest, EnvValue, FilesPart, HealthRequest, MountFrom, MountRequest, NetworkRef,
    NetworkRequest, VolumeRequest,
};
use tokio::time::Instant;

use super::parse::{Case, Step};
use super::{IMAGE, words};

/// The timeout of an observation; starting containers on a busy machine takes seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The environment of a case.
pub struct World {
    /// The host.
    pub host: Arc<dyn Host>,
    /// The cluster of all objects of the case; unique to the case.
    pub cluster: String,
    /// The case's first host port.
    pub first_port: u16,
}

/// Runs a case.
///
/// # Errors
/// If a step has another result than expected, with the step and the result.
pub async fn run(world: &World, case: &Case) -> Result<(), String> {
    for step in &case.steps {
        let at =
            |problem: String| format!("{}:{}: `{}`: {problem}", case.file, step.line, step.text);
        if matches!(step.verb.as_str(), "see" | "gone" | "there" | "logs" | "wait") {
            look(world, step).await.map_err(at)?;
            continue;
        }
        let ended = call(world, step).await.map_err(at)?;
        let kind = ended.as_ref().err().map(kind);
        if kind != step.fails.as_deref() {
            let said = ended.err().map(|error| error.to_string()).unwrap_or_default();
            let kind = kind.unwrap_or("success");
            return Err(at(format!("it ended with {kind}: {said}")));
        }
    }
    Ok(())
}

/// Returns the word for a kind of error.
fn kind(error: &HostError) -> &'static str {
    match error {
        HostError::Unreachable { .. } | HostError::Transport(_) => "unreachable",
        HostError::Deadline { .. } => "deadline",
        HostError::TooOld { .. } => "too-old",
        HostError::NotFound(_) => "not-found",
        HostError::Conflict(_) => "conflict",
        HostError::Image { missing: true, .. } => "image-missing",
        HostError::Image { missing: false, .. } => "image-unavailable",
        HostError::PortTaken { .. } => "port-taken",
        HostError::CommandNotFound(_) => "command-not-found",
        HostError::Refused { .. }
        | HostError::UnknownOwner { .. }
        | HostError::CredentialHelper { .. }
        | HostError::DockerConfig { .. }
        | HostError::NoInfraImage { .. }
        | HostError::Simulated { .. } => "refused",
        HostError::Broken(_) | HostError::Archive { .. } | HostError::SimulatedFile { .. } => {
            "broken"
        }
    }
}

impl World {
    fn name(&self, word: &str) -> String {
        format!("{}.{word}", self.cluster)
    }

    /// Returns the port that a word names: `$1` is the case's first port.
    fn port(&self, word: &str) -> Result<u16, String> {
        let number = |text: &str| text.parse::<u16>().map_err(|_| format!("no port: {word}"));
        match word.strip_prefix('$') {
            Some(nth) => Ok(self.first_port + number(nth)? - 1),
            None => number(word),
        }
    }

    fn labels(&self, role: labels::Role) -> BTreeMap<String, String> {
        labels::owner_labels(&self.cluster, role)
    }

    async fn find(&self, word: &str) -> Result<Option<ObservedContainer>, String> {
        let name = self.name(word);
        let listed = self.host.containers().await.map_err(|error| error.to_string())?;
        Ok(listed.into_iter().find(|container| container.name == name))
    }

    /// Returns the container's ID; for a missing container, an ID that no container has.
    async fn id(&self, word: &str) -> Result<String, String> {
        let found = self.find(word).await?;
        Ok(found.map_or_else(|| "0".repeat(64), |container| container.id))
    }

    async fn network_id(&self, word: &str) -> Result<String, String> {
        let name = self.name(word);
        let listed = self.host.networks().await.map_err(|error| error.to_string())?;
        let found = listed.into_iter().find(|network| network.name == name);
        Ok(found.map_or_else(|| "0".repeat(64), |network| network.id))
    }

    async fn inspect(
        &self,
        word: &str,
    ) -> Result<Option<(ObservedContainer, ContainerDetails)>, String> {
        let id = self.id(word).await?;
        self.host.container(&id, true).await.map_err(|error| error.to_string())
    }
}

async fn call(world: &World, step: &Step) -> Result<Result<(), HostError>, String> {
    let host = world.host.as_ref();
    let subject = step.words.first().map_or("", String::as_str);
    let rest = step.words.get(1..).unwrap_or_default();
    let grace = || -> Result<Option<Duration>, String> {
        let word = rest.iter().find_map(|word| word.strip_prefix("grace="));
        let seconds = word.map(|word| word.parse::<u64>().map_err(|_| "no grace".to_owned()));
        Ok(seconds.transpose()?.map(Duration::from_secs))
    };
    Ok(match step.verb.as_str() {
        "pull" => host.pull(subject, &|_| {}).await,
        "load-infra" => host.load_infra_image().await,
        "volume" => {
            let mut labels = world.labels(labels::Role::Volume);
            add_labels(&mut labels, rest);
            let in_memory = rest.iter().any(|word| word == "in-memory");
            let name = world.name(subject);
            host.create_volume(&VolumeRequest { name, labels, in_memory }).await
        }
        "remove-volume" => host.remove_volume(&world.name(subject)).await,
        "network" => {
            let mut labels = world.labels(labels::Role::Network);
            add_labels(&mut labels, rest);
            let request = NetworkRequest { name: world.name(subject), labels };
            host.create_network(&request).await.map(|_| ())
        }
        "remove-network" => host.remove_network(&world.network_id(subject).await?).await,
        "create" => {
            let request = container(world, subject, rest)?;
            match host.create_container(&request).await {
                Ok(id) if id.len() != 64 => return Err(format!("the ID is not a full one: {id}")),
                other => other.map(|_| ()),
            }
        }
        "write" | "write-contents" | "write-record" => {
            let part = match step.verb.as_str() {
                "write-contents" => FilesPart::Contents,
                "write-record" => FilesPart::Record,
                _ => FilesPart::All,
            };
            let files = files(rest)?;
            host.write_files(&world.id(subject).await?, &files, part).await
        }
        "write-secrets" => {
            let mut files = files(rest)?;
            for file in &mut files {
                file.keyed = Some(file.content.len().to_string());
            }
            host.write_secrets(&world.id(subject).await?, &files, FilesPart::All).await
        }
        "start" => host.start(&world.id(subject).await?).await,
        "stop" => host.stop(&world.id(subject).await?, grace()?).await,
        "restart" => host.restart(&world.id(subject).await?, grace()?).await,
        "unpause" => host.unpause(&world.id(subject).await?).await,
        "remove" => host.remove_container(&world.id(subject).await?).await,
        "rename" => {
            let name = world.name(rest.first().ok_or("to which name?")?);
            host.rename_container(&world.id(subject).await?, &name).await
        }
        "signal" => {
            let signal = rest.first().ok_or("which signal?")?;
            host.signal(&world.id(subject).await?, signal).await
        }
        "update" => host.update(&world.id(subject).await?, &live(rest)?).await,
        "exec" => exec(world, subject, rest).await?,
        verb => return Err(format!("unknown step {verb}")),
    })
}

/// Runs a command; `code=N` is the expected exit code.
async fn exec(
    world: &World,
    subject: &str,
    rest: &[String],
) -> Result<Result<(), HostError>, String> {
    let code = rest.iter().find_map(|word| word.strip_prefix("code="));
    let says = rest.iter().find_map(|word| word.strip_prefix("says="));
    let command =
        rest.iter().filter(|word| !word.starts_with("code=") && !word.starts_with("says="));
    let command = command.cloned().collect();
    let request = ExecRequest { command, tty: false, stdin: false, size: None };
    let mut session = match world.host.exec(&world.id(subject).await?, &request).await {
        Ok(session) => session,
        Err(error) => return Ok(Err(error)),
    };
    let mut output = Vec::new();
    while let Some(chunk) = session.output.next().await {
        match chunk {
            Ok(chunk) => output.extend_from_slice(&chunk.bytes),
            Err(error) => return Ok(Err(error)),
        }
    }
    let began = Instant::now();
    let ended = loop {
        match world.host.exec_exit_code(&session.id).await {
            Err(error) => return Ok(Err(error)),
            Ok(None) if began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(ended) => break ended,
        }
    };
    let expected = code.unwrap_or("0");
    if ended.map(|code| code.to_string()).as_deref() != Some(expected) {
        return Err(format!("the command ended with {ended:?}"));
    }
    let output = String::from_utf8_lossy(&output);
    match says {
        Some(says) if !output.contains(says) => Err(format!("the command said {output:?}")),
        _ => Ok(Ok(())),
    }
}

fn add_labels(labels: &mut BTreeMap<String, String>, rest: &[String]) {
    for word in rest {
        if word == "foreign" {
            labels.clear();
        } else if let Some((key, value)) =
            word.strip_prefix("label=").and_then(|label| label.split_once(':'))
        {
            labels.insert(key.to_owned(), value.to_owned());
        }
    }
}

/// Returns a container's request from `key=value` words.
fn container(world: &World, name: &str, rest: &[String]) -> Result<ContainerRequest, String> {
    let mut request = ContainerRequest {
        name: world.name(name),
        image: IMAGE.to_owned(),
        labels: world.labels(labels::Role::Container),
        command: Some(vec!["sleep".to_owned(), "1000".to_owned()]),
        live: live(rest)?,
        ..ContainerRequest::default()
    };
    add_labels(&mut request.labels, rest);
    for word in rest {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        set(world, &mut request, key, value)?;
    }
    Ok(request)
}

fn set(
    world: &World,
    request: &mut ContainerRequest,
    key: &str,
    value: &str,
) -> Result<(), String> {
    let text = || Some(value.to_owned());
    match key {
        "image" => request.image = value.to_owned(),
        "cmd" => request.command = Some(words::split(value)?),
        "entrypoint" => request.entrypoint = Some(words::split(value)?),
        "no-cmd" => request.command = None,
        "hostname" => request.hostname = text(),
        "workdir" => request.settings.workdir = text(),
        "user" => request.settings.user = text(),
        "stop-signal" => request.stop_signal = text(),
        "stop-timeout" => request.stop_timeout_s = value.parse().ok(),
        "shareable" => request.shareable_ipc = true,
        "join" => request.network = NetworkRef::Joins(world.name(value)),
        "net" => {
            let (net, alias) = value.split_once(':').unwrap_or((value, "friend"));
            let aliases = vec![alias.to_owned()];
            request.network = NetworkRef::Named { name: world.name(net), aliases };
        }
        "env" => {
            let (name, value) = value.split_once(':').ok_or("env=NAME:VALUE")?;
            request.env.insert(name.to_owned(), EnvValue::Template(value.into()));
        }
        "mount" | "bind" => {
            let mut parts = value.split(':');
            let (source, path) = parts.next().zip(parts.next()).ok_or("mount=VOLUME:PATH")?;
            let source = match key {
                "mount" => MountFrom::Volume(world.name(source)),
                _ => MountFrom::HostPath(source.to_owned()),
            };
            let words: Vec<&str> = parts.collect();
            let read_only = words.contains(&"ro");
            if let (true, MountFrom::Volume(name)) = (words.contains(&"anew"), &source) {
                let labels = world.labels(labels::Role::Volume);
                let in_memory = words.contains(&"in-memory");
                request.volumes.push(VolumeRequest { name: name.clone(), labels, in_memory });
            }
            request.mounts.insert(path.to_owned(), MountRequest { source, read_only });
        }
        "ulimit" => {
            let mut parts = value.split(':');
            let name = parts.next().unwrap_or_default().to_owned();
            let mut limit = || parts.next().and_then(|part| part.parse().ok()).ok_or("ulimit");
            request.ulimits.insert(name, (limit()?, limit()?));
        }
        "port" => request.publish.push(published(world, value)?),
        "health" => {
            let command = words::split(value)?;
            let health = HealthRequest {
                command,
                every_ms: 500,
                timeout_ms: 2_000,
                delay_ms: 0,
                failures: 2,
            };
            request.health = Some(health);
        }
        // These words are read elsewhere.
        "label" | "foreign" | "memory" | "reservation" | "cpu-shares" | "nano-cpus" | "restart" => {
        }
        _ => return Err(format!("unknown word {key}")),
    }
    Ok(())
}

/// Reads a port, `[IP@]PORT:CONTAINER[/udp]`.
fn published(world: &World, value: &str) -> Result<PublishedPort, String> {
    let (ip, rest) = match value.split_once('@') {
        Some((ip, rest)) => (Some(ip.parse().map_err(|_| "no address")?), rest),
        None => (None, value),
    };
    let (host, container) = rest.split_once(':').ok_or("port=HOST:CONTAINER")?;
    let (container, protocol) = match container.strip_suffix("/udp") {
        Some(container) => (container, tally_graph::Protocol::Udp),
        None => (container, tally_graph::Protocol::Tcp),
    };
    let host = Publish { ip, port: world.port(host)? };
    Ok(PublishedPort { host, container: world.port(container)?, protocol })
}

fn live(rest: &[String]) -> Result<Live, String> {
    let word = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key));
    let number = |key: &str| -> Result<u64, String> {
        word(key).map_or(Ok(0), |word| word.parse().map_err(|_| format!("not a number: {word}")))
    };
    Ok(Live {
        cpu_shares: number("cpu-shares=")?,
        nano_cpus: number("nano-cpus=")?,
        memory: number("memory=")?,
        memory_reservation: number("reservation=")?,
        restart: word("restart=").unwrap_or("no").to_owned(),
    })
}

/// Reads files from `PATH=CONTENT[@OWNER]` words, mode 0640.
fn files(rest: &[String]) -> Result<Vec<FileToWrite>, String> {
    let file = |word: &String| {
        let (path, content) = word.split_once('=').ok_or("PATH=CONTENT")?;
        let (content, owner) = content.split_once('@').unwrap_or((content, "0"));
        Ok(FileToWrite {
            path: path.to_owned(),
            content: content.as_bytes().to_vec(),
            mode: 0o640,
            owner: owner.to_owned(),
            keyed: None,
        })
    };
    rest.iter().map(file).collect()
}

/// Observes repeatedly until the step's condition holds.
async fn look(world: &World, step: &Step) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let differs = match step.verb.as_str() {
            "see" => see(world, &step.words).await?,
            "logs" => logs(world, &step.words).await?,
            "wait" => {
                let millis = step.words.first().and_then(|word| word.parse().ok()).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(millis)).await;
                None
            }
            verb => presence(world, verb == "there", &step.words).await?,
        };
        let Some(differs) = differs else { return Ok(()) };
        if began.elapsed() > PATIENCE {
            return Err(differs);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Checks `gone container a` or `there volume v`.
async fn presence(world: &World, there: bool, words: &[String]) -> Result<Option<String>, String> {
    let (what, word) = words.first().zip(words.get(1)).ok_or("gone KIND NAME")?;
    let name = world.name(word);
    let listed = match what.as_str() {
        "container" => world.find(word).await?.is_some(),
        "volume" => {
            let volumes = world.host.volumes().await.map_err(|error| error.to_string())?;
            let ours = world.labels(labels::Role::Volume);
            let as_asked = |volume: &ObservedVolume| match words.get(2).map(String::as_str) {
                Some("ours") => volume.labels == ours,
                _ => true,
            };
            volumes.iter().any(|volume| volume.name == name && as_asked(volume))
        }
        "network" => {
            let networks = world.host.networks().await.map_err(|error| error.to_string())?;
            networks.iter().any(|network| network.name == name)
        }
        "image" => {
            let images = world.host.images().await.map_err(|error| error.to_string())?;
            images.contains_key(word)
        }
        what => return Err(format!("unknown kind {what}")),
    };
    Ok((listed != there)
        .then(|| format!("{what} {name} is {}there", if listed { "" } else { "not " })))
}

async fn logs(world: &World, words: &[String]) -> Result<Option<String>, String> {
    let (word, text) = words.first().zip(words.get(1)).ok_or("logs NAME TEXT")?;
    let request = LogRequest { tail: Some(50), follow: false, timestamps: false };
    let stream = world.host.logs(&world.id(word).await?, request).await;
    let mut stream = stream.map_err(|error| error.to_string())?;
    let mut output = Vec::new();
    while let Some(chunk) = stream.next().await {
        output.extend_from_slice(&chunk.map_err(|error| error.to_string())?.bytes);
    }
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok((!output.contains(text.as_str())).then(|| format!("the log is {output:?}")))
}

/// Returns the difference between a container and the words of a `see`.
async fn see(world: &World, words: &[String]) -> Result<Option<String>, String> {
    let subject = words.first().ok_or("see what?")?;
    let Some((container, details)) = world.inspect(subject).await? else {
        return Ok(Some("there is no such container".to_owned()));
    };
    for word in words.iter().skip(1) {
        let (key, expected) = word.split_once('=').ok_or("KEY=VALUE")?;
        if key == "newer" || key == "joined" {
            let other = world.inspect(expected).await?;
            let so = match (&other, key) {
                (Some((other, _)), "joined") => details.joined.as_ref() == Some(&other.id),
                (Some((_, other)), _) => details.started_at_ms > other.started_at_ms,
                (None, _) => false,
            };
            if !so {
                return Ok(Some(format!("{word} does not hold: {details:?}")));
            }
            continue;
        }
        let found = field(world, &container, &details, key)?;
        let so = match expected.strip_suffix('+') {
            Some(least) => found.parse::<u64>().ok() >= least.parse::<u64>().ok(),
            None => found == expected.replace('$', "#") || found == expected,
        };
        if !so {
            return Ok(Some(format!("{key} is {found:?}")));
        }
    }
    Ok(None)
}

fn field(
    world: &World,
    container: &ObservedContainer,
    details: &ContainerDetails,
    key: &str,
) -> Result<String, String> {
    let word = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    Ok(match key {
        "state" => word(serde_json::to_value(container.state)),
        "health" => word(serde_json::to_value(details.health)),
        "image" => container.image.clone(),
        "exit" => details.exit_code.map_or_else(|| "none".to_owned(), |code| code.to_string()),
        "error" => if details.error.is_some() { "some" } else { "none" }.to_owned(),
        "started" => if details.started_at_ms.is_some() { "some" } else { "none" }.to_owned(),
        "finished" => if details.finished_at_ms.is_some() { "some" } else { "none" }.to_owned(),
        "restarts" => details.restart_count.to_string(),
        "restart" => details.live.restart.clone(),
        "memory" => details.live.memory.to_string(),
        "reservation" => details.live.memory_reservation.to_string(),
        "cpu-shares" => details.live.cpu_shares.to_string(),
        "nano-cpus" => details.live.nano_cpus.to_string(),
        "ports" => ports(world, &container.published),
        "joins" => if details.joined.is_some() { "some" } else { "none" }.to_owned(),
        "addresses" => details.addresses.len().to_string(),
        "files" => paths(details.files.as_ref()),
        "secrets" => paths(details.secrets.as_ref()),
        _ => match key.strip_prefix("label.") {
            Some(label) => container.labels.get(label).cloned().unwrap_or_default(),
            None => return Err(format!("unknown field {key}")),
        },
    })
}

fn paths(files: Option<&BTreeMap<String, tally_graph::FileSpec>>) -> String {
    match files {
        None => "none".to_owned(),
        Some(files) => files.keys().cloned().collect::<Vec<_>>().join(","),
    }
}

/// Renders ports as in the words of a case: `#1:80`.
fn ports(world: &World, published: &[PublishedPort]) -> String {
    let port = |port: &PublishedPort| {
        let ip = port.host.ip.map(|ip| format!("{ip}@")).unwrap_or_default();
        let nth = i32::from(port.host.port) - i32::from(world.first_port) + 1;
        let udp = if port.protocol == tally_graph::Protocol::Udp { "/udp" } else { "" };
        format!("{ip}#{nth}:{}{udp}", port.container)
    };
    if published.is_empty() {
        return "none".to_owned();
    }
    published.iter().map(port).collect::<Vec<_>>().join(",")
}

/// Removes all objects that a case created, after a failure too.
pub async fn clean_up(world: &World) {
    let host = world.host.as_ref();
    let ours = |name: &str| name.starts_with(&format!("{}.", world.cluster));
    // A container that restarts repeatedly may be missed once, or hide the whole list, and would slow down the
    // following cases. An object that cannot be removed shows in the next run, not here.
    for _ in 0..20 {
        let Ok(listed) = host.containers().await else { continue };
        let left: Vec<_> = listed.iter().filter(|container| ours(&container.name)).collect();
        if left.is_empty() {
            break;
        }
        for container in left {
            let _ = host.stop(&container.id, Some(Duration::ZERO)).await;
            let _ = host.remove_container(&container.id).await;
        }
    }
    for volume in host.volumes().await.unwrap_or_default() {
        if ours(&volume.name) {
            let _ = host.remove_volume(&volume.name).await;
        }
    }
    for network in host.networks().await.unwrap_or_default() {
        if ours(&network.name) {
            let _ = host.remove_network(&network.id).await;
        }
    }
}
