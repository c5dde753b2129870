//! Removes a lab. It must remove everything that an earlier process left, so it works with names and the folder, and
//! uses no state in memory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::net::{device_name, fabric_name};
use super::options::LabOptions;
use super::run::{LabError, lives, poll, run, signal};

/// `dockerd` ends its containers first; the lab helps with that.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Removes everything.
pub(super) fn remove(options: &LabOptions) -> Result<(), LabError> {
    let hosts = options.members();
    let containers = container_ids(&options.folder);
    let sockets = shim_sockets(&options.folder);
    // SIGTERM first, all at once: `dockerd` then cleans up after its containers.
    for host in &hosts {
        if let Some(pid) = host.pid() {
            signal(pid, "CONT");
            signal(pid, "TERM");
        }
    }
    poll(ENDS_WITHIN, || {
        let ids = container_ids(&options.folder);
        for pid in of_containers(&ids) {
            signal(pid, "KILL");
        }
        hosts.iter().all(|host| host.pid().is_none()).then_some(())
    });
    // Then SIGKILL for everything that is left in the lab's namespaces, and for its containers.
    let prefix = format!("tally-{}-", options.name);
    let mut namespaces: BTreeSet<String> = namespaces(&prefix);
    namespaces.insert(fabric_name(options));
    let gone = poll(Duration::from_secs(10), || {
        let mut left: BTreeSet<u32> = of_containers(&container_ids(&options.folder)).collect();
        left.extend(namespaces.iter().flat_map(|name| of_namespace(name)));
        left.extend(of_folder(&options.folder));
        left.retain(|pid| lives(*pid));
        for pid in &left {
            signal(*pid, "KILL");
        }
        left.is_empty().then_some(())
    });
    // Objects that killed engines could not remove.
    for socket in &sockets {
        let _ = fs::remove_file(socket);
    }
    remove_cgroups(&containers);
    for name in &namespaces {
        // A missing object is no error; an object that is still there is reported below.
        let _ = run("ip", &["netns", "del", name]);
    }
    let _ = run("ip", &["link", "del", &device_name(options)]);
    for _ in 0..3 {
        for mount in mounts_below(&options.folder) {
            let _ = run("umount", &["-l", &mount]);
        }
    }
    if mounts_below(&options.folder).is_empty() && options.folder.exists() {
        fs::remove_dir_all(&options.folder).map_err(|error| {
            LabError::new(&format!("removing {}", options.folder.display()), &error.to_string())
        })?;
    }
    left_over(options, gone.is_some())
}

/// Returns an error that names everything that is still there.
fn left_over(options: &LabOptions, processes_gone: bool) -> Result<(), LabError> {
    let mut left = Vec::new();
    if !processes_gone {
        left.push("processes".to_owned());
    }
    left.extend(namespaces(&format!("tally-{}-", options.name)));
    let device = device_name(options);
    if Path::new("/sys/class/net").join(&device).exists() {
        left.push(device);
    }
    left.extend(mounts_below(&options.folder));
    if options.folder.exists() {
        left.push(options.folder.display().to_string());
    }
    if left.is_empty() {
        Ok(())
    } else {
        Err(LabError::new("the lab is not completely removed", &left.join(", ")))
    }
}

fn namespaces(prefix: &str) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir("/run/netns") else { return BTreeSet::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(prefix)).collect()
}

/// Returns the processes in a namespace.
fn of_namespace(name: &str) -> Vec<u32> {
    let pids = run("ip", &["netns", "pids", name]).unwrap_or_default();
    pids.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Returns the full IDs of all containers of the lab's engines.
fn container_ids(folder: &Path) -> BTreeSet<String> {
    let hosts = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = hosts.map(|host| host.path().join("data/containers"));
    let containers =
        folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let names = containers.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.len() == 64).collect()
}

/// Returns the sockets of the shims of the lab's containers: they are outside of the lab's folder, and a killed shim
/// leaves its socket behind.
fn shim_sockets(folder: &Path) -> Vec<PathBuf> {
    let tasks = "exec/containerd/daemon/io.containerd.runtime.v2.task/moby";
    let hosts = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = hosts.map(|host| host.path().join(tasks));
    let bundles = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let texts = bundles.filter_map(|bundle| fs::read_to_string(bundle.path().join("address")).ok());
    let paths = texts.filter_map(|text| Some(PathBuf::from(text.strip_prefix("unix://")?)));
    paths.filter(|path| path.starts_with("/run/containerd/s")).collect()
}

/// Removes the cgroups of containers, of version 1 (one in each hierarchy) and 2.
fn remove_cgroups(ids: &BTreeSet<String>) {
    let roots = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let mut roots: Vec<PathBuf> = roots.map(|root| root.path()).collect();
    roots.push(PathBuf::from("/sys/fs/cgroup"));
    for root in roots {
        for id in ids {
            // Only empty cgroups can be removed; most are gone already.
            let _ = fs::remove_dir(root.join("docker").join(id));
        }
    }
}

/// Returns the processes of containers, which have networks of their own: their cgroup contains the ID.
fn of_containers(ids: &BTreeSet<String>) -> impl Iterator<Item = u32> + use<'_> {
    processes().filter(|pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let mut words = text.split(['/', '\n', '-', '.']);
        !ids.is_empty() && words.any(|word| ids.contains(word))
    })
}

/// Returns the engines' processes whose arguments name the lab's folder.
fn of_folder(folder: &Path) -> Vec<u32> {
    let below = format!("{}/", folder.display());
    let of_engine = |pid: &u32| {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut words = text.split('\0');
        let program = words.next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let known = ["dockerd", "containerd", "containerd-shim-runc-v2", "sshd", "nsenter"];
        known.contains(&program) && words.any(|word| word.contains(&below))
    };
    processes().filter(of_engine).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the mounts below a folder, the deepest first.
fn mounts_below(folder: &Path) -> Vec<String> {
    let below = format!("{}/", folder.display());
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<String> = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|mount| mount.starts_with(&below))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.reverse();
    found
}
