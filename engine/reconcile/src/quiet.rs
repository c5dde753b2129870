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

use crate::found::{Containers, Found};
use crate::labels::Role;
use crate::needs::Needs;
use crate::observed::{ContainerState, Live};
use crate::plan::ReadyRule;
use crate::pods::Context;
use crate::realise::{DesiredContainer, Surroundings, realise};

/// Names that no pod has, and that no text of a spec is likely to hold. Two, since a text that
/// holds one of them would be cut there too: it shows when the pieces of both are compared.
const MARKS: [&str; 2] = ["\u{e000}tally\u{e000}", "\u{e001}tally\u{e001}"];

/// The patterns of all workloads, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Patterns {
    all: BTreeMap<String, Pattern>,
}

/// What the pods of one workload look like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
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
        let patterns = workloads
            .filter_map(|workload| Some((workload.name.clone(), pattern(workload, around)?)));
        Self { all: patterns.collect() }
    }

    pub fn get(&self, workload: &Workload) -> Option<&Pattern> {
        self.all.get(workload.name.as_str())
    }

    /// Whether a container's applied spec is just what its workload asks for.
    pub fn wished(
        &self,
        workload: &str,
        pod: &str,
        (role, name): (Role, &str),
        spec: &str,
    ) -> bool {
        let named = workload
            .split_once('/')
            .and_then(|(kind, name)| self.all.get(name).filter(|pattern| pattern.kind == kind));
        let container = named.and_then(|pattern| {
            pattern.containers.iter().find(|c| c.role == role && c.name == name)
        });
        container.is_some_and(|container| stands_in(&container.spec, pod, spec))
    }
}

fn pattern(workload: &Workload, around: &Surroundings<'_>) -> Option<Pattern> {
    let [first, second] = MARKS.map(|mark| realise(workload, mark.to_owned(), around));
    let joined = first.containers.first().is_some_and(|first| first.role == Role::Infra);
    let pairs = first.containers.into_iter().zip(&second.containers);
    let containers = pairs.map(|(first, second)| container(first, second));
    let mut containers = containers.collect::<Option<Vec<_>>>()?;
    containers.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
    Some(Pattern { containers, joined, kind: workload.address().kind.word() })
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

impl Pattern {
    /// Whether a pod is as it shall be, and ready.
    pub fn is_quiet(&self, found: &Containers<'_>, context: &Context<'_>) -> bool {
        let infra = found.get(Role::Infra, "");
        found.len() == self.containers.len()
            && self.joined == infra.is_some()
            && self.containers.iter().zip(found.values()).all(|(wished, found)| {
                wished.role == found.identity.role
                    && wished.name == found.identity.name
                    && wished.is_quiet(found, infra, context)
            })
    }
}

impl ContainerPattern {
    fn is_quiet(
        &self,
        found: &Found<'_>,
        infra: Option<&Found<'_>>,
        context: &Context<'_>,
    ) -> bool {
        let details = found.details;
        let as_told = found.identity.wished && details.live == self.live && self.has_files(found);
        let joined = details.joined.as_ref().zip(infra);
        let as_told = as_told && joined.is_none_or(|(joined, infra)| *joined == infra.container.id);
        if self.role == Role::Init {
            return as_told && found.has_ended_well();
        }
        as_told
            && found.container.state == ContainerState::Running
            && !found.is_cut_off(infra)
            && !context.must_restart(found)
            && (self.role == Role::Infra || found.is_ready(&self.ready, infra, context.now_ms))
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
