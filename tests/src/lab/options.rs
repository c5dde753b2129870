//! The options of a lab, and the file that keeps them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::run::LabError;

/// The options of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabOptions {
    /// The name of everything that the lab creates: letters and digits, at most 10.
    pub name: String,
    /// The folder of its state: not on a memory file system, since images go there.
    pub folder: PathBuf,
    /// Its network is 10.99.N.0/24: two labs at the same time need two numbers.
    pub network: u8,
    /// The number of hosts, 1 to 100.
    pub hosts: u8,
}

impl LabOptions {
    /// Returns the options of a lab of that name, in `/var/lib/tally-lab-NAME`.
    #[must_use]
    pub fn named(name: &str, network: u8, hosts: u8) -> Self {
        let folder = PathBuf::from(format!("/var/lib/tally-lab-{name}"));
        Self { name: name.to_owned(), folder, network, hosts }
    }

    /// Returns the options of `make lab-up`: three hosts in `/var/lib/tally-lab`. `TALLY_LAB` sets another
    /// folder, `TALLY_LAB_HOSTS` another number.
    #[must_use]
    pub fn usual() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let folder = set("TALLY_LAB").unwrap_or_else(|| "/var/lib/tally-lab".to_owned());
        let hosts = set("TALLY_LAB_HOSTS").and_then(|value| value.parse().ok()).unwrap_or(3);
        Self { name: "lab".to_owned(), folder: folder.into(), network: 0, hosts }
    }
}

/// Reads the options of the lab in a folder.
pub(super) fn read_options(folder: &Path) -> Result<LabOptions, LabError> {
    let path = folder.join("lab.json");
    let none = |error: String| LabError::new(&format!("no lab in {}", folder.display()), &error);
    let text = fs::read_to_string(path).map_err(|error| none(error.to_string()))?;
    let options: LabOptions =
        serde_json::from_str(&text).map_err(|error| none(error.to_string()))?;
    check(&options)?;
    // A copied or moved folder must not cause the removal of another one.
    if options.folder == folder {
        Ok(options)
    } else {
        Err(none(format!("its options are those of {}", options.folder.display())))
    }
}

/// Checks that the options are plain enough for commands and paths, and that the folder holds no other files.
pub(super) fn check(options: &LabOptions) -> Result<(), LabError> {
    let LabOptions { name, folder, hosts, .. } = options;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let text = folder.as_os_str().as_encoded_bytes();
    if name.is_empty() || name.len() > 10 || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(LabError::new("a lab's name", "must have 1 to 10 letters and digits"));
    }
    if !(1..=100).contains(hosts) {
        return Err(LabError::new("a lab", "must have 1 to 100 hosts"));
    }
    let deep = folder.is_absolute() && folder.components().count() > 2;
    // A socket's path may have 107 bytes; the longest of containerd's needs 50 of them.
    if !deep || text.len() > 50 || !text.iter().copied().all(plain) || folder.ends_with("..") {
        return Err(LabError::new(
            "a lab's folder",
            "must be a plain, absolute path of up to 50 bytes",
        ));
    }
    let other_files = folder.exists()
        && !folder.join("lab.json").exists()
        && fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if other_files {
        Err(LabError::new("a lab's folder", &format!("{} contains other files", folder.display())))
    } else {
        Ok(())
    }
}
