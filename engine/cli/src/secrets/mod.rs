//! Secrets, read when applying: from files, the environment and commands of this machine.
//!
//! The values stay in memory, in [`Secrets`], which cannot be printed or serialized. Planning gets only
//! keyed hashes of them.

mod key;
mod source;
mod unread;

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures_util::{StreamExt as _, stream};
use tally_graph::{Graph, Secret, SecretSource, Template};
use tally_host::Secrets;
use tally_source::{Diagnostic, engine_codes};

use self::unread::Unread;
use crate::errors::CliError;
use crate::project::Project;

/// Maximum number of secrets to read at once: each may be a command.
const AT_ONCE: usize = 8;

/// Reads the secrets that the graph uses.
///
/// # Errors
/// Reports of the secrets that cannot be read, each at its node.
pub async fn read(graph: &Graph, project: &Project) -> Result<Secrets, CliError> {
    let used: BTreeSet<&str> = graph.workloads().flat_map(|workload| workload.secrets()).collect();
    let wanted: Vec<&Secret> =
        graph.secrets().filter(|secret| used.contains(secret.name.as_str())).collect();
    if wanted.is_empty() {
        return Ok(Secrets::default());
    }
    let as_env = in_environment(graph);
    let key = key::key(project)?;
    let cluster = graph.cluster().map(|cluster| cluster.name.clone()).unwrap_or_default();
    let mut reads = Vec::new();
    for secret in &wanted {
        let (source, folder) = (secret.source.clone(), project.folder.clone());
        reads.push(async move { source::read(&source, &folder).await });
    }
    let all: Vec<Result<Vec<u8>, Unread>> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    let mut reports = Vec::new();
    let mut secrets = Vec::new();
    for (secret, value) in wanted.iter().zip(all) {
        match value.and_then(|value| fit(secret, value, &as_env)) {
            Ok(value) => {
                let hash = key.hash(&cluster, &secret.name, &value);
                secrets.push((secret.name.clone(), value, hash));
            }
            Err(unread) => reports.push(report(secret, unread)),
        }
    }
    if reports.is_empty() {
        Ok(Secrets::new(secrets))
    } else {
        Err(CliError::Reports(reports, Box::new(graph.sources.clone())))
    }
}

/// Returns the files that secrets are read from, and whether a secret has another source, where a change is
/// detected only by reading it again.
#[must_use]
pub fn watched(graph: &Graph, project: &Project) -> (Vec<PathBuf>, bool) {
    let mut elsewhere = false;
    let mut files = Vec::new();
    for secret in graph.secrets() {
        match &secret.source {
            SecretSource::File(path) => files.push(project.folder.join(path)),
            SecretSource::Command(_) => elsewhere = true,
            // The environment of a process is its own.
            SecretSource::Env(_) => {}
        }
    }
    (files, elsewhere)
}

fn in_environment(graph: &Graph) -> BTreeSet<&str> {
    let workloads = graph.workloads();
    let containers =
        workloads.flat_map(|workload| workload.inits.iter().chain(&workload.containers));
    containers.flat_map(|container| container.env.values()).flat_map(Template::secrets).collect()
}

/// Checks whether a secret fits its uses.
fn fit(secret: &Secret, value: Vec<u8>, as_env: &BTreeSet<&str>) -> Result<Vec<u8>, Unread> {
    let unread = |what: &str, help: &str| Unread { what: what.to_owned(), help: help.to_owned() };
    if value.iter().all(u8::is_ascii_whitespace) {
        return Err(unread(
            "it is empty",
            "A program that gets an empty secret would fail later, or let everyone in.",
        ));
    }
    if as_env.contains(secret.name.as_str())
        && (value.contains(&0) || std::str::from_utf8(&value).is_err())
    {
        return Err(unread(
            "it is not text, and a value of `env` must be text",
            "Use it as a file: `file \"/run/secrets/NAME\" secret=NAME`.",
        ));
    }
    Ok(value)
}

fn report(secret: &Secret, unread: Unread) -> Diagnostic {
    let headline = format!("the secret `{}` cannot be read: {}", secret.name, unread.what);
    Diagnostic::error(engine_codes::SECRET_UNREADABLE, headline)
        .label(secret.span, "declared here")
        .help(unread.help)
}
