//! Cycles of dependencies. A dependency on a service is one on the pods that it selects.

use std::collections::BTreeMap;

use tally_graph::{Address, Kind};
use tally_source::{Diagnostic, Span};

use crate::codes;
use crate::lower::{LoweredService, LoweredWorkload};
use crate::reporter::Reporter;

/// A dependency on another node, by a line of the text (or because a service selects it).
struct Wait {
    on: usize,
    span: Option<Span>,
}

/// Reports each cycle of `depends-on` once, with its whole path.
pub(crate) fn dependencies(
    cx: &mut Reporter<'_>,
    workloads: &[LoweredWorkload],
    services: &[LoweredService],
) {
    let mut places: BTreeMap<Address, usize> = BTreeMap::new();
    for (i, lowered) in workloads.iter().enumerate() {
        places.entry(lowered.workload.address()).or_insert(i);
    }
    for (i, service) in services.iter().enumerate() {
        places
            .entry(Address::new(Kind::Service, &service.service.name))
            .or_insert(workloads.len() + i);
    }
    let mut waits: Vec<Vec<Wait>> = Vec::with_capacity(workloads.len() + services.len());
    for lowered in workloads {
        let targets = lowered.workload.depends_on.iter();
        let targets =
            targets.filter_map(|on| Some(Wait { on: *places.get(&on.on)?, span: Some(on.span) }));
        waits.push(targets.collect());
    }
    // Only services that are dependencies can be part of a cycle.
    for service in services {
        waits.push(service.matched.iter().map(|at| Wait { on: *at, span: None }).collect());
    }
    let name = |at: usize| match workloads.get(at) {
        Some(lowered) => lowered.workload.name.clone(),
        None => services
            .get(at - workloads.len())
            .map(|s| format!("service {}", s.service.name))
            .unwrap_or_default(),
    };
    for circle in circles(&waits) {
        report(cx, &waits, &circle, &name);
    }
}

/// Finds cycles by a depth-first walk in written order. The walk is iterative: a spec can be a chain of any length.
fn circles(waits: &[Vec<Wait>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; waits.len()];
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut in_circle = vec![false; waits.len()];
    for start in 0..waits.len() {
        if states.get(start) != Some(&State::New) {
            continue;
        }
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        if let Some(state) = states.get_mut(start) {
            *state = State::Open;
        }
        while let Some((at, next)) = path.last_mut() {
            let here = *at;
            let Some(wait) = waits.get(here).and_then(|waits| waits.get(*next)) else {
                if let Some(state) = states.get_mut(here) {
                    *state = State::Done;
                }
                path.pop();
                continue;
            };
            *next += 1;
            match states.get(wait.on) {
                Some(State::New) => {
                    if let Some(state) = states.get_mut(wait.on) {
                        *state = State::Open;
                    }
                    path.push((wait.on, 0));
                }
                Some(State::Open) => {
                    let from = path.iter().position(|(at, _)| *at == wait.on).unwrap_or(0);
                    let circle: Vec<usize> = path.iter().skip(from).map(|(at, _)| *at).collect();
                    // Cycles that share a node are reported one after another, as each is fixed.
                    if !circle.iter().any(|at| in_circle.get(*at) == Some(&true)) {
                        for at in &circle {
                            if let Some(mark) = in_circle.get_mut(*at) {
                                *mark = true;
                            }
                        }
                        found.push(circle);
                    }
                }
                _ => {}
            }
        }
    }
    found
}

fn report(
    cx: &mut Reporter<'_>,
    waits: &[Vec<Wait>],
    circle: &[usize],
    name: &dyn Fn(usize) -> String,
) {
    let next = |i: usize| circle.get((i + 1) % circle.len()).copied().unwrap_or_default();
    let mut edges: Vec<(usize, usize, Option<Span>)> = circle
        .iter()
        .enumerate()
        .map(|(i, at)| {
            let to = next(i);
            let wait = waits.get(*at).and_then(|waits| waits.iter().find(|wait| wait.on == to));
            (*at, to, wait.and_then(|wait| wait.span))
        })
        .collect();
    // It starts at the edge that is first in the text.
    let first = edges
        .iter()
        .enumerate()
        .filter_map(|(i, edge)| Some((edge.2?, i)))
        .min()
        .map_or(0, |(_, i)| i);
    edges.rotate_left(first);
    let names: Vec<String> = edges.iter().map(|(at, ..)| name(*at)).collect();
    let headline = match names.as_slice() {
        [only] => format!("`{only}` waits for itself"),
        [a, b] => format!("`{a}` and `{b}` wait for each other"),
        _ => format!("{} pods and services wait for each other in a cycle", names.len()),
    };
    let mut found = Diagnostic::error(codes::CYCLE, headline);
    for (at, to, span) in edges.iter().take(8) {
        if let Some(span) = span {
            found = found.label(*span, format!("`{}` waits for `{}`", name(*at), name(*to)));
        }
    }
    let mut path: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
    if names.len() > 20 {
        path.push("…");
    }
    path.extend(names.first().map(String::as_str));
    cx.report(found.help(format!("None of them would ever start: {}.", path.join(" → "))));
}
