//! Embeds the pages of diagnostics, for `tally explain CODE`.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let folder = Path::new(&root).join("../../docs/diagnostics");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut pages: Vec<(String, String)> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .filter_map(|path| {
            let code = path.file_stem()?.to_str()?.to_owned();
            let path = path.canonicalize().ok()?.display().to_string();
            code.starts_with('E').then_some((code, path))
        })
        .collect();
    pages.sort();
    let mut code = String::from("static PAGES: &[(&str, &str)] = &[\n");
    for (name, path) in pages {
        let _ = writeln!(code, "    ({name:?}, include_str!({path:?})),");
    }
    code.push_str("];\n");
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    if let Err(error) = std::fs::write(Path::new(&out).join("pages.rs"), code) {
        println!("cargo::error=cannot write the table of pages: {error}");
    }
}
