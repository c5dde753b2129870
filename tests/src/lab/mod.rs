//! A lab of real Docker engines on one machine: each `dockerd` in a network namespace of its own,
//! behind a cable that can be pulled, reached by socket, by TLS and by ssh.
//!
//! ```no_run
//! # use tally_tests::lab::{Lab, LabOptions, Way};
//! # fn main() -> Result<(), tally_tests::lab::LabError> {
//! let lab = Lab::up(&LabOptions::named("mine", 7, 3))?; // gone when it is dropped
//! lab.load(&["tally.local/hello:1"])?;
//! let beta = &lab.hosts()[1];
//! let endpoint = beta.endpoint(Way::Tls);
//! beta.cut()?;
//! beta.heal()?;
//! # Ok(())
//! # }
//! ```
//!
//! It needs root, Linux, and the programs of [`PROGRAMS`]. Everything it makes bears the lab's name
//! (namespaces, one network device) or lies in its folder, so [`Lab::down`] can take it away even
//! when the process that made it is gone. Every wait has an end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod away;
mod engine;
mod host;
mod net;
mod options;
mod pki;
mod run;

pub use engine::Seen;
use host::ANSWERS_WITHIN;
pub use host::{LabHost, Way};
pub use options::LabOptions;
use options::{check, read_options};
pub use pki::{Authority, Purpose};
pub use run::LabError;
use run::{run, run_with, write};

/// What must be there.
pub const PROGRAMS: [&str; 9] =
    ["dockerd", "docker", "ip", "nsenter", "setsid", "sysctl", "openssl", "ssh-keygen", "sshd"];

/// A lab that is up. Dropping it takes it down, unless it was told to stay.
#[derive(Debug)]
pub struct Lab {
    options: LabOptions,
    hosts: Vec<LabHost>,
    stays: bool,
}

impl Lab {
    /// Why no lab can be had here; `None` when one can.
    #[must_use]
    pub fn unavailable() -> Option<String> {
        let missing: Vec<&str> =
            PROGRAMS.into_iter().filter(|program| run::find(program).is_none()).collect();
        if !missing.is_empty() {
            return Some(format!("these programs are missing: {}", missing.join(", ")));
        }
        match run("id", &["-u"]) {
            Ok(id) if id.trim() == "0" => {}
            _ => return Some("it needs root".to_owned()),
        }
        let tried = run("nsenter", &["--net=/proc/self/ns/net", "unshare", "--net", "true"]);
        tried.err().map(|error| format!("no network namespaces here: {error}"))
    }

    /// Sets a lab up and waits until all its engines answer. What was left of an earlier one in the
    /// same folder is taken away first.
    ///
    /// # Errors
    /// What failed. Nothing is left behind then.
    pub fn up(options: &LabOptions) -> Result<Self, LabError> {
        check(options)?;
        Self::down(options)?;
        let hosts = options.members();
        // From here on a failure takes away what there is: the lab is dropped.
        let lab = Self { options: options.clone(), hosts, stays: false };
        lab.build()?;
        Ok(lab)
    }

    /// A lab that another process has set up, and that still answers. It stays when this value is
    /// dropped.
    ///
    /// # Errors
    /// When there is none, or an engine of it does not answer.
    pub fn open(folder: &Path) -> Result<Self, LabError> {
        let options = read_options(folder)?;
        let hosts = options.members();
        for host in &hosts {
            host.wait_until_it_answers(Duration::from_secs(2))?;
        }
        Ok(Self { options, hosts, stays: true })
    }

    /// Takes a lab away, whoever made it: processes, namespaces, devices, mounts, its folder. Fine
    /// when there is nothing. The options that it was made with go before those given.
    ///
    /// # Errors
    /// What is still there after all bounded attempts.
    pub fn down(options: &LabOptions) -> Result<(), LabError> {
        let made = read_options(&options.folder).unwrap_or_else(|_| options.clone());
        away::take_away(&made)
    }

    /// Lets it outlive this value.
    pub fn stay(&mut self) {
        self.stays = true;
    }

    /// Its hosts, in order.
    #[must_use]
    pub fn hosts(&self) -> &[LabHost] {
        &self.hosts
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// This machine's address on the lab's network: what its hosts reach beside each other. They take a
    /// registry there without TLS.
    #[must_use]
    pub fn outside(&self) -> String {
        net::outside_ip(self.options.network)
    }

    /// The authority that signed all certificates of the lab.
    #[must_use]
    pub fn authority(&self) -> Authority {
        Authority::at(&self.options.folder.join("certs"))
    }

    /// What `ssh` must read to reach the hosts: keys and known hosts of the lab.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        self.options.folder.join("ssh/config")
    }

    /// Copies images of this machine's engine to all hosts, at the same time.
    ///
    /// # Errors
    /// When an image is not here, or an engine does not take it.
    pub fn load(&self, images: &[&str]) -> Result<(), LabError> {
        let archive = self.options.folder.join("images.tar");
        let path = archive.display().to_string();
        let mut save = vec!["save", "-o", path.as_str()];
        save.extend(images);
        run_with("docker", &save, Duration::from_secs(120))?;
        let loaded: Vec<Result<String, LabError>> = std::thread::scope(|scope| {
            let loads: Vec<_> = self
                .hosts
                .iter()
                .map(|host| scope.spawn(|| host.docker(&["load", "-q", "-i", &path])))
                .collect();
            let joined = loads.into_iter().map(|load| load.join());
            joined.map(|load| load.unwrap_or_else(|_| Err(LabError::new("loading", "")))).collect()
        });
        let _ = fs::remove_file(&archive);
        loaded.into_iter().collect::<Result<Vec<_>, _>>().map(|_| ())
    }

    /// The `cluster` block of a spec with all hosts, each by the way at its place (the first one's
    /// way again where there are fewer). Certificates are at `certs/`, a link to the lab's.
    #[must_use]
    pub fn cluster(&self, name: &str, ways: &[Way]) -> String {
        let mut text = format!("cluster {name} {{\n");
        for (number, host) in self.hosts.iter().enumerate() {
            let way = ways.get(number).or(ways.first()).copied().unwrap_or(Way::Unix);
            text.push_str(&format!("    {}\n", host.line(way)));
        }
        text.push_str("}\n");
        text
    }

    fn build(&self) -> Result<(), LabError> {
        let folder = &self.options.folder;
        let told =
            |error: std::io::Error| LabError::new("making the lab's folder", &error.to_string());
        fs::create_dir_all(folder.join("ssh")).map_err(told)?;
        let text = serde_json::to_string_pretty(&self.options)
            .map_err(|error| LabError::new("writing its options", &error.to_string()))?;
        fs::write(folder.join("lab.json"), text).map_err(told)?;
        net::fabric(&self.options)?;
        let authority = Authority::new(&folder.join("certs"), "tally lab")?;
        authority.issue("cert", "key", Purpose::Client, &[], 30)?;
        self.keys()?;
        for host in &self.hosts {
            host.join(&self.options)?;
            host.prepare(&authority)?;
            host.start_without_waiting()?;
            host.start_sshd()?;
        }
        self.known_hosts()?;
        for host in &self.hosts {
            host.wait_until_it_answers(ANSWERS_WITHIN)?;
        }
        Ok(())
    }

    /// Our key, and the configuration with which `ssh` uses it.
    fn keys(&self) -> Result<(), LabError> {
        let folder = self.options.folder.join("ssh");
        let shown = folder.display();
        let key = format!("{shown}/id");
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "tally lab", "-f", &key])?;
        let config = format!(
            "Host *\n  User root\n  IdentityFile {key}\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile {shown}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        );
        write(&folder.join("config"), &config)
    }

    fn known_hosts(&self) -> Result<(), LabError> {
        let mut text = String::new();
        for host in &self.hosts {
            text.push_str(&format!("{} {}\n", host.ip(), host.host_key()?));
        }
        write(&self.options.folder.join("ssh/known_hosts"), &text)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.stays {
            // A test that fails already says why; what is left is found by the next `up`.
            let _ = Self::down(&self.options);
        }
    }
}
