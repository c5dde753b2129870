//! A connected Docker engine, and calls to it with their deadlines.

use std::future::Future;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error;
use tally_host::{HostError, now_ms, traced};
use tokio::sync::OnceCell;

use crate::classify::{Call, classify};
use crate::registries::Registries;
use crate::time;

/// The deadlines of calls. Every call has one of its own, because that of the client library covers only the headers
/// of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// For connecting and agreeing on a version.
    pub connect: Duration,
    /// For a reading call.
    pub read: Duration,
    /// For a mutating call.
    pub mutate: Duration,
    /// For a stop, in addition to the container's grace period.
    pub stop_extra: Duration,
    /// For a pull without progress.
    pub pull_idle: Duration,
    /// For a whole pull.
    pub pull_total: Duration,
    /// First backoff for a busy registry that names none, doubled each time.
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
    /// The API version that Tally speaks with it.
    pub(crate) api_version: String,
    /// The facts, requested once and only when needed: `info` and `version` are the slowest of all reading calls,
    /// because Docker runs programs for them. So they run at the same time as the lists and not before them.
    facts: OnceCell<Facts>,
    /// The registries that are busy or broken.
    pub(crate) registries: Registries,
}

/// Facts about an engine and its machine.
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
    /// The resources of the machine.
    pub size: Size,
    /// The offset of its clock from ours, in milliseconds (positive: ahead); `None` when it reports no time.
    pub ahead_ms: Option<i64>,
}

impl DockerHost {
    /// Returns a connected engine.
    pub(crate) fn new(
        name: &str,
        address: String,
        docker: Docker,
        options: &ConnectOptions,
        api_version: String,
    ) -> Self {
        Self {
            name: name.to_owned(),
            address,
            docker,
            options: options.clone(),
            api_version,
            facts: OnceCell::new(),
            registries: Registries::default(),
        }
    }

    /// Makes a call with a deadline, and classifies its error.
    pub(crate) async fn call<T>(
        &self,
        name: &'static str,
        after: Duration,
        future: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, HostError> {
        self.call_about(name, None, after, future).await
    }

    /// Makes a call about an image; otherwise as [`Self::call`].
    pub(crate) async fn call_about<T>(
        &self,
        name: &'static str,
        image: Option<&str>,
        after: Duration,
        future: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, HostError> {
        let call = Call { name, address: &self.address, image };
        let answer =
            async { within(name, after, future).await?.map_err(|error| classify(call, error)) };
        traced(&self.name, name, answer).await
    }

    /// Returns facts about the engine and its machine.
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

/// The resources of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
}

/// Limits the duration of a call. Dropping the future closes its connection.
pub(crate) async fn within<T>(
    call: &'static str,
    after: Duration,
    future: impl Future<Output = T>,
) -> Result<T, HostError> {
    tokio::time::timeout(after, future).await.map_err(|_| HostError::Deadline { call, after })
}
