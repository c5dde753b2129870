//! Codes of the engine and the command line.

use super::code::{Code, CodeInfo};

const fn code(number: u16, title: &'static str) -> CodeInfo {
    CodeInfo { code: Code(number), title }
}

pub(super) static CODES: &[CodeInfo] = &[
    code(1001, "a host is unreachable"),
    code(1002, "a Docker engine is too old"),
    code(1010, "an unknown or changed ssh host key"),
    code(1011, "the ssh connection failed"),
    code(1012, "Docker's socket is not accessible through ssh"),
    code(1013, "a TLS file is not usable"),
    code(1014, "the TLS connection to an engine failed"),
    code(1015, "plain TCP to another machine"),
    code(1016, "the default host cannot be determined"),
    code(1101, "a name is taken by an object that Tally does not manage"),
    code(1102, "a feature that is not supported yet"),
    code(1103, "a host port is held by another container"),
    code(1104, "a saved plan is outdated"),
    code(1105, "an empty spec would remove everything"),
    code(1107, "a container with inconsistent labels"),
    code(1108, "Docker is still removing a container"),
    code(1201, "an image is not available"),
    code(1202, "a host port is in use by another program"),
    code(1203, "a command cannot be started"),
    code(1204, "a container ended before it was ready"),
    code(1205, "a container did not become ready in time"),
    code(1206, "a Docker call failed"),
    code(1207, "an object changed while the plan was applied"),
    code(1301, "most hosts are unreachable"),
    code(1302, "no host has capacity for a surge pod"),
    code(1303, "a rollout was rolled back"),
    code(1304, "a rollout failed and cannot be rolled back"),
    code(1305, "a fenced host answers"),
    code(1306, "pods of one version would run different images"),
    code(1401, "a secret cannot be read"),
];
