//! One image for all pods of a version: a tag may move between two pulls, and a rollout that takes a
//! while, or a pod that is made anew a week later, would then mix two programs.
//!
//! Nothing is remembered for it. What the pods of the version run that are there already says which image
//! is meant, and the registry's digest of it is how other hosts get just that. Where none is there yet
//! the first pull of a plan decides, which the executor sees to.

use std::collections::BTreeMap;
use std::ops::Bound;

use tally_graph::schema::UpdateClass;
use tally_graph::{Graph, ImageRef, Pull, Workload};
use tally_source::{Code, Diagnostic, Span};

use crate::desired::realise::{DesiredContainer, Surroundings, realise};
use crate::diff::{Places, difference};
use crate::input::observed::HostState;
use crate::inventory::containers::Found;
use crate::inventory::host_status::{Hosts, ReadyHost};
use crate::labels::{INFRA_IMAGE, Role};

/// Which image a new container is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Choice {
    /// What its name stands for.
    #[default]
    Named,
    /// The one that others of its version run.
    Same(Same),
}

/// An image that others run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Same {
    /// Its ID there.
    pub id: String,
    /// `name@sha256:…`, where a registry has it.
    pub digest: Option<String>,
    /// Who runs it or has it: `web-2 on alpha`, `alpha`.
    whose: String,
    /// The machine it is for.
    arch: String,
}

/// What must be known to choose.
pub(crate) struct Choosing<'a> {
    pub graph: &'a Graph,
    pub hosts: &'a Hosts<'a>,
    pub around: &'a Surroundings<'a>,
    /// The hosts on which pods of the workload are or will be, in the order of the pods.
    pub seats: &'a [usize],
}

impl Choosing<'_> {
    /// The image of a container that is to be made. The first rule that fits:
    ///
    /// | what is there | |
    /// |---|---|
    /// | the spec names a digest | that |
    /// | pods of this version | the image that they run |
    /// | `pull always` | what the tag stands for at the registry |
    /// | the tag, on the first of its hosts that has it | that image, on all of them |
    /// | nothing | what the tag stands for at the registry |
    pub fn choose(&self, workload: &Workload, desired: &DesiredContainer<'_>) -> Choice {
        let name = desired.applied.image.as_str();
        let Ok(image) = ImageRef::parse(name) else { return Choice::Named };
        if image.digest.is_some() || name == INFRA_IMAGE {
            return Choice::Named;
        }
        if let Some(same) = self.of_version(workload, desired, &image) {
            return Choice::Same(same);
        }
        if desired.pull == Pull::Always {
            return Choice::Named;
        }
        let seats = self.seats.iter().filter_map(|seat| self.hosts.ready.get(*seat));
        let first = seats.into_iter().find_map(|host| Some((host, host.state.images.get(name)?)));
        match first {
            Some((host, id)) => Choice::Same(same(host, id, &image, host.name.to_owned())),
            None => Choice::Named,
        }
    }

    /// What the pods of the same version run. Rollouts begin with the highest ordinals, so those are
    /// asked first.
    fn of_version(
        &self,
        workload: &Workload,
        desired: &DesiredContainer<'_>,
        image: &ImageRef,
    ) -> Option<Same> {
        let address = workload.address().to_string();
        let mut all: BTreeMap<(&str, usize), &Found<'_>> = BTreeMap::new();
        for (number, host) in self.hosts.ready.iter().enumerate() {
            let own = host.inventory.pods.iter();
            let own = own.filter(|(_, it)| it.workload() == Some(&address));
            let found = own.filter_map(|(name, it)| {
                Some(((*name, number), it.get(desired.role, &desired.name)?))
            });
            all.extend(found);
        }
        let is_meant = |((name, _), found): &(&(&str, usize), &&Found<'_>)| {
            !found.details.image_id.is_empty()
                && (found.identity.wished.is_some() || self.is_of(workload, name, desired, found))
        };
        let ((name, number), found) = all.iter().rev().find(is_meant)?;
        let host = self.hosts.ready.get(*number)?;
        let whose = format!("{name} on {}", host.name);
        Some(same(host, &found.details.image_id, image, whose))
    }

    /// Whether a container is what this version asks for, but for what can be changed as it runs.
    fn is_of(
        &self,
        workload: &Workload,
        pod: &str,
        desired: &DesiredContainer<'_>,
        found: &Found<'_>,
    ) -> bool {
        let realised = realise(workload, pod.to_owned(), self.around);
        let own = |it: &&DesiredContainer<'_>| it.role == desired.role && it.name == desired.name;
        realised.containers.iter().find(own).is_some_and(|own| {
            let places = Places::new(self.graph, workload, own);
            let differs = difference(own, found, &places);
            differs.spec.iter().all(|change| change.class < UpdateClass::RecreateContainer)
        })
    }
}

fn same(host: &ReadyHost<'_>, id: &str, image: &ImageRef, whose: String) -> Same {
    let arch = host.state.engine.arch.clone();
    Same { id: id.to_owned(), digest: digest_of(&host.state.images, id, image), whose, arch }
}

/// The registry's name of an image among those of a host, of the same repository as `image`:
/// `name@sha256:…`.
///
/// Where images lie in containerd's store, as in Docker 29, their IDs are the registry's digests. One
/// whose tag has moved is listed without a name there, and of one with several names only one is told;
/// so the ID says it.
#[must_use]
pub fn digest_of(images: &BTreeMap<String, String>, id: &str, image: &ImageRef) -> Option<String> {
    let prefix = format!("{}@", ImageRef { tag: None, ..image.clone() });
    let from = images.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
    let mut own = from.take_while(|(name, _)| name.starts_with(&prefix));
    let listed = own.find(|(_, known)| *known == id).map(|(name, _)| name.clone());
    listed.or_else(|| ids_are_digests(images).then(|| format!("{prefix}{id}")))
}

/// Elsewhere an ID is the hash of what describes the image, and never that of what the registry has.
fn ids_are_digests(images: &BTreeMap<String, String>) -> bool {
    let is_digest = |(name, id): (&String, &String)| {
        name.split_once('@').is_some_and(|(_, digest)| digest == id)
    };
    images.iter().any(is_digest)
}

/// How a host gets the image that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is there, by that name.
    There(String),
    /// It must be fetched by that name.
    Fetch(String),
    /// Another one has its name, and no registry has what was chosen.
    Other,
    /// What its name stands for, as its `pull` says.
    AsNamed,
}

impl Choice {
    /// How a host gets it that shall make a container from the image `name`.
    pub fn way(&self, name: &str, state: &HostState) -> Way {
        let Self::Same(same) = self else { return Way::AsNamed };
        let here = state.images.get(name);
        let by_digest = same.digest.as_ref().and_then(|digest| state.images.get(digest));
        if here.is_some_and(|id| *id == same.id || Some(id) == by_digest) {
            return Way::There(name.to_owned());
        }
        match (&same.digest, by_digest) {
            (Some(digest), Some(_)) => Way::There(digest.clone()),
            // It has another name here, or lost its own.
            _ if state.images.values().any(|id| *id == same.id) => Way::There(same.id.clone()),
            (Some(digest), None) => Way::Fetch(digest.clone()),
            // Machines of another kind have other images by the same name.
            (None, _) if here.is_some() && state.engine.arch == same.arch => Way::Other,
            (None, _) => Way::AsNamed,
        }
    }

    /// That a host makes a container from another image than others of its version run.
    pub fn other_image(&self, name: &str, host: &str, state: &HostState, span: Span) -> Diagnostic {
        let short = |id: &str| {
            let hex = id.strip_prefix("sha256:").unwrap_or(id);
            hex.get(..12).unwrap_or(hex).to_owned()
        };
        let (theirs, whose) = match self {
            Self::Same(same) => (short(&same.id), same.whose.as_str()),
            Self::Named => (String::new(), ""),
        };
        let ours = state.images.get(name).map(|id| short(id)).unwrap_or_default();
        Diagnostic::warning(
            Code(1306),
            format!("`{name}` is {ours} on host `{host}`, and {theirs} for {whose}"),
        )
        .label(span, "pods of one version would run two images")
        .help(
            "No registry is known to have either, so none can be fetched in the place of the other. \
             Load the same image on all hosts, or push it to a registry and name it there.",
        )
    }
}

/// Which image was chosen, by workload, role and name of the container: all its pods get the same.
pub(crate) type Choices = BTreeMap<(String, Role, String), Choice>;

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "app:1";
    const DIGEST: &str = "app@sha256:aa";

    fn has(images: &[(&str, &str)], arch: &str) -> HostState {
        let images = images.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned()));
        let mut state = HostState { images: images.collect(), ..HostState::default() };
        state.engine.arch = arch.to_owned();
        state
    }

    #[test]
    fn each_host_has_its_way_to_the_image_that_was_chosen() {
        let same = |digest: Option<&str>| {
            let digest = digest.map(str::to_owned);
            let (whose, arch) = ("web-2 on a".to_owned(), "amd64".to_owned());
            Choice::Same(Same { id: "1".to_owned(), digest, whose, arch })
        };
        let there = |name: &str| Way::There(name.to_owned());
        let fetch = || Way::Fetch(DIGEST.to_owned());
        let [known, local] = [same(Some(DIGEST)), same(None)];
        for (choice, images, arch, expected) in [
            (&Choice::Named, &[(TAG, "1")][..], "amd64", Way::AsNamed),
            // A registry has it.
            (&known, &[(TAG, "1")], "amd64", there(TAG)),
            (&known, &[], "amd64", fetch()),
            (&known, &[(TAG, "2")], "amd64", fetch()),
            (&known, &[(TAG, "2"), (DIGEST, "1")], "amd64", there(DIGEST)),
            (&known, &[(TAG, "2"), ("1", "1")], "amd64", there("1")),
            // One digest has an image for each kind of machine.
            (&known, &[(TAG, "7"), (DIGEST, "7")], "arm64", there(TAG)),
            (&known, &[(TAG, "2"), (DIGEST, "7")], "arm64", there(DIGEST)),
            // None has.
            (&local, &[(TAG, "1")], "amd64", there(TAG)),
            (&local, &[], "amd64", Way::AsNamed),
            (&local, &[(TAG, "2")], "amd64", Way::Other),
            (&local, &[(TAG, "2"), ("mine:3", "1")], "amd64", there("1")),
            (&local, &[(TAG, "7")], "arm64", Way::AsNamed),
        ] {
            assert_eq!(choice.way(TAG, &has(images, arch)), expected, "{choice:?} {images:?}");
        }
    }

    #[test]
    fn a_digest_is_of_the_same_repository() {
        let state =
            has(&[("app@sha256:bb", "2"), ("apple@sha256:cc", "1"), (DIGEST, "1")], "amd64");
        let image = ImageRef::parse(TAG).unwrap();
        assert_eq!(digest_of(&state.images, "1", &image).as_deref(), Some(DIGEST));
        assert_eq!(digest_of(&state.images, "3", &image), None);
    }

    #[test]
    fn an_id_is_the_digest_where_images_lie_in_containerds_store() {
        let image = ImageRef::parse("registry.example:5000/app:1").unwrap();
        let (other, moved) = ("tally.local/hello@sha256:bb", "registry.example:5000/app:1");
        let lost = ("sha256:aa", "sha256:aa");
        let state = has(&[(other, "sha256:bb"), (moved, "sha256:cc"), lost], "amd64");
        let expected = "registry.example:5000/app@sha256:aa";
        assert_eq!(digest_of(&state.images, "sha256:aa", &image).as_deref(), Some(expected));
        // The same of an engine whose IDs are others.
        let state = has(&[(other, "sha256:dd"), (moved, "sha256:cc"), lost], "amd64");
        assert_eq!(digest_of(&state.images, "sha256:aa", &image), None);
    }
}
