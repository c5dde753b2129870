//! The planted bugs of `tests/planted`: each is a source file, a text that occurs there once, and the same text with
//! the bug, where `PLANTED` is the switch.

use std::path::{Path, PathBuf};

/// A bug to plant into a copy of the sources.
#[derive(Debug)]
pub struct Bug {
    /// The name of the bug.
    pub name: String,
    /// The file, from the root of the sources.
    pub file: PathBuf,
    /// The text to replace.
    pub sound: String,
    /// The text with the bug.
    pub planted: String,
}

/// Returns all bugs of the sources below `root`, by name.
///
/// # Errors
/// The file that cannot be read.
pub fn all(root: &Path) -> Result<Vec<Bug>, String> {
    let folder = root.join("tests/planted");
    let files = std::fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "bug")).collect();
    files.sort();
    files.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Bug, String> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let parts = || {
        let (file, rest) = text.split_once("\n<<<<\n")?;
        let (sound, rest) = rest.split_once("\n====\n")?;
        let (planted, _) = rest.split_once("\n>>>>\n")?;
        Some((file.trim_start_matches("file "), sound, planted))
    };
    let (file, sound, planted) = parts().ok_or_else(|| format!("{name}: not in the form"))?;
    let (sound, planted) = (sound.to_owned(), planted.to_owned());
    Ok(Bug { name, file: file.into(), sound, planted })
}

impl Bug {
    /// Returns the text of the file below `root` with the bug behind `switch`.
    ///
    /// # Errors
    /// If the text to replace does not occur exactly once.
    pub fn plant(&self, root: &Path, switch: &str) -> Result<String, String> {
        let Bug { name, file, .. } = self;
        let text = std::fs::read_to_string(root.join(file))
            .map_err(|error| format!("{name}: {}: {error}", file.display()))?;
        match text.matches(&self.sound).count() {
            1 => Ok(text.replacen(&self.sound, &self.planted.replace("PLANTED", switch), 1)),
            count => Err(format!("{name}: its text stands {count} times in {}", file.display())),
        }
    }
}
