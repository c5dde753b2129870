//! Words of other tools, with the answers to them.

mod answer;
mod docker;
mod pods;
mod top;

use tally_graph::schema::KindRow;

pub(super) use answer::Answer;
use docker::DOCKER;
use pods::{CONTAINER, FILE, MOUNT, POD, PORT, PROBE, RESOURCES, STOP};
use top::{ANYWHERE, CLUSTER, HOST, SERVICE, TOP, VOLUME};

/// Converts `readinessProbe` and `readiness_probe` to `readiness-probe`.
pub(super) fn kebab(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 4);
    let mut lower = false;
    for c in word.chars() {
        if c == '_' {
            out.push('-');
        } else if c.is_ascii_uppercase() {
            if lower {
                out.push('-');
            }
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    out
}

/// Returns the word with which a node of another tool becomes one of ours, if its block may stay as it is.
pub(super) fn instead(kind: &KindRow<'_>, word: &str) -> Option<&'static str> {
    let controllers = [
        "deployment",
        "replicaset",
        "replica-set",
        "statefulset",
        "stateful-set",
        "daemonset",
        "daemon-set",
    ];
    (kind.key == "spec" && controllers.contains(&word)).then_some("controller")
}

/// Returns the answer to a word (in kebab case) in a kind.
pub(super) fn answer(kind: &KindRow<'_>, word: &str) -> Option<Answer> {
    let tables: &[&[(&str, Answer)]] = match kind.key {
        "spec" => &[TOP, ANYWHERE],
        "pod" | "controller" => &[POD, ANYWHERE],
        "container" | "init" => &[CONTAINER, DOCKER, ANYWHERE],
        "service" => &[SERVICE, ANYWHERE],
        "readiness" | "liveness" => &[PROBE],
        "resources" | "capacity" => &[RESOURCES],
        "port" | "service port" => &[PORT],
        "mount" => &[MOUNT],
        "volume" | "pod volume" => &[VOLUME],
        "file" => &[FILE],
        "stop" => &[STOP],
        "cluster" => &[CLUSTER],
        "host" => &[HOST],
        _ => &[],
    };
    tables
        .iter()
        .flat_map(|table| table.iter())
        .find(|(known, _)| *known == word)
        .map(|(_, answer)| *answer)
}
