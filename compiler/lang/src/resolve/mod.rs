//! Resolution: files by `use`, and declared names.

mod files;
mod names;
mod other_files;

pub(crate) use files::{load, resolve_path, unreadable_file};
pub(crate) use names::{Names, clash, not_found};
