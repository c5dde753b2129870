//! One host of a lab: its engine, its sshd, its network cable.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tally_docker::Endpoint;
use tally_graph::HostAddress;
use tally_transport::TlsPaths;

use super::net::{fabric_name, inside};
use super::options::LabOptions;
use super::pki::{Authority, Purpose};
use super::run::{LabError, find, lives, poll, run, run_with, signal, start, write};

/// Names of the first hosts; further ones are `h11`, `h12` and so on.
const NAMES: [&str; 10] =
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"];

/// Timeout of an engine's answer; engines on a loaded machine take 2 s.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// The ways to reach a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Its socket: this machine and the hosts share one file system. A disconnected cable does not affect it.
    Unix,
    /// Its TLS port.
    Tls,
    /// Its sshd.
    Ssh,
}

/// One host of a lab.
#[derive(Debug, Clone)]
pub struct LabHost {
    name: String,
    ip: String,
    number: u8,
    netns: String,
    fabric: String,
    lab: PathBuf,
    folder: PathBuf,
}

impl LabOptions {
    /// Returns the hosts of a lab with these options, whether it runs or not.
    #[must_use]
    pub fn members(&self) -> Vec<LabHost> {
        (1..=self.hosts).map(|number| LabHost::new(self, number)).collect()
    }
}

impl LabHost {
    pub(super) fn new(options: &LabOptions, number: u8) -> Self {
        let known = usize::from(number).checked_sub(1).and_then(|index| NAMES.get(index));
        let name = known.map_or_else(|| format!("h{number}"), |name| (*name).to_owned());
        Self {
            ip: format!("10.99.{}.{number}", options.network),
            number,
            netns: format!("tally-{}-{name}", options.name),
            fabric: fabric_name(options),
            lab: options.folder.clone(),
            folder: options.folder.join(&name),
            name,
        }
    }

    /// Creates a host's namespace and its cable.
    pub(super) fn join(&self, options: &LabOptions) -> Result<(), LabError> {
        let fabric = &self.fabric;
        let netns = self.netns();
        let port = self.port();
        run("ip", &["netns", "add", netns])?;
        inside(netns, &["link", "set", "lo", "up"])?;
        let cable = ["link", "add", &port, "netns", fabric, "type", "veth", "peer", "name", "eth0"];
        run("ip", &[&cable[..], &["netns", netns]].concat())?;
        inside(fabric, &["link", "set", &port, "master", "br0", "up"])?;
        inside(netns, &["addr", "add", &format!("{}/24", self.ip()), "dev", "eth0"])?;
        inside(netns, &["link", "set", "eth0", "up"])?;
        let gateway = format!("10.99.{}.254", options.network);
        inside(netns, &["route", "add", "default", "via", &gateway])?;
        // As on a fresh machine: `dockerd` then sets FORWARD to DROP. A new namespace inherits 1, and `dockerd` would
        // leave ACCEPT.
        let namespace = format!("--net=/run/netns/{netns}");
        run("nsenter", &[&namespace, "sysctl", "-qw", "net.ipv4.ip_forward=0"])?;
        Ok(())
    }

    /// Returns its name: `alpha`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its address on the lab's network.
    #[must_use]
    pub fn ip(&self) -> &str {
        &self.ip
    }

    /// Returns its network namespace.
    #[must_use]
    pub fn netns(&self) -> &str {
        &self.netns
    }

    /// Returns its folder: `sock`, `log`, `data`, `exec`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns its engine's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("sock")
    }

    /// Returns its endpoint for a way to reach it.
    #[must_use]
    pub fn endpoint(&self, way: Way) -> Endpoint {
        let certs = self.lab.join("certs");
        let tls = TlsPaths {
            ca: certs.join("ca.pem"),
            cert: certs.join("cert.pem"),
            key: certs.join("key.pem"),
        };
        Endpoint {
            tls: (way == Way::Tls).then_some(tls),
            ssh_config: Some(self.lab.join("ssh/config")),
            ..Endpoint::from(&self.address(way))
        }
    }

    /// Returns its address for a way to reach it.
    #[must_use]
    pub fn address(&self, way: Way) -> HostAddress {
        let socket = self.socket();
        match way {
            Way::Unix => HostAddress::Unix(socket.display().to_string()),
            Way::Tls => HostAddress::Tcp(format!("tcp://{}:2376", self.ip)),
            Way::Ssh => HostAddress::Ssh(format!("ssh://root@{}{}", self.ip, socket.display())),
        }
    }

    /// Returns its line in a spec.
    #[must_use]
    pub fn line(&self, way: Way) -> String {
        let tls = match way {
            Way::Tls => {
                " { tls ca=\"certs/ca.pem\" cert=\"certs/cert.pem\" key=\"certs/key.pem\" }"
            }
            Way::Unix | Way::Ssh => "",
        };
        format!("host {} \"{}\"{tls}", self.name, self.address(way))
    }

    /// Disconnects its cable: packets are lost without an error, and its routes stay.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn cut(&self) -> Result<(), LabError> {
        inside(&self.fabric, &["link", "set", &self.port(), "down"]).map(|_| ())
    }

    /// Connects its cable again.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn heal(&self) -> Result<(), LabError> {
        inside(&self.fabric, &["link", "set", &self.port(), "up"]).map(|_| ())
    }

    /// Suspends its `dockerd`: connections are accepted and nothing is answered.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&self) -> Result<(), LabError> {
        signal(self.running()?, "STOP");
        Ok(())
    }

    /// Resumes its `dockerd`.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&self) -> Result<(), LabError> {
        signal(self.running()?, "CONT");
        Ok(())
    }

    /// Kills its `dockerd` (SIGKILL) and waits until it has ended. Containers end with the next start, or continue,
    /// depending on Docker's settings.
    ///
    /// # Errors
    /// If it does not run, or does not end.
    pub fn kill(&self) -> Result<(), LabError> {
        self.end("KILL")
    }

    /// Ends its `dockerd` (SIGTERM) and waits until it has ended. Its containers are stopped.
    ///
    /// # Errors
    /// If it does not run, or does not end.
    pub fn stop(&self) -> Result<(), LabError> {
        self.end("TERM")
    }

    /// Starts its `dockerd` after [`LabHost::kill`] or [`LabHost::stop`], and waits until it answers.
    ///
    /// # Errors
    /// If it does not answer; the error contains the end of its log.
    pub fn start(&self) -> Result<(), LabError> {
        self.start_without_waiting()?;
        self.wait_until_it_answers(ANSWERS_WITHIN)
    }

    /// Returns the process of its `dockerd`, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        read_pid(&self.folder.join("pid"))
    }

    /// Runs Docker's own client with this engine.
    ///
    /// # Errors
    /// The client's error output, or a timeout of two minutes.
    pub fn docker(&self, args: &[&str]) -> Result<String, LabError> {
        let socket = format!("unix://{}", self.socket().display());
        run_with("docker", &[&["-H", &socket], args].concat(), Duration::from_secs(120))
    }

    /// Gives its sshd another host key than the known one.
    ///
    /// # Errors
    /// If a program fails.
    pub fn change_host_key(&self) -> Result<(), LabError> {
        let key = self.folder.join("host_key");
        let _ = fs::remove_file(&key);
        let _ = fs::remove_file(self.folder.join("host_key.pub"));
        self.make_host_key()?;
        self.stop_sshd();
        self.start_sshd()
    }

    /// Restarts its sshd with further lines of configuration before its own: the first line with a setting applies.
    ///
    /// # Errors
    /// If it does not start.
    pub fn configure_sshd(&self, lines: &str) -> Result<(), LabError> {
        self.stop_sshd();
        write(&self.folder.join("sshd.conf"), &format!("{lines}\n{}", self.sshd_conf()))?;
        self.start_sshd()
    }

    /// Returns the public half of its host key, as in known_hosts.
    pub(super) fn host_key(&self) -> Result<String, LabError> {
        let path = self.folder.join("host_key.pub");
        let text = fs::read_to_string(&path)
            .map_err(|error| LabError::new(&path.display().to_string(), &error.to_string()))?;
        Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
    }

    /// Returns the name of the fabric's end of its cable.
    pub(super) fn port(&self) -> String {
        format!("v{}", self.number)
    }

    /// Creates its folder and all files in it.
    pub(super) fn prepare(&self, authority: &Authority) -> Result<(), LabError> {
        let lab_error = |error: std::io::Error| {
            LabError::new("cannot create a host's folder", &error.to_string())
        };
        fs::create_dir_all(&self.folder).map_err(lab_error)?;
        write(&self.folder.join("daemon.json"), &self.daemon_json()?)?;
        let (ip, name) = (format!("IP:{}", self.ip), format!("DNS:{}", self.name));
        let cert = format!("{}-cert", self.name);
        let key = format!("{}-key", self.name);
        authority.issue(&cert, &key, Purpose::Server, &[&ip, &name], 30)?;
        self.make_host_key()?;
        write(&self.folder.join("sshd.conf"), &self.sshd_conf())
    }

    /// Returns the engine's configuration file; an own file replaces the machine's. Before Docker 24 an engine's ID
    /// comes from a key of the machine, so all engines of a lab would have the same ID.
    fn daemon_json(&self) -> Result<String, LabError> {
        // `Docker version 20.10.24+dfsg1, build 5d6db84`
        let version = run("dockerd", &["--version"])?;
        let number = version.split_whitespace().find_map(|word| word.split_once('.'));
        let major = number.and_then(|(major, _)| major.parse::<u32>().ok());
        let own_key = if major.is_some_and(|major| major < 24) {
            let key = self.folder.join("key.json");
            format!(", \"deprecated-key-path\": \"{}\"", key.display())
        } else {
            String::new()
        };
        // A registry of the tests at this machine's address has no TLS.
        Ok(format!("{{ \"insecure-registries\": [\"10.99.0.0/16\"]{own_key} }}\n"))
    }

    fn sshd_conf(&self) -> String {
        let folder = self.folder.display();
        format!(
            "ListenAddress {}:22\nHostKey {folder}/host_key\nPidFile {folder}/sshd.pid\n\
             AuthorizedKeysFile {}/ssh/id.pub\nUsePAM no\nStrictModes no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n",
            self.ip,
            self.lab.display(),
        )
    }

    fn make_host_key(&self) -> Result<(), LabError> {
        let path = self.folder.join("host_key").display().to_string();
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", &self.name, "-f", &path])?;
        Ok(())
    }

    pub(super) fn start_without_waiting(&self) -> Result<(), LabError> {
        if self.pid().is_some() {
            return Err(LabError::new(&self.name, "its dockerd already runs"));
        }
        // `dockerd` trusts these files, even if the process is dead and only waits to be reaped. Its containerd ends
        // with it.
        let _ = fs::remove_file(self.folder.join("pid"));
        let containerd = self.folder.join("exec/containerd/containerd.pid");
        if read_pid(&containerd).is_none() {
            let _ = fs::remove_file(&containerd);
        }
        let path = |name: &str| self.folder.join(name).display().to_string();
        let certs = self.lab.join("certs");
        let cert = |name: String| certs.join(name).display().to_string();
        let namespace = format!("--net=/run/netns/{}", self.netns);
        // Not `ip netns exec`: it hides the cgroup mounts from dockerd.
        let args = [
            "nsenter",
            &namespace,
            "dockerd",
            "--data-root",
            &path("data"),
            "--exec-root",
            &path("exec"),
            "--pidfile",
            &path("pid"),
            "--config-file",
            &path("daemon.json"),
            "--storage-driver",
            "overlay2",
            "-H",
            &format!("unix://{}", path("sock")),
            "-H",
            &format!("tcp://{}:2376", self.ip),
            "--tlsverify",
            "--tlscacert",
            &cert("ca.pem".to_owned()),
            "--tlscert",
            &cert(format!("{}-cert.pem", self.name)),
            "--tlskey",
            &cert(format!("{}-key.pem", self.name)),
        ];
        start(&args, &self.folder.join("log"))
    }

    /// Waits until its engine answers on its socket.
    pub(super) fn wait_until_it_answers(&self, limit: Duration) -> Result<(), LabError> {
        let answers = poll(limit, || ping(&self.socket()).then_some(()));
        answers.ok_or_else(|| {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n");
            LabError::new(&format!("{} does not answer within {limit:?}", self.name), &last)
        })
    }

    pub(super) fn start_sshd(&self) -> Result<(), LabError> {
        // sshd does not start without this folder of its package.
        fs::create_dir_all("/run/sshd")
            .map_err(|error| LabError::new("making /run/sshd", &error.to_string()))?;
        let sshd = find("sshd").ok_or_else(|| LabError::new("sshd", "not installed"))?;
        let path = |name: &str| self.folder.join(name).display().to_string();
        let namespace = format!("--net=/run/netns/{}", self.netns);
        let sshd = sshd.display().to_string();
        let args = ["nsenter", &namespace, &sshd, "-f", &path("sshd.conf"), "-D", "-e"];
        start(&args, &self.folder.join("sshd.log"))?;
        poll(Duration::from_secs(10), || self.sshd().map(|_| ()))
            .ok_or_else(|| LabError::new(&self.name, "its sshd does not run"))
    }

    fn stop_sshd(&self) {
        if let Some(pid) = self.sshd() {
            signal(pid, "TERM");
            poll(Duration::from_secs(5), || (!lives(pid)).then_some(()));
        }
        let _ = fs::remove_file(self.folder.join("sshd.pid"));
    }

    fn sshd(&self) -> Option<u32> {
        read_pid(&self.folder.join("sshd.pid"))
    }

    fn running(&self) -> Result<u32, LabError> {
        self.pid().ok_or_else(|| LabError::new(&self.name, "its dockerd does not run"))
    }

    fn end(&self, with: &str) -> Result<(), LabError> {
        let pid = self.running()?;
        signal(pid, with);
        poll(Duration::from_secs(60), || (!lives(pid)).then_some(())).ok_or_else(|| {
            LabError::new(&self.name, &format!("its dockerd still runs after SIG{with}"))
        })
    }
}

/// Returns the process that a file names, if it runs.
fn read_pid(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok().filter(|pid| lives(*pid))
}

/// Checks whether an engine answers on a socket within a second.
fn ping(socket: &Path) -> bool {
    let asked = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    asked().is_ok_and(|answer| answer == "HTTP/1.1 200")
}
