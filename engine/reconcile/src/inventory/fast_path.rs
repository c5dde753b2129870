//! What the pods of a workload look like when nothing is to be done for them, so that the many that
//! are as they shall be are known at a glance, and only the others are compared field by field.
//!
//! Pods of one workload differ in their names only. So a workload is realised once, for a name that
//! no pod can have, and its labels are cut where that name stands; a pod's label is as wished when
//! the pieces stand in it with the pod's own name between them. Nothing here decides anything: what
//! does not match goes the long way, and what matches would come out of it with nothing to do.
//! [`crate::Options::thorough`] takes the long way for all, which tests compare.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{FileSpec, Graph, Until, Workload};

use crate::desired::realise::{DesiredContainer, Surroundings, realise};
use crate::input::needs::Needs;
use crate::input::observed::{ContainerState, Live};
use crate::inventory::containers::{Containers, Found};
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
pub(crate) struct Glance {
    /// The number of the workload whose word by word wish its first container is.
    pub workload: Option<u32>,
    /// Its ordinal, where its name is that of that workload with an ordinal as it is written.
    pub ordinal: Option<u32>,
    /// Whether nothing is to be done for it, if it is that workload's.
    pub is_quiet: bool,
}

/// What a glance goes by beside the pod itself.
pub(crate) struct Judge<'a> {
    /// Containers whose liveness has failed, by full ID.
    pub failing: &'a BTreeSet<String>,
    /// Containers that are to be restarted, by workload, with the start that is to be their last.
    pub restarts: &'a BTreeMap<String, BTreeMap<String, i64>>,
    /// By the host's clock.
    pub now_ms: i64,
}

/// What the pods of one workload look like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    /// The workload's.
    pub name: String,
    /// By role and name, as [`Containers`] are.
    containers: Vec<ContainerPattern>,
    joined: bool,
    /// `controller`, `pod`.
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
struct ContainerPattern {
    role: Role,
    name: String,
    spec: Vec<String>,
    live: Live,
    ready: ReadyRule,
    files: Option<BTreeMap<String, FileSpec>>,
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

    fn get(&self, number: u32) -> Option<&Pattern> {
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

    /// A glance at a pod.
    pub fn glance(&self, pod: &str, found: &Containers<'_>, judge: &Judge<'_>) -> Glance {
        let workload = found.values().next().and_then(|found| found.identity.wished);
        let Some((number, pattern)) = workload.and_then(|it| Some((it, self.get(it)?))) else {
            return Glance::default();
        };
        let digits = pod.strip_prefix(&*pattern.name).and_then(|rest| rest.strip_prefix('-'));
        let ordinal = digits.and_then(ordinal);
        Glance { workload, ordinal, is_quiet: pattern.is_quiet(number, found, judge) }
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

impl Judge<'_> {
    /// Whether a container that runs is to be restarted all the same: [`crate::planner::pod::Context`] for what is
    /// word by word as its workload asks.
    fn must_restart(&self, found: &Found<'_>) -> bool {
        let asked = self.restarts.get(found.identity.workload);
        let last = asked.and_then(|restarts| restarts.get(&found.container.id));
        self.failing.contains(&found.container.id)
            || (last.is_some() && last.copied() == found.details.started_at_ms)
    }
}

impl Pattern {
    /// Whether a pod is as it shall be, and ready; `number` is that of this pattern.
    fn is_quiet(&self, number: u32, found: &Containers<'_>, judge: &Judge<'_>) -> bool {
        let infra = found.get(Role::Infra, "");
        found.len() == self.containers.len()
            && self.joined == infra.is_some()
            && self.containers.iter().zip(found.values()).all(|(wished, found)| {
                found.identity.wished == Some(number)
                    && wished.role == found.identity.role
                    && wished.name == found.identity.name
                    && wished.is_quiet(found, infra, judge)
            })
    }
}

impl ContainerPattern {
    fn is_quiet(&self, found: &Found<'_>, infra: Option<&Found<'_>>, judge: &Judge<'_>) -> bool {
        let details = found.details;
        let as_told = details.live == self.live && self.has_files(found);
        let joined = details.joined.as_ref().zip(infra);
        let as_told = as_told && joined.is_none_or(|(joined, infra)| *joined == infra.container.id);
        if self.role == Role::Init {
            return as_told && found.has_ended_well();
        }
        as_told
            && found.container.state == ContainerState::Running
            && !found.is_cut_off(infra)
            && !judge.must_restart(found)
            && (self.role == Role::Infra || found.is_ready(&self.ready, infra, judge.now_ms))
    }

    fn has_files(&self, found: &Found<'_>) -> bool {
        let recorded = found.details.files.as_ref().filter(|files| !files.is_empty());
        match (self.files.as_ref(), recorded) {
            (None, None) => true,
            (Some(wished), Some(recorded)) => {
                let same = |(path, file): (&String, &FileSpec)| {
                    recorded.get(path).is_some_and(|old| old.is_same_as(file))
                };
                wished.len() == recorded.len() && wished.iter().all(same)
            }
            _ => false,
        }
    }
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
