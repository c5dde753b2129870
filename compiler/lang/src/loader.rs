//! Where the compiler gets its files from. It does no I/O itself.

use std::collections::BTreeMap;

/// Gives the compiler its files.
pub trait Loader {
    /// The bytes of a file. `path` is relative to the folder of the first file, with `/` between
    /// folders, and never leads out of that folder: the compiler refuses such a path itself.
    ///
    /// # Errors
    /// See [`LoadError`].
    fn read(&mut self, path: &str) -> Result<Vec<u8>, LoadError>;
}

/// Why a file cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// There is none.
    NotFound,
    /// A link leads out of the folder of the first file.
    Outside,
    /// It is larger than a file of a spec may be.
    TooLarge,
    /// Something else, in words.
    Other(String),
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryLoader {
    /// Bytes by path.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl MemoryLoader {
    /// One file.
    #[must_use]
    pub fn single(path: &str, text: &str) -> Self {
        Self::default().with(path, text)
    }

    /// With one file more.
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
