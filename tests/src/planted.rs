//! The planted bugs of `tests/planted`: each a file of the sources, a text that stands there once,
//! and the same with the bug, in which `PLANTED` is the switch.

use std::path::{Path, PathBuf};

/// A bug that a copy of the sources can be given.
#[derive(Debug)]
pub struct Bug {
    /// What is wrong then.
    pub name: String,
    /// The file, below the root of the sources.
    pub file: PathBuf,
    /// The text that stands there.
    pub sound: String,
    /// The text with the bug.
    pub planted: String,
}

/// All bugs of the sources below `root`, by name.
///
/// # Errors
/// What cannot be read.
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
    /// The text of its file below `root` with the bug behind `switch`.
    ///
    /// # Errors
    /// When the sound text does not stand there exactly once.
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
