//! The record of the files that were written into a container. It is kept beside them, so that a file is compared
//! by its hash and never read.

use std::collections::BTreeMap;

use tally_graph::{FileContent, FileSpec, FileText};

use crate::host::FileToWrite;

/// Returns the record of written files, by path. It omits the reaction to a change, which belongs to the spec.
#[must_use]
pub fn record(files: &[FileToWrite]) -> BTreeMap<String, FileSpec> {
    let spec = |file: &FileToWrite| FileSpec {
        content: match &file.keyed {
            Some(keyed) => FileText::Keyed(keyed.clone()),
            None => FileText::Stored(FileContent(file.content.clone()).hash()),
        },
        mode: file.mode,
        owner: file.owner.clone(),
        on_change: None,
    };
    files.iter().map(|file| (file.path.clone(), spec(file))).collect()
}
