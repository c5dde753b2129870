//! Files of other tools, and files with the marks of a merge: one mistake each.

use tally_source::{Diagnostic, FileId, Span};

use crate::codes;

/// Words with which a file of Terraform begins.
const TERRAFORM: [&str; 8] =
    ["terraform", "provider", "resource", "variable", "data", "module", "locals", "output"];

/// Instructions of a Dockerfile that may come first.
const DOCKERFILE: [&str; 2] = ["FROM ", "ARG "];

/// Sections of a systemd unit.
const SYSTEMD: [&str; 10] = [
    "[Unit]",
    "[Service]",
    "[Container]",
    "[Install]",
    "[Pod]",
    "[Socket]",
    "[Timer]",
    "[Volume]",
    "[Mount]",
    "[Network]",
];

/// Returns the report for a file that is no spec at all; `None` for any other file. `wrong` is whether the file has
/// mistakes as a spec: a spec without any is never taken for another file, whatever its texts contain.
pub(super) fn report(file: FileId, text: &str, wrong: bool) -> Option<Diagnostic> {
    let (start, line) = first_line(text)?;
    let place = Span::new(file, start, start + line.len());
    let dockerfile = DOCKERFILE.iter().any(|word| line.starts_with(word));
    if !wrong && !dockerfile {
        return None;
    }
    if let Some(found) = conflict(file, text) {
        return Some(found);
    }
    let (tool, help) = if dockerfile {
        ("a Dockerfile", "Build the image with Docker, and name it here by `image`.")
    } else if SYSTEMD.contains(&line) {
        (
            "a unit of systemd",
            "A unit that runs a container is a `pod` here: `pod web { container web image=\"nginx:1.27\" }`.",
        )
    } else if line.starts_with('{') || line.starts_with("[{") || line == "[" {
        ("JSON", "A spec is written in KDL: `pod web { container web image=\"nginx:1.27\" }`.")
    } else if line.starts_with('[') && line.ends_with(']') {
        (
            "a file of TOML or INI",
            "A spec is written in KDL: `pod web { container web image=\"nginx:1.27\" }`.",
        )
    } else if is_terraform(line) && lines(text).any(|(_, line)| line.contains(" = ")) {
        ("a file of Terraform", "Here the kind is the word itself: `pod web { … }`, `volume data`.")
    } else if !is_yaml(line) {
        return None;
    } else if begins(text, "apiVersion:") && begins(text, "kind:") {
        (
            "a Kubernetes manifest",
            "Here a thing is one node: its kind, its name, its fields, as in `controller web replicas=3 { container web image=\"nginx:1.27\" }`.",
        )
    } else if begins(text, "services:") {
        (
            "a Compose file",
            "A service of Compose is written `controller NAME replicas=N { container NAME image=\"…\" }`, or `pod` for a single one; `service` is a stable name for pods.",
        )
    } else {
        return None;
    };
    let headline = format!("this is {tool}, not a spec");
    Some(Diagnostic::error(codes::OTHER_TOOL, headline).label(place, "").help(help))
}

/// Returns the report for the marks that a merge with conflicts leaves.
fn conflict(file: FileId, text: &str) -> Option<Diagnostic> {
    let mark = |sign: &str| {
        lines(text).find_map(|(at, line)| {
            let rest = line.strip_prefix(sign)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| Span::new(file, at, at + sign.len()))
        })
    };
    let (ours, middle, theirs) = (mark("<<<<<<<")?, mark("=======")?, mark(">>>>>>>")?);
    Some(
        Diagnostic::error(codes::SYNTAX, "a merge left its conflict in this file")
            .label(ours, "one version begins here")
            .label(middle, "the other begins here")
            .label(theirs, "and ends here")
            .help("Keep one of the versions, and delete the marks."),
    )
}

fn is_terraform(line: &str) -> bool {
    let word = line.split([' ', '{']).next().unwrap_or_default();
    TERRAFORM.contains(&word) && line.ends_with('{')
}

/// Checks whether a line is a key of YAML at the top, such as `services:` or `kind: Pod`.
fn is_yaml(line: &str) -> bool {
    let word = |key: &str| {
        !key.is_empty()
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    line == "---"
        || line.split_once(':').is_some_and(|(key, rest)| {
            word(key) && (rest.is_empty() || rest.starts_with([' ', '\r']))
        })
}

fn begins(text: &str, key: &str) -> bool {
    lines(text).any(|(_, line)| line.starts_with(key))
}

/// Returns the first line that holds anything but a comment.
fn first_line(text: &str) -> Option<(usize, &str)> {
    lines(text).map(|(at, line)| (at, line.trim_end())).find(|(_, line)| {
        !line.is_empty() && !line.starts_with(['#', ';']) && !line.starts_with("//")
    })
}

/// Returns the lines of a text, each with its offset.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split('\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        (start, line.strip_prefix('\u{feff}').unwrap_or(line))
    })
}
