//! The moves of a plan that only rebalance, for people.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Bytes, Cpu, Graph};
use tally_reconcile::plan::balance::{Balance, Disruption, Move, Share};
use tally_reconcile::plan::{Change, ChangeKind, Plan};

use crate::show::terminal::{Style, Terminal, clean};
use crate::show::values::count;

/// Maximum number of named workloads that stay; `--json` contains all.
const MOST_FIXED: usize = 8;

/// Returns the changes that are one half of a move: the pod is created on one host and removed on another.
#[must_use]
pub fn halves(plan: &Plan) -> BTreeSet<(&str, &str, ChangeKind)> {
    let mut all = BTreeSet::new();
    for it in plan.balance.iter().flat_map(|balance| &balance.moves) {
        let Some(pod) = it.subject.pod() else { continue };
        all.insert((pod, it.from.as_str(), ChangeKind::Remove));
        all.insert((pod, it.to.as_str(), ChangeKind::Create));
    }
    all
}

/// Checks whether a change is one half of a move.
#[must_use]
pub fn is_half(change: &Change, halves: &BTreeSet<(&str, &str, ChangeKind)>) -> bool {
    let Some(pod) = change.subject.pod() else { return false };
    let key = (pod, change.host.as_str(), change.kind);
    change.subject.container().is_some() && halves.contains(&key)
}

/// Returns the moves with their reasons and costs, the hosts before and after, and the pods that stay whatever the
/// load.
#[must_use]
pub fn people(balance: &Balance, graph: &Graph, terminal: &Terminal) -> String {
    let mut out = String::from("\n");
    let title =
        if balance.moves.is_empty() { "Nothing to rebalance" } else { "Moves to rebalance" };
    out.push_str(&format!("{}\n", terminal.paint(Style::Bold, title)));
    let mut workloads: BTreeMap<Cow<'_, str>, Vec<&Move>> = BTreeMap::new();
    for it in &balance.moves {
        workloads.entry(it.subject.address()).or_default().push(it);
    }
    for (workload, moves) in workloads {
        of_workload(&workload, &moves, graph, terminal, &mut out);
    }
    if !balance.moves.is_empty() {
        out.push('\n');
    }
    hosts(balance, terminal, &mut out);
    for fixed in balance.fixed.iter().take(MOST_FIXED) {
        let place = fixed.origin.map(|span| graph.sources.line_place(span)).unwrap_or_default();
        let line = format!("  {} stays: {}  {place}", fixed.workload, clean(&fixed.reason));
        out.push_str(&format!("{}\n", terminal.paint(Style::Dim, line.trim_end())));
    }
    if balance.fixed.len() > MOST_FIXED {
        let line = format!("  and {} more stay", balance.fixed.len() - MOST_FIXED);
        out.push_str(&format!("{}\n", terminal.paint(Style::Dim, &line)));
    }
    out
}

fn of_workload(
    workload: &str,
    moves: &[&Move],
    graph: &Graph,
    terminal: &Terminal,
    out: &mut String,
) {
    let Some(first) = moves.first() else { return };
    let place = first.origin.map(|span| graph.sources.line_place(span)).unwrap_or_default();
    let words = disturbs(&first.disruption, moves.len());
    let workload = terminal.paint(Style::Bold, workload);
    let mark = terminal.paint(Style::Change, "  >");
    let place = terminal.paint(Style::Dim, &place);
    out.push_str(&format!("{mark} {workload}  {words}  {place}\n"));
    let pod = |it: &Move| it.subject.pod().unwrap_or_default().to_owned();
    let width = moves.iter().map(|it| pod(it).chars().count()).max().unwrap_or(0);
    for it in moves {
        let (pod, arrow) = (pod(it), terminal.arrow());
        let mut costs = Vec::new();
        if it.memory > 0 {
            costs.push(Bytes(it.memory).to_string());
        }
        if it.cpu > 0 {
            let cores = Cpu(u32::try_from(it.cpu).unwrap_or(u32::MAX)).to_string();
            costs.push(if it.cpu == 1000 { "1 core".to_owned() } else { format!("{cores} cores") });
        }
        let mut cost = if costs.is_empty() {
            "reserves nothing".to_owned()
        } else {
            format!("reserves {}", costs.join(", "))
        };
        if !it.pulls.is_empty() {
            cost.push_str(&format!("; {} pulls {}", it.to, it.pulls.join(", ")));
        }
        out.push_str(&format!(
            "      {pod:width$}  {} {arrow} {}  {}\n",
            it.from, it.to, it.reason
        ));
        let cost = terminal.paint(Style::Dim, &clean(&cost));
        out.push_str(&format!("      {:width$}  {cost}\n", ""));
    }
}

/// Returns the disruption by the moves of a workload's pods.
fn disturbs(disruption: &Disruption, moves: usize) -> String {
    let Disruption { at_once, replicas, ready, stand_ins } = *disruption;
    let at_once = usize::try_from(at_once).unwrap_or(usize::MAX).min(moves);
    match (stand_ins, ready) {
        (0, 0) if replicas == 1 => {
            "interrupts it: it stops, then starts on the other host".to_owned()
        }
        (0, 0) => format!("{at_once} of {replicas} at a time, interrupts it"),
        (0, least) => format!("{at_once} of {replicas} at a time, never below {least} ready"),
        (extra, least) => format!(
            "{} first, then {at_once} of {replicas} at a time, never below {} ready",
            match extra {
                1 => "a surge pod starts".to_owned(),
                more => format!("{} start", count(more as usize, "stand-in", "stand-ins")),
            },
            least.max(1)
        ),
    }
}

/// Returns a table of the load of the hosts, before and after.
fn hosts(balance: &Balance, terminal: &Terminal, out: &mut String) {
    let arrow = terminal.arrow();
    let change = |before: String, after: String| {
        if before == after { before } else { format!("{before} {arrow} {after}") }
    };
    let percent = |share: &Share| {
        let of = |part: u64| format!("{} %", part.saturating_mul(100) / share.of.max(1));
        change(of(share.before), of(share.after))
    };
    let mut rows = vec![["host", "pods", "cores", "memory"].map(str::to_owned)];
    rows.extend(balance.hosts.iter().map(|load| {
        [
            load.host.clone(),
            change(load.pods_before.to_string(), load.pods_after.to_string()),
            percent(&load.cpu),
            percent(&load.memory),
        ]
    }));
    let width = |at: usize| {
        rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..4).map(|at| width(at).unwrap_or(0)).collect();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("   ");
        let line = format!("  {}", line.trim_end());
        let line = if number == 0 { terminal.paint(Style::Dim, &line) } else { line };
        out.push_str(&format!("{line}\n"));
    }
}
