//! Why no connection to an engine can be made, as the few kinds that each have a help text of their own.

use tally_source::{Code, engine_codes};

/// Why no connection to an engine can be made. Its text is a headline; [`TransportError::help`] returns the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// An invalid address.
    #[error("`{address}` cannot be reached: {reason}")]
    Address {
        /// The address in the spec.
        address: String,
        /// Why it is invalid.
        reason: String,
    },
    /// Nothing answers there.
    #[error("{reason}")]
    Unreachable {
        /// The error of the attempt.
        reason: String,
    },
    /// There is no `ssh` program.
    #[error("there is no program `ssh` in PATH")]
    SshMissing,
    /// No ssh key of the host is known, so its identity cannot be checked.
    #[error("the ssh host key of {host} is not known")]
    HostKeyUnknown {
        /// The host as known_hosts names it: `10.0.0.1`, `[10.0.0.1]:2222`.
        host: String,
    },
    /// The ssh key of the host differs from the known one.
    #[error("the ssh host key of {host} has changed")]
    HostKeyChanged {
        /// The host as known_hosts names it.
        host: String,
        /// File and line of the known key: `/home/me/.ssh/known_hosts:3`.
        known: Option<String>,
    },
    /// The host rejects the login.
    #[error("ssh cannot log in: {reason}")]
    SshLogin {
        /// The message of `ssh`.
        reason: String,
    },
    /// `ssh` rejects its own configuration.
    #[error("ssh rejects its configuration: {reason}")]
    SshConfig {
        /// The message of `ssh`.
        reason: String,
    },
    /// `ssh` ended with an unknown message.
    #[error("ssh ended: {reason}")]
    SshEnded {
        /// Its last message.
        reason: String,
    },
    /// The host's sshd does not forward to sockets.
    #[error("the sshd of {host} does not forward to the socket {socket}")]
    ForwardingRefused {
        /// The host.
        host: String,
        /// Docker's socket there.
        socket: String,
    },
    /// There is no such socket on the host.
    #[error("there is no socket {socket} on {host}")]
    RemoteSocketMissing {
        /// The host.
        host: String,
        /// Docker's socket there.
        socket: String,
    },
    /// The login user has no permission to use the socket.
    #[error("{user} may not use the socket {socket} on {host}")]
    RemoteSocketDenied {
        /// The host.
        host: String,
        /// Docker's socket there.
        socket: String,
        /// The login user.
        user: String,
    },
    /// A file for TLS cannot be used.
    #[error("the {what} {path} {reason}")]
    TlsFile {
        /// `authority's certificate`, `certificate` or `key`.
        what: &'static str,
        /// Its path.
        path: String,
        /// Why: `does not exist`.
        reason: String,
    },
    /// Certificate and key do not belong together.
    #[error("the key {key} does not belong to the certificate {cert}")]
    TlsPair {
        /// The certificate's path.
        cert: String,
        /// The key's path.
        key: String,
    },
    /// The engine's certificate is not signed by the trusted authority.
    #[error("the certificate of the engine is not signed by {ca}")]
    TlsAuthority {
        /// Path of the authority's certificate.
        ca: String,
    },
    /// The engine's certificate is for other names.
    #[error("the certificate of the engine is not for `{name}`")]
    TlsName {
        /// The name in the address.
        name: String,
    },
    /// The engine's certificate is out of date.
    #[error("the certificate of the engine is out of date: {reason}")]
    TlsDate {
        /// Expired, or not valid yet.
        reason: &'static str,
    },
    /// The engine rejects our certificate.
    #[error("the engine rejects our certificate: {reason}")]
    TlsRefused {
        /// The name of the TLS alert.
        reason: String,
    },
    /// The server at the address does not speak TLS.
    #[error("the server there does not speak TLS")]
    TlsNotSpoken,
    /// Any other TLS error.
    #[error("no TLS connection: {reason}")]
    Tls {
        /// The message of the TLS library.
        reason: String,
    },
    /// Plain TCP to another machine: everyone who reaches the port has full access to the host.
    #[error("`{address}` without TLS gives everyone who reaches it full access to the host")]
    PlainTcp {
        /// The address.
        address: String,
    },
    /// Docker's own settings name a host that cannot be determined.
    #[error("{problem}")]
    DefaultHost {
        /// The problem.
        problem: String,
        /// The remedy.
        help: String,
    },
}

impl TransportError {
    /// Returns the code of its page.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            TransportError::Address { .. } | TransportError::Unreachable { .. } => {
                engine_codes::HOST_UNREACHABLE
            }
            TransportError::HostKeyUnknown { .. } | TransportError::HostKeyChanged { .. } => {
                engine_codes::SSH_HOST_KEY
            }
            TransportError::SshMissing
            | TransportError::SshLogin { .. }
            | TransportError::SshConfig { .. }
            | TransportError::SshEnded { .. } => engine_codes::SSH_FAILED,
            TransportError::ForwardingRefused { .. }
            | TransportError::RemoteSocketMissing { .. }
            | TransportError::RemoteSocketDenied { .. } => engine_codes::SSH_SOCKET,
            TransportError::TlsFile { .. } | TransportError::TlsPair { .. } => {
                engine_codes::TLS_FILE
            }
            TransportError::TlsAuthority { .. }
            | TransportError::TlsName { .. }
            | TransportError::TlsDate { .. }
            | TransportError::TlsRefused { .. }
            | TransportError::TlsNotSpoken
            | TransportError::Tls { .. } => engine_codes::TLS_FAILED,
            TransportError::PlainTcp { .. } => engine_codes::PLAIN_TCP,
            TransportError::DefaultHost { .. } => engine_codes::NO_DEFAULT_HOST,
        }
    }

    /// Returns its texts, so that they can be cleaned.
    pub(crate) fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::SshMissing | Self::TlsNotSpoken | Self::TlsDate { .. } => Vec::new(),
            Self::Address { address, reason } => vec![address, reason],
            Self::Unreachable { reason: text }
            | Self::HostKeyUnknown { host: text }
            | Self::SshLogin { reason: text }
            | Self::SshConfig { reason: text }
            | Self::SshEnded { reason: text }
            | Self::TlsAuthority { ca: text }
            | Self::TlsName { name: text }
            | Self::TlsRefused { reason: text }
            | Self::Tls { reason: text }
            | Self::PlainTcp { address: text } => vec![text],
            Self::HostKeyChanged { host, known } => std::iter::once(host).chain(known).collect(),
            Self::ForwardingRefused { host, socket }
            | Self::RemoteSocketMissing { host, socket } => vec![host, socket],
            Self::RemoteSocketDenied { host, socket, user } => vec![host, socket, user],
            Self::TlsFile { path, reason, .. } => vec![path, reason],
            Self::TlsPair { cert, key } => vec![cert, key],
            Self::DefaultHost { problem, help } => vec![problem, help],
        }
    }

    /// Returns the remedy, in a sentence or two.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            TransportError::Address { .. } => {
                "Write `unix:///PATH`, `ssh://[USER@]HOST[:PORT][/SOCKET]` or `tcp://HOST:PORT`."
                    .to_owned()
            }
            TransportError::DefaultHost { help, .. } => help.clone(),
            TransportError::Unreachable { .. } => {
                "Is the machine up, and is this its address?".to_owned()
            }
            TransportError::SshMissing => {
                "Install OpenSSH's client (Debian: `openssh-client`).".to_owned()
            }
            TransportError::HostKeyUnknown { host } => format!(
                "Compare its fingerprint with the one that the host itself shows, then add the key: \
                 `{}`.",
                keyscan(host)
            ),
            TransportError::HostKeyChanged { host, known } => {
                // `/home/me/.ssh/known_hosts:3`
                let file = known.as_deref().and_then(|known| known.rsplit_once(':'));
                let file = file.map_or(String::new(), |(file, _)| format!("-f '{file}' "));
                format!(
                    "If the machine was reinstalled, remove the old key with `ssh-keygen {file}-R \
                     '{host}'`, compare the new fingerprint with the one that the host itself \
                     shows, and add the new key: `{}`. Otherwise somebody may intercept the connection.",
                    keyscan(host)
                )
            }
            TransportError::SshLogin { .. } => {
                "Tally never asks for a password. Check `ssh -o BatchMode=yes HOST true`. Use a key \
                 in the agent or in `~/.ssh/config`."
                    .to_owned()
            }
            TransportError::SshConfig { .. } => "Fix `~/.ssh/config`.".to_owned(),
            TransportError::SshEnded { .. } => "`ssh -v` to the host shows more.".to_owned(),
            TransportError::ForwardingRefused { .. } => {
                "Its sshd_config needs `AllowStreamLocalForwarding yes`, which is the default, and \
                 neither `DisableForwarding` nor `restrict` in authorized_keys."
                    .to_owned()
            }
            TransportError::RemoteSocketMissing { host, .. } => format!(
                "Is Docker running on {host}? A socket elsewhere is named in the address: \
                 `ssh://{host}/run/user/1000/docker.sock`."
            ),
            TransportError::RemoteSocketDenied { user, .. } => format!(
                "Give the user access, on that host as root: `usermod -aG docker {user}`. It takes \
                 effect at the next login."
            ),
            TransportError::TlsFile { .. } => {
                "`ca`, `cert` and `key` are PEM files beside the spec.".to_owned()
            }
            TransportError::TlsPair { .. } => {
                "Give the key that the certificate was made for.".to_owned()
            }
            TransportError::TlsAuthority { .. } => {
                "Only this authority is trusted, never those of the system. Is it the right file?"
                    .to_owned()
            }
            TransportError::TlsName { name } => format!(
                "Use a name that the certificate contains, or issue a certificate with \
                 `subjectAltName` for `{name}`."
            ),
            TransportError::TlsDate { .. } => {
                "Renew the engine's certificate; if it is valid, correct this machine's clock."
                    .to_owned()
            }
            TransportError::TlsRefused { .. } => {
                "Is it signed by the authority that the engine trusts (`--tlscacert`), still \
                 valid, and made for clients (`extendedKeyUsage = clientAuth`)?"
                    .to_owned()
            }
            TransportError::TlsNotSpoken => {
                "Is dockerd started with `--tlsverify`, and is this its TLS port (usually 2376)?"
                    .to_owned()
            }
            TransportError::Tls { .. } => {
                "`openssl s_client -connect HOST:PORT` shows more.".to_owned()
            }
            TransportError::PlainTcp { .. } => {
                "Use `ssh://`, or TLS. On a private network, `TALLY_ALLOW_PLAIN_TCP=1` allows plain TCP."
                    .to_owned()
            }
        }
    }
}

/// Returns the command that fetches a host's keys. `host` is in the form of known_hosts.
fn keyscan(host: &str) -> String {
    let parts = host.strip_prefix('[').and_then(|rest| rest.split_once("]:"));
    match parts {
        Some((name, port)) => format!("ssh-keyscan -p {port} {name} >> ~/.ssh/known_hosts"),
        None => format!("ssh-keyscan {host} >> ~/.ssh/known_hosts"),
    }
}
