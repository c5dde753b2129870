//! The labels and settings that the pods of each workload have when they are up to date.
//!
//! Pods of one workload differ in their names only. So a workload is realised once, for a name that no pod
//! can have, and its labels are split where that name occurs. A pod's label is as specified when the parts
//! occur in it with the pod's own name between them.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{FileSpec, Graph, Until, Workload};

use crate::desired::realise::{DesiredContainer, Surroundings, realise};
use crate::input::needs::Needs;
use crate::input::observed::Live;
use crate::labels::Role;
use crate::plan::ReadyRule;

/// Names that no pod has, and that no text of a spec is likely to hold. Two, since a text that
/// holds one of them would be cut there too: it shows when the pieces of both are compared.
const MARKS: [&str; 2] = ["\u{e000}tally\u{e000}", "\u{e001}tally\u{e001}"];

/// The patterns of all workloads, sorted by name; their place in this list is their number.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Patterns(Vec<Pattern>);

/// What a glance at a pod showed, when its host was sorted and all of it was at hand. It is looked at
/// again for each pod of a plan, and going through all containers of all hosts once more takes longer
/// than all else.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FastPath {
    /// The number of the workload whose word by word wish its first container is.
    pub workload: Option<u32>,
    /// Its ordinal, where its name is that of that workload with an ordinal as it is written.
    pub ordinal: Option<u32>,
    /// Whether nothing is to be done for it, if it is that workload's.
    pub is_up_to_date: bool,
}

/// What the pods of one workload look like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    /// The workload's.
    pub name: String,
    /// By role and name, as [`Containers`] are.
    pub(crate) containers: Vec<ContainerPattern>,
    pub(crate) joined: bool,
    /// `controller`, `pod`.
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
    /// The patterns of a graph's workloads. Where somebody waits for the end of one, its pods are
    /// planned all the same, since that wait is an operation on them.
    pub fn of(graph: &Graph, needs: &Needs<'_>, around: &Surroundings<'_>) -> Self {
        let completed = needs.values().flatten().filter(|(_, until)| *until == Until::Completed);
        let awaited: BTreeSet<&str> = completed.map(|(name, _)| *name).collect();
        let workloads = graph.workloads().filter(|w| !awaited.contains(w.name.as_str()));
        let mut all: Vec<Pattern> =
            workloads.filter_map(|workload| pattern(workload, around)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self(all)
    }

    /// The number of a workload that has a pattern.
    pub fn number(&self, name: &str) -> Option<u32> {
        let at = self.0.binary_search_by(|pattern| pattern.name.as_str().cmp(name)).ok()?;
        u32::try_from(at).ok()
    }

    /// All of them, by number.
    pub fn all(&self) -> &[Pattern] {
        &self.0
    }

    pub fn get(&self, number: u32) -> Option<&Pattern> {
        self.0.get(number as usize)
    }

    /// The number of the workload for which a container's applied spec is just what that asks for.
    pub fn wished(
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

/// The ordinal that is written so.
pub(crate) fn ordinal(digits: &str) -> Option<u32> {
    let is_written_so = digits == "0" || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| is_written_so)
}

fn pattern(workload: &Workload, around: &Surroundings<'_>) -> Option<Pattern> {
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

/// Whether `text` is the pieces with `name` between them.
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
    fn a_text_is_its_pieces_with_the_name_between_them() {
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
