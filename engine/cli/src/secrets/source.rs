//! Reading one secret.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tally_graph::SecretSource;
use tally_host::{Secrets, clean};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::unread::Unread;

/// The largest secret, in bytes: as large as a file of a container may be.
const LARGEST: u64 = 1 << 20;
/// A command that runs longer is killed.
const DEADLINE: Duration = Duration::from_secs(30);
/// Maximum length of the standard error of a command that is kept, in bytes.
const MOST_STDERR: u64 = 64 << 10;
/// Maximum number of its lines that are shown.
const STDERR_LINES: usize = 5;

pub(super) async fn read(source: &SecretSource, folder: &Path) -> Result<Vec<u8>, Unread> {
    match source {
        SecretSource::File(path) => file(path, &folder.join(path)),
        SecretSource::Env(name) => environment(name),
        SecretSource::Command(words) => command(words, folder).await,
    }
}

fn unread(what: impl Into<String>, help: impl Into<String>) -> Unread {
    Unread { what: what.into(), help: help.into() }
}

fn too_large() -> Unread {
    unread("it is larger than 1MiB", "Put larger data into a volume.")
}

fn file(shown: &str, path: &Path) -> Result<Vec<u8>, Unread> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => unread(
            format!("there is no file `{shown}`"),
            "The path is on the machine that runs `tally`; a relative path starts at the folder of the first file.",
        ),
        _ => unread(format!("`{shown}`: {error}"), "Check that you may read it."),
    };
    // A pipe or a device would never end.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(unread(format!("`{shown}` is not a file"), "Name a file."));
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    within(bytes)
}

fn within(bytes: Vec<u8>) -> Result<Vec<u8>, Unread> {
    if bytes.len() as u64 > LARGEST { Err(too_large()) } else { Ok(bytes) }
}

fn environment(name: &str) -> Result<Vec<u8>, Unread> {
    use std::os::unix::ffi::OsStringExt as _;
    let value = std::env::var_os(name).ok_or_else(|| {
        unread(
            format!("the environment variable `{name}` is not set"),
            format!("Set it where `tally` runs: `export {name}=…`. A loop started by systemd has an environment of its own."),
        )
    })?;
    within(value.into_vec())
}

/// Runs a command without a shell. Its standard output is the secret and is never shown; its standard error is shown
/// if it fails.
async fn command(words: &[String], folder: &Path) -> Result<Vec<u8>, Unread> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| unread("it has no command", ""))?;
    let shown = program.as_str();
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            unread(
                format!("`{shown}` cannot be started: {error}"),
                "It is run without a shell, in the folder of the first file.",
            )
        })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let run = async {
        let (out, said) =
            futures_util::join!(limited(stdout, LARGEST + 1), limited(stderr, MOST_STDERR));
        if out.len() as u64 > LARGEST {
            return Err(too_large());
        }
        let status = child
            .wait()
            .await
            .map_err(|error| unread(format!("`{shown}` could not be waited for: {error}"), ""))?;
        if status.success() {
            return Ok(out);
        }
        let ended = match status.code() {
            Some(code) => format!("`{shown}` ended with exit code {code}"),
            None => format!("`{shown}` was terminated by a signal"),
        };
        Err(unread(ended, last_words(&out, &said)))
    };
    match tokio::time::timeout(DEADLINE, run).await {
        Ok(ended) => ended,
        Err(_) => Err(unread(
            format!("`{shown}` did not end within {} s", DEADLINE.as_secs()),
            "It has no terminal: everything that it needs must be available without a question.",
        )),
    }
}

/// Returns the standard error of a command, without the parts that are also in its standard output.
fn last_words(out: &[u8], said: &[u8]) -> String {
    let printed = Secrets::new([(String::new(), out.to_vec(), String::new())]);
    let lines = clean::last_lines(said, STDERR_LINES);
    let lines: Vec<String> =
        lines.iter().map(|line| format!("  | {}", printed.redact(line))).collect();
    if lines.is_empty() {
        "It printed nothing.".to_owned()
    } else {
        format!("It printed:\n{}", lines.join("\n"))
    }
}

async fn limited(from: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let mut limited = from.take(most);
        // An interrupted stream counts as its end: the exit code decides.
        let _ = limited.read_to_end(&mut bytes).await;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> SecretSource {
        SecretSource::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    async fn what(source: SecretSource) -> String {
        read(&source, Path::new("/")).await.err().map(|unread| unread.what).unwrap_or_default()
    }

    #[tokio::test]
    async fn a_command_is_run_without_a_shell() {
        let read = read(&words(&["printf", "%s", "$HOME; a b"]), Path::new("/")).await;
        assert_eq!(read.ok(), Some(b"$HOME; a b".to_vec()));
    }

    #[tokio::test]
    async fn what_a_failing_command_printed_is_not_shown() {
        let failing = words(&["sh", "-c", "echo hunter22; echo 'no hunter22 here' >&2; exit 3"]);
        let unread = read(&failing, Path::new("/")).await.err().unwrap();
        assert_eq!(unread.what, "`sh` ended with exit code 3");
        assert_eq!(unread.help, "It printed:\n  | no (secret) here");
    }

    #[tokio::test]
    async fn what_cannot_be_read_says_why() {
        let file = |path: &str| SecretSource::File(path.to_owned());
        for (source, said) in [
            (file("none-such"), "there is no file `none-such`"),
            (file("/dev/zero"), "`/dev/zero` is not a file"),
            (
                SecretSource::Env("TALLY_NONE_SUCH".into()),
                "the environment variable `TALLY_NONE_SUCH` is not set",
            ),
            (words(&["head", "-c", "2000000", "/dev/zero"]), "it is larger than 1MiB"),
        ] {
            assert_eq!(what(source).await, said);
        }
        let missing = what(words(&["tally-none-such"])).await;
        assert!(missing.starts_with("`tally-none-such` cannot be started"), "{missing}");
    }
}
