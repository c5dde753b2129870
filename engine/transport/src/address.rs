//! TCP addresses, split into host and port.

use std::net::IpAddr;

use tally_host::TransportError;
use tally_host::clean;

/// An address `tcp://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpAddress {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl TcpAddress {
    /// Parses an address.
    ///
    /// # Errors
    /// [`TransportError::Address`] with the reason.
    pub fn parse(url: &str) -> Result<Self, TransportError> {
        let bad = |reason: &str| TransportError::Address {
            address: clean::line(url),
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

    /// Checks whether it stays on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Returns host and port as a URL writes them: `10.0.0.1:2376`, `[fe80::1]:2376`.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Splits `HOST[:PORT]` into host and port. Returns `None` when the port is not a number from 1 to 65535.
#[must_use]
pub fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
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

/// Checks whether a text may name a host: a DNS name, an IP address without brackets, or an alias. It never
/// starts with `-`, so that a program cannot take it for an option.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:_%".contains(&byte);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_host_and_a_port() {
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
