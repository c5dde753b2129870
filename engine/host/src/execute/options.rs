//! How a plan is carried out.

use std::time::Duration;

use super::permit::Permit;
use super::resolved_tags::ResolvedTags;
use crate::secrets::Secrets;

/// How a plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecuteOptions {
    /// Maximum number of concurrent calls per host.
    pub calls_per_host: usize,
    /// Maximum number of concurrent stops and restarts per host. They mostly wait for a container's grace period
    /// and could be many, but after 25 that ended together Docker 20.10 left an endpoint of a removed container
    /// on its network, which then could not be removed.
    pub stops_per_host: usize,
    /// Maximum number of concurrent waits per host. A wait only polls and is cheap.
    pub waits_per_host: usize,
    /// Time between the first two polls of a wait.
    pub first_poll: Duration,
    /// Maximum time between two polls of a wait, while few wait at the same time.
    pub slowest_poll: Duration,
    /// Maximum number of lines of a failed container's output that are kept.
    pub last_lines: u32,
    /// The values of the secrets that the plan refers to.
    pub secrets: Secrets,
    /// The images that tags were resolved to, shared by all plans that are carried out at the same time.
    pub resolved_tags: ResolvedTags,
    /// Whether mutating calls may be made; checked before each of them.
    pub permit: Permit,
}

impl Default for ExecuteOptions {
    fn default() -> Self {
        Self {
            calls_per_host: 8,
            stops_per_host: 8,
            waits_per_host: 256,
            first_poll: Duration::from_millis(50),
            slowest_poll: Duration::from_millis(250),
            last_lines: 10,
            secrets: Secrets::default(),
            resolved_tags: ResolvedTags::default(),
            permit: Permit::default(),
        }
    }
}
