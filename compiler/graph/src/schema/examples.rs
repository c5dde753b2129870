//! Whole specs built from the table: each sets one field, then changes it.

use super::lookup::{kind, kinds};
use super::rows::{FieldRow, Form, KindRow, Step};

/// Two specs that differ in one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The kind that has the field.
    pub kind: &'static KindRow<'static>,
    /// The field.
    pub field: &'static FieldRow<'static>,
    /// A spec that sets it.
    pub before: String,
    /// The same spec with another value.
    pub after: String,
}

/// Returns one example for each field that this version of the language has, in the order of the table.
///
/// The files that examples name (`a.kdl`, `b.kdl`, `a.conf`, `b.conf`) may be empty; the images
/// are those of the worked specs.
pub fn examples() -> impl Iterator<Item = Example> {
    kinds().flat_map(|kind| {
        let rows = kind.fields.iter().filter(|field| field.step != Step::Language);
        rows.map(move |field| Example {
            kind,
            field,
            before: spec(kind, field, field.example),
            after: spec(kind, field, field.changed),
        })
    })
}

const BASE: &str = "pod base { container c image=\"tally.local/hello:1\" }\n\
    pod base2 { container c image=\"tally.local/hello:1\" }\n\
    controller many { container c image=\"tally.local/hello:1\" }\n";
const CONTAINER: &str = "port http 8080; port other 8081; mount data \"/data\"";

/// Returns the spec with `line` in the block of its kind.
fn spec(owner: &KindRow<'_>, field: &FieldRow<'_>, line: &str) -> String {
    let mut text = line.to_owned();
    let mut at = owner;
    // An argument's line is the whole node already, so it goes into the kind around it.
    let mut whole = field.form == Form::Argument;
    let mut uses_shared = text.contains("shared");
    loop {
        let around = kind(at.within);
        if !whole && at.key != "spec" {
            text = wrap(at, field, &text);
        }
        whole = false;
        uses_shared |= text.contains("mount shared");
        match around {
            Some(next) => at = next,
            None => break,
        }
    }
    let mut out = String::new();
    if !text.contains("cluster ") {
        out.push_str("cluster example\n");
    }
    if uses_shared {
        out.push_str("volume shared\n");
    }
    for name in ["pass", "other-pass"] {
        if text.contains(&format!("secret {name}")) {
            out.push_str(&format!("secret {name} env=PATH\n"));
        }
    }
    let named = ["pod example", "controller example"];
    if !named.iter().any(|name| text.contains(name)) {
        out.push_str(&workload("pod example", "label app=example"));
    }
    out.push_str(BASE);
    out.push_str(&text);
    out.push('\n');
    own_port(out)
}

/// Gives the second container of a pod a port of its own, since both share a network.
fn own_port(text: String) -> String {
    let command = "command as-child httpd \"-f\" \"-p\" \"8082\" \"-h\" \"/www\"";
    let mut text = text;
    for image in ["tally.local/hello:1", "tally.local/hello:2"] {
        let head = format!("container e image=\"{image}\"");
        text = if text.contains(&format!("{head} {{")) {
            text.replace(&format!("{head} {{"), &format!("{head} {{ {command};"))
        } else {
            text.replace(&head, &format!("{head} {{ {command} }}"))
        };
    }
    text
}

fn workload(head: &str, line: &str) -> String {
    format!(
        "{head} {{\n    volume data\n    container c image=\"tally.local/hello:1\" {{ {CONTAINER} }}\n    {line}\n}}\n"
    )
}

fn wrap(kind: &KindRow<'_>, field: &FieldRow<'_>, line: &str) -> String {
    match kind.key {
        "pod" | "controller" if line.contains("container c ") => {
            format!("{} {{\n    volume data\n    {line}\n}}\n", kind.head)
        }
        "pod" | "controller" => workload(kind.head, line),
        "service" if !line.contains("select ") => {
            format!("{} {{ select pod=example; {line} }}", kind.head)
        }
        // Only hosts at `tcp://` take TLS.
        "host" if line.contains("tls ") => {
            format!("host local \"tcp://127.0.0.1:2376\" {{ {line} }}")
        }
        "container" => {
            let head = if field.word == "image" { "container c" } else { kind.head };
            format!("{head} {{ {CONTAINER}; {line} }}")
        }
        "init" if field.word == "image" => format!("init i {{ {line}; command \"true\" }}"),
        // An init must end; the image's own command, and that of the examples, does not.
        "init" if matches!(field.word, "command" | "entrypoint") => {
            let more = if line == field.example { "" } else { " \"1\"" };
            format!("{} {{ {} \"true\"{more} }}", kind.head, field.word)
        }
        "init" => format!("{} {{ {line}; command \"true\" }}", kind.head),
        _ => format!("{} {{ {line} }}", kind.head),
    }
}
