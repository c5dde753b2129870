//! `docs/diagnostics` matches the codes: each has its page, and the example of a page causes its code.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop, and reads the pages"
)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::rendered;
use tally_lang::{Compiled, MemoryLoader, compile};
use tally_source::{CodeInfo, Severity, all_codes};

/// Codes whose example would be megabytes, or needs a file system.
const WITHOUT_EXAMPLE: [u16; 5] = [117, 119, 408, 512, 513];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics")
}

fn compiler_codes() -> impl Iterator<Item = &'static CodeInfo> {
    all_codes().filter(|info| info.code.0 < 1000)
}

/// The blocks of a page in ```` ```kdl ````.
fn blocks(page: &str) -> Vec<String> {
    let parts = page.split("```kdl\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

fn compiled(text: &str) -> Compiled {
    let mut loader = MemoryLoader::single("tally.kdl", text).with("more.kdl", "");
    compile("tally.kdl", &mut loader)
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let expected: BTreeSet<String> =
        compiler_codes().map(|info| format!("{}.md", info.code)).collect();
    let pages = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let pages = pages.map(|name| name.into_string().unwrap());
    let pages: BTreeSet<String> = pages.filter(|name| name.starts_with("E0")).collect();
    assert_eq!(expected, pages);
}

#[test]
fn the_first_example_of_a_page_produces_its_code_and_the_second_is_fixed() {
    for info in compiler_codes() {
        let page = std::fs::read_to_string(folder().join(format!("{}.md", info.code))).unwrap();
        assert_eq!(page.lines().next().unwrap(), format!("# {}: {}", info.code, info.title));
        let blocks = blocks(&page);
        if WITHOUT_EXAMPLE.contains(&info.code.0) {
            assert!(blocks.is_empty(), "{}", info.code);
            continue;
        }
        let [wrong, mended] = blocks.as_slice() else { panic!("{}: two examples", info.code) };
        let wrong = compiled(wrong);
        let codes: Vec<_> = wrong.diagnostics.iter().map(|found| found.code).collect();
        assert_eq!(codes, [info.code], "{}", rendered(&wrong));
        let mended = compiled(mended);
        let errors =
            mended.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
        assert_eq!(errors, 0, "{}\n{}", info.code, rendered(&mended));
    }
}
