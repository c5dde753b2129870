//! Secrets that nothing uses.

use std::collections::BTreeSet;

use tally_source::Diagnostic;

use crate::codes;
use crate::decode::Object;
use crate::reporter::Reporter;

/// Warns of secrets that nothing uses.
pub(crate) fn secrets(
    cx: &mut Reporter<'_>,
    secrets: &[Object<'_>],
    used: &BTreeSet<String>,
    incomplete: bool,
) {
    // If something is wrong, its use may be missing because of it, and there is an error already.
    let errors = cx.out.iter().any(|found| found.severity == tally_source::Severity::Error);
    let quiet = incomplete || errors;
    for secret in secrets.iter().filter(|secret| !quiet && !secret.name().is_empty()) {
        if !used.contains(secret.name()) {
            let name = secret.name();
            cx.report(
                Diagnostic::warning(codes::UNUSED_SECRET, format!("nothing uses the secret `{name}`"))
                    .label(secret.title_span, "it is not read")
                    .help(format!("In a container: `env KEY=\"${{secret.{name}}}\"`, or `file \"/run/secrets/{name}\" secret={name}`.")),
            );
        }
    }
}
