//! An upgrade of Tally plans nothing: objects made by an earlier build, their labels kept as
//! fixtures in tests/fixtures, read as what they were.

use std::path::PathBuf;

use tally_reconcile::applied::Applied;

#[test]
fn labels_of_earlier_builds_still_say_the_same() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/labels");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let applied = Applied::from_label(line)
                .unwrap_or_else(|| panic!("{}: cannot be read: {line}", path.display()));
            // Written again it may say more, never something else.
            let again = applied.to_label();
            assert_eq!(Applied::from_label(&again), Some(applied), "{}", path.display());
            assert_eq!(again, line, "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} labels");
}
