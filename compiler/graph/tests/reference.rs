//! The committed reference matches the schema table.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop, and reads and writes the pages"
)]

use std::collections::BTreeSet;
use std::path::Path;

use tally_graph::schema::reference_pages;

const AGAIN: &str = "make it again: UPDATE=1 cargo test -p tally-graph --test reference";

#[test]
fn the_reference_is_generated_from_the_schema() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let pages = reference_pages();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in &pages {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    for (name, text) in &pages {
        let committed = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(committed == *text, "docs/reference/{name} has drifted; {AGAIN}");
    }
    let files = std::fs::read_dir(&folder).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let expected: BTreeSet<String> = pages.into_keys().collect();
    assert_eq!(files, expected, "a page without a kind; {AGAIN}");
}
