//! Texts with a form of their own: images, paths, addresses, signals.

use std::borrow::Cow;

use tally_graph::schema::{FieldRow, ValueType};
use tally_graph::{HostAddress, ImageError, ImageRef};
use tally_source::{Diagnostic, Span, misspelt, nearest};

use super::decoded::Typed;
use super::names;
use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Value, ValueKind};
use crate::write;

/// Returns a text by the type of its row.
pub(super) fn typed<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    text: &'a str,
    span: Span,
) -> Option<Typed<'a>> {
    if text.contains('\0') {
        cx.report(
            Diagnostic::error(codes::TEXT, "this text contains a NUL character").label(span, ""),
        );
        return None;
    }
    let ok = match row.value {
        ValueType::Image => return image(cx, text, span).map(Typed::Image),
        ValueType::Address => return address(cx, text, span).map(Typed::Address),
        ValueType::Path => path(cx, row, text, span),
        ValueType::SpecPath => {
            !text.is_empty() || {
                wrong_text(cx, row, text, span);
                false
            }
        }
        ValueType::SecretPath => {
            !text.is_empty() && !text.contains('\\') && !text.starts_with('~') || {
                wrong_text(cx, row, text, span);
                false
            }
        }
        ValueType::Variable => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            text.bytes().all(plain)
                && !text.is_empty()
                && !text.starts_with(|c: char| c.is_ascii_digit())
                || {
                    wrong_text(cx, row, text, span);
                    false
                }
        }
        ValueType::Secret => names::check_name(cx, text, span),
        ValueType::Name => names::check_name(cx, text, span),
        ValueType::Owner => {
            owner(text) || {
                wrong_text(cx, row, text, span);
                false
            }
        }
        ValueType::UrlPath => {
            text.starts_with('/') && !text.contains(char::is_whitespace) || {
                url_path(cx, row, text, span);
                false
            }
        }
        ValueType::LabelKey => label_key(cx, text, span),
        _ => true,
    };
    ok.then_some(Typed::Text(Cow::Borrowed(text)))
}

/// Checks whether a text may be the key of a label, and reports it otherwise.
pub(super) fn label_key(cx: &mut Reporter<'_>, key: &str, span: Span) -> bool {
    if key.starts_with("tally.") {
        cx.report(
            Diagnostic::error(
                codes::NAME,
                "labels that start with `tally.` are reserved for Tally",
            )
            .label(span, "")
            .help("Tally recognizes its objects by them. Give yours another prefix."),
        );
        return false;
    }
    // Docker allows any text, and tools use it: `traefik.http.routers.web.tls.domains[0].main`.
    let wrong = key.chars().find(|c| c.is_control() || c.is_whitespace() || *c == '=');
    let ok = !key.is_empty() && wrong.is_none();
    if !ok {
        let label = match wrong {
            None => "this one is empty".to_owned(),
            Some(c) if c.is_control() => String::new(),
            Some(c) => format!("`{c}` is not allowed"),
        };
        cx.report(
            Diagnostic::error(
                codes::NAME,
                "the key of a label is text without spaces, control characters and `=`",
            )
            .label(span, label),
        );
    }
    ok
}

/// Reports a text that does not have the form of its row.
pub(super) fn wrong_text(cx: &mut Reporter<'_>, row: &FieldRow<'_>, text: &str, span: Span) {
    let phrase = row.value.phrase();
    cx.report(
        Diagnostic::error(codes::TEXT, format!("`{}` takes {phrase}", row.word))
            .label(span, format!("`{}` is not valid", write::shortened(text))),
    );
}

/// Checks whether a text is an ID such as `sha256:4bcf…`, or one of 64 digits without its prefix.
fn is_image_id(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let least = if digits == text { 64 } else { 12 };
    (least..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

fn image(cx: &mut Reporter<'_>, text: &str, span: Span) -> Option<ImageRef> {
    if is_image_id(text) {
        cx.report(
            Diagnostic::error(codes::IMAGE, "this is the ID of an image, which one host knows")
                .label(span, "")
                .help("Name the image, so that every host can pull it: `\"NAME:TAG\"`, or `\"NAME@sha256:…\"` for exactly this one."),
        );
        return None;
    }
    let error = match ImageRef::parse(text) {
        Ok(image) => return Some(image),
        Err(error) => error,
    };
    let found = match error {
        ImageError::Capitals => {
            // Tags may have capitals: only the part before them is corrected.
            let split = text.rfind('/').map_or(0, |at| at + 1);
            let tag = text
                .get(split..)
                .and_then(|rest| rest.find([':', '@']))
                .map_or(text.len(), |at| split + at);
            let (name, tag) = text.split_at(tag);
            let meant = write::quoted(&format!("{}{tag}", name.to_lowercase()));
            Diagnostic::error(codes::IMAGE, "an image name has no capitals").label(span, "").maybe(
                format!("write `{meant}`"),
                span,
                meant,
            )
        }
        ImageError::Empty => Diagnostic::error(codes::IMAGE, "an image has a name")
            .label(span, "this one is empty")
            .help("For example `\"nginx:1.27\"`."),
        ImageError::Malformed => {
            let headline = match () {
                () if text.starts_with("http://")
                    || text.starts_with("https://")
                    || text.starts_with("docker://") =>
                {
                    "an image name has no `https://`"
                }
                () if text.contains(char::is_whitespace) => "an image name has no spaces",
                () if text.ends_with(':') => "a tag is missing after the `:`",
                () if text.contains('@') => "a digest is `@sha256:` and 64 hex digits",
                () => "this is not an image name",
            };
            let mut found = Diagnostic::error(codes::IMAGE, headline).label(span, "");
            let stripped =
                ["https://", "http://", "docker://"].iter().find_map(|p| text.strip_prefix(p));
            match stripped.filter(|rest| ImageRef::parse(rest).is_ok()) {
                Some(rest) => found = found.maybe(format!("write `\"{rest}\"`"), span, write::quoted(rest)),
                None => found = found.help("An image is `[REGISTRY/]NAME[:TAG]`, such as `\"nginx:1.27\"` or `\"ghcr.io/acme/web:3\"`."),
            }
            found
        }
    };
    cx.report(found);
    None
}

fn path(cx: &mut Reporter<'_>, row: &FieldRow<'_>, text: &str, span: Span) -> bool {
    let dots = text.split('/').any(|part| part == "." || part == "..");
    if text.starts_with('/') && !dots {
        return true;
    }
    let found = if dots && text.starts_with('/') {
        Diagnostic::error(codes::PATH, "a path has no `.` or `..` in it").label(span, "")
    } else {
        let mut found =
            Diagnostic::error(codes::PATH, format!("`{}` is a path from the root", row.word))
                .label(span, "it begins with `/`");
        if !text.is_empty() && !text.starts_with(['.', '~']) && !text.contains(['\\', ':']) {
            let meant = write::quoted(&format!("/{text}"));
            found = found.maybe(format!("write `{meant}`"), span, meant);
        }
        found
    };
    cx.report(found);
    false
}

fn url_path(cx: &mut Reporter<'_>, row: &FieldRow<'_>, text: &str, span: Span) {
    let mut found =
        Diagnostic::error(codes::PATH, format!("`{}` takes a path that starts with `/`", row.word))
            .label(span, "");
    let rest = text.strip_prefix("http://").or(text.strip_prefix("https://"));
    match rest.map(|rest| rest.find('/').map_or("/", |at| rest.get(at..).unwrap_or("/"))) {
        Some(path) => {
            found = found
                .help(
                    "The probe connects to the container directly; the port is a field of its own.",
                )
                .maybe(format!("write `\"{path}\"`"), span, write::quoted(path));
        }
        None if !text.is_empty() && !text.contains(char::is_whitespace) => {
            let meant = write::quoted(&format!("/{text}"));
            found = found.maybe(format!("write `{meant}`"), span, meant);
        }
        None => {}
    }
    cx.report(found);
}

fn owner(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 32
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.$".contains(&b))
    };
    match text.split_once(':') {
        Some((user, group)) => part(user) && part(group),
        None => part(text),
    }
}

/// Reads octal permission bits such as `"0644"`.
pub(super) fn mode<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
) -> Option<Typed<'a>> {
    let raw = cx.raw(value.span);
    let text = value.text().unwrap_or(raw);
    let octal = (3..=5).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let bits =
        octal.then(|| u32::from_str_radix(text, 8).ok()).flatten().filter(|bits| *bits <= 0o7777);
    if let (Some(bits), Some(_)) = (bits, value.text()) {
        return Some(Typed::Mode(bits));
    }
    let mut found =
        Diagnostic::error(codes::TEXT, format!("`{}` is octal text such as `\"0644\"`", row.word))
            .label(value.span, "");
    let digits = text.strip_prefix("0o").unwrap_or(text);
    if matches!(value.kind, ValueKind::Number(_)) && (bits.is_some() || digits != text) {
        let meant = format!("\"{digits:0>4}\"");
        found = found.maybe(format!("write `{meant}`"), value.span, meant);
    } else {
        found = found.help(
            "Three or four digits from 0 to 7: owner, group, others; 4 reads, 2 writes, 1 runs.",
        );
    }
    cx.report(found);
    None
}

const SIGNALS: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// Reads a signal such as `SIGTERM`.
pub(super) fn signal<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
) -> Option<Typed<'a>> {
    let raw = cx.raw(value.span);
    let text = value.text().unwrap_or(raw);
    let real_time = text.strip_prefix("SIGRTMIN+").or(text.strip_prefix("SIGRTMAX-"));
    if real_time.is_some_and(|n| n.parse::<u8>().is_ok_and(|n| n <= 15))
        || matches!(text, "SIGRTMIN" | "SIGRTMAX")
    {
        return Some(Typed::Text(Cow::Owned(text.to_owned())));
    }
    if let Some(name) = SIGNALS.iter().find(|name| **name == text) {
        return Some(Typed::Text(Cow::Borrowed(name)));
    }
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    let by_number =
        text.parse::<usize>().ok().and_then(|n| SIGNALS.get(n.checked_sub(1)?)).copied();
    let certain = by_number.or_else(|| misspelt(&full, SIGNALS));
    let meant = certain.or_else(|| nearest(&full, SIGNALS));
    let mut found =
        Diagnostic::error(codes::WORD, format!("`{}` is a signal such as `SIGTERM`", row.word))
            .label(value.span, format!("`{}` is not valid", write::shortened(text)));
    if let Some(meant) = meant {
        let title = format!("write `{meant}`");
        found = found.suggest(certain.is_some(), title, value.span, meant);
    }
    cx.report(found);
    None
}

fn address(cx: &mut Reporter<'_>, text: &str, span: Span) -> Option<HostAddress> {
    if let Some(path) = text.strip_prefix("unix://") {
        if path.starts_with('/') {
            return Some(HostAddress::Unix(path.to_owned()));
        }
        let found = Diagnostic::error(
            codes::ADDRESS,
            "a socket's path begins with `/`, so there are three",
        )
        .label(span, "")
        .maybe(
            format!("write `\"unix:///{path}\"`"),
            span,
            write::quoted(&format!("unix:///{path}")),
        );
        cx.report(found);
        return None;
    }
    if let Some(name) = text.strip_prefix("sim:") {
        let place = cx.raw(span).find(text).map_or(span, |at| {
            let start = span.start as usize + at + "sim:".len();
            Span::new(span.file, start, start + name.len())
        });
        let ok = names::check_name(cx, name, place);
        return ok.then(|| HostAddress::Sim(name.to_owned()));
    }
    if let Some(rest) = text.strip_prefix("ssh://") {
        let (to, socket) = rest.split_once('/').unwrap_or((rest, ""));
        let known = remote(cx, to, span, None) && is_socket(cx, socket, span);
        return known.then(|| HostAddress::Ssh(text.to_owned()));
    }
    if let Some(rest) = text.strip_prefix("tcp://") {
        return remote(cx, rest, span, Some("2376")).then(|| HostAddress::Tcp(text.to_owned()));
    }
    let mut found =
        Diagnostic::error(codes::ADDRESS, "an address says how to reach the host").label(span, "");
    let rest = text.strip_prefix("http://").or(text.strip_prefix("https://"));
    let meant = match rest {
        Some(rest) => Some(format!("tcp://{rest}")),
        None if text.starts_with('/') => Some(format!("unix://{text}")),
        None if text == "local" || text == "localhost" => {
            Some("unix:///var/run/docker.sock".to_owned())
        }
        None if is_host(text) => Some(format!("ssh://{text}")),
        None => None,
    };
    if let Some(meant) = meant {
        found = found.maybe(format!("write `\"{meant}\"`"), span, write::quoted(&meant));
    }
    found = found.help("`unix:///PATH`, `ssh://[USER@]HOST[:PORT][/SOCKET]`, `tcp://HOST:PORT`, or `sim:NAME` for a simulated one.");
    cx.report(found);
    None
}

/// Checks whether a text is `[user@]host[:port]`.
fn is_host(text: &str) -> bool {
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    // A text that starts with `-` would be an option of `ssh`.
    let dashed = text.starts_with('-') || host.starts_with('-');
    !host.is_empty()
        && !dashed
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
}

/// Checks the path after an `ssh://` address, without its first `/`: it must not contain characters that have a
/// meaning for `ssh` or for a shell.
fn is_socket(cx: &mut Reporter<'_>, path: &str, span: Span) -> bool {
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@,=".contains(&b));
    if !plain {
        cx.report(
            Diagnostic::error(codes::ADDRESS, "the path of a socket is plain letters, digits and `/._-+@,=`")
                .label(span, "")
                .help("It is the path of Docker's socket on that host; `/var/run/docker.sock` where none is written."),
        );
    }
    plain
}

fn remote(cx: &mut Reporter<'_>, rest: &str, span: Span, needs_port: Option<&str>) -> bool {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let port =
        host.rsplit_once(':').filter(|(before, _)| !before.contains(':') || before.ends_with(']'));
    let port_ok = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    let bare = port.map_or(host, |(host, _)| host);
    if !is_host(rest) || bare.is_empty() || !port_ok {
        cx.report(
            Diagnostic::error(codes::ADDRESS, "this is not a valid address of a host")
                .label(span, "")
                .help("`ssh://[USER@]HOST[:PORT][/SOCKET]` or `tcp://HOST:PORT`."),
        );
        return false;
    }
    if let (Some(usual), None) = (needs_port, port) {
        cx.report(
            Diagnostic::error(codes::ADDRESS, "`tcp://` needs a port").label(span, "").maybe(
                format!("write `\"tcp://{rest}:{usual}\"`"),
                span,
                write::quoted(&format!("tcp://{rest}:{usual}")),
            ),
        );
        return false;
    }
    if let Some((user, _)) = rest.rsplit_once('@')
        && user.contains(':')
    {
        cx.report(
            Diagnostic::error(codes::ADDRESS, "an address contains no password")
                .label(span, "")
                .help("`ssh` uses its agent and its own configuration."),
        );
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_users_or_users_and_groups() {
        for text in ["app", "1000", "1000:1000", "app:www-data", "_x.y"] {
            assert!(owner(text), "{text}");
        }
        for text in ["", ":", "a:", "a b", "a:b:c", "a/b"] {
            assert!(!owner(text), "{text}");
        }
    }
}
