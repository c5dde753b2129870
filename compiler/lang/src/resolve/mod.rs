//! Names: files by `use`, and what declares a name that others may say.

mod files;
mod names;

pub(crate) use files::{load, resolve_path, unreadable_file};
pub(crate) use names::{Names, clash, not_found};
