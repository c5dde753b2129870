//! A failed call, as a report that points at the attribute that caused it.

use tally_graph::{FieldPath, Graph, ImageRef, Workload};
use tally_host::{Failure, FailureKind, HostError};
use tally_reconcile::plan::{Action, Operation};
use tally_source::{Diagnostic, Span, engine_codes};

use crate::show::terminal::clean;

/// Returns the reports of all failures. Replicas that fail for one reason share a report.
#[must_use]
pub fn failure_reports(failures: &[(&Operation, &Failure)], graph: &Graph) -> Vec<Diagnostic> {
    let mut reports: Vec<(Diagnostic, Vec<String>)> = Vec::new();
    for (operation, failure) in failures {
        let report = failure_report(operation, failure, graph);
        let alike = |(known, _): &&mut (Diagnostic, Vec<String>)| {
            known.code == report.code && known.labels == report.labels && !known.labels.is_empty()
        };
        match reports.iter_mut().find(alike) {
            Some((_, others)) => others.push(Blame { operation, graph }.name()),
            None => reports.push((report, Vec::new())),
        }
    }
    let with_others = |(mut report, others): (Diagnostic, Vec<String>)| {
        if !others.is_empty() {
            let also = format!("The same for {}.", others.join(", "));
            report.help = Some(match report.help.take() {
                Some(help) => format!("{also}\n{help}"),
                None => also,
            });
        }
        report
    };
    reports.into_iter().map(with_others).collect()
}

/// Returns a failure in a few words, for the line of progress; the report has the details.
#[must_use]
pub fn few_words(failure: &Failure) -> String {
    match &failure.kind {
        FailureKind::Host(HostError::Image { .. }) => "is not available".to_owned(),
        FailureKind::Host(HostError::PortTaken { .. }) => "its host port is in use".to_owned(),
        FailureKind::Host(HostError::CommandNotFound(_)) => {
            "its command cannot be started".to_owned()
        }
        other => clean(&other.to_string()),
    }
}

/// Returns the report of a failed operation.
fn failure_report(operation: &Operation, failure: &Failure, graph: &Graph) -> Diagnostic {
    let blame = Blame { operation, graph };
    let mut report = match &failure.kind {
        FailureKind::Host(error) => blame.host_error(error),
        FailureKind::Ended { .. } => blame.ended(&clean(&failure.kind.to_string())),
        FailureKind::NotReady { reason, .. } => blame.not_ready(&reason.to_string()),
        FailureKind::PreconditionFailed(reason) => Diagnostic::error(
            engine_codes::OBJECT_CHANGED,
            format!(
                "{} changed while the plan was applied: {}",
                blame.name(),
                clean(&reason.to_string())
            ),
        )
        .help("Someone else is changing this cluster. Plan again."),
    };
    if report.labels.is_empty()
        && let Some(span) = operation.origin
    {
        report = report.label(span, format!("on host `{}`", operation.host));
    }
    if !failure.last_lines.is_empty() {
        let lines: Vec<String> =
            failure.last_lines.iter().map(|line| format!("  | {}", clean(line))).collect();
        let title = format!("last lines of {}:", blame.name());
        let lines = format!("{title}\n{}", lines.join("\n"));
        report.help = Some(match report.help.take() {
            Some(help) => format!("{help}\n{lines}"),
            None => lines,
        });
    }
    report
}

struct Blame<'a> {
    operation: &'a Operation,
    graph: &'a Graph,
}

impl<'a> Blame<'a> {
    /// Returns `web-0/web`, or another subject of the operation.
    fn name(&self) -> String {
        let subject = &self.operation.subject;
        match (subject.pod(), subject.container()) {
            (None, _) => subject.address().into_owned(),
            (Some(pod), None) => pod.to_owned(),
            (Some(pod), Some(container)) => format!("{pod}/{container}"),
        }
    }

    fn workload(&self) -> Option<&'a Workload> {
        self.graph.workload_at(&self.operation.subject.address())
    }

    /// Returns the place of a field of the operation's container.
    fn written(&self, path: &[&str]) -> Option<Span> {
        let provenance =
            self.workload()?.container_provenance.get(self.operation.subject.container()?)?;
        self.graph.written_at(provenance.exact(&FieldPath::new(path.iter().copied()))?)
    }

    fn host_error(&self, error: &HostError) -> Diagnostic {
        let host = &self.operation.host;
        match error {
            HostError::Image { image, missing, message } => self.image(image, *missing, message),
            HostError::PortTaken { port, message } => {
                let headline = match port {
                    Some(port) => {
                        format!("port {port} of host `{host}` is in use by another program")
                    }
                    None => format!("a port of host `{host}` is in use by another program"),
                };
                let report = Diagnostic::error(engine_codes::HOST_PORT_IN_USE, headline);
                let report = match self.port_span(*port) {
                    Some(span) => report.label(span, "published here"),
                    None => report,
                };
                let who = port.map_or_else(String::new, |port| {
                    format!(" `ss -ltnp 'sport = :{port}'` on the host shows the program.")
                });
                report.help(format!(
                    "Publish another port, or stop the program that uses it.{who}\nDocker said: {}",
                    clean(message)
                ))
            }
            HostError::CommandNotFound(message) => {
                let report = Diagnostic::error(
                    engine_codes::COMMAND_NOT_STARTED,
                    format!("the command of {} cannot be started", self.name()),
                );
                let span = self
                    .written(&["entrypoint"])
                    .or_else(|| self.written(&["command"]))
                    .or_else(|| self.written(&["image"]));
                let report = match span {
                    Some(span) => report.label(span, "not found, or not executable, in the image"),
                    None => report,
                };
                report.help(format!(
                    "`command` replaces the image's command and is run without a shell: its first \
                     word must be a program in the image.\nDocker said: {}",
                    clean(message)
                ))
            }
            other => self.refused(&clean(&other.to_string())),
        }
    }

    /// Reports a request that Docker rejected; two kinds of them have their attribute and way out.
    fn refused(&self, message: &str) -> Diagnostic {
        let host = &self.operation.host;
        let headline = format!("{} on host `{host}`: {message}", self.name());
        let report = Diagnostic::error(engine_codes::CALL_FAILED, headline);
        if ["passwd file", "group file"].iter().any(|file| message.contains(file)) {
            let report = report
                .help("The user must exist in the image, or be a number: `user \"1000:1000\"`.");
            return match self.written(&["user"]) {
                Some(span) => report.label(span, "the image has no such user"),
                None => report,
            };
        }
        if message.contains("bind source path does not exist") {
            return report.help(format!(
                "Tally never creates a `host-path`: create it on host `{host}`, or set another path."
            ));
        }
        report
    }

    fn image(&self, image: &str, missing: bool, message: &str) -> Diagnostic {
        let host = &self.operation.host;
        let headline = if missing {
            format!("host `{host}` cannot get image `{image}`: the registry has none")
        } else {
            format!("host `{host}` cannot get image `{image}`")
        };
        let registry =
            ImageRef::parse(image).map_or_else(|_| String::new(), |i| i.registry_host().to_owned());
        let lower = message.to_lowercase();
        let wants_login = ["unauthorized", "no basic auth credentials", "authentication required"]
            .iter()
            .any(|saying| lower.contains(saying));
        let help = if missing && image.contains('@') {
            "This is the image that the other pods of this revision run. If no registry has it, load it \
             on this host too, or set `pull never`: then each host uses its local image of that name."
                .to_owned()
        } else if missing {
            format!(
                "Check the name and the tag. If `{registry}` requires a login: `docker login {registry}`."
            )
        } else if wants_login {
            format!(
                "`{registry}` requires a login: run `docker login {registry}` on this machine. Tally uses \
                 the credentials of Docker's client."
            )
        } else {
            format!(
                "Check that the host reaches `{registry}`. An image that exists only on the host itself \
                 is used as it is; `docker images` there lists them."
            )
        };
        Diagnostic::error(engine_codes::IMAGE_UNAVAILABLE, headline)
            .help(format!("{help}\nDocker said: {}", clean(message)))
    }

    fn port_span(&self, port: Option<u16>) -> Option<Span> {
        let workload = self.workload()?;
        workload.containers.iter().find_map(|container| {
            let (name, _) = container.port.iter().find(|(_, of)| {
                let publish = of.publish.as_ref().map(|publish| publish.port);
                publish.is_some() && (port.is_none() || publish == port)
            })?;
            let provenance = workload.container_provenance.get(&container.name)?;
            let path = FieldPath::new(["port", name.as_str(), "publish"]);
            self.graph.written_at(provenance.of(&path)?)
        })
    }

    fn ended(&self, how: &str) -> Diagnostic {
        let init = matches!(self.operation.action, Action::AwaitExit { .. });
        let headline = if init {
            format!("{} failed: {how}", self.name())
        } else {
            format!("{} keeps stopping: {how}", self.name())
        };
        let report = Diagnostic::error(engine_codes::ENDED_BEFORE_READY, headline);
        let span = self.written(&["command"]).or_else(|| self.written(&["image"]));
        match span {
            Some(span) => report.label(span, "it runs this command"),
            None => report,
        }
    }

    fn not_ready(&self, reason: &str) -> Diagnostic {
        let report = Diagnostic::error(
            engine_codes::NOT_READY_IN_TIME,
            format!("{} is not ready: {reason}", self.name()),
        );
        match self.written(&["readiness"]) {
            Some(span) => report.label(span, "ready when this succeeds"),
            None => report,
        }
    }
}
