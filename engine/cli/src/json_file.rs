//! Files of JSON below `.tally`.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::CliError;

/// Maximum size of a file that is read, in bytes; the names of a million pods fit.
const LARGEST: u64 = 64 << 20;

/// Reads a file of JSON; returns the default where there is none.
///
/// # Errors
/// When there is one that cannot be read.
pub fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T, CliError> {
    let unreadable = |error: String| {
        CliError::Usage(
            format!("`{}` cannot be read: {error}", path.display()),
            "It holds what was seen last, or which hosts were declared lost and what is frozen. \
             Put it right, or remove it to forget."
                .to_owned(),
        )
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(unreadable(error.to_string())),
        Ok(file) if file.len() > LARGEST => Err(unreadable("it is too large".into())),
        Ok(_) => {
            let text = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
            serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))
        }
    }
}

/// Writes a file of JSON, as a whole or not at all.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(path: &Path, value: &impl Serialize) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::Usage(
            format!("`{}` cannot be written: {error}", path.display()),
            "Tally remembers there what it saw last. Is the folder writable?".to_owned(),
        )
    };
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed)?;
    let text = serde_json::to_vec(value).map_err(|error| CliError::Internal(error.to_string()))?;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::File::create(&new).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).map_err(failed)
}
