//! Reaching a Docker engine, and agreeing on a version of its API.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::{BollardRequest, ClientVersion, Docker, body_full};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use tally_graph::HostAddress;
use tokio::sync::OnceCell;

use crate::classify::{Call, classify};
use crate::registries::Registries;
use crate::time;
use tally_host::{Host, HostError, HostRead, clean, now_ms, traced};
use tally_transport::{TcpAddress, TcpRoute};

mod endpoint;
mod ssh;
mod transport;

pub use endpoint::Endpoint;
use ssh::{SshAddress, Tunnel};
use transport::EngineRoute;

/// The API version Tally speaks wherever the engine still does: that of Docker 20.10. Speaking
/// one version to all engines keeps what they answer alike.
const SPOKEN: (usize, usize) = (1, 41);
const SPOKEN_TEXT: &str = "1.41";
const AUTH_HEADER: &str = "x-registry-auth";

/// How long a call may take. Every call has a deadline of its own: the client library's own covers
/// the headers of a reply only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// For connecting and agreeing on a version.
    pub connect: Duration,
    /// For a call that reads.
    pub read: Duration,
    /// For a call that changes something.
    pub mutate: Duration,
    /// What a stop may take beyond the container's own grace.
    pub stop_extra: Duration,
    /// For a pull that shows no progress.
    pub pull_idle: Duration,
    /// For a whole pull.
    pub pull_total: Duration,
    /// So long a registry that is busy is left alone when it does not say how long, doubled each time.
    pub pull_backoff: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            mutate: Duration::from_secs(120),
            stop_extra: Duration::from_secs(30),
            pull_idle: Duration::from_secs(120),
            pull_total: Duration::from_secs(3600),
            pull_backoff: Duration::from_secs(2),
        }
    }
}

/// A real Docker engine.
pub(crate) struct DockerHost {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) docker: Docker,
    pub(crate) options: ConnectOptions,
    /// The version of the API that is spoken with it.
    pub(crate) api_version: String,
    /// What is asked once, and only when it is needed: `info` and `version` are the slowest of all reads, as
    /// Docker runs programs for them, so they are asked beside the lists instead of before them.
    facts: OnceCell<Facts>,
    /// Which registries have troubles.
    pub(crate) registries: Registries,
}

/// What an engine says of itself and its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The engine's own ID.
    pub id: String,
    /// The engine's own version, `20.10.24`.
    pub version: String,
    /// As image manifests name it: `amd64`.
    pub arch: String,
    /// `linux`.
    pub os: String,
    /// What the machine has.
    pub size: Size,
    /// By how much its clock was ahead of ours, in milliseconds; `None` when it did not say.
    pub ahead_ms: Option<i64>,
}

impl DockerHost {
    /// What the engine says of itself and its machine.
    pub(crate) async fn facts(&self) -> Result<&Facts, HostError> {
        let ask = || async {
            let info = async {
                let (asked_ms, asked) = (now_ms(), Instant::now());
                let info = self.call("info", self.options.read, self.docker.info()).await?;
                Ok((info, asked_ms, asked.elapsed()))
            };
            let version = self.call("version", self.options.read, self.docker.version());
            let ((info, asked_ms, took), version) = futures_util::try_join!(info, version)?;
            let its_ms = info.system_time.as_deref().and_then(time::parse_ms);
            let ahead_ms = its_ms.map(|its_ms| time::ahead_ms(asked_ms, took, its_ms));
            let cpus = info.ncpu.and_then(|count| count.try_into().ok()).unwrap_or(0);
            let memory = info.mem_total.and_then(|bytes| bytes.try_into().ok()).unwrap_or(0);
            Ok(Facts {
                id: info.id.unwrap_or_default(),
                version: version.version.unwrap_or_default(),
                arch: version.arch.unwrap_or_default(),
                os: version.os.unwrap_or_default(),
                size: Size { cpus, memory },
                ahead_ms,
            })
        };
        self.facts.get_or_try_init(ask).await
    }
}

/// What a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
}

/// Reaches the host called `name` for changing it.
///
/// # Errors
/// [`HostError::Unreachable`] when nothing answers, [`HostError::Deadline`] when the answer takes
/// too long, [`HostError::TooOld`] for an engine before Docker 20.10, [`HostError::Simulated`] for
/// the address of a simulated host.
pub async fn connect(
    name: &str,
    endpoint: impl Into<Endpoint>,
    options: &ConnectOptions,
) -> Result<Arc<dyn Host>, HostError> {
    Ok(Arc::new(traced(name, "connect", reach(name, endpoint.into(), options)).await?))
}

/// Reaches the host called `name` for reading only: what it gives has no method that changes
/// anything.
///
/// # Errors
/// As [`connect`].
pub async fn connect_read(
    name: &str,
    endpoint: impl Into<Endpoint>,
    options: &ConnectOptions,
) -> Result<Arc<dyn HostRead>, HostError> {
    Ok(Arc::new(traced(name, "connect", reach(name, endpoint.into(), options)).await?))
}

async fn reach(
    name: &str,
    endpoint: Endpoint,
    options: &ConnectOptions,
) -> Result<DockerHost, HostError> {
    let address = endpoint.address.to_string();
    // The client's own timeout is only a backstop to our deadlines, so it is above all of them.
    let backstop_s = options.pull_total.as_secs().saturating_add(60);
    let version = ClientVersion { major_version: SPOKEN.0, minor_version: SPOKEN.1 };
    let route = route(&endpoint, options)?;
    let tunnel = match &route {
        EngineRoute::Ssh(tunnel) => Some(Arc::clone(tunnel)),
        EngineRoute::Unix(_) | EngineRoute::Tcp(_) => None,
    };
    let docker = transport::client(route, options.connect, backstop_s, &version);
    let docker = docker.map_err(|error| {
        classify(Call { name: "version", address: &address, image: None }, error)
    })?;
    let spoken = match agreed(&docker, &address, options.connect).await {
        Ok(spoken) => spoken,
        Err(error) => return Err(why(error, tunnel.as_deref()).await),
    };
    let docker = docker.with_request_modifier(modifier(&spoken));
    Ok(DockerHost {
        name: name.to_owned(),
        address,
        docker,
        options: options.clone(),
        api_version: spoken,
        facts: OnceCell::new(),
        registries: Registries::default(),
    })
}

/// The version to speak with an engine. Nearly all speak ours, and a greeting in it shows that in a twentieth of the time
/// that an engine takes to say which versions it speaks.
async fn agreed(docker: &Docker, address: &str, limit: Duration) -> Result<String, HostError> {
    let call = |name| Call { name, address, image: None };
    let greeter = docker.clone().with_request_modifier(modifier(SPOKEN_TEXT));
    match within("ping", limit, greeter.ping()).await? {
        Ok(text) if text.trim() == "OK" => return Ok(SPOKEN_TEXT.to_owned()),
        // It answers, and may want another version.
        Ok(_) | Err(bollard::errors::Error::DockerResponseServerError { .. }) => {}
        Err(error) => return Err(classify(call("ping"), error)),
    }
    // Unversioned: an engine refuses versions it does not know, both old and new.
    let answer = within("version", limit, docker.version()).await?;
    let answer = answer.map_err(|error| classify(call("version"), error))?;
    let newest = answer.api_version.unwrap_or_default();
    let oldest = answer.min_api_version.unwrap_or_default();
    agree(&newest, &oldest)
}

/// Returns the route to an engine.
fn route(endpoint: &Endpoint, options: &ConnectOptions) -> Result<EngineRoute, HostError> {
    match &endpoint.address {
        HostAddress::Unix(path) => Ok(EngineRoute::Unix(path.into())),
        HostAddress::Ssh(url) => {
            let to = SshAddress::parse(url)?;
            let tunnel = Tunnel::new(to, endpoint.ssh_config.clone(), options.connect);
            Ok(EngineRoute::Ssh(Arc::new(tunnel)))
        }
        HostAddress::Tcp(url) => {
            let address = TcpAddress::parse(url)?;
            let tcp = TcpRoute::new(address, endpoint.tls.as_ref(), endpoint.allow_plain_tcp)?;
            Ok(EngineRoute::Tcp(tcp))
        }
        HostAddress::Sim(name) => Err(HostError::Simulated { name: name.clone() }),
    }
}

/// What the first answer's failure means: through `ssh` a reply that breaks off is a socket that
/// cannot be used there.
async fn why(error: HostError, tunnel: Option<&Tunnel>) -> HostError {
    match (&error, tunnel) {
        (HostError::Broken(_), Some(tunnel)) => {
            tunnel.diagnose().await.map_or(error, HostError::from)
        }
        _ => error,
    }
}

/// The version to speak with an engine that knows `oldest` to `newest`.
fn agree(newest: &str, oldest: &str) -> Result<String, HostError> {
    let newest_parts = parts(newest).ok_or_else(|| {
        HostError::Broken(format!(
            "what answers is no Docker engine: it gives `{}` as its API version",
            clean::line(newest)
        ))
    })?;
    if newest_parts < SPOKEN {
        return Err(HostError::TooOld { found: newest.to_owned(), needed: SPOKEN_TEXT });
    }
    match parts(oldest) {
        Some(least) if least > SPOKEN => Ok(format!("{}.{}", least.0, least.1)),
        _ => Ok(SPOKEN_TEXT.to_owned()),
    }
}

fn parts(version: &str) -> Option<(usize, usize)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What is done to every request. The client library leaves the version out of the path, does not
/// know that an older engine makes a second network of one name unless it is asked to check, and
/// writes credentials in plain base64 where Docker reads the form for URLs.
fn modifier(spoken: &str) -> impl Fn(BollardRequest) -> BollardRequest + Send + Sync + 'static {
    let prefix = format!("/v{spoken}");
    move |request| {
        let (mut parts, mut body) = request.into_parts();
        let shown = parts.headers.get(AUTH_HEADER).and_then(|value| value.to_str().ok());
        let shown = shown.map(|text| text.replace('+', "-").replace('/', "_"));
        if let Some(Ok(value)) = shown.map(|text| text.parse()) {
            parts.headers.insert(AUTH_HEADER, value);
        }
        let path = parts.uri.path_and_query().map(|path| path.as_str().to_owned());
        if let (Some(path), Some(scheme), Some(authority)) =
            (path, parts.uri.scheme_str(), parts.uri.authority())
            && let Ok(uri) = format!("{scheme}://{authority}{prefix}{path}").parse()
        {
            let is_network = path == "/networks/create";
            parts.uri = uri;
            if is_network {
                // The body is whole already, so collecting it never waits.
                let whole = body.collect().now_or_never().and_then(Result::ok);
                let bytes = whole.map(|whole| whole.to_bytes()).unwrap_or_default();
                body = body_full(check_duplicate(&bytes));
            }
        }
        BollardRequest::from_parts(parts, body)
    }
}

fn check_duplicate(body: &[u8]) -> bytes::Bytes {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(body) else {
        return bytes::Bytes::copy_from_slice(body);
    };
    fields.insert("CheckDuplicate".to_owned(), true.into());
    serde_json::Value::Object(fields).to_string().into()
}

/// Bounds a call; dropping it closes its connection.
pub(crate) async fn within<T>(
    call: &'static str,
    after: Duration,
    future: impl Future<Output = T>,
) -> Result<T, HostError> {
    tokio::time::timeout(after, future).await.map_err(|_| HostError::Deadline { call, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_is_spoken_wherever_the_engine_still_does() {
        for (newest, oldest, spoken) in [
            ("1.41", "1.12", "1.41"),
            ("1.50", "1.24", "1.41"),
            ("1.52", "1.44", "1.44"),
            ("1.41", "", "1.41"),
        ] {
            assert_eq!(agree(newest, oldest), Ok(spoken.to_owned()), "{newest} {oldest}");
        }
    }

    #[test]
    fn an_engine_too_old_is_refused_in_a_sentence() {
        let error = agree("1.40", "1.12").map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("the Docker engine speaks API 1.40; Tally needs 1.41 or later".to_owned()),
        );
        assert!(matches!(agree("", ""), Err(HostError::Broken(_))));
    }

    #[test]
    fn networks_are_checked_for_duplicates() {
        let body = check_duplicate(br#"{"Name":"a"}"#);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(value, serde_json::json!({"Name": "a", "CheckDuplicate": true}));
    }
}
