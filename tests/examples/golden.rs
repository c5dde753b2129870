//! Records what a build compiles, plans and calls, to compare it with another build.
//!
//! ```sh
//! TALLY_GOLDEN=DIR golden plans            # all cases and specs, and 200 generated clusters
//! golden calls COUNT [FIRST]               # a line for each seed: the hash of its Docker calls and when they came
//! ```
#![expect(clippy::print_stdout, reason = "the output is for people")]
#![allow(clippy::disallowed_methods, reason = "a tool for developers reads cases")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tally_lang::{MemoryLoader, compile};
use tally_tests::golden;
use tally_tests::simulation::{Settings, run};

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
    }
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
