//! The compared programs that repair: `tally run`, Swarm, and Docker's own restart policy, on the same engines.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tally_tests::lab::{Lab, LabHost, Seen, Way};
use tally_tests::project::{Project, RunProcess};

/// The number of pods, and the number of tasks.
pub const PODS: usize = 6;
const CLUSTER: &str = "repair";
const IMAGE: &str = "tally.local/hello:1";

pub type Failed = Box<dyn std::error::Error>;

/// A program that repairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    Tally,
    Swarm,
    Policy,
}

impl Peer {
    pub const ALL: [Self; 3] = [Self::Tally, Self::Swarm, Self::Policy];

    /// Checks whether it manages a container.
    pub fn keeps(self, seen: &Seen) -> bool {
        match self {
            Self::Tally => seen.label("tally.cluster") == CLUSTER,
            Self::Swarm => !seen.label("com.docker.swarm.task.id").is_empty(),
            Self::Policy => seen.name == "policy",
        }
    }
}

/// A container, its host's number, and its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub host: usize,
    pub id: String,
    pub name: String,
    pub state: String,
}

/// Returns the containers of a peer on the hosts that answer.
pub fn kept(lab: &Lab, peer: Peer) -> Vec<Kept> {
    let mut all = Vec::new();
    for (number, host) in lab.hosts().iter().enumerate() {
        for seen in host.seen().unwrap_or_default() {
            if peer.keeps(&seen) {
                all.push(Kept { host: number, id: seen.id, name: seen.name, state: seen.state });
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Returns the process of a container, and its start time.
pub fn process(host: &LabHost, id: &str) -> Option<(u64, String)> {
    let found = host.get(&format!("/containers/{id}/json")).ok()?;
    let state = &found["State"];
    let is = |what: &str| state[what].as_bool().unwrap_or(false);
    // A container that waits for its restart is reported as running too.
    let running = is("Running") && !is("Paused") && !is("Restarting");
    running.then_some((state["Pid"].as_u64()?, state["StartedAt"].as_str()?.to_owned()))
}

/// Returns Tally's spec: as many pods, over the same hosts, of the same image.
pub fn spec(lab: &Lab) -> String {
    let mut text = lab.cluster(CLUSTER, &[Way::Unix, Way::Tls, Way::Ssh]);
    text.push_str(&format!(
        "controller web replicas={PODS} {{\n    place {{ spread by=host; }}\n    \
         container web image=\"{IMAGE}\" {{\n        command \"sleep\" \"100000\"\n        \
         stop grace=\"1s\"\n    }}\n}}\n"
    ));
    text
}

/// Debian's registry in the lab's fabric, the source of Swarm's image.
pub struct Registry(Child);

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; the result is the same.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All running peers.
pub struct Stage {
    pub keeper: RunProcess,
    pub has_swarm: bool,
    _registry: Option<Registry>,
}

pub fn stage(lab: &Lab, program: &Path) -> Result<Stage, Failed> {
    lab.load(&[IMAGE])?;
    let project = Project::new(lab, "project", program)?;
    project.write(&spec(lab))?;
    let keeper = project.keep()?;
    for host in lab.hosts() {
        policy(host)?;
    }
    let registry = match swarm(lab) {
        Ok(registry) => Some(registry),
        Err(error) => {
            eprintln!("Swarm cannot run here: {error}");
            None
        }
    };
    let stage = Stage { keeper, has_swarm: registry.is_some(), _registry: registry };
    let wanted: BTreeMap<Peer, usize> = BTreeMap::from([
        (Peer::Tally, PODS),
        (Peer::Swarm, if stage.has_swarm { PODS } else { 0 }),
        (Peer::Policy, lab.hosts().len()),
    ]);
    let began = Instant::now();
    for (peer, count) in wanted {
        while kept(lab, peer).iter().filter(|kept| kept.state == "running").count() != count {
            if began.elapsed() > Duration::from_secs(90) {
                return Err(format!("{peer:?} does not start: {:?}", kept(lab, peer)).into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(stage)
}

/// Creates a container that Docker itself restarts.
fn policy(host: &LabHost) -> Result<(), Failed> {
    let body = json!({
        "Image": IMAGE, "Cmd": ["sleep", "100000"],
        "HostConfig": { "RestartPolicy": { "Name": "always" } }
    });
    host.act("POST", "/containers/create?name=policy", Some(&body))?;
    host.act("POST", "/containers/policy/start", None)?;
    Ok(())
}

/// Starts Swarm on all hosts, with one service of an image by digest: with an imported image every task first asks the
/// public registry, which would be an unfair delay for Swarm.
fn swarm(lab: &Lab) -> Result<Registry, Failed> {
    let program = std::env::var("TALLY_TEST_REGISTRY").unwrap_or_default();
    if program.is_empty() {
        return Err("TALLY_TEST_REGISTRY names no docker-registry".into());
    }
    let [first, others @ ..] = lab.hosts() else { return Err("no hosts".into()) };
    let network = first.ip().rsplit_once('.').map_or("", |(network, _)| network);
    let address = format!("{network}.254:5000");
    let config = lab.folder().join("registry.yml");
    let text = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
         http: {{ addr: \"{address}\" }}\n",
        lab.folder().join("registry").display()
    );
    std::fs::write(&config, text)?;
    let fabric = first.netns().replace(first.name(), "fabric");
    let registry = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{fabric}"))
        .arg(&program)
        .arg("serve")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let registry = Registry(registry);
    for host in lab.hosts() {
        let path = host.folder().join("daemon.json");
        let text = std::fs::read_to_string(&path)?;
        let mut settings: serde_json::Value = serde_json::from_str(&text)?;
        if let Some(settings) = settings.as_object_mut() {
            settings.insert("insecure-registries".to_owned(), json!([address]));
        }
        std::fs::write(&path, settings.to_string())?;
        // The engine reloads its configuration while it runs.
        let pid = host.pid().ok_or("an engine does not run")?;
        Command::new("kill").args(["-HUP", &pid.to_string()]).status()?;
    }
    let image = format!("{address}/hello:1");
    first.docker(&["tag", IMAGE, &image])?;
    push(first, &image)?;
    let digests = first.docker(&["inspect", "-f", "{{index .RepoDigests 0}}", &image])?;
    let image = digests.trim();
    for host in lab.hosts() {
        host.docker(&["pull", "-q", image])?;
    }
    let listen = |host: &LabHost| format!("{}:2377", host.ip());
    let init = ["swarm", "init", "--advertise-addr", first.ip(), "--listen-addr", &listen(first)];
    first.docker(&init)?;
    let token = first.docker(&["swarm", "join-token", "-q", "worker"])?;
    for host in others {
        let own = listen(host);
        let join = ["swarm", "join", "--token", token.trim(), "--advertise-addr", host.ip()];
        host.docker(&[&join[..], &["--listen-addr", &own, &listen(first)]].concat())?;
    }
    let replicas = PODS.to_string();
    first.docker(&[
        "service",
        "create",
        "-q",
        "--detach",
        "--name",
        "web",
        "--no-resolve-image",
        "--replicas",
        &replicas,
        "--restart-delay",
        "0s",
        "--stop-grace-period",
        "1s",
        image,
        "sleep",
        "100000",
    ])?;
    Ok(registry)
}

/// Pushes once the engine has reloaded its configuration and the registry listens.
fn push(host: &LabHost, image: &str) -> Result<(), Failed> {
    let began = Instant::now();
    loop {
        match host.docker(&["push", "-q", image]) {
            Ok(_) => return Ok(()),
            Err(error) if began.elapsed() > Duration::from_secs(15) => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}
