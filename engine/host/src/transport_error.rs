//! Why the way to an engine is closed, as the few kinds that each have a way out of their own.

use tally_source::Code;

/// Why the way to an engine is closed. Its words are a headline; [`TransportError::help`] is what
/// to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// An address that names nothing that can be reached.
    #[error("`{address}` cannot be reached: {reason}")]
    Address {
        /// As it was written.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answers there.
    #[error("{reason}")]
    Unreachable {
        /// What the attempt said.
        reason: String,
    },
    /// There is no `ssh` program.
    #[error("there is no program `ssh` in PATH")]
    SshMissing,
    /// No key of the host is known, so it may be anybody.
    #[error("the ssh host key of {host} is not known")]
    HostKeyUnknown {
        /// The host as known_hosts names it: `10.0.0.1`, `[10.0.0.1]:2222`.
        host: String,
    },
    /// The host shows another key than the known one.
    #[error("the ssh host key of {host} has changed")]
    HostKeyChanged {
        /// The host as known_hosts names it.
        host: String,
        /// Where the known one stands: `/home/me/.ssh/known_hosts:3`.
        known: Option<String>,
    },
    /// It does not let us in.
    #[error("ssh cannot log in: {reason}")]
    SshLogin {
        /// Its words.
        reason: String,
    },
    /// `ssh` does not take its own configuration.
    #[error("ssh does not take its configuration: {reason}")]
    SshConfig {
        /// Its words.
        reason: String,
    },
    /// `ssh` ended with words that we do not know.
    #[error("ssh ended: {reason}")]
    SshEnded {
        /// Its last words.
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
    /// The user that we log in as may not use the socket.
    #[error("{user} may not use the socket {socket} on {host}")]
    RemoteSocketDenied {
        /// The host.
        host: String,
        /// Docker's socket there.
        socket: String,
        /// Who we are there.
        user: String,
    },
    /// A file for TLS cannot be used.
    #[error("the {what} {path} {reason}")]
    TlsFile {
        /// `authority's certificate`, `certificate` or `key`.
        what: &'static str,
        /// Its path.
        path: String,
        /// Why: `is not there`.
        reason: String,
    },
    /// Certificate and key are not of one pair.
    #[error("the key {key} does not belong to the certificate {cert}")]
    TlsPair {
        /// The certificate's path.
        cert: String,
        /// The key's path.
        key: String,
    },
    /// The authority that we trust did not sign what the engine shows.
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
    /// The engine does not take our certificate.
    #[error("the engine does not take our certificate: {reason}")]
    TlsRefused {
        /// The alert's name.
        reason: String,
    },
    /// What answers speaks something else.
    #[error("what answers there does not speak TLS")]
    TlsNotSpoken,
    /// Anything else that TLS says.
    #[error("no TLS connection: {reason}")]
    Tls {
        /// Its words.
        reason: String,
    },
    /// A plain port gives the machine to whoever reaches it.
    #[error("`{address}` without TLS gives the machine to everyone who reaches it")]
    PlainTcp {
        /// The address.
        address: String,
    },
    /// What Docker's own settings name cannot be found.
    #[error("{what}")]
    DefaultHost {
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
}

impl TransportError {
    /// The code of its page.
    #[must_use]
    pub fn code(&self) -> Code {
        Code(match self {
            TransportError::Address { .. } | TransportError::Unreachable { .. } => 1001,
            TransportError::HostKeyUnknown { .. } | TransportError::HostKeyChanged { .. } => 1010,
            TransportError::SshMissing
            | TransportError::SshLogin { .. }
            | TransportError::SshConfig { .. }
            | TransportError::SshEnded { .. } => 1011,
            TransportError::ForwardingRefused { .. }
            | TransportError::RemoteSocketMissing { .. }
            | TransportError::RemoteSocketDenied { .. } => 1012,
            TransportError::TlsFile { .. } | TransportError::TlsPair { .. } => 1013,
            TransportError::TlsAuthority { .. }
            | TransportError::TlsName { .. }
            | TransportError::TlsDate { .. }
            | TransportError::TlsRefused { .. }
            | TransportError::TlsNotSpoken
            | TransportError::Tls { .. } => 1014,
            TransportError::PlainTcp { .. } => 1015,
            TransportError::DefaultHost { .. } => 1016,
        })
    }

    /// What to do about it, in a sentence or two.
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
                "Compare its fingerprint with what the host itself shows, then make it known: \
                 `{}`.",
                keyscan(host)
            ),
            TransportError::HostKeyChanged { host, known } => {
                // `/home/me/.ssh/known_hosts:3`
                let file = known.as_deref().and_then(|known| known.rsplit_once(':'));
                let file = file.map_or(String::new(), |(file, _)| format!("-f '{file}' "));
                format!(
                    "If the machine was set up anew, forget the old key with `ssh-keygen {file}-R \
                     '{host}'`, compare the new fingerprint with what the host itself shows, and \
                     make it known: `{}`. If not, somebody may be in between.",
                    keyscan(host)
                )
            }
            TransportError::SshLogin { .. } => {
                "Nobody is asked for a password. Does `ssh -o BatchMode=yes HOST true` work? A key \
                 in the agent or in `~/.ssh/config` does."
                    .to_owned()
            }
            TransportError::SshConfig { .. } => "Mend `~/.ssh/config`.".to_owned(),
            TransportError::SshEnded { .. } => "`ssh -v` to the host says more.".to_owned(),
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
                "Let the user in, on that host as root: `usermod -aG docker {user}`. It holds from \
                 the next login."
            ),
            TransportError::TlsFile { .. } => {
                "`ca`, `cert` and `key` are PEM files beside the spec.".to_owned()
            }
            TransportError::TlsPair { .. } => {
                "Give the key that the certificate was made for.".to_owned()
            }
            TransportError::TlsAuthority { .. } => {
                "Only this authority is trusted, never the system's. Is it the right file?"
                    .to_owned()
            }
            TransportError::TlsName { name } => format!(
                "Use a name that the certificate bears, or make one with `subjectAltName` for \
                 `{name}`."
            ),
            TransportError::TlsDate { .. } => {
                "Renew the engine's certificate; if it is good, mend this machine's clock."
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
                "`openssl s_client -connect HOST:PORT` says more.".to_owned()
            }
            TransportError::PlainTcp { .. } => {
                "Use `ssh://`, or TLS. If the network in between is yours alone, \
                 `TALLY_ALLOW_PLAIN_TCP=1` allows it."
                    .to_owned()
            }
        }
    }
}

/// The command that fetches a host's keys. `host` is in the form of known_hosts.
fn keyscan(host: &str) -> String {
    let parts = host.strip_prefix('[').and_then(|rest| rest.split_once("]:"));
    match parts {
        Some((name, port)) => format!("ssh-keyscan -p {port} {name} >> ~/.ssh/known_hosts"),
        None => format!("ssh-keyscan {host} >> ~/.ssh/known_hosts"),
    }
}
