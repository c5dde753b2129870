//! The style of modules and the length of files.

use std::collections::BTreeMap;

/// Returns the modules written as `x.rs` beside a folder `x/`: a module with children is a folder with `mod.rs`.
pub fn mixed_modules(files: &BTreeMap<String, String>) -> Vec<String> {
    let beside = |file: &&String| {
        let Some(folder) = file.strip_suffix(".rs") else { return false };
        files
            .keys()
            .any(|other| other.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    };
    files.keys().filter(beside).cloned().collect()
}

/// Returns the files of more lines than this, with their lines.
pub fn too_long(files: &BTreeMap<String, String>, maximum: usize) -> Vec<(String, usize)> {
    let lines = files.iter().map(|(file, text)| (file.clone(), text.lines().count()));
    lines.filter(|(_, lines)| *lines > maximum).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{mixed_modules, too_long};

    fn files(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), "a\nb\n".to_owned())).collect()
    }

    #[test]
    fn a_file_beside_its_folder_is_found() {
        let found =
            mixed_modules(&files(&["a.rs", "a/b.rs", "ab.rs", "c/mod.rs", "c/d.rs", "lib.rs"]));
        assert_eq!(found, ["a.rs"]);
    }

    #[test]
    fn a_file_is_too_long_past_the_maximum() {
        assert!(too_long(&files(&["a.rs"]), 2).is_empty());
        assert_eq!(too_long(&files(&["a.rs"]), 1), [("a.rs".to_owned(), 2)]);
    }
}
