//! Reports that point at a spec.

use tally_source::{Diagnostic, RenderOptions, Severity, SourceMap, render_people};

use crate::show::terminal::Terminal;

/// Maximum number of reports that are shown; the others are counted.
const MOST: usize = 20;

/// Returns reports for people, errors before warnings, with a line that counts them.
#[must_use]
pub fn people(reports: &[Diagnostic], sources: &SourceMap, terminal: &Terminal) -> String {
    let options = RenderOptions { width: terminal.width, theme: terminal.theme(), most: MOST };
    let mut text = render_people(reports, sources, options);
    let errors = reports.iter().filter(|r| r.severity == Severity::Error).count();
    let certain = reports.iter().filter(|r| r.edits.iter().any(|edit| edit.certain)).count();
    if errors > 1 {
        text.push_str(&format!("{errors} errors\n"));
    }
    if certain > 0 && errors > 0 {
        let what = if certain == 1 { "one of them" } else { "some of them" };
        let what = if certain == errors {
            "it".replace("it", if errors == 1 { "it" } else { "them" })
        } else {
            what.to_owned()
        };
        text.push_str(&format!("`tally check --fix` can fix {what}\n"));
    }
    text
}
