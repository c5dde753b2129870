//! The labels and settings that the pods of each workload have when they are up to date.
//!
//! Pods of one workload differ in their names only. So a workload is realised once, for a name that no pod
//! can have, and its labels are split where that name occurs. A pod's label is as specified when the parts
//! occur in it with the pod's own name between them.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{FileSpec, Graph, Until, Workload};

use crate::desired::realise::{DesiredContainer, RealiseContext, realise};
use crate::input::needs::Needs;
use crate::input::observed::Live;
use crate::labels::Role;
use crate::plan::ReadyRule;

/// Names that no pod can have, and that a text of a spec hardly contains. There are two because a text that
/// contains one of them would be split there too: a comparison of the pieces of both shows this.
const MARKS: [&str; 2] = ["\u{e000}tally\u{e000}", "\u{e001}tally\u{e001}"];

/// The patterns of all workloads, sorted by name; the position in this list is the number of the pattern.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Patterns(Vec<Pattern>);

/// The result of the fast path for a pod. It is calculated while the inventory of the host is collected,
/// because another pass over all containers of all hosts would take longer than the rest of planning.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FastPath {
    /// The number of the workload whose pattern its first container matches exactly.
    pub workload: Option<u32>,
    /// Its ordinal, if its name is the name of that workload with an ordinal.
    pub ordinal: Option<u32>,
    /// Whether nothing has to be done, if the pod is of that workload.
    pub is_up_to_date: bool,
}

/// The pattern of the pods of one workload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    /// The name of the workload.
    pub name: String,
    /// The containers by role and name, like those of [`Containers`].
    pub(crate) containers: Vec<ContainerPattern>,
    pub(crate) joined: bool,
    /// The kind of the workload: `controller`, `pod`.
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContainerPattern {
    pub(crate) role: Role,
    pub(crate) name: String,
    spec: Vec<String>,
    pub(crate) live: Live,
    pub(crate) ready: ReadyRule,
    pub(crate) files: Option<BTreeMap<String, FileSpec>>,
}

impl Patterns {
    /// Returns the patterns of a graph's workloads. A workload whose end others wait for has none: its pods
    /// are always planned, because the wait is an operation on them.
    pub fn of(graph: &Graph, needs: &Needs<'_>, around: &RealiseContext<'_>) -> Self {
        let completed = needs.values().flatten().filter(|(_, until)| *until == Until::Completed);
        let awaited: BTreeSet<&str> = completed.map(|(name, _)| *name).collect();
        let workloads = graph.workloads().filter(|w| !awaited.contains(w.name.as_str()));
        let mut all: Vec<Pattern> =
            workloads.filter_map(|workload| pattern(workload, around)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self(all)
    }

    /// Returns the number of the pattern of a workload; `None` if it has none.
    pub fn number(&self, name: &str) -> Option<u32> {
        let at = self.0.binary_search_by(|pattern| pattern.name.as_str().cmp(name)).ok()?;
        u32::try_from(at).ok()
    }

    /// Returns all patterns, in the order of their numbers.
    pub fn all(&self) -> &[Pattern] {
        &self.0
    }

    pub fn get(&self, number: u32) -> Option<&Pattern> {
        self.0.get(number as usize)
    }

    /// Returns the number of the workload whose desired spec is exactly the applied spec of a container.
    pub fn matching_pattern(
        &self,
        workload: &str,
        pod: &str,
        (role, name): (Role, &str),
        spec: &str,
    ) -> Option<u32> {
        let (kind, workload) = workload.split_once('/')?;
        let number = self.number(workload)?;
        let pattern = self.get(number).filter(|pattern| pattern.kind == kind)?;
        let mut own = pattern.containers.iter().filter(|c| c.role == role && c.name == name);
        own.next().is_some_and(|own| stands_in(&own.spec, pod, spec)).then_some(number)
    }
}

/// Parses an ordinal; returns `None` if the digits are not its canonical form.
pub(crate) fn ordinal(digits: &str) -> Option<u32> {
    let is_written_so = digits == "0" || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| is_written_so)
}

fn pattern(workload: &Workload, around: &RealiseContext<'_>) -> Option<Pattern> {
    let [first, second] = MARKS.map(|mark| realise(workload, mark.to_owned(), around));
    let joined = first.containers.first().is_some_and(|first| first.role == Role::Infra);
    let pairs = first.containers.into_iter().zip(&second.containers);
    let containers = pairs.map(|(first, second)| container(first, second));
    let mut containers = containers.collect::<Option<Vec<_>>>()?;
    containers.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
    let (name, kind) = (workload.name.clone(), workload.kind.word());
    Some(Pattern { name, containers, joined, kind })
}

fn container(
    desired: DesiredContainer<'_>,
    other: &DesiredContainer<'_>,
) -> Option<ContainerPattern> {
    let cut = |desired: &DesiredContainer<'_>, mark: &str| -> Vec<String> {
        desired.applied.to_label().split(mark).map(str::to_owned).collect()
    };
    let [first, second] = MARKS;
    let spec = cut(&desired, first);
    if cut(other, second) != spec {
        return None;
    }
    let files = desired.source.map(|source| &source.file).filter(|files| !files.is_empty());
    Some(ContainerPattern {
        role: desired.role,
        spec,
        files: files.cloned(),
        live: desired.live(),
        name: desired.name,
        ready: desired.ready,
    })
}

/// Checks whether `text` is the pieces with `name` between them.
fn stands_in(pieces: &[String], name: &str, text: &str) -> bool {
    let mut rest = text;
    for (number, piece) in pieces.iter().enumerate() {
        let between = if number == 0 { "" } else { name };
        let Some(after) = rest.strip_prefix(between).and_then(|rest| rest.strip_prefix(&**piece))
        else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_matches_pieces_with_the_name_between_them() {
        let pieces = |text: &str| text.split('*').map(str::to_owned).collect::<Vec<_>>();
        for (pattern, text, expected) in [
            ("a*b", "a-web-0-b", false),
            ("a*b", "aweb-0b", true),
            ("a*b", "aweb-0", false),
            ("a*b", "aweb-0bc", false),
            ("a*b*", "aweb-0bweb-0", true),
            ("a*b*", "aweb-0bweb-1", false),
            ("ab", "ab", true),
            ("", "", true),
        ] {
            assert_eq!(stands_in(&pieces(pattern), "web-0", text), expected, "{pattern} {text}");
        }
    }
}
