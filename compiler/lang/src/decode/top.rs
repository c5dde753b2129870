//! The top of a spec.

use tally_graph::schema::{self, Form, Step};

use super::decoded::Object;
use super::object;
use super::unknown::{self, Meant};
use crate::reporter::Reporter;
use crate::syntax::Ast;

/// The top of a spec, by kind.
#[derive(Default)]
pub(crate) struct Top<'a> {
    pub clusters: Vec<Object<'a>>,
    pub volumes: Vec<Object<'a>>,
    pub workloads: Vec<Object<'a>>,
    pub services: Vec<Object<'a>>,
    pub secrets: Vec<Object<'a>>,
    /// Whether something at the top was not understood.
    pub bad: bool,
}

/// Reads the top of every file.
pub(crate) fn top<'a>(cx: &mut Reporter<'_>, asts: &'a [Ast]) -> Top<'a> {
    let mut top = Top::default();
    let Some(spec) = schema::kind("spec") else { return top };
    for node in asts.iter().flat_map(|ast| &ast.nodes) {
        let known = spec.field(&node.name.text).filter(|row| row.step != Step::Language);
        let row = known.or_else(|| match unknown::unknown_child(cx, spec, node) {
            Meant::Field(row) => Some(row),
            Meant::Perhaps(_) => None,
        });
        let kind = row.and_then(|row| match row.form {
            Form::Child(key) => schema::kind(key),
            _ => None,
        });
        let Some(kind) = kind else {
            top.bad = true;
            continue;
        };
        let object = object::read_object(cx, kind, node);
        match kind.key {
            "cluster" => top.clusters.push(object),
            "volume" => top.volumes.push(object),
            "pod" | "controller" => top.workloads.push(object),
            "service" => top.services.push(object),
            "secret" => top.secrets.push(object),
            _ => {}
        }
    }
    // An object without a name may be the one that a reference means.
    let all = top.volumes.iter().chain(&top.workloads).chain(&top.services).chain(&top.secrets);
    for object in all.into_iter().filter(|object| object.name.is_empty()) {
        top.bad = true;
        cx.hidden.add_kind(object.kind.word);
    }
    top
}
