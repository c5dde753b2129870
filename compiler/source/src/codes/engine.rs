//! Codes of the engine and the command line, by name.

use super::code::{Code, CodeInfo};

/// A host is unreachable.
pub const HOST_UNREACHABLE: Code = Code(1001);
/// A Docker engine is too old.
pub const ENGINE_TOO_OLD: Code = Code(1002);
/// An unknown or changed ssh host key.
pub const SSH_HOST_KEY: Code = Code(1010);
/// The ssh connection failed.
pub const SSH_FAILED: Code = Code(1011);
/// Docker's socket is not accessible through ssh.
pub const SSH_SOCKET: Code = Code(1012);
/// A TLS file is not usable.
pub const TLS_FILE: Code = Code(1013);
/// The TLS connection to an engine failed.
pub const TLS_FAILED: Code = Code(1014);
/// Plain TCP to another machine.
pub const PLAIN_TCP: Code = Code(1015);
/// The default host cannot be determined.
pub const NO_DEFAULT_HOST: Code = Code(1016);
/// A name is taken by an object that Tally does not manage.
pub const NAME_TAKEN: Code = Code(1101);
/// A feature that is not supported yet.
pub const NOT_SUPPORTED: Code = Code(1102);
/// A host port is held by another container.
pub const HOST_PORT_HELD: Code = Code(1103);
/// A saved plan is outdated.
pub const SAVED_PLAN_OUTDATED: Code = Code(1104);
/// An empty spec would remove everything.
pub const EMPTY_SPEC: Code = Code(1105);
/// A container with inconsistent labels.
pub const INCONSISTENT_LABELS: Code = Code(1107);
/// Docker is still removing a container.
pub const STILL_REMOVING: Code = Code(1108);
/// An image is not available.
pub const IMAGE_UNAVAILABLE: Code = Code(1201);
/// A host port is in use by another program.
pub const HOST_PORT_IN_USE: Code = Code(1202);
/// A command cannot be started.
pub const COMMAND_NOT_STARTED: Code = Code(1203);
/// A container ended before it was ready.
pub const ENDED_BEFORE_READY: Code = Code(1204);
/// A container did not become ready in time.
pub const NOT_READY_IN_TIME: Code = Code(1205);
/// A Docker call failed.
pub const CALL_FAILED: Code = Code(1206);
/// An object changed while the plan was applied.
pub const OBJECT_CHANGED: Code = Code(1207);
/// Most hosts are unreachable.
pub const MOST_HOSTS_UNREACHABLE: Code = Code(1301);
/// No host has capacity for a surge pod.
pub const NO_SURGE_CAPACITY: Code = Code(1302);
/// A rollout was rolled back.
pub const ROLLED_BACK: Code = Code(1303);
/// A rollout failed and cannot be rolled back.
pub const ROLLOUT_STAYS_FAILED: Code = Code(1304);
/// A fenced host answers.
pub const FENCED_HOST_ANSWERS: Code = Code(1305);
/// Pods of one version would run different images.
pub const DIFFERENT_IMAGES: Code = Code(1306);
/// A secret cannot be read.
pub const SECRET_UNREADABLE: Code = Code(1401);

const fn code(code: Code, title: &'static str) -> CodeInfo {
    CodeInfo { code, title }
}

pub(super) static CODES: &[CodeInfo] = &[
    code(HOST_UNREACHABLE, "a host is unreachable"),
    code(ENGINE_TOO_OLD, "a Docker engine is too old"),
    code(SSH_HOST_KEY, "an unknown or changed ssh host key"),
    code(SSH_FAILED, "the ssh connection failed"),
    code(SSH_SOCKET, "Docker's socket is not accessible through ssh"),
    code(TLS_FILE, "a TLS file is not usable"),
    code(TLS_FAILED, "the TLS connection to an engine failed"),
    code(PLAIN_TCP, "plain TCP to another machine"),
    code(NO_DEFAULT_HOST, "the default host cannot be determined"),
    code(NAME_TAKEN, "a name is taken by an object that Tally does not manage"),
    code(NOT_SUPPORTED, "a feature that is not supported yet"),
    code(HOST_PORT_HELD, "a host port is held by another container"),
    code(SAVED_PLAN_OUTDATED, "a saved plan is outdated"),
    code(EMPTY_SPEC, "an empty spec would remove everything"),
    code(INCONSISTENT_LABELS, "a container with inconsistent labels"),
    code(STILL_REMOVING, "Docker is still removing a container"),
    code(IMAGE_UNAVAILABLE, "an image is not available"),
    code(HOST_PORT_IN_USE, "a host port is in use by another program"),
    code(COMMAND_NOT_STARTED, "a command cannot be started"),
    code(ENDED_BEFORE_READY, "a container ended before it was ready"),
    code(NOT_READY_IN_TIME, "a container did not become ready in time"),
    code(CALL_FAILED, "a Docker call failed"),
    code(OBJECT_CHANGED, "an object changed while the plan was applied"),
    code(MOST_HOSTS_UNREACHABLE, "most hosts are unreachable"),
    code(NO_SURGE_CAPACITY, "no host has capacity for a surge pod"),
    code(ROLLED_BACK, "a rollout was rolled back"),
    code(ROLLOUT_STAYS_FAILED, "a rollout failed and cannot be rolled back"),
    code(FENCED_HOST_ANSWERS, "a fenced host answers"),
    code(DIFFERENT_IMAGES, "pods of one version would run different images"),
    code(SECRET_UNREADABLE, "a secret cannot be read"),
];
