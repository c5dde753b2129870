//! Why a call to a host failed, as the few kinds that the engine reacts to.

use std::fmt;
use std::time::Duration;

use crate::transport_error::TransportError;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing answers at the host's address.
    #[error("no Docker engine answers at {address}: {reason}")]
    Unreachable {
        /// Its address.
        address: String,
        /// The error of the attempt.
        reason: String,
    },
    /// No connection can be made, for a reason with a code and help of its own.
    #[error("{0} ({code}). {help}", code = .0.code(), help = .0.help())]
    Transport(Box<TransportError>),
    /// No answer within the deadline. The call may have taken effect all the same.
    #[error("no answer to `{call}` within {after:?}")]
    Deadline {
        /// Which call.
        call: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The engine is too old for Tally.
    #[error("the Docker engine speaks API {found}; Tally needs {needed} or later")]
    TooOld {
        /// Its API version.
        found: String,
        /// The oldest API version that Tally speaks.
        needed: &'static str,
    },
    /// The object does not exist (Docker's status 404).
    #[error("{0}")]
    NotFound(String),
    /// The name is taken, or the state of the object does not allow the call (Docker's status 409).
    /// `execute/conflict_409.rs` handles it for creates.
    #[error("{0}")]
    Conflict(String),
    /// An image cannot be pulled or used.
    #[error("{message}")]
    Image {
        /// Which.
        image: String,
        /// Whether the registry reports that the image does not exist, as opposed to not answering.
        missing: bool,
        /// The message of the engine.
        message: String,
    },
    /// A host port is taken.
    #[error("{message}")]
    PortTaken {
        /// Which, when Docker names it.
        port: Option<u16>,
        /// The message of the engine.
        message: String,
    },
    /// The command of a container is not in its image, or cannot be run.
    #[error("{0}")]
    CommandNotFound(String),
    /// The engine refused the call.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The message of the engine.
        message: String,
    },
    /// The reply broke off or was not understood. The call may have taken effect all the same.
    #[error("{0}")]
    Broken(String),
    /// A file is owned by a name that the container's image does not define.
    #[error("the container's image has no {kind} `{name}`, which owns a file")]
    UnknownOwner {
        /// User or group.
        kind: OwnerKind,
        /// The name.
        name: String,
    },
    /// A Docker credential helper failed.
    #[error("the credential helper {program} failed: {reason}")]
    CredentialHelper {
        /// The program: `docker-credential-NAME`.
        program: String,
        /// How it failed. Its output is left out, because it may hold credentials.
        reason: String,
    },
    /// Docker's own configuration file cannot be used.
    #[error("{path} cannot be used: {reason}")]
    DockerConfig {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// There is no infra image for the engine's architecture.
    #[error(
        "pods of several containers need the infra image, which exists for engines on {known}; \
         this one is on {architecture}"
    )]
    NoInfraImage {
        /// The engine's architecture, in Docker's words: `riscv64`.
        architecture: String,
        /// The architectures that have one: `amd64 and arm64`.
        known: String,
    },
    /// A `sim:` address was given to the Docker client.
    #[error("`sim:{name}` is a simulated host, not a Docker engine")]
    Simulated {
        /// The name in the address.
        name: String,
    },
    /// An archive that the engine must be sent could not be built.
    #[error("the archive of {content} could not be built: {reason}")]
    Archive {
        /// The content: `files`, `the infra image`.
        content: &'static str,
        /// Why.
        reason: String,
    },
    /// The file that holds a simulated host's state cannot be used.
    #[error("the simulated host's file {path}{problem}")]
    SimulatedFile {
        /// The file.
        path: String,
        /// The problem with it.
        problem: SimulatedFileProblem,
    },
}

/// Whether a name is that of a user or of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerKind {
    /// A user, of `/etc/passwd`.
    User,
    /// A group, of `/etc/group`.
    Group,
}

impl fmt::Display for OwnerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OwnerKind::User => "user",
            OwnerKind::Group => "group",
        })
    }
}

/// The problem with the file of a simulated host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimulatedFileProblem {
    /// It cannot be read or written.
    Io(String),
    /// A line of it is not as Tally writes it.
    Damaged {
        /// The number of the line, from 1.
        line: usize,
        /// The damage.
        damage: String,
    },
    /// It cannot be locked.
    Lock(String),
}

impl fmt::Display for SimulatedFileProblem {
    /// Writes the text that follows the file's path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(reason) => write!(f, " cannot be used: {reason}"),
            Self::Damaged { line, damage } => write!(
                f,
                ", line {line}, is damaged: {damage}; remove the file to start with an empty host"
            ),
            Self::Lock(reason) => write!(f, " cannot be locked: {reason}"),
        }
    }
}

impl HostError {
    /// Checks whether the call may have taken effect although it failed.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        // The file of a simulated host may have been written in part.
        matches!(self, Self::Deadline { .. } | Self::Broken(_) | Self::SimulatedFile { .. })
    }

    /// Returns the kind of the error in a word, without any text of a daemon.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            HostError::Unreachable { .. } => "unreachable",
            HostError::Transport(_) => "transport",
            HostError::Deadline { .. } => "deadline",
            HostError::TooOld { .. } => "too-old",
            HostError::NotFound(_) => "not-found",
            HostError::Conflict(_) => "conflict",
            HostError::Image { .. } => "image",
            HostError::PortTaken { .. } => "port-taken",
            HostError::CommandNotFound(_) => "command-not-found",
            HostError::Refused { .. } => "refused",
            HostError::Broken(_) => "broken",
            HostError::UnknownOwner { .. } => "unknown-owner",
            HostError::CredentialHelper { .. } => "credential-helper",
            HostError::DockerConfig { .. } => "docker-config",
            HostError::NoInfraImage { .. } => "no-infra-image",
            HostError::Simulated { .. } => "simulated",
            HostError::Archive { .. } => "archive",
            HostError::SimulatedFile { .. } => "simulated-file",
        }
    }

    /// Returns the same error with each of its texts passed through `clean`, for example to remove secrets.
    #[must_use]
    pub fn map_texts(mut self, clean: &dyn Fn(&str) -> String) -> Self {
        for text in self.texts_mut() {
            *text = clean(text);
        }
        self
    }

    fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            HostError::Unreachable { address, reason } => vec![address, reason],
            HostError::Transport(error) => error.texts_mut(),
            HostError::Deadline { .. } => Vec::new(),
            HostError::TooOld { found, .. } => vec![found],
            HostError::Image { image, message, .. } => vec![image, message],
            HostError::NotFound(text)
            | HostError::Conflict(text)
            | HostError::CommandNotFound(text)
            | HostError::Broken(text)
            | HostError::PortTaken { message: text, .. }
            | HostError::Refused { message: text, .. }
            | HostError::UnknownOwner { name: text, .. }
            | HostError::Simulated { name: text }
            | HostError::Archive { reason: text, .. } => vec![text],
            HostError::CredentialHelper { program, reason } => vec![program, reason],
            HostError::DockerConfig { path, reason } => vec![path, reason],
            HostError::NoInfraImage { architecture, known } => vec![architecture, known],
            HostError::SimulatedFile { path, problem } => match problem {
                SimulatedFileProblem::Io(reason) | SimulatedFileProblem::Lock(reason) => {
                    vec![path, reason]
                }
                SimulatedFileProblem::Damaged { damage, .. } => vec![path, damage],
            },
        }
    }
}

impl From<TransportError> for HostError {
    fn from(error: TransportError) -> Self {
        HostError::Transport(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_keeps_the_kind_and_changes_every_text() {
        let text = || "a canary b".to_owned();
        let clean = |text: &str| text.replace("canary", "(secret)");
        let path = text;
        let damaged = SimulatedFileProblem::Damaged { line: 3, damage: text() };
        for error in [
            HostError::Unreachable { address: text(), reason: text() },
            HostError::from(TransportError::SshLogin { reason: text() }),
            HostError::from(TransportError::HostKeyChanged { host: text(), known: Some(text()) }),
            HostError::Conflict(text()),
            HostError::Image { image: text(), missing: true, message: text() },
            HostError::Refused { status: 400, message: text() },
            HostError::UnknownOwner { kind: OwnerKind::User, name: text() },
            HostError::CredentialHelper { program: text(), reason: text() },
            HostError::Archive { content: "files", reason: text() },
            HostError::SimulatedFile { path: path(), problem: damaged },
        ] {
            let kind = std::mem::discriminant(&error);
            let shown = error.to_string();
            let cleaned = error.map_texts(&clean);
            assert_eq!(std::mem::discriminant(&cleaned), kind);
            assert_eq!(cleaned.to_string(), clean(&shown));
            assert!(!format!("{cleaned:?}").contains("canary"), "{cleaned:?}");
        }
    }
}
