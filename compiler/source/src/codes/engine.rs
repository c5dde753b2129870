//! Codes of the engine and the command line.

use super::code::{Code, CodeInfo};

const fn code(number: u16, title: &'static str) -> CodeInfo {
    CodeInfo { code: Code(number), title }
}

pub(super) static CODES: &[CodeInfo] = &[
    code(1001, "a host does not answer"),
    code(1002, "a Docker engine is too old"),
    code(1010, "an ssh host key is not known, or has changed"),
    code(1011, "ssh does not get through"),
    code(1012, "Docker's socket cannot be used through ssh"),
    code(1013, "a file for TLS cannot be used"),
    code(1014, "TLS with an engine is not possible"),
    code(1015, "plain TCP would leave this machine"),
    code(1016, "the default host cannot be found"),
    code(1101, "a foreign object has a name that the spec needs"),
    code(1102, "a plan needs what this version does not do yet"),
    code(1103, "a host port is taken"),
    code(1104, "a saved plan no longer fits"),
    code(1105, "an empty spec would remove everything"),
    code(1107, "a container claims to be ours and is not"),
    code(1108, "Docker is still removing a container"),
    code(1201, "an image cannot be had"),
    code(1202, "a host port is taken by someone else"),
    code(1203, "a command cannot be started"),
    code(1204, "a container ended before it was ready"),
    code(1205, "a container did not get ready in time"),
    code(1206, "a Docker call failed"),
    code(1207, "an object changed while the plan was applied"),
    code(1301, "most hosts do not answer"),
    code(1302, "no host has room for a stand-in"),
    code(1303, "a rollout was rolled back"),
    code(1304, "a rollout failed and cannot go back"),
    code(1305, "a fenced host answers"),
    code(1306, "pods of one version would run two images"),
    code(1401, "a secret cannot be read"),
];
