//! Addresses of engines behind SSH.

use tally_host::{TransportError, clean};
use tally_transport::address::{is_host, split_port};

/// Docker's socket unless the address names another one.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// An address `ssh://[USER@]HOST[:PORT][/SOCKET]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshAddress {
    /// The user on the host. If omitted, the user's own configuration decides.
    pub user: Option<String>,
    /// A name, an alias of the user's configuration, or an address without brackets.
    pub host: String,
    /// The port. If omitted, the user's own configuration decides.
    pub port: Option<u16>,
    /// Docker's socket on the host.
    pub socket: String,
}

impl SshAddress {
    /// Parses an address. No part of it can be taken for an option of `ssh`.
    ///
    /// # Errors
    /// [`TransportError::Address`] with the reason.
    pub(crate) fn parse(url: &str) -> Result<Self, TransportError> {
        let bad = |reason: &str| TransportError::Address {
            address: clean::line(url),
            reason: reason.to_owned(),
        };
        let rest = url.strip_prefix("ssh://").ok_or_else(|| bad("it is no `ssh://` address"))?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) if !path.is_empty() => (authority, format!("/{path}")),
            Some((authority, _)) => (authority, DOCKER_SOCKET.to_owned()),
            None => (rest, DOCKER_SOCKET.to_owned()),
        };
        let (user, rest) = match authority.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, authority),
        };
        let (host, port) = split_port(rest).ok_or_else(|| bad("its port is none"))?;
        if !is_host(host) {
            return Err(bad("it names no host"));
        }
        if user.as_deref().is_some_and(|user| !is_user(user)) {
            return Err(bad("it names no user"));
        }
        // No character that `ssh` or a shell would interpret.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@,=".contains(&byte);
        if !path.bytes().all(plain) {
            return Err(bad("the path of its socket has characters that are not plain"));
        }
        Ok(Self { user, host: host.to_owned(), port, socket: path })
    }
}

fn is_user(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-$@\\+".contains(&byte);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_addresses_are_taken_apart() {
        let parts = |url: &str| {
            let found = SshAddress::parse(url).ok()?;
            Some((found.user, found.host, found.port, found.socket))
        };
        let text = |text: &str| Some(text.to_owned());
        let usual = DOCKER_SOCKET.to_owned();
        for (url, expected) in [
            ("ssh://alpha", (None, "alpha".to_owned(), None, usual.clone())),
            (
                "ssh://me@10.0.0.1:2222",
                (text("me"), "10.0.0.1".to_owned(), Some(2222), usual.clone()),
            ),
            ("ssh://alpha/", (None, "alpha".to_owned(), None, usual.clone())),
            ("ssh://alpha/run/d.sock", (None, "alpha".to_owned(), None, "/run/d.sock".to_owned())),
            ("ssh://[fe80::1]:22", (None, "fe80::1".to_owned(), Some(22), usual.clone())),
            ("ssh://fe80::1", (None, "fe80::1".to_owned(), None, usual)),
        ] {
            assert_eq!(parts(url), Some(expected), "{url}");
        }
    }

    #[test]
    fn nothing_becomes_an_option_or_a_command() {
        for url in [
            "ssh://-oProxyCommand=x",
            "ssh://-x",
            "ssh://-x@alpha",
            "ssh://alpha/run/$(id)",
            "ssh://alpha/run/a b",
            "ssh://alpha/run/%h",
            "ssh://alpha:0",
            "ssh://alpha:70000",
            "ssh://",
            "ssh://a;b",
            "tcp://alpha",
        ] {
            assert!(SshAddress::parse(url).is_err(), "{url}");
        }
    }
}
