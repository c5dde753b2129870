//! The workspace's crates: their folders, their sources, and the crates they depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde_json::Value;

/// A crate of the workspace.
#[derive(Debug, Clone)]
pub struct Crate {
    /// Its name, as in `tally-graph`.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
}

/// The workspace, as `cargo metadata` describes it.
#[derive(Debug)]
pub struct Workspace {
    /// Its crates, sorted by name.
    pub crates: Vec<Crate>,
    names: BTreeMap<String, String>,
    dependencies: BTreeMap<String, Vec<String>>,
}

/// The reason why the workspace cannot be read.
#[derive(Debug)]
pub enum Error {
    /// `cargo` cannot be started.
    Start(io::Error),
    /// `cargo` failed, with its standard error.
    Failed(String),
    /// Its output is no JSON.
    Output(serde_json::Error),
}

impl Workspace {
    /// Reads the workspace at this folder, as this machine builds it. No network is used.
    ///
    /// # Errors
    /// When `cargo metadata` cannot be run, fails, or prints no JSON.
    pub fn read(cargo: &str, root: &Path) -> Result<Workspace, Error> {
        let run = |arguments: &[&str]| -> Result<Vec<u8>, Error> {
            let command = Command::new(cargo).args(arguments).current_dir(root).output();
            let output = command.map_err(Error::Start)?;
            if !output.status.success() {
                return Err(Error::Failed(String::from_utf8_lossy(&output.stderr).into_owned()));
            }
            Ok(output.stdout)
        };
        // Crates for other platforms may not be downloaded.
        let version = String::from_utf8_lossy(&run(&["-vV"])?).into_owned();
        let platform =
            version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let metadata = run(&[
            "metadata",
            "--format-version=1",
            "--offline",
            "--locked",
            "--filter-platform",
            platform,
        ])?;
        Ok(Workspace::from_metadata(&serde_json::from_slice(&metadata).map_err(Error::Output)?))
    }

    /// Reads the workspace from the output of `cargo metadata`.
    pub fn from_metadata(metadata: &Value) -> Workspace {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let members: BTreeSet<String> = each(&metadata["workspace_members"]).map(text).collect();
        let mut names = BTreeMap::new();
        let mut crates = Vec::new();
        for package in each(&metadata["packages"]) {
            let (id, name) = (text(&package["id"]), text(&package["name"]));
            if members.contains(&id) {
                let manifest = PathBuf::from(text(&package["manifest_path"]));
                let folder = manifest.parent().unwrap_or(Path::new("")).to_owned();
                crates.push(Crate { name: name.clone(), folder });
            }
            names.insert(id, name);
        }
        crates.sort_by(|one, other| one.name.cmp(&other.name));
        let node = |node: &Value| {
            let normal = each(&node["deps"]).filter(|dependency| is_normal(dependency));
            (text(&node["id"]), normal.map(|dependency| text(&dependency["pkg"])).collect())
        };
        let dependencies = each(&metadata["resolve"]["nodes"]).map(node).collect();
        Workspace { crates, names, dependencies }
    }

    /// Returns the names of all crates that this one compiles, through others too. Dependencies of builds
    /// and of tests are left out.
    pub fn compiles(&self, name: &str) -> BTreeSet<String> {
        let start = self.names.iter().find(|(_, other)| *other == name).map(|(id, _)| id);
        let mut open: Vec<&String> = start.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            for dependency in self.dependencies.get(id).into_iter().flatten() {
                if seen.insert(dependency) {
                    open.push(dependency);
                }
            }
        }
        seen.into_iter().filter_map(|id| self.names.get(id).cloned()).collect()
    }
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn is_normal(dependency: &Value) -> bool {
    each(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null())
}

/// Returns the Rust files below a folder, each with its path from there and its text. Build output
/// (`target`) is left out.
///
/// # Errors
/// When the folder or one of the files cannot be read.
pub fn rust_files(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    add_files(folder, "", &mut found)?;
    Ok(found)
}

fn add_files(folder: &Path, before: &str, found: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{before}{name}");
        if entry.file_type()?.is_dir() {
            if name != "target" {
                add_files(&entry.path(), &format!("{path}/"), found)?;
            }
        } else if name.ends_with(".rs") {
            found.insert(path, fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Workspace;

    #[test]
    fn dependencies_are_followed_but_for_those_of_tests() {
        let dependency = |name: &str, kind: Option<&str>| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "workspace_members": ["a"],
            "packages": [
                { "id": "a", "name": "a", "manifest_path": "/w/a/Cargo.toml" },
                { "id": "b", "name": "b", "manifest_path": "/r/b/Cargo.toml" },
                { "id": "c", "name": "c", "manifest_path": "/r/c/Cargo.toml" },
                { "id": "t", "name": "t", "manifest_path": "/r/t/Cargo.toml" },
            ],
            "resolve": { "nodes": [
                { "id": "a", "deps": [dependency("b", None), dependency("t", Some("dev"))] },
                { "id": "b", "deps": [dependency("c", None)] },
                { "id": "c", "deps": [] },
                { "id": "t", "deps": [] },
            ] },
        });
        let workspace = Workspace::from_metadata(&metadata);
        assert_eq!(workspace.crates[0].folder, std::path::Path::new("/w/a"));
        assert_eq!(workspace.compiles("a").into_iter().collect::<Vec<_>>(), ["b", "c"]);
    }
}
