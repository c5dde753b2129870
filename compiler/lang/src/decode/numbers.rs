//! Numbers and quantities: ports, bytes, durations, cores.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use tally_graph::schema::FieldRow;
use tally_graph::{Amount, Bytes, Cpu, Millis, Publish, Replicas, UnitError};
use tally_source::{Diagnostic, Span, misspelt};

use super::compose;
use super::decoded::{PortRef, Typed};
use crate::codes;
use crate::reporter::Reporter;
use crate::syntax::{Value, ValueKind};
use crate::write;

/// Returns the value of a whole number, in any of KDL's notations.
fn integer(raw: &str) -> Option<i64> {
    let clean = raw.replace('_', "");
    let (sign, body) = match clean.strip_prefix('-') {
        Some(body) => (-1, body),
        None => (1, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let value = match body.get(..2) {
        Some("0x") => i64::from_str_radix(body.get(2..)?, 16),
        Some("0o") => i64::from_str_radix(body.get(2..)?, 8),
        Some("0b") => i64::from_str_radix(body.get(2..)?, 2),
        _ => body.parse(),
    };
    Some(sign * value.ok()?)
}

fn float(raw: &str) -> Option<f64> {
    integer(raw).map(|value| value as f64).or_else(|| raw.replace('_', "").parse().ok())
}

/// Returns a whole number from `least` to `most`; reports any other value.
pub(super) fn whole(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
    least: u32,
    most: u32,
) -> Option<u32> {
    let ValueKind::Number(raw) = &value.kind else {
        not_a_number(cx, row, value, "a whole number");
        return None;
    };
    let number = integer(raw);
    let fits =
        number.and_then(|number| u32::try_from(number).ok()).filter(|n| (least..=most).contains(n));
    if fits.is_none() {
        let headline = match number {
            None => format!("`{}` is a whole number", row.word),
            Some(_) if most == u32::MAX => format!("`{}` is {least} or more", row.word),
            Some(_) => format!("`{}` is {least} to {most}", row.word),
        };
        cx.report(Diagnostic::error(codes::RANGE, headline).label(value.span, ""));
    }
    fits
}

fn not_a_number(cx: &mut Reporter<'_>, row: &FieldRow<'_>, value: &Value, what: &str) {
    let raw = cx.raw(value.span);
    let text = value.text().unwrap_or(raw);
    let mut found = Diagnostic::error(codes::TYPE, format!("`{}` is {what}", row.word));
    match value.text().and_then(integer) {
        Some(_) => {
            found = found.label(value.span, "this is text").maybe(
                format!("write `{}={text}`", row.word),
                value.span,
                text,
            );
        }
        None => {
            found = found.label(value.span, format!("`{}` is not valid", write::shortened(text)))
        }
    }
    cx.report(found);
}

pub(super) fn replicas<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
) -> Option<Typed<'a>> {
    if value.text() == Some("per-host") {
        return Some(Typed::Replicas(Replicas::PerHost));
    }
    let word = value.text().filter(|text| integer(text).is_none());
    if let Some(word) = word {
        let certain = misspelt(&word.replace('_', "-"), ["per-host"]).is_some();
        let mut found = Diagnostic::error(codes::WORD, "`replicas` is a number, or `per-host`")
            .label(value.span, format!("`{}` is neither", write::shortened(word)));
        if certain || matches!(word, "global" | "per-node" | "daemon" | "all") {
            let title = "write `replicas=per-host`";
            found = found.suggest(certain, title, value.span, "per-host");
        }
        cx.report(found);
        return None;
    }
    if value.text().is_some() {
        not_a_number(cx, row, value, "a number");
        return None;
    }
    let count = whole(cx, row, value, 0, 10_000)?;
    Some(Typed::Replicas(Replicas::Count(count)))
}

pub(super) fn amount<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
) -> Option<Typed<'a>> {
    if let Some(text) = value.text() {
        let percent =
            text.strip_suffix('%').and_then(|n| n.parse::<u32>().ok()).filter(|n| *n <= 100);
        if let Some(percent) = percent {
            return Some(Typed::Amount(Amount::Percent(percent)));
        }
        if text.ends_with('%') {
            cx.report(
                Diagnostic::error(codes::RANGE, "a percent is 0% to 100%, a whole number")
                    .label(value.span, ""),
            );
            return None;
        }
        not_a_number(cx, row, value, "a number, or a percent such as `\"25%\"`");
        return None;
    }
    whole(cx, row, value, 0, 10_000).map(|count| Typed::Amount(Amount::Count(count)))
}

fn port_number(raw: &str) -> Option<u16> {
    integer(raw).and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0)
}

fn port_range(cx: &mut Reporter<'_>, span: Span) {
    cx.report(Diagnostic::error(codes::RANGE, "a port is 1 to 65535").label(span, ""));
}

pub(super) fn port(cx: &mut Reporter<'_>, row: &FieldRow<'_>, value: &Value) -> Option<u16> {
    let raw = match &value.kind {
        ValueKind::Number(raw) => raw,
        ValueKind::Text(text, _) if text.contains([':', '/']) => {
            port_of_docker(cx, text, value.span);
            return None;
        }
        ValueKind::Text(text, _) if is_range(text) => {
            cx.report(
                Diagnostic::error(
                    codes::LATER_FIELD,
                    "ranges of ports are not in this version yet",
                )
                .label(value.span, "")
                .help("Write one `port` for each."),
            );
            return None;
        }
        _ => {
            let row = &FieldRow { word: "port", ..*row };
            not_a_number(cx, row, value, "a number, 1 to 65535");
            return None;
        }
    };
    let number = port_number(raw);
    if number.is_none() {
        port_range(cx, value.span);
    }
    number
}

fn is_range(text: &str) -> bool {
    text.split_once('-').is_some_and(|(a, b)| integer(a).is_some() && integer(b).is_some())
}

/// Reports `"8080:80"` and `"80/tcp"`, the forms of Docker's command line.
fn port_of_docker(cx: &mut Reporter<'_>, text: &str, span: Span) {
    let mut found = Diagnostic::error(
        codes::TYPE,
        "a port's number, host port and protocol are fields of their own",
    )
    .label(span, "this is Docker's spelling");
    if let Some(meant) = compose::port_fields(text) {
        found = found.maybe(format!("write `{meant}`"), span, meant);
    }
    cx.report(found);
}

pub(super) fn port_ref<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &'a Value,
) -> Option<Typed<'a>> {
    match &value.kind {
        ValueKind::Text(text, _) if integer(text).is_some() => {
            not_a_number(cx, row, value, "the name or the number of a port");
            None
        }
        ValueKind::Text(text, _) => Some(Typed::PortRef(PortRef::Name(Cow::Borrowed(text)))),
        _ => port(cx, row, value).map(|number| Typed::PortRef(PortRef::Number(number))),
    }
}

pub(super) fn publish<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
) -> Option<Typed<'a>> {
    let text = match &value.kind {
        ValueKind::Number(raw) => {
            let number = port_number(raw);
            if number.is_none() {
                port_range(cx, value.span);
            }
            return number.map(|port| Typed::Publish(Publish { ip: None, port }));
        }
        ValueKind::Text(text, _) => text,
        _ => {
            not_a_number(cx, row, value, "a port of the host");
            return None;
        }
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            port_range(cx, value.span);
            return None;
        }
        return Some(Typed::Publish(Publish { ip: Some(address.ip()), port: address.port() }));
    }
    if integer(text).is_some() {
        not_a_number(cx, row, value, "a number, or an address and a number");
        return None;
    }
    let (host, tail) = text.rsplit_once(':').unwrap_or((text, ""));
    let mut found = Diagnostic::error(
        codes::ADDRESS,
        "`publish` is a port of the host, or an address and a port",
    )
    .label(value.span, "");
    let bare_host = host.parse::<IpAddr>().is_ok();
    if host == "localhost" && port_number(tail).is_some() {
        found = found.maybe(
            format!("write `\"127.0.0.1:{tail}\"`"),
            value.span,
            format!("\"127.0.0.1:{tail}\""),
        );
    } else if host.is_empty() && port_number(tail).is_some() {
        found = found.maybe(format!("write `{tail}`"), value.span, tail);
    } else if bare_host && host.contains(':') && port_number(tail).is_some() {
        found = found.maybe(
            format!("write `\"[{host}]:{tail}\"`"),
            value.span,
            format!("\"[{host}]:{tail}\""),
        );
    } else if port_number(host).is_some() && port_number(tail).is_some() {
        found = found.help("The container's port is written after the name of the port.").maybe(
            format!("write `publish={host}`"),
            value.span,
            host,
        );
    } else {
        found = found.help("For example `8080`, `\"127.0.0.1:8080\"` or `\"[::1]:8080\"`.");
    }
    cx.report(found);
    None
}

pub(super) fn bytes<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
) -> Option<Typed<'a>> {
    let word = row.word;
    let Some(text) = value.text() else {
        no_unit(cx, word, value, "MiB", "mebibytes");
        return None;
    };
    let found = match Bytes::parse(text) {
        Ok(bytes) => return Some(Typed::Bytes(bytes)),
        Err(UnitError::NoUnit) => {
            no_unit(cx, word, value, "MiB", "mebibytes");
            return None;
        }
        Err(UnitError::OtherTool(meant)) => {
            let same = meant.eq_ignore_ascii_case(text);
            let headline = if same {
                format!("`{text}` is written `{meant}`")
            } else if text.ends_with('i') {
                format!("`{text}` is Kubernetes' spelling")
            } else {
                format!("`{text}` is Docker's spelling")
            };
            // `10M` is 10 MiB for Docker and 10 MB for others; `512Mi` is 512 MiB for everyone.
            let certain = ["Ki", "Mi", "Gi", "Ti"].iter().any(|unit| text.ends_with(unit));
            Diagnostic::error(codes::UNIT, headline).label(value.span, "").suggest(
                certain,
                format!("write `\"{meant}\"`"),
                value.span,
                format!("\"{meant}\""),
            )
        }
        Err(UnitError::TooLarge) => {
            Diagnostic::error(codes::RANGE, "this amount is too large").label(value.span, "")
        }
        Err(UnitError::Unreadable) => unreadable(
            word,
            value,
            text,
            &["B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"],
            "bytes such as `\"512MiB\"`, `\"1.5GiB\"` or `\"10MB\"`",
        ),
    };
    cx.report(found);
    None
}

fn no_unit(cx: &mut Reporter<'_>, word: &str, value: &Value, unit: &str, plural: &str) {
    let raw = value.text().unwrap_or(cx.raw(value.span));
    let mut found =
        Diagnostic::error(codes::UNIT, format!("`{word}` needs a unit")).label(value.span, "");
    if matches!(value.kind, ValueKind::Number(_) | ValueKind::Text(..)) {
        let meant = format!("\"{raw}{unit}\"");
        found = found.maybe(format!("write `{meant}` if {plural} are meant"), value.span, meant);
    }
    cx.report(found);
}

/// Returns the report for a text that is a number with an invalid unit.
fn unreadable(word: &str, value: &Value, text: &str, units: &[&str], what: &str) -> Diagnostic {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim();
    let mut found = Diagnostic::error(codes::UNIT, format!("`{word}` takes {what}"))
        .label(value.span, format!("`{}` is not valid", write::shortened(text)));
    let meant = units.iter().find(|known| known.eq_ignore_ascii_case(unit)).copied();
    let longer = match unit.to_ascii_lowercase().trim_end_matches('s') {
        "sec" | "second" => Some("s"),
        "min" | "minute" => Some("m"),
        "hour" | "hr" => Some("h"),
        "day" => Some("d"),
        "msec" | "millisecond" | "milli" => Some("ms"),
        _ => None,
    };
    let meant = meant.or(longer.filter(|unit| units.contains(unit)));
    if let Some(meant) =
        meant.filter(|_| !(number.is_empty() || number.contains('.') && longer.is_some()))
    {
        let fixed = format!("\"{number}{meant}\"");
        found = found.suggest(longer.is_some(), format!("write `{fixed}`"), value.span, fixed);
    } else {
        found = found.help(format!("Units are {}.", write::listed(units)));
    }
    found
}

pub(super) fn duration<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
) -> Option<Typed<'a>> {
    let Some(text) = value.text() else {
        no_unit(cx, row.word, value, "s", "seconds");
        return None;
    };
    let found = match Millis::parse(text) {
        Ok(time) => return Some(Typed::Duration(time)),
        Err(UnitError::NoUnit) if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
            no_unit(cx, row.word, value, "s", "seconds");
            return None;
        }
        Err(UnitError::TooLarge) => {
            Diagnostic::error(codes::RANGE, "a duration is at most 366 days").label(value.span, "")
        }
        Err(_) => fraction_of_time(row.word, value, text).unwrap_or_else(|| {
            unreadable(
                row.word,
                value,
                text,
                &["d", "h", "m", "s", "ms"],
                "a duration such as `\"1h30m\"` or `\"500ms\"`",
            )
        }),
    };
    cx.report(found);
    None
}

/// Returns the report for `1.5h`: durations are whole numbers, so the fix uses two units.
fn fraction_of_time(word: &str, value: &Value, text: &str) -> Option<Diagnostic> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "d" => 86_400_000.0,
        "h" => 3_600_000.0,
        "m" => 60_000.0,
        "s" => 1000.0,
        _ => return None,
    };
    let total = number.parse::<f64>().ok().filter(|_| number.contains('.'))? * factor;
    if !(1.0..3.0e10).contains(&total) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "range checked above"
    )]
    let meant = Millis(total.round() as u64);
    Some(
        Diagnostic::error(codes::UNIT, format!("`{word}` takes whole numbers of each unit"))
            .label(value.span, "")
            .maybe(format!("write `\"{meant}\"`"), value.span, format!("\"{meant}\"")),
    )
}

pub(super) fn cpu<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
) -> Option<Typed<'a>> {
    let word = row.word;
    if let ValueKind::Number(raw) = &value.kind {
        let cores = float(raw).and_then(Cpu::from_cores);
        if cores.is_none() {
            cx.report(
                Diagnostic::error(codes::RANGE, format!("`{word}` is 0.001 cores to 10,000"))
                    .label(value.span, ""),
            );
        }
        return cores.map(Typed::Cpu);
    }
    let text = value.text().unwrap_or_default();
    let meant = match text.strip_suffix('m') {
        Some(milli) => milli.parse::<f64>().ok().map(|milli| milli / 1000.0),
        None => text.parse::<f64>().ok(),
    };
    let mut found = Diagnostic::error(codes::UNIT, format!("`{word}` is a number of cores"));
    found = match meant.and_then(Cpu::from_cores) {
        Some(cores) => found.label(value.span, "").suggest(
            text.ends_with('m'),
            format!("write `{word}={cores}`"),
            value.span,
            cores.to_string(),
        ),
        None => found.label(value.span, "").help("For example `2` or `0.5`."),
    };
    cx.report(found);
    None
}

pub(super) fn limit<'a>(
    cx: &mut Reporter<'_>,
    row: &FieldRow<'_>,
    value: &Value,
) -> Option<Typed<'a>> {
    if value.text() == Some("unlimited") {
        return Some(Typed::Limit(None));
    }
    if let ValueKind::Number(raw) = &value.kind {
        match integer(raw) {
            Some(number) if number >= 0 => return Some(Typed::Limit(u64::try_from(number).ok())),
            Some(-1) => {
                cx.report(
                    Diagnostic::error(codes::WORD, "no limit is written `unlimited`")
                        .label(value.span, "")
                        .fix(format!("write `{}=unlimited`", row.word), value.span, "unlimited"),
                );
                return None;
            }
            _ => {}
        }
    }
    not_a_number(cx, row, value, "a whole number, or `unlimited`");
    None
}
