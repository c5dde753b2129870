//! Checks the rules of the source tree: no import cycle in a crate, one style of modules, no long file, one type
//! for each name, and crates that compile only the crates that the layout allows them.
//!
//! The rules are in docs/devel/README.md, the checks in `tally_tests::architecture`.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests stop loudly")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tally_tests::architecture::crates::{Crate, Workspace, rust_files};
use tally_tests::architecture::cycles::{cycles, rendered};
use tally_tests::architecture::layout::{mixed_modules, too_long};
use tally_tests::architecture::names::{defined_types, shared_names};

/// The maximum number of lines of a Rust file.
const LINES: usize = 600;

/// Crates with no I/O, clock or randomness.
const PURE: &[&str] = &["tally-source", "tally-graph", "tally-lang", "tally-reconcile"];

/// Crates for I/O, which no pure crate compiles.
const IMPURE: &[&str] = &[
    "bollard",
    "hyper",
    "mio",
    "rustls",
    "socket2",
    "tally-cli",
    "tally-control",
    "tally-docker",
    "tally-host",
    "tally-simulator",
    "tally-store",
    "tally-transport",
    "tokio",
];

/// Crates, each with the crates that it must not compile: only `tally-docker` and the binary compile the Docker
/// client.
const WITHOUT_DOCKER: &[(&str, &[&str])] = &[
    ("tally-simulator", &["tally-docker", "bollard", "hyper", "rustls"]),
    ("tally-control", &["tally-docker", "bollard", "hyper", "rustls"]),
    ("tally-store", &["tally-docker", "bollard"]),
];

/// Names that stand for more than one type, each with the reason.
const SHARED_NAMES: &[(&str, &str)] = &[(
    "Host",
    "the declaration of a host in the spec, and the trait of a connected host: both are the field's word",
)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned()
}

fn workspace() -> Workspace {
    Workspace::read(env!("CARGO"), &root()).expect("cargo metadata")
}

fn sources(krate: &Crate) -> BTreeMap<String, String> {
    rust_files(&krate.folder.join("src")).expect("sources")
}

/// Fails when a crate breaks a rule.
fn check_each_crate(rule: &str, broken: impl Fn(&Crate) -> Option<String>) {
    let mut problems = String::new();
    for krate in workspace().crates {
        if let Some(found) = broken(&krate) {
            problems.push_str(&format!(
                "{}: {found}
",
                krate.name
            ));
        }
    }
    assert!(
        problems.is_empty(),
        "{rule}

{problems}"
    );
}

#[test]
fn no_crate_has_an_import_cycle() {
    check_each_crate(
        "Files of a crate must not import one another in a circle: move what both need into a module of its own.",
        |krate| {
            let found: Vec<String> = cycles(&sources(krate)).iter().map(rendered).collect();
            (!found.is_empty()).then(|| found.join("\n"))
        },
    );
}

#[test]
fn a_module_with_children_is_a_folder_with_mod_rs() {
    check_each_crate(
        "A module with children is a folder with mod.rs: move x.rs to x/mod.rs.",
        |krate| {
            let found = mixed_modules(&sources(krate));
            (!found.is_empty()).then(|| found.join(", "))
        },
    );
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let mut long = BTreeMap::new();
    for krate in workspace().crates {
        let folder =
            krate.folder.strip_prefix(root()).expect("a folder of the repository").to_owned();
        for (file, lines) in too_long(&rust_files(&krate.folder).expect("sources"), LINES) {
            long.insert(folder.join(file).display().to_string(), lines);
        }
    }
    assert!(long.is_empty(), "split a file past {LINES} lines by kind: {long:?}");
}

#[test]
fn every_type_name_stands_for_one_thing() {
    let root = root();
    let mut files = BTreeMap::new();
    for krate in workspace().crates {
        let folder = krate.folder.strip_prefix(&root).expect("a folder of the repository");
        if folder.starts_with("compiler") || folder.starts_with("engine") {
            for (file, text) in sources(&krate) {
                files.insert(folder.join("src").join(file).display().to_string(), text);
            }
        }
    }
    let types = defined_types(&files);
    let mut shared = shared_names(&types);
    for (name, reason) in SHARED_NAMES {
        assert!(shared.remove(name).is_some(), "`{name}` is one type, no longer {reason}");
    }
    assert!(shared.is_empty(), "give each of these types a name of its own: {shared:#?}");
}

#[test]
fn pure_crates_compile_no_impure_ones() {
    let workspace = workspace();
    for name in PURE {
        let compiled = workspace.compiles(name);
        let impure: Vec<&str> =
            IMPURE.iter().copied().filter(|impure| compiled.contains(*impure)).collect();
        assert!(impure.is_empty(), "{name} must do no I/O, and compiles {impure:?}");
    }
}

#[test]
fn only_the_real_host_and_the_binary_compile_the_docker_client() {
    let workspace = workspace();
    for (name, without) in WITHOUT_DOCKER {
        let compiled = workspace.compiles(name);
        let found: Vec<&str> =
            without.iter().copied().filter(|other| compiled.contains(*other)).collect();
        assert!(found.is_empty(), "{name} must not compile {found:?}");
    }
}
