//! Classifies the messages of `ssh` as kinds of [`TransportError`]. Only this file parses them; its tests contain the
//! messages of OpenSSH.

use super::address::SshAddress;
use tally_host::{TransportError, clean};

/// Classifies the end of `ssh` by an ordered table; the first matching rule decides.
///
/// | rule | kind |
/// |---|---|
/// | the program does not exist | `SshMissing` |
/// | a host key has changed, or was revoked | `HostKeyChanged` |
/// | no host key is known | `HostKeyUnknown` |
/// | permission denied, too many attempts | `SshLogin` |
/// | unknown name, connection refused, no route, closed before the banner | `Unreachable` |
/// | invalid options or files of `ssh` | `SshConfig` |
/// | all others | `SshEnded` |
pub(super) fn ending(words: &str, to: &SshAddress) -> TransportError {
    let lines: Vec<String> =
        words.lines().map(clean::line).filter(|line| !line.is_empty()).collect();
    let find = |parts: &[&str]| {
        lines.iter().find(|line| parts.iter().any(|part| line.contains(part))).cloned()
    };
    if let Some(line) = find(&["ssh: not found", "ssh: command not found", "ssh: No such file"])
        && !line.contains("hostname")
    {
        return TransportError::SshMissing;
    }
    if let Some(host) = between(&lines, "Host key for ", " has changed")
        .or_else(|| between(&lines, "host key for ", " was revoked"))
    {
        let known = find(&["Offending "]).and_then(|line| {
            let (_, place) = line.split_once(" key in ")?;
            Some(place.to_owned())
        });
        return TransportError::HostKeyChanged { host, known };
    }
    if let Some(host) = between(&lines, " host key is known for ", " and you have requested") {
        return TransportError::HostKeyUnknown { host };
    }
    if find(&["Host key verification failed"]).is_some() {
        return TransportError::HostKeyUnknown { host: known_hosts_name(to) };
    }
    const LOGIN: [&str; 3] =
        ["Permission denied (", "Too many authentication failures", "No supported authentication"];
    if let Some(reason) = find(&LOGIN) {
        // The message before names a key that cannot be used.
        let key = find(&["Load key ", "Identity file "]);
        let reason = key.map_or(reason.clone(), |key| format!("{reason} {key}"));
        return TransportError::SshLogin { reason };
    }
    if let Some(reason) = find(&[
        "Could not resolve hostname",
        "ssh: connect to host",
        "timed out",
        "kex_exchange_identification",
        "Connection closed by",
        "Connection reset by",
        "UNKNOWN port 65535",
    ]) {
        return TransportError::Unreachable { reason };
    }
    if let Some(reason) = find(&[
        "Bad configuration option",
        "Bad owner or permissions",
        "keyword ",
        "bad configuration options",
        "unsupported option",
        "Could not request local forwarding",
        "cannot bind to path",
        "too long for Unix domain socket",
    ]) {
        return TransportError::SshConfig { reason };
    }
    let reason = lines.last().cloned().unwrap_or_else(|| "it said nothing".to_owned());
    TransportError::SshEnded { reason }
}

/// Parses the answer of the host about its socket: the user's name, then `missing`, `denied` or `fine`. Returns
/// `None` for any other answer.
pub(super) fn socket(answer: &str, to: &SshAddress) -> Option<TransportError> {
    let mut words =
        answer.lines().map(clean::line).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let verdict = words.pop()?;
    let user = words.pop().unwrap_or_else(|| "the user".to_owned());
    let (host, socket) = (to.host.clone(), to.socket.clone());
    match verdict.as_str() {
        "missing" => Some(TransportError::RemoteSocketMissing { host, socket }),
        "denied" => Some(TransportError::RemoteSocketDenied { host, socket, user }),
        "fine" => Some(TransportError::ForwardingRefused { host, socket }),
        _ => None,
    }
}

/// Returns the name of a host in known_hosts.
fn known_hosts_name(to: &SshAddress) -> String {
    match to.port {
        Some(port) if port != 22 => format!("[{}]:{port}", to.host),
        _ => to.host.clone(),
    }
}

fn between(lines: &[String], before: &str, after: &str) -> Option<String> {
    lines.iter().find_map(|line| {
        let (_, rest) = line.split_once(before)?;
        let (found, _) = rest.split_once(after)?;
        Some(found.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to() -> SshAddress {
        SshAddress::parse("ssh://me@127.0.0.1:2222").expect("an address")
    }

    fn kind(words: &str) -> String {
        match ending(words, &to()) {
            TransportError::HostKeyChanged { host, known } => {
                format!("changed {host} {}", known.unwrap_or_default())
            }
            TransportError::HostKeyUnknown { host } => format!("unknown {host}"),
            TransportError::SshLogin { .. } => "login".to_owned(),
            TransportError::Unreachable { .. } => "unreachable".to_owned(),
            TransportError::SshConfig { .. } => "config".to_owned(),
            TransportError::SshMissing => "missing".to_owned(),
            TransportError::SshEnded { reason } => format!("ended {reason}"),
            other => format!("{other:?}"),
        }
    }

    /// As OpenSSH 9.2 wrote it.
    const CHANGED: &str = "\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r
Someone could be eavesdropping on you right now (man-in-the-middle attack)!\r
It is also possible that a host key has just been changed.\r
The fingerprint for the ED25519 key sent by the remote host is
SHA256:wd8KCCH5610cMI7EC83sJ5gioWKYii0r3aAKbkUUMkU.\r
Please contact your system administrator.\r
Add correct host key in /home/me/.ssh/known_hosts to get rid of this message.\r
Offending ED25519 key in /home/me/.ssh/known_hosts:3\r
  remove with:\r
  ssh-keygen -f \"/home/me/.ssh/known_hosts\" -R \"[127.0.0.1]:2222\"\r
Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.\r
Host key verification failed.\r
";

    const REVOKED: &str = "\
@       WARNING: REVOKED HOST KEY DETECTED!               @\r
The ED25519 host key for [127.0.0.1]:2222 is marked as revoked.\r
This could mean that a stolen key is being used to impersonate this host.\r
ED25519 host key for [127.0.0.1]:2222 was revoked and you have requested strict checking.\r
Host key verification failed.\r
";

    const UNPROTECTED: &str = "\
@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r
Permissions 0644 for 'id' are too open.\r
It is required that your private key files are NOT accessible by others.\r
This private key will be ignored.\r
Load key \"id\": bad permissions\r
root@127.0.0.1: Permission denied (publickey,password,keyboard-interactive).\r
";

    #[test]
    fn messages_of_openssh_are_classified() {
        for (words, expected) in [
            (CHANGED, "changed [127.0.0.1]:2222 /home/me/.ssh/known_hosts:3"),
            (REVOKED, "changed [127.0.0.1]:2222 "),
            (
                "No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\r\nHost key verification failed.\r\n",
                "unknown [127.0.0.1]:2222",
            ),
            ("Host key verification failed.\r\n", "unknown [127.0.0.1]:2222"),
            ("root@127.0.0.1: Permission denied (publickey,password).\r\n", "login"),
            (UNPROTECTED, "login"),
            (
                "Received disconnect from 127.0.0.1 port 2222:2: Too many authentication failures\r\nDisconnected from 127.0.0.1 port 2222\r\n",
                "login",
            ),
            ("ssh: connect to host 127.0.0.1 port 2223: Connection refused\r\n", "unreachable"),
            ("ssh: connect to host 10.9.9.9 port 22: No route to host\r\n", "unreachable"),
            (
                "ssh: Could not resolve hostname nosuch.invalid: Name or service not known\r\n",
                "unreachable",
            ),
            (
                "Connection timed out during banner exchange\r\nConnection to 10.255.255.1 port 22 timed out\r\n",
                "unreachable",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 127.0.0.1 port 2224\r\n",
                "unreachable",
            ),
            (
                "/home/me/.ssh/config: line 1: Bad configuration option: foo\r\n/home/me/.ssh/config: terminating, 1 bad configuration options\r\n",
                "config",
            ),
            ("Bad owner or permissions on /home/me/.ssh/config\r\n", "config"),
            (
                "unix_listener: cannot bind to path /nodir/l.sock: No such file or directory\r\nCould not request local forwarding.\r\n",
                "config",
            ),
            ("sh: 5: ssh: not found\n", "missing"),
            ("sh: line 5: ssh: command not found\n", "missing"),
            (
                "Unable to negotiate with 10.0.0.1 port 22: no matching key exchange method found.\r\n",
                "ended Unable to negotiate with 10.0.0.1 port 22: no matching key exchange method found.",
            ),
            ("", "ended it said nothing"),
        ] {
            assert_eq!(kind(words), expected, "{words}");
        }
    }

    #[test]
    fn a_changed_key_says_what_to_do() {
        let help = ending(CHANGED, &to()).help();
        let forget = "ssh-keygen -f '/home/me/.ssh/known_hosts' -R '[127.0.0.1]:2222'";
        assert!(help.contains(forget), "{help}");
        assert!(help.contains("ssh-keyscan -p 2222 127.0.0.1 >>"), "{help}");
    }

    #[test]
    fn the_answer_about_the_socket_is_classified() {
        for (answer, expected) in [
            ("me\nmissing\n", "missing"),
            ("Welcome!\nme\ndenied\n", "denied me"),
            ("me\nfine\n", "forwarding"),
            ("", "nothing"),
            ("This account is currently not available.\n", "nothing"),
        ] {
            let found = match socket(answer, &to()) {
                Some(TransportError::RemoteSocketMissing { .. }) => "missing".to_owned(),
                Some(TransportError::RemoteSocketDenied { user, .. }) => format!("denied {user}"),
                Some(TransportError::ForwardingRefused { .. }) => "forwarding".to_owned(),
                _ => "nothing".to_owned(),
            };
            assert_eq!(found, expected, "{answer}");
        }
    }
}
