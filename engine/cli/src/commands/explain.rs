//! `tally explain`: a code, a field, or the origin of a value.

use tally_graph::schema::{self, FieldRow, KindRow, Step};
use tally_graph::{Address, FieldPath, Graph, GraphNode, Kind, Provenance};
use tally_source::{Code, OriginId, OriginKind, code_info, nearest};

use crate::args::ExplainArgs;
use crate::errors::{CliError, Exit};
use crate::project::Project;
use crate::show::terminal::{Style, Terminal, out};

/// The column of a field's description.
const FIELD: usize = 21;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

pub fn run(args: &ExplainArgs, terminal: &Terminal) -> Result<Exit, CliError> {
    let what = args.what.as_str();
    if let Some(code) = Code::parse(what) {
        return explain_code(code);
    }
    if what.contains('/') {
        let project = Project::find(&args.spec.spec)?;
        let (graph, _) = project.graph()?;
        return explain_address(&graph, what, terminal);
    }
    explain_field(what, terminal)
}

fn explain_code(code: Code) -> Result<Exit, CliError> {
    let page = PAGES.iter().find(|(name, _)| *name == code.to_string());
    match (page, code_info(code)) {
        (Some((_, page)), _) => out(page),
        (None, Some(info)) => out(&format!("{code}: {}\n", info.title)),
        (None, None) => {
            return Err(CliError::Usage(
                format!("no code `{code}`"),
                "The code is at the top of a report, such as `E0301`.".to_owned(),
            ));
        }
    }
    Ok(Exit::Done)
}

/// Explains `container.image`, a kind alone, or a field alone for each kind that has it.
fn explain_field(what: &str, terminal: &Terminal) -> Result<Exit, CliError> {
    let (kind, field) = what.split_once('.').unwrap_or((what, ""));
    let rows: Vec<&KindRow<'_>> = schema::kinds().filter(|row| row.word == kind).collect();
    if rows.is_empty() && field.is_empty() {
        let named = schema::kinds().filter_map(|row| Some((row, row.field(kind)?)));
        let texts: Vec<String> =
            named.map(|(row, field)| field_text(row, field, terminal)).collect();
        if !texts.is_empty() {
            out(&texts.join("\n"));
            return Ok(Exit::Done);
        }
    }
    if rows.is_empty() {
        let words = schema::kinds().map(|row| row.word);
        let help = match nearest(kind, words) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "Name a code, a field or an address: `E0301`, `container.image`, or `controller/web.replicas`.".to_owned(),
        };
        return Err(CliError::Usage(format!("no code, kind or field is called `{kind}`"), help));
    }
    if field.is_empty() {
        for row in rows {
            out(&kind_text(row, terminal));
        }
        return Ok(Exit::Done);
    }
    match rows.iter().find_map(|row| Some((row, row.field(field)?))) {
        Some((row, field)) => out(&field_text(row, field, terminal)),
        None => {
            let words = rows.iter().flat_map(|row| row.fields.iter().map(|field| field.word));
            let help = match nearest(field, words) {
                Some(near) => format!("Did you mean `{kind}.{near}`?"),
                None => format!("`tally explain {kind}` lists its fields."),
            };
            return Err(CliError::Usage(format!("a {kind} has no field `{field}`"), help));
        }
    }
    Ok(Exit::Done)
}

fn kind_text(kind: &KindRow<'_>, terminal: &Terminal) -> String {
    let doc = terminal.wrap(kind.doc, 4);
    let mut text = format!("{}\n    {doc}\n\n", terminal.paint(Style::Bold, kind.word));
    let fields = kind.fields.iter().filter(|field| field.step != Step::Language);
    for field in fields {
        text.push_str(&format!("    {:16} {}\n", field.word, terminal.wrap(field.doc, FIELD)));
    }
    text
}

fn field_text(kind: &KindRow<'_>, field: &FieldRow<'_>, terminal: &Terminal) -> String {
    let name = format!("{}.{}", kind.word, field.word);
    let doc = terminal.wrap(field.doc, 4);
    let mut text = format!("{}\n    {doc}\n\n", terminal.paint(Style::Bold, &name));
    let mut row = |name: &str, value: &str| {
        text.push_str(&format!("    {name:8} {value}\n"));
    };
    row("value", &field.value.phrase());
    if let Some(default) = field.default {
        row("default", default);
    }
    if field.required {
        row("needed", "yes");
    }
    row("change", kind.class_of(field).phrase());
    row("example", field.example);
    match field.step {
        Step::Now => {}
        Step::Later(why) => row("note", why),
        Step::Language => row("note", "not in this version yet"),
    }
    text
}

/// Explains `controller/web`, `controller/web.replicas` or `controller/web.web.image`.
fn explain_address(graph: &Graph, what: &str, terminal: &Terminal) -> Result<Exit, CliError> {
    let (address, path) = what.split_once('.').unwrap_or((what, ""));
    let node = Address::parse(address).and_then(|address| graph.find(&address));
    let Some((_, node)) = node else {
        let known: Vec<String> = graph
            .net
            .node_weights()
            .map(|node| node.address().to_string())
            .filter(|known| !known.starts_with(Kind::Cluster.word()))
            .collect();
        let help = match nearest(address, known.iter().map(String::as_str)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("The spec has {}.", known.join(", ")),
        };
        return Err(CliError::Usage(format!("no `{address}` in this spec"), help));
    };
    let wanted = FieldPath::parse(path);
    let place = graph.sources.line_place(node.span());
    let mut text = format!("{}  {place}\n", terminal.paint(Style::Bold, address));
    let mut found = 0;
    if let Some(provenance) = node.provenance() {
        found += values(graph, "", provenance, &wanted, &mut text);
    }
    if let GraphNode::Workload(workload) = node {
        for (name, provenance) in &workload.container_provenance {
            found += values(graph, name, provenance, &wanted, &mut text);
        }
    }
    if found == 0 && !wanted.is_empty() {
        return Err(CliError::Usage(
            format!("`{address}` has no value `{path}`"),
            format!("`tally explain {address}` lists its values."),
        ));
    }
    out(&text);
    Ok(Exit::Done)
}

/// Adds the origin of each value below `wanted`: from its place in the spec back to its default.
fn values(
    graph: &Graph,
    container: &str,
    provenance: &Provenance,
    wanted: &FieldPath,
    text: &mut String,
) -> usize {
    let mut found = 0;
    for (path, origin) in provenance.iter() {
        let whole = if container.is_empty() {
            path.clone()
        } else {
            let segments: Vec<&str> = std::iter::once(container).chain(path.segments()).collect();
            FieldPath::new(segments)
        };
        let below = wanted.segments().zip(whole.segments()).filter(|(a, b)| a == b).count();
        if below != wanted.segments().count() || path.is_empty() {
            continue;
        }
        found += 1;
        text.push_str(&format!("    {whole}\n"));
        text.push_str(&chain(graph, origin));
    }
    found
}

fn chain(graph: &Graph, origin: OriginId) -> String {
    let mut text = String::new();
    for link in graph.origins.chain(origin) {
        let line = match &link.kind {
            OriginKind::Written => {
                let source = graph.sources.text(link.span);
                let first = source.lines().next().unwrap_or_default();
                format!("written at {}: {first}", graph.sources.place(link.span))
            }
            OriginKind::Default(of) => {
                let (kind, field) = of.split_once('.').unwrap_or((of, ""));
                match schema::default_of(kind, field) {
                    Some(default) => format!("default of {of}: {default}"),
                    None => format!("default of {of}"),
                }
            }
        };
        text.push_str(&format!("        {line}\n"));
    }
    text
}
