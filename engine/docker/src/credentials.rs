//! Credentials for registries, from Docker's own config file and credential helpers. They are never logged, and
//! their `Debug` output is redacted.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use tally_host::HostError;

/// The name of Docker's own registry in Docker's config file.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// Deadline of a credential helper.
const HELPER_DEADLINE: Duration = Duration::from_secs(15);

/// Credentials for a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Empty with a token.
    pub username: String,
    /// The password, or the identity token when the user name is empty.
    pub secret: String,
    /// The name of the registry in the config file.
    pub server: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CredentialsConfig {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Returns the folder of Docker's config file: `DOCKER_CONFIG`, else `~/.docker`.
pub(crate) fn config_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match set("DOCKER_CONFIG") {
        Some(folder) => Some(folder.into()),
        None => Some(Path::new(&set("HOME")?).join(".docker")),
    }
}

/// Returns the credentials for `registry` (`docker.io`, `ghcr.io`, `localhost:5000`), if there are any.
pub(crate) async fn find(folder: &Path, registry: &str) -> Result<Option<Credentials>, HostError> {
    let path = folder.join("config.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(&path, &error.to_string())),
    };
    // The message of the parser may quote the file, so only the line number is reported.
    let config: CredentialsConfig = serde_json::from_slice(&text)
        .map_err(|error| unusable(&path, &format!("line {} is not valid", error.line())))?;
    let key = if registry == "docker.io" { DOCKER_HUB_KEY } else { registry };
    if let Some(helper) = config.helpers.get(key).or(config.store.as_ref()) {
        return ask_helper(helper, key).await;
    }
    let entry = config.auths.get(key).or_else(|| {
        // Old config files contain whole URLs.
        config.auths.iter().find(|(name, _)| host_of(name) == host_of(key)).map(|(_, auth)| auth)
    });
    Ok(entry.and_then(|auth| decode(auth, key)))
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn decode(auth: &Auth, server: &str) -> Option<Credentials> {
    let server = server.to_owned();
    if let Some(token) = auth.identitytoken.clone().filter(|token| !token.is_empty()) {
        return Some(Credentials { username: String::new(), secret: token, server });
    }
    let text = STANDARD.decode(auth.auth.as_deref()?).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (username, secret) = text.split_once(':')?;
    let secret = secret.trim_end_matches('\0').to_owned();
    Some(Credentials { username: username.to_owned(), secret, server })
}

/// Runs `docker-credential-HELPER get`. A registry that the helper does not know is not an error.
async fn ask_helper(helper: &str, server: &str) -> Result<Option<Credentials>, HostError> {
    // The name becomes part of a program name, so it must not contain a path.
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(failed("its name is not valid", "?"));
    }
    let program = format!("docker-credential-{helper}");
    let mut child = tokio::process::Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error.to_string(), &program))?;
    let ask = async {
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its input has answered already.
            let _ = stdin.write_all(format!("{server}\n").as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(HELPER_DEADLINE, ask)
        .await
        .map_err(|_| failed("it did not answer in time", &program))?
        .map_err(|error| failed(&error.to_string(), &program))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("credentials not found") {
            return Ok(None);
        }
        // Its output may contain credentials, so only the exit status is reported.
        return Err(failed(&output.status.to_string(), &program));
    }
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("its answer is not valid", &program))?;
    let username = if answer.username == "<token>" { String::new() } else { answer.username };
    Ok(Some(Credentials { username, secret: answer.secret, server: server.to_owned() }))
}

fn failed(reason: &str, program: &str) -> HostError {
    HostError::CredentialHelper { program: program.to_owned(), reason: reason.to_owned() }
}

fn unusable(path: &Path, reason: &str) -> HostError {
    HostError::DockerConfig { path: path.display().to_string(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(config: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("config.json"), config).expect("a file");
        folder
    }

    #[tokio::test]
    async fn the_config_file_is_read_as_docker_writes_it() {
        let folder = folder(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "bWU6c2VjcmV0"},
                "ghcr.io": {"auth": "bWU6d2l0aDpjb2xvbg=="},
                "https://old.example/v1/": {"auth": "YTpi"},
                "token.example": {"identitytoken": "tok"},
                "empty.example": {}
            }, "unknown": 1}"#,
        );
        for (registry, expected) in [
            ("docker.io", Some(("me", "secret"))),
            ("ghcr.io", Some(("me", "with:colon"))),
            ("old.example", Some(("a", "b"))),
            ("token.example", Some(("", "tok"))),
            ("empty.example", None),
            ("other.example", None),
        ] {
            let found = find(folder.path(), registry).await.expect("readable");
            let found = found.as_ref().map(|c| (c.username.as_str(), c.secret.as_str()));
            assert_eq!(found, expected, "{registry}");
        }
    }

    #[tokio::test]
    async fn no_config_file_means_no_credentials() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(find(folder.path(), "docker.io").await, Ok(None));
    }

    #[tokio::test]
    async fn secrets_are_in_no_message() {
        let canary = "c4n4ry";
        let broken = folder(&format!(r#"{{"auths": {{"a": {canary}}}}}"#));
        let error = find(broken.path(), "a").await.map_err(|error| format!("{error} {error:?}"));
        assert!(error.is_err_and(|text| !text.contains(canary)));
        let found =
            Credentials { username: "me".into(), secret: canary.into(), server: "a".into() };
        assert!(!format!("{found:?}").contains(canary));
    }

    #[tokio::test]
    async fn a_helper_with_a_path_for_a_name_is_refused() {
        let folder = folder(r#"{"credsStore": "../../bin/sh"}"#);
        assert!(find(folder.path(), "a").await.is_err());
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_is_an_error_that_names_it() {
        let folder = folder(r#"{"credHelpers": {"a": "tally-test-none"}}"#);
        let error = find(folder.path(), "a").await.map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("docker-credential-tally-test-none")));
        assert_eq!(find(folder.path(), "b").await, Ok(None));
    }
}
