//! Plants the bugs of `tests/planted` into a copy of the sources, each behind a switch, so that one build contains all
//! of them. The sources themselves never contain them.
//!
//! ```sh
//! plant COPY
//! ```
#![expect(clippy::print_stdout, reason = "the output is for people")]
#![expect(clippy::expect_used, reason = "it panics if a bug cannot be planted")]

use std::fmt::Write as _;
use std::path::Path;

/// The switch, as added to the crate that all others use. Tests are programs of their own: `TALLY_PLANTED` chooses
/// their bug.
const SWITCH: &str = "
static PLANTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
static CHOSEN: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
    std::env::var(\"TALLY_PLANTED\").ok().and_then(|number| number.parse().ok()).unwrap_or(0)
});
/// Chooses a bug.
pub fn plant(number: u32) {
    PLANTED.store(number, std::sync::atomic::Ordering::SeqCst);
}
/// Checks whether a bug is chosen.
#[must_use]
pub fn planted(number: u32) -> bool {
    match PLANTED.load(std::sync::atomic::Ordering::Relaxed) {
        0 => *CHOSEN == number,
        chosen => chosen == number,
    }
}
";

fn main() {
    let copy = std::env::args().nth(1).expect("the folder of the copy");
    let copy = Path::new(&copy);
    let bugs = tally_tests::planted::all(copy).expect("the bugs");
    let mut names = String::from("[");
    for (number, bug) in (1_u32..).zip(&bugs) {
        let text = bug.plant(copy, &format!("tally_graph::planted({number})")).expect("a bug");
        std::fs::write(copy.join(&bug.file), text).expect("the file");
        let _ = write!(names, "({number}, \"{}\"),", bug.name);
    }
    names.push(']');
    let lib = copy.join("compiler/graph/src/lib.rs");
    let text = std::fs::read_to_string(&lib).expect("a crate") + SWITCH;
    std::fs::write(&lib, text).expect("the switch");
    let runner = std::fs::read_to_string(copy.join("tests/planted/runner.rs")).expect("the runner");
    let runner = runner.replace("include!(\"names.rs\")", &names);
    std::fs::write(copy.join("tests/examples/planted.rs"), runner).expect("the runner");
    println!("{} bugs planted", bugs.len());
}
