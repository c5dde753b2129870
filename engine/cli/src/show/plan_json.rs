//! A plan for programs: `tally plan --json`. The format is documented in docs/api/plan.md; fields are only ever
//! added.

use serde::Serialize;
use tally_graph::Graph;
use tally_reconcile::plan::balance::{Balance, Disruption, HostLoad};
use tally_reconcile::plan::reason::{Awaits, BlockedBy};
use tally_reconcile::plan::subject::Subject;
use tally_reconcile::plan::{Action, Cause, Change, ChangeKind, Fallback, Plan, Reachable, Undo};
use tally_source::{Diagnostic, JsonDiagnostic, Span};

use crate::show::blocked::help;

/// The version of the format.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct JsonPlan<'a> {
    format: u32,
    cluster: &'a str,
    empty: bool,
    changes: Vec<JsonChange<'a>>,
    operations: Vec<JsonOperation<'a>>,
    reachable: &'a [Reachable],
    #[serde(rename = "powers")]
    host_access: &'a [String],
    fallbacks: &'a [Fallback],
    held: Vec<JsonBlocked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<JsonBalance<'a>>,
    diagnostics: Vec<JsonDiagnostic>,
}

#[derive(Serialize)]
struct JsonBlocked<'a> {
    subject: &'a Subject,
    host: &'a str,
    by: BlockedBy,
    awaits: Awaits,
    reason: String,
    help: Option<String>,
    place: Option<String>,
}

#[derive(Serialize)]
struct JsonBalance<'a> {
    hosts: &'a [HostLoad],
    moves: Vec<JsonMove<'a>>,
    fixed: Vec<JsonFixed<'a>>,
}

#[derive(Serialize)]
struct JsonMove<'a> {
    subject: &'a Subject,
    from: &'a str,
    to: &'a str,
    reason: &'a str,
    cpu: u64,
    memory: u64,
    pulls: &'a [String],
    disruption: Disruption,
    place: Option<String>,
}

#[derive(Serialize)]
struct JsonFixed<'a> {
    workload: &'a str,
    reason: &'a str,
    place: Option<String>,
}

#[derive(Serialize)]
struct JsonChange<'a> {
    subject: &'a Subject,
    host: &'a str,
    kind: ChangeKind,
    cause: Cause,
    note: Option<&'a str>,
    place: Option<String>,
    fields: Vec<JsonField<'a>>,
    operations: Vec<u32>,
}

#[derive(Serialize)]
struct JsonField<'a> {
    path: String,
    old: Option<&'a serde_json::Value>,
    new: Option<&'a serde_json::Value>,
    class: tally_graph::schema::UpdateClass,
    place: Option<String>,
}

#[derive(Serialize)]
struct JsonOperation<'a> {
    id: u32,
    host: &'a str,
    call: &'a Action,
    subject: &'a Subject,
    cause: Cause,
    place: Option<String>,
    after: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<&'a Undo>,
}

/// Returns the plan as one JSON document, with the compiler's warnings.
#[must_use]
pub fn json(plan: &Plan, graph: &Graph, warnings: &[Diagnostic]) -> String {
    let place = |span: Option<Span>| span.map(|span| graph.sources.place(span));
    let change =
        |change: &'_ Change| -> Vec<u32> { change.operations.iter().map(|id| id.0).collect() };
    let document = JsonPlan {
        format: FORMAT,
        cluster: &plan.cluster,
        empty: plan.is_empty(),
        changes: plan
            .changes
            .iter()
            .map(|c| JsonChange {
                subject: &c.subject,
                host: &c.host,
                kind: c.kind,
                cause: c.cause,
                note: c.note.as_deref(),
                place: place(c.origin),
                fields: c
                    .fields
                    .iter()
                    .map(|field| JsonField {
                        path: field.path.to_string(),
                        old: field.old.as_ref(),
                        new: field.new.as_ref(),
                        class: field.class,
                        place: place(field.origin),
                    })
                    .collect(),
                operations: change(c),
            })
            .collect(),
        operations: plan
            .operations
            .iter()
            .map(|op| JsonOperation {
                id: op.id.0,
                host: &op.host,
                call: &op.action,
                subject: &op.subject,
                cause: op.cause,
                place: place(op.origin),
                after: op.after.iter().map(|id| id.0).collect(),
                undo: op.undo.as_ref(),
            })
            .collect(),
        reachable: &plan.reachable,
        host_access: &plan.host_access,
        fallbacks: &plan.fallbacks,
        held: plan
            .blocked
            .iter()
            .map(|it| JsonBlocked {
                subject: &it.subject,
                host: it.host.as_deref().unwrap_or_default(),
                by: it.reason.by(),
                awaits: it.reason.awaits(),
                reason: it.reason.to_string(),
                help: help(&it.reason),
                place: place(it.origin),
            })
            .collect(),
        balance: plan.balance.as_ref().map(|found| balance(found, graph)),
        diagnostics: warnings
            .iter()
            .chain(&plan.diagnostics)
            .map(|found| JsonDiagnostic::new(found, &graph.sources))
            .collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn balance<'a>(found: &'a Balance, graph: &Graph) -> JsonBalance<'a> {
    let place = |span: Option<Span>| span.map(|span| graph.sources.place(span));
    JsonBalance {
        hosts: &found.hosts,
        moves: found
            .moves
            .iter()
            .map(|it| JsonMove {
                subject: &it.subject,
                from: &it.from,
                to: &it.to,
                reason: &it.reason,
                cpu: it.cpu,
                memory: it.memory,
                pulls: &it.pulls,
                disruption: it.disruption,
                place: place(it.origin),
            })
            .collect(),
        fixed: found
            .fixed
            .iter()
            .map(|it| JsonFixed {
                workload: &it.workload,
                reason: &it.reason,
                place: place(it.origin),
            })
            .collect(),
    }
}
