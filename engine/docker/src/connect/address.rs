//! Addresses of far engines, taken apart.

use std::net::IpAddr;

use crate::TransportError;

/// Where Docker listens unless an address says otherwise.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// `tcp://HOST:PORT`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TcpAddress {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// `ssh://[USER@]HOST[:PORT][/SOCKET]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshAddress {
    /// Who to be there; the user's own configuration decides where it is left out.
    pub user: Option<String>,
    /// A name, an alias of the user's configuration, or an address without brackets.
    pub host: String,
    /// The port; the user's own configuration decides where it is left out.
    pub port: Option<u16>,
    /// Docker's socket there.
    pub socket: String,
}

impl TcpAddress {
    /// Takes an address apart.
    ///
    /// # Errors
    /// [`TransportError::Address`] with what is wrong.
    pub(crate) fn parse(url: &str) -> Result<Self, TransportError> {
        let bad = |reason: &str| TransportError::Address {
            address: crate::clean::line(url),
            reason: reason.to_owned(),
        };
        let rest = url.strip_prefix("tcp://").ok_or_else(|| bad("it is no `tcp://` address"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(rest).ok_or_else(|| bad("its port is none"))?;
        let port = port.ok_or_else(|| bad("it has no port"))?;
        if !is_host(host) {
            return Err(bad("it names no host"));
        }
        Ok(Self { host: host.to_owned(), port })
    }

    /// Whether it stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// As a URL writes it: `10.0.0.1:2376`, `[fe80::1]:2376`.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl SshAddress {
    /// Takes an address apart. What is given to `ssh` as an argument cannot be taken for an option.
    ///
    /// # Errors
    /// [`TransportError::Address`] with what is wrong.
    pub(crate) fn parse(url: &str) -> Result<Self, TransportError> {
        let bad = |reason: &str| TransportError::Address {
            address: crate::clean::line(url),
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
        // Nothing that ssh or a shell would read as more than a path.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@,=".contains(&byte);
        if !path.bytes().all(plain) {
            return Err(bad("the path of its socket has characters that are not plain"));
        }
        Ok(Self { user, host: host.to_owned(), port, socket: path })
    }
}

/// A host, and its port if there is one; `None` for a port that is none.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(number(port)?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match text.rsplit_once(':') {
        // Several colons without brackets: an IPv6 address without a port.
        Some((host, _)) if host.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(number(port)?))),
        None => Some((text, None)),
    }
}

fn number(port: &str) -> Option<u16> {
    port.parse().ok().filter(|port| *port != 0)
}

fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:_%".contains(&byte);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(plain)
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
        for url in ["tcp://alpha", "tcp://:1", "tcp://alpha:0", "tcp://a b:1", "ssh://alpha:1"] {
            assert!(TcpAddress::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (url, expected) in [
            ("tcp://localhost:2375", true),
            ("tcp://127.0.0.1:2375", true),
            ("tcp://127.8.8.8:2375", true),
            ("tcp://[::1]:2375/", true),
            ("tcp://127.example.com:2375", false),
            ("tcp://10.0.0.1:2375", false),
            ("tcp://0.0.0.0:2375", false),
        ] {
            let found = TcpAddress::parse(url).map(|address| address.is_loopback());
            assert_eq!(found, Ok(expected), "{url}");
        }
    }
}
