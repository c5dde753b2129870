//! The files that an operation writes.

use tally_graph::{FileSpec, Graph};
use tally_reconcile::plan::request::FilesRequest;

use super::failure::{FailureKind, StaleReason};
use crate::host::FileToWrite;
use crate::secrets::Secrets;

/// Returns the files of a request with their contents. Files that hold secrets are empty here.
pub(super) fn contents(
    graph: &Graph,
    request: &FilesRequest,
) -> Result<Vec<FileToWrite>, FailureKind> {
    let file = |(path, spec): (&String, &FileSpec)| {
        let Some(hash) = spec.content.stored() else {
            return Ok(to_write(path, spec, Vec::new()));
        };
        let content = graph.contents.get(hash).ok_or_else(|| {
            FailureKind::PreconditionFailed(StaleReason::NoContent { path: path.clone() })
        })?;
        Ok(to_write(path, spec, content.0.clone()))
    };
    request.files.iter().map(file).collect()
}

/// Returns the files of a request that hold secrets, with their contents.
pub(super) fn secret_contents(
    secrets: &Secrets,
    request: &FilesRequest,
) -> Result<Vec<FileToWrite>, FailureKind> {
    let file = |(path, spec): (&String, &FileSpec)| {
        let template = spec.content.template().cloned().unwrap_or_default();
        let content = secrets.join(&template).map_err(not_read)?;
        Ok(to_write(path, spec, content))
    };
    request.files.iter().map(file).collect()
}

/// Returns the failure for a secret that was not read.
pub(super) fn not_read(name: String) -> FailureKind {
    FailureKind::PreconditionFailed(StaleReason::SecretNotRead { name })
}

fn to_write(path: &str, spec: &FileSpec, content: Vec<u8>) -> FileToWrite {
    FileToWrite {
        path: path.to_owned(),
        content,
        mode: spec.mode,
        owner: spec.owner.clone(),
        keyed: spec.content.keyed().map(str::to_owned),
    }
}
