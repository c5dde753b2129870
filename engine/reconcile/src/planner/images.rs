//! Chooses one image for all pods of a version. A tag may move between two pulls. A long rollout, or a pod
//! that is recreated a week later, would then mix two programs.
//!
//! The choice is not stored. The existing pods of the version determine the image, and other hosts pull it
//! by its registry digest. If the version has no pod yet, the executor uses the image of the plan's first
//! pull.

use std::collections::BTreeMap;
use std::ops::Bound;

use tally_graph::schema::UpdateClass;
use tally_graph::{Graph, ImageRef, Pull, Workload};
use tally_source::{Diagnostic, Span, engine_codes};

use crate::desired::realise::{DesiredContainer, RealiseContext, realise};
use crate::diff::{Places, difference};
use crate::input::observed::HostState;
use crate::inventory::containers::Found;
use crate::inventory::host_status::{Hosts, ReadyHost};
use crate::labels::{INFRA_IMAGE, Role};

/// The image from which a new container is created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Choice {
    /// The image that the name currently refers to.
    #[default]
    Named,
    /// The image that other pods of the version run.
    Same(SharedImage),
}

/// An image that other pods run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedImage {
    /// The image's ID on that host.
    pub id: String,
    /// `name@sha256:…`, if a registry has the image.
    pub digest: Option<String>,
    /// The pod or host that has the image: `web-2 on alpha`, `alpha`.
    owner: String,
    /// The CPU architecture of the image.
    arch: String,
}

/// The inputs of choosing an image.
pub(crate) struct ImageChooser<'a> {
    pub graph: &'a Graph,
    pub hosts: &'a Hosts<'a>,
    pub around: &'a RealiseContext<'a>,
    /// The hosts of the workload's pods, in the order of the pods.
    pub pod_hosts: &'a [usize],
}

impl ImageChooser<'_> {
    /// Chooses the image of a new container. The first matching rule applies:
    ///
    /// | existing state | image |
    /// |---|---|
    /// | the spec names a digest | the image with that digest |
    /// | pods of this version | the image that they run |
    /// | `pull always` | the image of the tag at the registry |
    /// | the tag, on the first of its hosts that has it | that image, on all of them |
    /// | none of these | the image of the tag at the registry |
    pub fn choose(&self, workload: &Workload, desired: &DesiredContainer<'_>) -> Choice {
        let name = desired.applied.image.as_str();
        let Ok(image) = ImageRef::parse(name) else { return Choice::Named };
        if image.digest.is_some() || name == INFRA_IMAGE {
            return Choice::Named;
        }
        if let Some(same) = self.image_of_version(workload, desired, &image) {
            return Choice::Same(same);
        }
        if desired.pull == Pull::Always {
            return Choice::Named;
        }
        let hosts = self.pod_hosts.iter().filter_map(|host| self.hosts.ready.get(*host));
        let first = hosts.into_iter().find_map(|host| Some((host, host.state.images.get(name)?)));
        match first {
            Some((host, id)) => Choice::Same(shared_image(host, id, &image, host.name.to_owned())),
            None => Choice::Named,
        }
    }

    /// Returns the image that pods of the same version run. Rollouts start with the highest ordinals, so
    /// those pods are checked first.
    fn image_of_version(
        &self,
        workload: &Workload,
        desired: &DesiredContainer<'_>,
        image: &ImageRef,
    ) -> Option<SharedImage> {
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
                && (found.identity.matching_pattern.is_some()
                    || self.matches_version(workload, name, desired, found))
        };
        let ((name, number), found) = all.iter().rev().find(is_meant)?;
        let host = self.hosts.ready.get(*number)?;
        let owner = format!("{name} on {}", host.name);
        Some(shared_image(host, &found.details.image_id, image, owner))
    }

    /// Checks whether a container matches this version, apart from fields that can be changed in place.
    fn matches_version(
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

/// Returns an image of a host as the choice for other hosts.
fn shared_image(host: &ReadyHost<'_>, id: &str, image: &ImageRef, owner: String) -> SharedImage {
    let arch = host.state.engine.arch.clone();
    SharedImage { id: id.to_owned(), digest: digest_of(&host.state.images, id, image), owner, arch }
}

/// Returns the registry digest of a host's image, in the same repository as `image`: `name@sha256:…`.
///
/// In containerd's image store, the default of Docker 29, image IDs are the registry's digests. That store
/// lists an image whose tag has moved without a name, and only one name of an image with several. So the
/// digest is derived from the ID there.
#[must_use]
pub fn digest_of(images: &BTreeMap<String, String>, id: &str, image: &ImageRef) -> Option<String> {
    let prefix = format!("{}@", ImageRef { tag: None, ..image.clone() });
    let from = images.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
    let mut own = from.take_while(|(name, _)| name.starts_with(&prefix));
    let listed = own.find(|(_, known)| *known == id).map(|(name, _)| name.clone());
    listed.or_else(|| ids_are_digests(images).then(|| format!("{prefix}{id}")))
}

/// Checks whether image IDs are registry digests. In Docker's classic image store an ID is the hash of the
/// image's configuration, which never equals the registry's digest.
fn ids_are_digests(images: &BTreeMap<String, String>) -> bool {
    let is_digest = |(name, id): (&String, &String)| {
        name.split_once('@').is_some_and(|(_, digest)| digest == id)
    };
    images.iter().any(is_digest)
}

/// How a host gets the chosen image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageSource {
    /// The host has the image, by this name.
    Present(String),
    /// The image must be pulled by this name.
    Pull(String),
    /// Another image has the name, and no registry has the chosen image.
    Other,
    /// The image that the name refers to, by its `pull` policy.
    AsNamed,
}

impl Choice {
    /// Returns how a host gets the chosen image for a container with the image `name`.
    pub fn source_on(&self, name: &str, state: &HostState) -> ImageSource {
        let Self::Same(same) = self else { return ImageSource::AsNamed };
        let here = state.images.get(name);
        let by_digest = same.digest.as_ref().and_then(|digest| state.images.get(digest));
        if here.is_some_and(|id| *id == same.id || Some(id) == by_digest) {
            return ImageSource::Present(name.to_owned());
        }
        match (&same.digest, by_digest) {
            (Some(digest), Some(_)) => ImageSource::Present(digest.clone()),
            // The image has another name on this host, or lost its name.
            _ if state.images.values().any(|id| *id == same.id) => {
                ImageSource::Present(same.id.clone())
            }
            (Some(digest), None) => ImageSource::Pull(digest.clone()),
            // Hosts with another architecture have other images by the same name.
            (None, _) if here.is_some() && state.engine.arch == same.arch => ImageSource::Other,
            (None, _) => ImageSource::AsNamed,
        }
    }

    /// Returns the warning that a host creates a container from another image than the version's other pods.
    pub fn other_image(&self, name: &str, host: &str, state: &HostState, span: Span) -> Diagnostic {
        let short = |id: &str| {
            let hex = id.strip_prefix("sha256:").unwrap_or(id);
            hex.get(..12).unwrap_or(hex).to_owned()
        };
        let (theirs, owner) = match self {
            Self::Same(same) => (short(&same.id), same.owner.as_str()),
            Self::Named => (String::new(), ""),
        };
        let ours = state.images.get(name).map(|id| short(id)).unwrap_or_default();
        Diagnostic::warning(
            engine_codes::DIFFERENT_IMAGES,
            format!("`{name}` is {ours} on host `{host}`, and {theirs} for {owner}"),
        )
        .label(span, "pods of one version would run two images")
        .help(
            "No registry is known to have either, so none can be fetched in the place of the other. \
             Load the same image on all hosts, or push it to a registry and name it there.",
        )
    }
}

/// The chosen images by workload, container role and container name. All pods of a workload get the same.
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
    fn each_host_gets_the_chosen_image() {
        let same = |digest: Option<&str>| {
            let digest = digest.map(str::to_owned);
            let (owner, arch) = ("web-2 on a".to_owned(), "amd64".to_owned());
            Choice::Same(SharedImage { id: "1".to_owned(), digest, owner, arch })
        };
        let there = |name: &str| ImageSource::Present(name.to_owned());
        let fetch = || ImageSource::Pull(DIGEST.to_owned());
        let [known, local] = [same(Some(DIGEST)), same(None)];
        for (choice, images, arch, expected) in [
            (&Choice::Named, &[(TAG, "1")][..], "amd64", ImageSource::AsNamed),
            // A registry has the image.
            (&known, &[(TAG, "1")], "amd64", there(TAG)),
            (&known, &[], "amd64", fetch()),
            (&known, &[(TAG, "2")], "amd64", fetch()),
            (&known, &[(TAG, "2"), (DIGEST, "1")], "amd64", there(DIGEST)),
            (&known, &[(TAG, "2"), ("1", "1")], "amd64", there("1")),
            // One digest covers an image for each architecture.
            (&known, &[(TAG, "7"), (DIGEST, "7")], "arm64", there(TAG)),
            (&known, &[(TAG, "2"), (DIGEST, "7")], "arm64", there(DIGEST)),
            // No registry has the image.
            (&local, &[(TAG, "1")], "amd64", there(TAG)),
            (&local, &[], "amd64", ImageSource::AsNamed),
            (&local, &[(TAG, "2")], "amd64", ImageSource::Other),
            (&local, &[(TAG, "2"), ("mine:3", "1")], "amd64", there("1")),
            (&local, &[(TAG, "7")], "arm64", ImageSource::AsNamed),
        ] {
            assert_eq!(
                choice.source_on(TAG, &has(images, arch)),
                expected,
                "{choice:?} {images:?}"
            );
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
    fn an_id_is_the_digest_in_containerds_image_store() {
        let image = ImageRef::parse("registry.example:5000/app:1").unwrap();
        let (other, moved) = ("tally.local/hello@sha256:bb", "registry.example:5000/app:1");
        let lost = ("sha256:aa", "sha256:aa");
        let state = has(&[(other, "sha256:bb"), (moved, "sha256:cc"), lost], "amd64");
        let expected = "registry.example:5000/app@sha256:aa";
        assert_eq!(digest_of(&state.images, "sha256:aa", &image).as_deref(), Some(expected));
        // The same with an engine whose IDs are not digests.
        let state = has(&[(other, "sha256:dd"), (moved, "sha256:cc"), lost], "amd64");
        assert_eq!(digest_of(&state.images, "sha256:aa", &image), None);
    }
}
