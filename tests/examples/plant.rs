//! Plants the bugs of `tests/planted` into a copy of the sources, each behind a switch, so that one
//! build has them all. The sources themselves never have them.
//!
//! ```sh
//! plant COPY
//! ```
#![expect(clippy::print_stdout, reason = "it is for people")]
#![expect(clippy::expect_used, reason = "a bug that cannot be planted ends it")]

use std::fmt::Write as _;
use std::path::Path;

/// The switch, as it is added to the crate that all others use.
const SWITCH: &str = "
static PLANTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
/// Chooses a bug.
pub fn plant(number: u32) {
    PLANTED.store(number, std::sync::atomic::Ordering::SeqCst);
}
/// Whether it is that bug.
#[must_use]
pub fn planted(number: u32) -> bool {
    PLANTED.load(std::sync::atomic::Ordering::Relaxed) == number
}
";

fn main() {
    let copy = std::env::args().nth(1).expect("the folder of the copy");
    let copy = Path::new(&copy);
    let folder = copy.join("tests/planted");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the bugs")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "bug"))
        .collect();
    files.sort();
    let mut names = String::from("[");
    for (number, path) in (1_u32..).zip(&files) {
        let name = path.file_stem().expect("a name").to_string_lossy();
        let bug = std::fs::read_to_string(path).expect("a bug");
        plant(copy, &name, &bug, number);
        let _ = write!(names, "({number}, \"{name}\"),");
    }
    names.push(']');
    let lib = copy.join("compiler/graph/src/lib.rs");
    let text = std::fs::read_to_string(&lib).expect("a crate") + SWITCH;
    std::fs::write(&lib, text).expect("the switch");
    let runner = std::fs::read_to_string(folder.join("runner.rs")).expect("the runner");
    let runner = runner.replace("include!(\"names.rs\")", &names);
    std::fs::write(copy.join("tests/examples/planted.rs"), runner).expect("the runner");
    println!("{} bugs planted", files.len());
}

/// A bug is a file, the text that stands there, and the text with the bug.
fn plant(copy: &Path, name: &str, bug: &str, number: u32) {
    let (file, rest) = bug.split_once("\n<<<<\n").expect("the text that stands there");
    let (old, rest) = rest.split_once("\n====\n").expect("the text with the bug");
    let (new, _) = rest.split_once("\n>>>>\n").expect("its end");
    let path = copy.join(file.trim_start_matches("file "));
    let text = std::fs::read_to_string(&path).expect("the file");
    let count = text.matches(old).count();
    assert!(count == 1, "{name}: its text stands {count} times in {file}");
    let new = new.replace("PLANTED", &format!("tally_graph::planted({number})"));
    std::fs::write(&path, text.replacen(old, &new, 1)).expect("the file");
}
