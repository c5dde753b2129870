//! Classifies the answers of Docker engines as kinds of [`HostError`]. Only this file parses Docker's messages; its
//! tests contain the messages of several versions.

use bollard::errors::Error;

use tally_host::{HostError, TransportError, clean};
use tally_transport::{innermost, transport_error_in};

/// The call that failed, for its message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// Its name, for people.
    pub name: &'static str,
    /// The host's address.
    pub address: &'a str,
    /// The image it is about, if it is about one.
    pub image: Option<&'a str>,
}

/// Classifies an error of the client library.
pub(crate) fn classify(call: Call<'_>, error: Error) -> HostError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            answer(call, status_code, &message)
        }
        // Errors in the middle of a stream have no status.
        Error::DockerStreamError { error } => answer(call, 500, &error),
        Error::HyperLegacyError { err } if let Some(fault) = transport_error_in(&err) => {
            match fault {
                TransportError::Unreachable { reason } => {
                    let reason = clean::line(&reason);
                    HostError::Unreachable { address: call.address.to_owned(), reason }
                }
                fault => fault.into(),
            }
        }
        Error::HyperLegacyError { err } if err.is_connect() => HostError::Unreachable {
            address: call.address.to_owned(),
            reason: clean::line(&innermost(&err)),
        },
        Error::HyperLegacyError { err } => broken(call, &innermost(&err)),
        Error::HyperResponseError { err } => broken(call, &innermost(&err)),
        other => broken(call, &other.to_string()),
    }
}

fn broken(call: Call<'_>, reason: &str) -> HostError {
    HostError::Broken(format!("the reply to `{}` broke off: {}", call.name, clean::line(reason)))
}

/// Classifies an answer by an ordered table; the first matching rule decides.
///
/// | rule | kind |
/// |---|---|
/// | a pull, or a message that an image is missing | `Image` |
/// | a message that a port is taken | `PortTaken` |
/// | a message that a program cannot be run | `CommandNotFound` |
/// | 404, or a message that a container does not exist | `NotFound` |
/// | 409, or a message that the state does not allow the call | `Conflict` |
/// | all others | `Refused` |
pub(crate) fn answer(call: Call<'_>, status: u16, message: &str) -> HostError {
    let message = clean::line(message);
    let lower = message.to_lowercase();
    if let Some(image) = call.image
        && (call.name == "pull" || says_image_is_missing(&lower))
    {
        // With containerd's image store, a registry that requires a login may also report that the image is missing.
        let wants_login = lower.contains("no basic auth credentials");
        let missing = !wants_login && (says_image_is_missing(&lower) || status == 404);
        return HostError::Image { image: image.to_owned(), missing, message };
    }
    if lower.contains("port is already allocated") || lower.contains("address already in use") {
        return HostError::PortTaken { port: port_in(&message), message };
    }
    if says_command_cannot_run(&lower) {
        return HostError::CommandNotFound(message);
    }
    match status {
        // Docker answers 400 when a container to join does not exist.
        400 if lower.starts_with("no such container") => HostError::NotFound(message),
        // Podman answers 500 for missing objects and for conflicts.
        500 if says_there_is_none(&lower) => HostError::NotFound(message),
        404 => HostError::NotFound(message),
        409 => HostError::Conflict(message),
        _ if says_state_forbids(&lower) => HostError::Conflict(message),
        _ => HostError::Refused { status, message },
    }
}

/// Checks for a message that the image does not exist or must not be pulled: a retry cannot help.
fn says_image_is_missing(lower: &str) -> bool {
    const SAYINGS: [&str; 8] = [
        "no such image",
        "manifest unknown",
        "pull access denied",
        "repository does not exist",
        "requested access to the resource is denied",
        "name unknown",
        "no matching manifest for",
        "does not match the specified platform",
    ];
    // containerd's image store reports only `…: not found`.
    SAYINGS.iter().any(|saying| lower.contains(saying))
        || (lower.contains("manifest for") && lower.contains("not found"))
        || (lower.contains("failed to resolve reference") && lower.contains("not found"))
}

fn says_command_cannot_run(lower: &str) -> bool {
    let exec =
        lower.contains("exec: ") || lower.contains("exec failed") || lower.contains("exec /");
    exec && [
        "executable file not found",
        "no such file or directory",
        "permission denied",
        "exec format error",
        "is a directory",
    ]
    .iter()
    .any(|saying| lower.contains(saying))
}

fn says_there_is_none(lower: &str) -> bool {
    lower.contains("no container with name or id")
        || (lower.contains("unable to find network") && lower.contains("network not found"))
}

/// Checks for a message that the state does not allow the call. Engines answer some of these with 500 or 400.
fn says_state_forbids(lower: &str) -> bool {
    [
        // Podman's messages.
        "container state improper",
        "is already in use by",
        "network already exists",
        "running or paused containers cannot be removed",
        "some dependencies of container",
        // Docker's messages.
        "is not running",
        "is not paused",
        // "cannot join network of a …" before Docker 28, "cannot join network namespace of a …" from it on.
        "of a non running container",
        "is restarting, wait until",
        "has active endpoints",
    ]
    .iter()
    .any(|saying| lower.contains(saying))
}

/// Returns the host port in `Bind for 0.0.0.0:8080 failed`, `listen tcp4 0.0.0.0:8080: bind: …`, or Docker 28's
/// `failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: …`.
fn port_in(message: &str) -> Option<u16> {
    let number = |text: &str| text.split(['/', '-']).next()?.parse().ok().filter(|port| *port != 0);
    if let Some((_, pair)) = message.split_once("failed to bind host port for ") {
        // The host's address and port, then the container's.
        let after_address =
            if pair.starts_with('[') { pair.split_once("]:")?.1 } else { pair.split_once(':')?.1 };
        return number(after_address.split(':').next()?);
    }
    let after = ["Bind for ", "listen tcp", "listen udp", "failed to bind host port "]
        .iter()
        .find_map(|mark| message.split_once(mark).map(|(_, after)| after))?;
    // The port is behind the last colon of the first word that contains one.
    let word = after.split_whitespace().find(|word| word.contains(':'))?;
    let word = word.trim_end_matches([':', ',']);
    number(word.rsplit_once(':')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &'static str, image: Option<&str>, status: u16, message: &str) -> String {
        let error = answer(Call { name, address: "unix:///x", image }, status, message);
        match error {
            HostError::Image { missing, .. } => format!("image missing={missing}"),
            HostError::PortTaken { port, .. } => format!("port {port:?}"),
            HostError::CommandNotFound(_) => "command".to_owned(),
            HostError::NotFound(_) => "not found".to_owned(),
            HostError::Conflict(_) => "conflict".to_owned(),
            HostError::Refused { .. } => "refused".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn pulls_are_read_as_engines_write_them() {
        for (status, message, expected) in [
            (
                404,
                "pull access denied for nope, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                true,
            ),
            (404, "manifest for nginx:nope not found: manifest unknown: manifest unknown", true),
            (
                404,
                "failed to resolve reference \"docker.io/library/nginx:nope\": docker.io/library/nginx:nope: not found",
                true,
            ),
            (
                500,
                "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit",
                false,
            ),
            (
                500,
                "Get \"https://registry-1.docker.io/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
                false,
            ),
            (
                500,
                "Get \"http://10.99.0.254:5000/v2/\": dial tcp 10.99.0.254:5000: connect: connection refused",
                false,
            ),
            (500, "no matching manifest for linux/amd64 in the manifest list entries", true),
            (
                404,
                "no matching manifest for linux/arm64/v8 in the manifest list entries: no match for platform in manifest: not found",
                true,
            ),
            (500, "received unexpected HTTP status: 503 Service Unavailable", false),
            (500, "unauthorized: authentication required", false),
            (
                404,
                "failed to resolve reference \"127.0.0.1:34885/hello:1\": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
                false,
            ),
            (
                404,
                "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                true,
            ),
        ] {
            assert_eq!(
                kind("pull", Some("nginx:1"), status, message),
                format!("image missing={expected}"),
                "{message}"
            );
        }
    }

    #[test]
    fn creating_without_the_image_is_an_image_error() {
        for message in ["No such image: nope:1", "no such image: nope:1: No such image: nope:1"] {
            assert_eq!(
                kind("create container", Some("nope:1"), 404, message),
                "image missing=true"
            );
        }
        assert_eq!(
            kind("create container", Some("a:1"), 404, "No such container: infra"),
            "not found",
        );
    }

    #[test]
    fn taken_ports_are_named() {
        for (message, port) in [
            (
                "driver failed programming external connectivity on endpoint a.b.c (5bd4): Bind for 0.0.0.0:18080 failed: port is already allocated",
                18080,
            ),
            (
                "driver failed programming external connectivity on endpoint a.b.c (5bd4): Bind for 127.0.0.1:9 failed: port is already allocated",
                9,
            ),
            (
                "driver failed programming external connectivity on endpoint x (f3): Error starting userland proxy: listen tcp4 0.0.0.0:18080: bind: address already in use",
                18080,
            ),
            (
                "driver failed programming external connectivity on endpoint x (f3): Error starting userland proxy: listen tcp6 [::]:81: bind: address already in use",
                81,
            ),
            (
                "failed to set up container networking: driver failed programming external connectivity on endpoint x (f3): failed to bind host port 0.0.0.0:8080/tcp: address already in use",
                8080,
            ),
            (
                "failed to set up container networking: driver failed programming external connectivity on endpoint x (f3): failed to bind host port for 127.0.0.1:18082:172.17.0.2:80/tcp: address already in use",
                18082,
            ),
            (
                "failed to set up container networking: driver failed programming external connectivity on endpoint x (f3): failed to bind host port for [::]:18084:[fd00:77::2]:80/udp: address already in use",
                18084,
            ),
            (
                "failed to set up container networking: driver failed programming external connectivity on endpoint x (f3): Bind for :::8080 failed: port is already allocated",
                8080,
            ),
        ] {
            assert_eq!(
                kind("start", None, 500, message),
                format!("port {:?}", Some(port)),
                "{message}"
            );
        }
    }

    #[test]
    fn commands_that_cannot_run_are_told_apart() {
        for (status, message) in [
            (
                400,
                "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"nope\": executable file not found in $PATH: unknown",
            ),
            (
                400,
                "failed to create shim: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/nope\": stat /nope: no such file or directory: unknown",
            ),
            (
                400,
                "OCI runtime create failed: runc create failed: unable to start container process: exec: \"/etc/passwd\": permission denied: unknown",
            ),
            (
                400,
                "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"nope\": executable file not found in $PATH",
            ),
        ] {
            assert_eq!(kind("start", None, status, message), "command", "{message}");
        }
    }

    #[test]
    fn names_states_and_the_missing() {
        for (status, message, expected) in [
            (
                409,
                "Conflict. The container name \"/a\" is already in use by container \"91ce\". You have to remove (or rename) that container to be able to reuse that name.",
                "conflict",
            ),
            (409, "network with name a already exists", "conflict"),
            (
                409,
                "You cannot remove a running container 2f. Stop the container before attempting removal or force remove",
                "conflict",
            ),
            (409, "remove a: volume is in use - [2f]", "conflict"),
            (403, "error while removing network: network a id 5 has active endpoints", "conflict"),
            (409, "Container 2f is not running", "conflict"),
            (500, "Container 2f is not paused", "conflict"),
            (409, "cannot join network of a non running container: 2f", "conflict"),
            (
                500,
                "Cannot restart container 2f: cannot join network namespace of a non running container: container c.infra is exited",
                "conflict",
            ),
            (404, "No such container: 2f", "not found"),
            (400, "No such container: c.p", "not found"),
            (404, "network 5 not found", "not found"),
            (404, "get a: no such volume", "not found"),
            (
                400,
                "invalid mount config for type \"bind\": bind source path does not exist: /nope",
                "refused",
            ),
            (500, "write /var/lib/docker/tmp/x: no space left on device", "refused"),
        ] {
            assert_eq!(kind("call", None, status, message), expected, "{message}");
        }
    }
}
