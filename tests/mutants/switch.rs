
// This text is appended to a copy of a crate on which all others depend: the switch of the mutants.

/// The active mutant, and the folder for the record of reached mutants, if it is recorded.
static TOLD: std::sync::LazyLock<(u32, Option<std::path::PathBuf>)> = std::sync::LazyLock::new(|| {
    let number = std::env::var("TALLY_PLANTED").ok().and_then(|number| number.parse().ok());
    (number.unwrap_or(0), std::env::var_os("TALLY_PLANTED_REACHED").map(Into::into))
});

/// Checks whether this mutant is active.
#[must_use]
#[inline]
pub fn planted(number: u32) -> bool {
    let (told, reached) = &*TOLD;
    if let Some(folder) = reached {
        note_reached(folder, number);
    }
    *told == number
}

/// Each thread writes the mutants that it reaches, once each, into the file of its name; tests run on threads of
/// their names.
#[cold]
fn note_reached(folder: &std::path::Path, number: u32) {
    use std::io::Write as _;
    thread_local! {
        static SEEN: std::cell::RefCell<Vec<bool>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let at = number as usize;
    let is_new = SEEN.with_borrow_mut(|seen| {
        if seen.len() <= at {
            seen.resize(at + 1, false);
        }
        !std::mem::replace(&mut seen[at], true)
    });
    if !is_new {
        return;
    }
    let thread = std::thread::current();
    let path = folder.join(thread.name().unwrap_or("unnamed"));
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    // In one write: threads without a name share a file.
    let line = format!("{number}\n");
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("what was come to is written");
}
