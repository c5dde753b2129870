//! Nodes in a form that another tool uses, which the schema alone would report as several mistakes.

use tally_source::Diagnostic;

use super::compose;
use super::decoded::{Data, Object};
use crate::codes;
use crate::reporter::Reporter;
use crate::write;

/// Options that Docker allows after the path of a mount.
const MOUNT_OPTIONS: [&str; 14] = [
    "ro",
    "rw",
    "z",
    "Z",
    "nocopy",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "cached",
    "delegated",
    "consistent",
];

/// Reports a reference without a kind, such as `depends-on db`. Returns whether it is one.
fn name_without_kind(cx: &mut Reporter<'_>, object: &mut Object<'_>) -> bool {
    let mut arguments = object.node.arguments();
    let (Some(entry), None) = (arguments.next(), arguments.next()) else { return false };
    let Some(name) = entry.value.text().filter(|text| tally_graph::Kind::parse(text).is_none())
    else {
        return false;
    };
    object.bad = true;
    let mut found = Diagnostic::error(codes::NO_VALUE, "a dependency is a kind and a name");
    if let Some((kind, name)) = name.split_once('/')
        && tally_graph::Kind::parse(kind).is_some()
    {
        let meant = format!("{kind} {}", write::text(name));
        let title = format!("write `depends-on {meant}`");
        cx.report(found.label(entry.span, "this is one text").maybe(title, entry.span, meant));
        return true;
    }
    found = found.label(entry.span, "which kind?");
    for kind in ["pod", "controller", "service"] {
        let title = format!("write `depends-on {kind} {name}`");
        found = found.maybe(title, entry.span.at_start(), format!("{kind} "));
    }
    cx.report(found);
    true
}

/// Reports mounts in the form of Docker's command line, and references without a kind. Returns whether it is one.
pub(super) fn report(cx: &mut Reporter<'_>, object: &mut Object<'_>) -> bool {
    match object.kind.key {
        "depends-on" => name_without_kind(cx, object),
        "port" => port_of_docker(cx, object),
        "stop" => value_without_field(cx, object),
        "mount" => mount_of_docker(cx, object),
        _ => false,
    }
}

/// Warns of `command "/app --port 80"`, whose one word is the name of a program.
pub(super) fn command_in_one_word(cx: &mut Reporter<'_>, object: &Object<'_>) {
    let word = if object.has("entrypoint") { "entrypoint" } else { "command" };
    let Some(field) = object.get(word) else { return };
    let Data::List(words) = &field.data else { return };
    let [only] = words.as_slice() else { return };
    let plain = |c: char| c.is_alphanumeric() || " /._-=:,@+%".contains(c);
    if !only.text.trim().contains(' ') || !only.text.chars().all(plain) {
        return;
    }
    let meant: Vec<String> = only.text.split_whitespace().map(write::quoted).collect();
    let meant = meant.join(" ");
    cx.report(
        Diagnostic::warning(
            codes::ONE_WORD,
            format!("`{word}` is one word, and no shell splits it"),
        )
        .label(only.span, "this is the name of one program")
        .maybe(format!("write `{word} {meant}`"), only.span, meant),
    );
}

/// Reports `port "8080:80"`, which lacks a name.
fn port_of_docker(cx: &mut Reporter<'_>, object: &mut Object<'_>) -> bool {
    let first = object.node.arguments().next();
    let Some((entry, text)) = first.and_then(|entry| Some((entry, entry.value.text()?))) else {
        return false;
    };
    let Some(fields) = compose::port_fields(text) else { return false };
    object.bad = true;
    object.name = "".into();
    let meant = format!("NAME {fields}");
    cx.report(
        Diagnostic::error(
            codes::NO_NAME,
            "a port has a name; its number, host port and protocol are fields of their own",
        )
        .label(entry.span, "this is Docker's spelling")
        .maybe(format!("write `port {meant}`"), entry.span, meant),
    );
    true
}

/// Reports `stop SIGTERM` and `stop "20s"`.
fn value_without_field(cx: &mut Reporter<'_>, object: &mut Object<'_>) -> bool {
    let mut arguments = object.node.arguments();
    let (Some(entry), None) = (arguments.next(), arguments.next()) else { return false };
    let Some(text) = entry.value.text() else { return false };
    let field = if tally_graph::Millis::parse(text).is_ok() {
        "grace"
    } else if text.starts_with("SIG") {
        "signal"
    } else {
        return false;
    };
    object.bad = true;
    let meant = format!("{field}={}", cx.raw(entry.span));
    cx.report(
        Diagnostic::error(codes::TOO_MANY, "`stop` takes fields only")
            .label(entry.span, "this is a value without a field")
            .maybe(format!("write `stop {meant}`"), entry.span, meant),
    );
    true
}

/// Reports mounts in the form of Docker's command line.
fn mount_of_docker(cx: &mut Reporter<'_>, object: &mut Object<'_>) -> bool {
    if let Some(entry) = object.node.arguments().nth(1)
        && let Some((path, option)) = entry.value.text().and_then(|text| text.rsplit_once(':'))
        && option.split(',').all(|option| MOUNT_OPTIONS.contains(&option))
    {
        object.bad = true;
        let read_only = option.split(',').any(|option| option == "ro");
        let meant = write::quoted(path) + if read_only { " read-only=#true" } else { "" };
        cx.report(
            Diagnostic::error(codes::MOUNT_FORM, "the options of a mount are fields of their own")
                .label(entry.span, "this is Docker's spelling")
                .maybe(format!("write `{meant}`"), entry.span, meant),
        );
        return true;
    }
    let first = object.node.arguments().next();
    let Some((entry, text)) = first.and_then(|entry| Some((entry, entry.value.text()?))) else {
        return false;
    };
    let only = object.node.arguments().nth(1).is_none();
    if text.starts_with(['.', '/', '~']) {
        object.bad = true;
        cx.report(
            Diagnostic::error(codes::MOUNT_FORM, "a mount names a volume; files of the spec's folder come by `file`")
                .label(entry.span, "this is a path")
                .help("A file: `file \"/etc/app.conf\" from=\"app.conf\"`. A folder of the host: `volume NAME host-path=\"/srv/x\"` in the pod, and `mount NAME \"/path\"` here."),
        );
        return true;
    }
    let mut parts = text.split(':');
    if let (true, Some(volume), Some(path), options) =
        (only, parts.next(), parts.next(), parts.next())
    {
        object.bad = true;
        let read_only = if options == Some("ro") { " read-only=#true" } else { "" };
        let meant = format!("{} {}{read_only}", write::text(volume), write::quoted(path));
        cx.report(
            Diagnostic::error(codes::MOUNT_FORM, "a mount is two values")
                .label(entry.span, "the volume, and the path in the container")
                .maybe(format!("write `mount {meant}`"), entry.span, meant),
        );
        return true;
    }
    false
}
