//! Parsing of `etcd://HOST:PORT[,HOST:PORT…][/PREFIX]`.

use std::fmt;
use std::str::FromStr;

/// The default port of etcd.
const PORT: u16 = 2379;
/// The default prefix of all keys.
const PREFIX: &str = "tally";
/// Maximum number of members; a cluster of etcd has fewer.
const MOST_MEMBERS: usize = 9;

/// The address of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAddress {
    /// Its members, each `HOST:PORT`, in the order in which they are tried.
    pub members: Vec<String>,
    /// The prefix of all keys: `tally`.
    pub prefix: String,
}

/// Why an address is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write `etcd://HOST:PORT[,HOST:PORT...][/PREFIX]`")]
pub struct AddressError(&'static str);

impl FromStr for StoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest =
            text.strip_prefix("etcd://").ok_or(AddressError("it is not an `etcd://` address"))?;
        let (members, prefix) = match rest.split_once('/') {
            Some((members, prefix)) => (members, prefix.trim_end_matches('/')),
            None => (rest, ""),
        };
        let prefix = if prefix.is_empty() { PREFIX } else { prefix };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
        if !prefix.bytes().all(plain) {
            return Err(AddressError(
                "its prefix has other characters than letters, digits, / . _ -",
            ));
        }
        let members: Vec<String> = members.split(',').map(with_port).collect();
        if members.len() > MOST_MEMBERS {
            return Err(AddressError("it names too many members"));
        }
        if members.iter().any(|member| member.starts_with(':')) {
            return Err(AddressError("it names no host"));
        }
        Ok(Self { members, prefix: prefix.to_owned() })
    }
}

/// Adds the default port when there is none. An invalid host is reported when it is connected.
fn with_port(member: &str) -> String {
    let has_port = match member.rsplit_once(':') {
        // `fe80::1` needs brackets to have one.
        Some((host, _)) if host.contains(':') => host.ends_with(']'),
        Some(_) => true,
        None => false,
    };
    match (has_port, member.contains(':') && !member.starts_with('[')) {
        (true, _) => member.to_owned(),
        (false, true) => format!("[{member}]:{PORT}"),
        (false, false) => format!("{member}:{PORT}"),
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "etcd://{}/{}", self.members.join(","), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, shown) in [
            ("etcd://127.0.0.1:2379", "etcd://127.0.0.1:2379/tally"),
            ("etcd://a,b:1,c/", "etcd://a:2379,b:1,c:2379/tally"),
            ("etcd://[::1]:7/teams/web/", "etcd://[::1]:7/teams/web"),
            ("etcd://[::1]", "etcd://[::1]:2379/tally"),
            ("etcd://fe80::1", "etcd://[fe80::1]:2379/tally"),
        ] {
            let found = StoreAddress::from_str(text).map(|address| address.to_string());
            assert_eq!(found.as_deref(), Ok(shown), "{text}");
        }
        for text in ["http://a", "etcd://", "etcd://a,", "etcd://a/x y", "etcd://:1", "a:2379"] {
            assert!(StoreAddress::from_str(text).is_err(), "{text}");
        }
        let many = format!("etcd://{}", vec!["a"; 40].join(","));
        assert!(StoreAddress::from_str(&many).is_err());
    }
}
