//! Checks that the planted bugs still apply to the sources. That each is caught is checked by `make planted`.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests stop loudly")]

use std::path::Path;

#[test]
fn every_planted_bug_applies_to_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let bugs = tally_tests::planted::all(root).unwrap();
    assert!(bugs.len() >= 30, "{} bugs", bugs.len());
    let misfits: Vec<String> =
        bugs.iter().filter_map(|bug| bug.plant(root, "true").err()).collect();
    assert_eq!(misfits, Vec::<String>::new());

    // All of them are planted into one copy.
    let copy = tempfile::tempdir().unwrap();
    for bug in &bugs {
        let to = copy.path().join(&bug.file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        if !to.exists() {
            std::fs::copy(root.join(&bug.file), &to).unwrap();
        }
    }
    for bug in &bugs {
        let text = bug.plant(copy.path(), "true").unwrap();
        std::fs::write(copy.path().join(&bug.file), text).unwrap();
    }
}
