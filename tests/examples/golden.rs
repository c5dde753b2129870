//! Records what a build compiles, plans and calls, to compare it with another build.
//!
//! ```sh
//! TALLY_GOLDEN=DIR golden plans            # all cases and specs, and 200 generated clusters
//! golden calls COUNT [FIRST]               # a line for each seed: the hash of its Docker calls and when they came
//! ```
#![expect(clippy::print_stdout, reason = "the output is for people")]
#![allow(clippy::disallowed_methods, reason = "a tool for developers reads cases")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tally_host::{ExecuteOptions, Host, HostRead, execute, observe};
use tally_lang::{MemoryLoader, compile};
use tally_simulator::{SimHost, SimOptions};
use tally_tests::golden;
use tally_tests::simulation::{Settings, run, spec};

/// Generated clusters whose plans are recorded.
const CLUSTERS: u64 = 200;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: u64| {
        words.get(at).and_then(|word| word.parse().ok()).unwrap_or(otherwise)
    };
    match words.first().map(String::as_str) {
        Some("plans") => plans(),
        Some("calls") => calls(number(1, 1_000), number(2, 1)),
        _ => {
            println!("golden plans | golden calls COUNT [FIRST]");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn plans() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["tests/cases/compile", "compiler/lang/tests/specs", "specs"] {
        let mut files = Vec::new();
        specs_below(&root.join(folder), &mut files);
        files.sort();
        for file in files {
            let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
            golden::name(&name);
            let compiled = compile("tally.kdl", &mut loader(&file));
            golden::record_graph(compiled.graph.as_ref(), &compiled.diagnostics);
        }
    }
    for seed in 1..=CLUSTERS {
        golden::name(&format!("cluster-{seed:03}"));
        let _ = run(seed, Settings::default());
        golden::name(&format!("versions-{seed:03}"));
        versions(seed);
    }
}

/// Records the plans of each version of a generated cluster: on empty hosts, and after the version before it.
fn versions(seed: u64) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let Ok(runtime) = runtime.enable_time().start_paused(true).build() else { return };
    runtime.block_on(async {
        let family = spec::family(seed);
        let clock = tally_simulator::tokio_clock();
        let hosts: BTreeMap<String, Arc<dyn Host>> = family
            .hosts
            .iter()
            .map(|name| {
                let options = SimOptions::new(seed, Arc::clone(&clock));
                (name.clone(), Arc::new(SimHost::new(name, options)) as Arc<dyn Host>)
            })
            .collect();
        for version in &family.versions {
            golden::record_graph(Some(&version.graph), &[]);
            for _ in 0..3 {
                let plan = plan(version, &hosts, clock.now_ms()).await;
                golden::record(&version.graph, &plan);
                let (_sender, cancel) = tokio::sync::watch::channel(false);
                let secrets = version.secrets.clone();
                let options = ExecuteOptions { secrets, ..ExecuteOptions::default() };
                execute(&plan, &version.graph, &hosts, &(), cancel, &options).await;
            }
        }
    });
}

async fn plan(
    version: &spec::Version,
    hosts: &BTreeMap<String, Arc<dyn Host>>,
    now_ms: i64,
) -> tally_reconcile::plan::Plan {
    let readers: Vec<Arc<dyn HostRead>> =
        hosts.values().map(|host| Arc::clone(host) as Arc<dyn HostRead>).collect();
    let observed = observe(&readers, spec::CLUSTER).await;
    let secrets = version.secrets.hashes().clone();
    let options = tally_reconcile::Options { now_ms, secrets, ..Default::default() };
    tally_tests::plan_equivalence::plan_checked(
        &version.graph,
        &observed,
        &<_>::default(),
        &options,
    )
}

fn specs_below(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            specs_below(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "kdl") {
            files.push(path);
        }
    }
}

/// Returns a loader with the spec as `tally.kdl`, and the files beside it and in the folder of its name.
fn loader(spec: &Path) -> MemoryLoader {
    let text = std::fs::read_to_string(spec).unwrap_or_default();
    let mut loader = MemoryLoader::single("tally.kdl", &text);
    let beside = spec.parent().map(Path::to_owned).unwrap_or_default();
    for folder in [beside, spec.with_extension("")] {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            if let (Some(name), Ok(content)) = (name, std::fs::read(&path))
                && name != "tally.kdl"
            {
                loader.files.insert(name, content);
            }
        }
    }
    loader
}

fn calls(count: u64, first: u64) {
    for seed in first..first + count {
        let outcome = run(seed, Settings::default());
        println!("{seed} {:016x} {}", outcome.calls_hash, outcome.calls);
    }
}
