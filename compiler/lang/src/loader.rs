//! Sources of files. The compiler does no I/O itself.

use std::collections::BTreeMap;

/// Gives the compiler its files.
pub trait Loader {
    /// Returns the bytes of a file. `path` is relative to the folder of the first file, with `/` between
    /// folders, and never leads out of that folder: the compiler refuses such a path itself.
    ///
    /// # Errors
    /// See [`LoadError`].
    fn read(&mut self, path: &str) -> Result<Vec<u8>, LoadError>;
}

/// The reason why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// It does not exist.
    NotFound,
    /// A link leads out of the folder of the first file.
    Outside,
    /// It is larger than a file of a spec may be.
    TooLarge,
    /// It is a folder, a pipe, a socket or a device.
    NotRegular,
    /// Another reason, in words.
    Other(String),
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryLoader {
    /// Bytes by path.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl MemoryLoader {
    /// Returns a loader with one file.
    #[must_use]
    pub fn single(path: &str, text: &str) -> Self {
        Self::default().with(path, text)
    }

    /// Adds a file.
    #[must_use]
    pub fn with(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.as_bytes().to_vec());
        self
    }
}

impl Loader for MemoryLoader {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, LoadError> {
        self.files.get(path).cloned().ok_or(LoadError::NotFound)
    }
}
