//! A lab of real Docker engines on one machine: each `dockerd` in a network namespace of its own, behind a cable that
//! can be disconnected. It is reached by socket, by TLS and by ssh.
//!
//! ```no_run
//! # use tally_tests::lab::{Lab, LabOptions, Way};
//! # fn main() -> Result<(), tally_tests::lab::LabError> {
//! let lab = Lab::up(&LabOptions::named("mine", 7, 3))?; // removed when it is dropped
//! lab.load(&["tally.local/hello:1"])?;
//! let beta = &lab.hosts()[1];
//! let endpoint = beta.endpoint(Way::Tls);
//! beta.cut()?;
//! beta.heal()?;
//! # Ok(())
//! # }
//! ```
//!
//! It needs root, Linux, and the programs of [`PROGRAMS`]. Everything that it creates has the lab's name (namespaces,
//! one network device) or is in its folder, so [`Lab::down`] can remove it even after the process that created it has
//! ended. Every wait has a timeout.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod engine;
mod host;
mod net;
mod options;
mod pki;
mod removal;
mod run;

pub use engine::Seen;
use host::ANSWERS_WITHIN;
pub use host::{LabHost, Way};
pub use options::LabOptions;
use options::{check, read_options};
pub use pki::{Authority, Purpose};
pub use run::LabError;
use run::{run, run_with, write};

/// The required programs.
pub const PROGRAMS: [&str; 9] =
    ["dockerd", "docker", "ip", "nsenter", "setsid", "sysctl", "openssl", "ssh-keygen", "sshd"];

/// A running lab. Dropping it removes it, unless [`Lab::stay`] was called.
#[derive(Debug)]
pub struct Lab {
    options: LabOptions,
    hosts: Vec<LabHost>,
    stays: bool,
}

impl Lab {
    /// Returns the reason why no lab can run here; `None` if one can.
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
        tried.err().map(|error| format!("network namespaces cannot be created: {error}"))
    }

    /// Starts a lab and waits until all its engines answer. The remains of an earlier one in the same folder are
    /// removed first.
    ///
    /// # Errors
    /// The step that failed. Everything created so far is removed.
    pub fn up(options: &LabOptions) -> Result<Self, LabError> {
        check(options)?;
        Self::down(options)?;
        let hosts = options.members();
        // From here on an error removes everything created so far: the lab is dropped.
        let lab = Self { options: options.clone(), hosts, stays: false };
        lab.build()?;
        Ok(lab)
    }

    /// Opens a lab that another process has started and that still answers. It stays when this value is dropped.
    ///
    /// # Errors
    /// If there is none, or if one of its engines does not answer.
    pub fn open(folder: &Path) -> Result<Self, LabError> {
        let options = read_options(folder)?;
        let hosts = options.members();
        for host in &hosts {
            host.wait_until_it_answers(Duration::from_secs(2))?;
        }
        Ok(Self { options, hosts, stays: true })
    }

    /// Removes a lab, also one of another process: processes, namespaces, devices, mounts, its folder. No lab is no
    /// error. The options stored in the folder take precedence over the given ones.
    ///
    /// # Errors
    /// The objects that are still there after all bounded attempts.
    pub fn down(options: &LabOptions) -> Result<(), LabError> {
        let made = read_options(&options.folder).unwrap_or_else(|_| options.clone());
        removal::remove(&made)
    }

    /// Keeps the lab when this value is dropped.
    pub fn stay(&mut self) {
        self.stays = true;
    }

    /// Returns its hosts, in order.
    #[must_use]
    pub fn hosts(&self) -> &[LabHost] {
        &self.hosts
    }

    /// Returns its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// Returns this machine's address on the lab's network, which the hosts can reach. They use a registry there
    /// without TLS.
    #[must_use]
    pub fn outside(&self) -> String {
        net::outside_ip(self.options.network)
    }

    /// Returns the authority that signed all certificates of the lab.
    #[must_use]
    pub fn authority(&self) -> Authority {
        Authority::at(&self.options.folder.join("certs"))
    }

    /// Returns the configuration that `ssh` needs to reach the hosts: keys and known hosts of the lab.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        self.options.folder.join("ssh/config")
    }

    /// Copies images of this machine's engine to all hosts, at the same time.
    ///
    /// # Errors
    /// If an image does not exist here, or an engine does not load it.
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

    /// Returns the `cluster` block of a spec with all hosts, each with the way at its index; the first way is used
    /// where there are fewer. Certificates are in `certs/`, a link to the lab's.
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
        let lab_error = |error: std::io::Error| {
            LabError::new("cannot create the lab's folder", &error.to_string())
        };
        fs::create_dir_all(folder.join("ssh")).map_err(lab_error)?;
        let text = serde_json::to_string_pretty(&self.options)
            .map_err(|error| LabError::new("cannot write its options", &error.to_string()))?;
        fs::write(folder.join("lab.json"), text).map_err(lab_error)?;
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

    /// Creates the client's key, and the configuration with which `ssh` uses it.
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
            // A failed test has already reported its reason; the next `up` removes the remains.
            let _ = Self::down(&self.options);
        }
    }
}
