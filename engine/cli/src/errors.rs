//! Turns errors into messages for people and into exit codes.

use std::io::Write as _;
use std::process::ExitCode;

use tally_control::StorageError;
use tally_control::convergence::ConvergenceError;
use tally_host::HostError;
use tally_source::{Diagnostic, SourceMap, Span, engine_codes, visible};

use crate::show::report;
use crate::show::terminal::Terminal;

/// The exit status of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: success, or nothing to do.
    Done,
    /// 1: an error.
    Failed,
    /// 2: `plan --detailed-exitcode` found changes; `apply` finished, and a pod is not ready.
    Differs,
    /// The exit code of a command in a container.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::Failed => ExitCode::from(1),
            Exit::Differs => ExitCode::from(2),
            Exit::Code(code) => ExitCode::from(code),
        }
    }
}

/// The reason why a command failed.
#[derive(Debug)]
pub enum CliError {
    /// Reports that point at the spec.
    Reports(Vec<Diagnostic>, Box<SourceMap>),
    /// A usage error, with a way out.
    Usage(String, String),
    /// A file that cannot be read or written.
    File(String, std::io::Error),
    /// A host that failed a command that points at no spec.
    Host(String, HostError),
    /// A bug in Tally.
    Internal(String),
}

impl CliError {
    /// One report.
    pub fn report(diagnostic: Diagnostic, sources: &SourceMap) -> Self {
        CliError::Reports(vec![diagnostic], Box::new(sources.clone()))
    }

    /// Writes the error to standard error.
    pub fn show(&self, terminal: &Terminal) {
        let text = match self {
            CliError::Reports(reports, sources) => report::people(reports, sources, terminal),
            // A reader of a pipe expects one line per message.
            CliError::Usage(what, help) if terminal.stderr => format!(
                "error: {}\n  help: {}\n",
                terminal.wrap(what, "error: ".len()),
                terminal.wrap(help, "  help: ".len())
            ),
            CliError::Usage(what, help) => format!("error: {what}\n  help: {help}\n"),
            CliError::File(what, error) => format!("error: {what}: {error}\n"),
            CliError::Host(name, error) => format!("error: host `{name}`: {error}\n"),
            CliError::Internal(what) => {
                format!("error: {what}\n  help: this is a bug in Tally; please report it\n")
            }
        };
        // Reports are colored, and safe already.
        let text = match self {
            CliError::Reports(..) => text,
            _ => visible(&text).into_owned(),
        };
        // If standard error is closed, the error cannot be reported.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Returns the report of a host that cannot be reached.
pub fn unreachable(host: &str, error: &HostError, span: Option<Span>) -> Diagnostic {
    let (code, what) = match error {
        HostError::TooOld { .. } => (engine_codes::ENGINE_TOO_OLD, error.to_string()),
        HostError::Transport(fault) => (fault.code(), fault.to_string()),
        _ => (engine_codes::HOST_UNREACHABLE, error.to_string()),
    };
    let mut report = Diagnostic::error(code, format!("host `{host}`: {what}"));
    if let Some(span) = span {
        report = report.label(span, "planned on this host");
    }
    report.help(match error {
        HostError::TooOld { .. } => "Docker 20.10 or later is required.".to_owned(),
        HostError::Transport(fault) => fault.help(),
        HostError::SimulatedFile { .. } => {
            "Nothing was changed, and nothing is repaired by guessing.".to_owned()
        }
        _ => "Is Docker running there, and may you use its socket? `docker version` tells. To try \
              Tally without Docker, give the cluster a simulated host: \
              `host demo \"sim:demo\"`."
            .to_owned(),
    })
}

impl std::error::Error for CliError {}

impl From<CliError> for StorageError {
    fn from(error: CliError) -> Self {
        Self(Box::new(error))
    }
}

impl From<StorageError> for CliError {
    /// Takes out the error that the storage of this program put in.
    fn from(error: StorageError) -> Self {
        match error.0.downcast::<CliError>() {
            Ok(error) => *error,
            Err(other) => CliError::Internal(other.to_string()),
        }
    }
}

impl From<ConvergenceError> for CliError {
    fn from(error: ConvergenceError) -> Self {
        match error {
            ConvergenceError::Plan(reports, sources) => CliError::Reports(reports, sources),
            ConvergenceError::Storage(error) => error.into(),
        }
    }
}

impl std::fmt::Display for CliError {
    /// Returns the error in one line without the ways out, for journals.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CliError::Reports(all, _) => {
                let headlines: Vec<&str> = all.iter().map(|r| r.headline.as_str()).collect();
                f.write_str(&headlines.join("; "))
            }
            CliError::Usage(what, _) | CliError::Internal(what) => f.write_str(what),
            CliError::File(path, error) => write!(f, "`{path}`: {error}"),
            CliError::Host(host, error) => write!(f, "host `{host}`: {error}"),
        }
    }
}
