//! The host that Docker's own client uses, by the same rules in the same order: `DOCKER_HOST`, then the context of
//! `DOCKER_CONTEXT`, then the current context of its configuration, then the local socket.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tally_graph::{HostAddress, sha256};

use crate::connect::Endpoint;
use tally_host::{TransportError, clean};
use tally_transport::TlsPaths;

/// Docker's own default socket.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The largest file that is read, in bytes: these files of Docker have some kilobytes at most.
const LARGEST_FILE: u64 = 1 << 20;
/// Docker's name for the absence of a context.
const NO_CONTEXT: &str = "default";

/// Returns the host that Docker's own client uses. `variable` returns the value of an environment variable.
///
/// # Errors
/// [`TransportError::DefaultHost`] for a context that does not exist or cannot be read, and for an address of an
/// unknown kind.
pub fn default_host(variable: &dyn Fn(&str) -> Option<String>) -> Result<Endpoint, TransportError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let folder = match set("DOCKER_CONFIG") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => set("HOME").map(|home| Path::new(&home).join(".docker")),
    };
    if let Some(host) = set("DOCKER_HOST") {
        let wants_tls = set("DOCKER_TLS_VERIFY").is_some() || set("DOCKER_TLS").is_some();
        let certs = set("DOCKER_CERT_PATH").map(PathBuf::from).or(folder);
        let tls = certs.filter(|_| wants_tls).map(|folder| files_in(&folder));
        return endpoint(&host, tls, "DOCKER_HOST");
    }
    let Some(folder) = folder else { return Ok(local()) };
    let name = match set("DOCKER_CONTEXT") {
        Some(name) => name,
        None => match current_context(&folder)? {
            Some(name) => name,
            None => return Ok(local()),
        },
    };
    if name == NO_CONTEXT { Ok(local()) } else { context(&folder, &name) }
}

fn local() -> Endpoint {
    Endpoint::from(&HostAddress::Unix(DEFAULT_SOCKET.to_owned()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContextConfig {
    #[serde(rename = "currentContext")]
    current: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContextMeta {
    #[serde(rename = "Endpoints")]
    endpoints: BTreeMap<String, MetaEndpoint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MetaEndpoint {
    #[serde(rename = "Host")]
    host: String,
    #[serde(rename = "SkipTLSVerify")]
    skip_verify: bool,
}

fn current_context(folder: &Path) -> Result<Option<String>, TransportError> {
    let path = folder.join("config.json");
    let Some(text) = read(&path)? else { return Ok(None) };
    let config: ContextConfig = serde_json::from_slice(&text).map_err(|error| {
        // The message of the parser may quote the file, which holds credentials.
        let what = format!("{} is not as Docker writes it (line {})", path.display(), error.line());
        fault(&what, "Fix or remove it.")
    })?;
    Ok(Some(config.current).filter(|name| !name.is_empty()))
}

/// Returns the endpoint of a context. `docker context create` writes it into folders that are named after the hash of
/// the context's name.
fn context(folder: &Path, name: &str) -> Result<Endpoint, TransportError> {
    let hash = sha256(name.as_bytes());
    let contexts = folder.join("contexts");
    let path = contexts.join("meta").join(&hash).join("meta.json");
    let Some(text) = read(&path)? else {
        let what = format!("there is no Docker context `{name}`");
        return Err(fault(&what, "`docker context ls` lists the existing ones."));
    };
    let meta: ContextMeta = serde_json::from_slice(&text).map_err(|error| {
        fault(
            &format!("{} is not as Docker writes it: {error}", path.display()),
            "Create the context again with `docker context create`.",
        )
    })?;
    let Some(found) = meta.endpoints.get("docker") else {
        let what = format!("the Docker context `{name}` has no Docker endpoint");
        return Err(fault(&what, "Create it again with `docker context create`."));
    };
    if found.host.is_empty() {
        return Ok(local());
    }
    if found.skip_verify {
        return Err(fault(
            &format!("the Docker context `{name}` does not verify the engine's certificate"),
            "Tally does not use TLS without verification, because anybody could impersonate the engine. \
             Remove its `skip-tls-verify`, and set the certificate of its authority.",
        ));
    }
    let certs = contexts.join("tls").join(&hash).join("docker");
    let tls = certs.is_dir().then(|| files_in(&certs));
    endpoint(&found.host, tls, &format!("the Docker context `{name}`"))
}

/// Returns the three files in a folder, by Docker's names.
fn files_in(folder: &Path) -> TlsPaths {
    TlsPaths {
        ca: folder.join("ca.pem"),
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    }
}

fn endpoint(text: &str, tls: Option<TlsPaths>, of: &str) -> Result<Endpoint, TransportError> {
    let address = if let Some(path) = text.strip_prefix("unix://") {
        HostAddress::Unix(path.to_owned())
    } else if text.starts_with("ssh://") {
        HostAddress::Ssh(text.to_owned())
    } else if text.starts_with("tcp://") {
        HostAddress::Tcp(text.to_owned())
    } else {
        return Err(fault(
            &format!("{of} is `{}`, which Tally cannot reach", clean::line(text)),
            "It reaches `unix://`, `ssh://` and `tcp://`.",
        ));
    };
    let tls = tls.filter(|_| matches!(address, HostAddress::Tcp(_)));
    Ok(Endpoint { tls, ..Endpoint::from(&address) })
}

/// Reads a file. Returns `None` when it does not exist.
fn read(path: &Path) -> Result<Option<Vec<u8>>, TransportError> {
    let unreadable =
        |error: std::io::Error| fault(&format!("{} cannot be read: {error}", path.display()), "");
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Some(bytes))
}

fn fault(what: &str, help: &str) -> TransportError {
    let help = if help.is_empty() {
        "Unset DOCKER_HOST and DOCKER_CONTEXT, or name a host in the cluster."
    } else {
        help
    };
    TransportError::DefaultHost { problem: what.to_owned(), help: help.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    /// Writes a context as `docker context create NAME --docker host=…` does.
    fn write_context(folder: &Path, name: &str, meta: &str) -> PathBuf {
        let hash: String =
            Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join("contexts/meta").join(&hash);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("meta.json"), meta).unwrap();
        folder.join("contexts/tls").join(&hash).join("docker")
    }

    fn found(folder: &Path, variables: &[(&str, &str)]) -> Result<Endpoint, String> {
        let folder = folder.display().to_string();
        default_host(&|name| {
            let set = variables.iter().find(|(known, _)| *known == name);
            match (set, name) {
                (Some((_, value)), _) => Some((*value).to_owned()),
                (None, "DOCKER_CONFIG") => Some(folder.clone()),
                _ => None,
            }
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn docker_host_precedes_contexts_and_contexts_precede_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let address = |variables: &[(&str, &str)]| {
            found(at, variables).map(|endpoint| endpoint.address.to_string())
        };
        assert_eq!(address(&[]), Ok("unix:///var/run/docker.sock".to_owned()));
        std::fs::write(at.join("config.json"), r#"{"currentContext":"prod"}"#).unwrap();
        assert_eq!(address(&[]), Err("there is no Docker context `prod`".to_owned()));
        write_context(
            at,
            "prod",
            r#"{"Name":"prod","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://me@prod","SkipTLSVerify":false}}}"#,
        );
        write_context(
            at,
            "lab",
            r#"{"Name":"lab","Endpoints":{"docker":{"Host":"unix:///run/lab.sock"}}}"#,
        );
        assert_eq!(address(&[]), Ok("ssh://me@prod".to_owned()));
        let lab = ("DOCKER_CONTEXT", "lab");
        assert_eq!(address(&[lab]), Ok("unix:///run/lab.sock".to_owned()));
        let default = ("DOCKER_CONTEXT", "default");
        assert_eq!(address(&[default]), Ok("unix:///var/run/docker.sock".to_owned()));
        let host = ("DOCKER_HOST", "tcp://10.0.0.1:2376");
        assert_eq!(address(&[host, lab]), Ok("tcp://10.0.0.1:2376".to_owned()));
        assert_eq!(address(&[("DOCKER_HOST", "")]), Ok("ssh://me@prod".to_owned()));
    }

    #[test]
    fn the_hash_of_a_context_is_dockers() {
        // The folder that `docker context create prod` of Docker 28.2 makes.
        let folder = tempfile::tempdir().unwrap();
        let path = folder
            .path()
            .join("contexts/meta")
            .join("6754af9632a2745e85c293e5aac0863370d9bd3330b9938c00cadfd215227d77");
        std::fs::create_dir_all(&path).unwrap();
        let meta = r#"{"Endpoints":{"docker":{"Host":"ssh://me@prod"}}}"#;
        std::fs::write(path.join("meta.json"), meta).unwrap();
        assert!(found(folder.path(), &[("DOCKER_CONTEXT", "prod")]).is_ok());
    }

    #[test]
    fn files_for_tls_are_where_docker_keeps_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let host = ("DOCKER_HOST", "tcp://10.0.0.1:2376");
        assert_eq!(found(at, &[host]).unwrap().tls, None);
        let verify = ("DOCKER_TLS_VERIFY", "1");
        assert_eq!(found(at, &[host, verify]).unwrap().tls, Some(files_in(at)));
        let path = ("DOCKER_CERT_PATH", "/certs");
        let certs = files_in(Path::new("/certs"));
        assert_eq!(found(at, &[host, verify, path]).unwrap().tls, Some(certs));
        let tls =
            write_context(at, "far", r#"{"Endpoints":{"docker":{"Host":"tcp://10.0.0.1:2376"}}}"#);
        let far = ("DOCKER_CONTEXT", "far");
        assert_eq!(found(at, &[far]).unwrap().tls, None);
        std::fs::create_dir_all(&tls).unwrap();
        assert_eq!(found(at, &[far]).unwrap().tls, Some(files_in(&tls)));
    }

    #[test]
    fn an_unusable_host_is_an_error_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        write_context(at, "bare", r#"{"Endpoints":{}}"#);
        write_context(
            at,
            "blind",
            r#"{"Endpoints":{"docker":{"Host":"tcp://a:1","SkipTLSVerify":true}}}"#,
        );
        write_context(at, "broken", "{");
        for (name, value, part) in [
            ("DOCKER_HOST", "npipe:////./pipe/docker_engine", "which Tally cannot reach"),
            ("DOCKER_CONTEXT", "bare", "has no Docker endpoint"),
            ("DOCKER_CONTEXT", "blind", "does not verify the engine's certificate"),
            ("DOCKER_CONTEXT", "broken", "is not as Docker writes it"),
            ("DOCKER_CONTEXT", "../../x", "there is no Docker context"),
        ] {
            let said = found(at, &[(name, value)]).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }
}
