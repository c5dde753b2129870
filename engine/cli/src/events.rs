//! The events of the loop, written next to the spec: `.tally/run/CLUSTER.events.jsonl`, one JSON object per line. A
//! file that has grown too large is renamed to `.1` and a new one is started, so the size of both is bounded.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tally_control::{EntryKind, Journal, JournalEntry};

use crate::args::ReportFormat;
use crate::show::terminal::{Style, Terminal, clean, err, out};

/// The column of the message.
const COLUMN: usize = 33;
/// Maximum size of a file of events, in bytes.
const LARGEST: u64 = 8 << 20;

/// Returns the path of a cluster's events.
#[must_use]
pub fn path(kept: &Path, cluster: &str) -> PathBuf {
    kept.join("run").join(format!("{cluster}.events.jsonl"))
}

/// Writes events to the file and shows them.
pub struct EventLog {
    path: PathBuf,
    format: ReportFormat,
    terminal: Terminal,
    /// Whether a failure to write the file was reported.
    broken: Mutex<bool>,
}

impl EventLog {
    /// Events of one cluster.
    pub fn new(path: PathBuf, format: ReportFormat, terminal: Terminal) -> Self {
        Self { path, format, terminal, broken: Mutex::new(false) }
    }

    fn keep(&self, line: &str) -> std::io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|file| file.len() > LARGEST) {
            fs::rename(&self.path, self.path.with_extension("jsonl.1"))?;
        }
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(line.as_bytes())
    }
}

impl Journal for EventLog {
    fn entry(&self, entry: &JournalEntry) {
        let (kind, host) = (entry.kind.word(), entry.host.as_str());
        tracing::debug!(target: "tally_control::events", kind, host, "event");
        let line = format!("{}\n", serde_json::to_string(entry).unwrap_or_default());
        match self.format {
            ReportFormat::Json => out(&line),
            ReportFormat::Human => out(&people(entry, &self.terminal)),
        }
        if let Err(error) = self.keep(&line) {
            let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::replace(&mut *broken, true) {
                err(&format!("`{}` cannot be written: {error}\n", self.path.display()));
            }
        }
    }
}

/// Returns the last entries of a file, and the length of the file.
///
/// # Errors
/// If the file exists and cannot be read.
pub fn last(path: &Path, count: usize) -> std::io::Result<(Vec<JournalEntry>, u64)> {
    let mut all = Vec::new();
    let mut end = 0;
    for (file, current) in [(path.with_extension("jsonl.1"), false), (path.to_owned(), true)] {
        match read_from(&file, 0) {
            Ok((entries, length)) => {
                all.extend(entries);
                if current {
                    end = length;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let first = all.len().saturating_sub(count);
    Ok((all.split_off(first), end))
}

/// Returns the entries of a file from an offset on, and the offset of their end. An incomplete last line is left for
/// the next call; an invalid line is skipped.
///
/// # Errors
/// If the file cannot be read.
pub fn read_from(path: &Path, from: u64) -> std::io::Result<(Vec<JournalEntry>, u64)> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    // A new file was started.
    let from = if length < from { 0 } else { from };
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(LARGEST * 2).read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
    let entries = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Ok((entries, from + whole as u64))
}

/// Returns one entry as text for people.
#[must_use]
pub fn people(entry: &JournalEntry, terminal: &Terminal) -> String {
    let style = match entry.kind {
        EntryKind::Done
        | EntryKind::Tallies
        | EntryKind::HostReady
        | EntryKind::Leads
        | EntryKind::StoreReady => Style::Add,
        EntryKind::Failed
        | EntryKind::RolledBack
        | EntryKind::HostUnreachable
        | EntryKind::StoreUnreachable
        | EntryKind::BrokenSpec => Style::Remove,
        EntryKind::Blocked | EntryKind::Unwell | EntryKind::StepsDown | EntryKind::StandsAside => {
            Style::Change
        }
        EntryKind::Began | EntryKind::Ended | EntryKind::Spec | EntryKind::Follows => Style::Dim,
    };
    let kind = terminal.paint(style, &format!("{:11}", entry.kind.word()));
    let about = [&entry.host, &entry.pod].into_iter().filter(|part| !part.is_empty());
    let about: Vec<String> = about.map(|part| clean(part)).collect();
    let mut text = [about.as_slice(), std::slice::from_ref(&entry.what)].concat().join(" ");
    if let Some(cause) = entry.cause {
        text.push_str(&format!("  [{}]", cause_words(cause)));
    }
    if let Some(place) = &entry.place {
        text.push_str(&format!("  {place}"));
    }
    let lines = text.lines().map(clean);
    let mut text = if terminal.stdout {
        // To the right of the time and the kind.
        let lines: Vec<String> = lines.map(|line| terminal.wrap(&line, COLUMN)).collect();
        lines.join(&format!("\n{:COLUMN$}", ""))
    } else {
        lines.collect::<Vec<_>>().join("\n           ")
    };
    if let Some(place) = entry.place.as_ref().filter(|place| text.ends_with(place.as_str())) {
        text.truncate(text.len() - place.len());
        text.push_str(&terminal.paint(Style::Dim, place));
    }
    format!("{}  {kind} {text}\n", time(entry.at_ms))
}

fn cause_words(cause: tally_reconcile::plan::Cause) -> &'static str {
    use tally_reconcile::plan::Cause;
    match cause {
        Cause::New => "new in the spec",
        Cause::SpecChanged => "the spec changed",
        Cause::Drift => "changed outside the spec",
        Cause::Gone => "no longer in the spec",
        Cause::Needed => "needed",
    }
}

/// Returns a time as `2026-11-24 17:03:05`, in UTC, after Hinnant's `civil_from_days`.
#[must_use]
pub fn time(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1000);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}
